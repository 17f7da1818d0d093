"""What tests of the page do with a browser."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
ARGUMENTS = [
    *(["--no-sandbox"] if os.geteuid() == 0 else []),
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
WATCH = """
document.addEventListener('securitypolicyviolation', (event) => {
  console.error(`CSP ${event.violatedDirective} ${event.blockedURI} ${event.sample}`)
})
"""
"""In every page: what breaks its policy is an error."""
_AXE = Path(__file__).parents[2] / "web" / "node_modules" / "axe-core" / "axe.min.js"

Open = Callable[..., Any]
"""See the fixture `open_page`."""


class Watched:
    """What a browser did that it should not have done."""

    def __init__(self, origin: str) -> None:
        self.origin = origin
        self.outside: list[str] = []
        self.errors: list[str] = []
        self.expected: tuple[str, ...] = ()
        """Words of errors that belong to the test."""

    def request(self, request: Any) -> None:
        url = urlsplit(request.url)
        if url.scheme not in {"data", "blob"} and f"{url.scheme}://{url.netloc}" != self.origin:
            self.outside.append(request.url)

    def console(self, message: Any) -> None:
        if message.type == "error" and not any(words in message.text for words in self.expected):
            self.errors.append(message.text)


def axe(page: Any) -> None:
    """axe finds nothing wrong in the page as it is."""
    # Not as an element, which the page's policy forbids: as a test's own code.
    page.evaluate(f"{_AXE.read_text()}; undefined")
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    told = [
        (violation["id"], violation["help"], [node["target"] for node in violation["nodes"]])
        for violation in found["violations"]
    ]
    assert told == [], json.dumps(told, indent=1)


def write(page: Any, code: str) -> None:
    """Have this stand in the editor."""
    page.locator(".cm-content").click()
    page.keyboard.press("Control+a")
    page.keyboard.press("Delete")
    page.keyboard.insert_text(code)


def run(page: Any, code: str, status: str = "Completed") -> Any:
    """Run code, and wait until it has ended. Returns the run."""
    before = page.locator(".runs > li").count()
    write(page, code)
    page.keyboard.press("Control+Enter")
    newest = page.locator(f".jar[aria-label^='Run {before + 1}:']")
    newest.locator(".jar-state", has_text=status).wait_for(timeout=60_000)
    return newest


def choose(page: Any, button: Any, file: Path) -> None:
    """Give a file to the button that asks for one."""
    with page.expect_file_chooser() as chooser:
        button.click()
    chooser.value.set_files(file)


def ask(page: Any, words: str) -> Any:
    """Send a message, and wait until its answer has ended. Returns the exchange."""
    before = page.locator(".exchange").count()
    page.fill("#message", words)
    page.press("#message", "Control+Enter")
    newest = page.locator(".exchange").nth(before)
    newest.locator(".after").wait_for(timeout=60_000)
    return newest
