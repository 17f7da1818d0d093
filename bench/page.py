"""What the page at `/` weighs, and how soon it is there: bytes on the way, first paint, the editor ready.

Run with Belljar's own Python, after `make setup-dev` and `make page`; it needs Chromium (`apt-get install chromium`).
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile

from playwright.sync_api import sync_playwright

# Nothing is kept from one visit to the next: each has a browser context of its own.
LOOK = """() => {
  const paint = performance.getEntriesByName('first-contentful-paint')[0]
  const files = [...performance.getEntriesByType('navigation'), ...performance.getEntriesByType('resource')]
    .filter((one) => !new URL(one.name).pathname.startsWith('/v1') && !one.name.endsWith('/health'))
  return {paint: paint.startTime, files: files.map((one) => [new URL(one.name).pathname, one.encodedBodySize])}
}"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--visits", type=int, default=15)
    visits = parser.parse_args().visits
    chromium = shutil.which("chromium") or sys.exit("Chromium is missing: apt-get install chromium")
    with tempfile.TemporaryDirectory() as state:
        server = subprocess.Popen(
            [sys.executable, "-c", "from belljar.cli import main; main()", "serve", "--port", "0"],
            env=os.environ
            | {"BELLJAR_STATE_DIR": state, "BELLJAR_PRELOAD": '{"bare": []}', "BELLJAR_LOG_LEVEL": "warning"},
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            assert server.stdout is not None
            url = server.stdout.readline().strip().removeprefix("Belljar listens on ")
            measure(url, chromium, visits)
        finally:
            server.terminate()
            server.wait(60)


def measure(url: str, chromium: str, visits: int) -> None:
    arguments = ["--disable-gpu", *(["--no-sandbox"] if os.geteuid() == 0 else [])]
    paints, editors, files = [], [], {}
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=arguments)
        for _ in range(visits + 1):
            page = browser.new_context().new_page()
            page.goto(f"{url}/#code")
            page.wait_for_selector(".cm-content")
            editors.append(page.evaluate("performance.now()"))
            found = page.evaluate(LOOK)
            paints.append(found["paint"])
            files = dict(found["files"])
            page.context.close()
        browser.close()
    for path, size in files.items():
        print(f"{size:>9,} bytes  {path}")
    print(f"{sum(files.values()):>9,} bytes  in all, as they travel (gzip)")
    # The first visit starts the browser's own processes.
    for name, times in (("first paint", paints[1:]), ("editor ready", editors[1:])):
        around = f"from {min(times):.0f} to {max(times):.0f}"
        print(f"{statistics.median(times):>6.0f} ms  {name}, median of {visits} ({around})")


if __name__ == "__main__":
    main()
