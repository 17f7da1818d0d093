"""Start a server, send it the eight requests of this folder, and show what comes back.

    python examples/demo.py [--output DIR]

With BELLJAR_UPSTREAM or ANTHROPIC_API_KEY set a real model answers; without, scripted.toml plays its part.
The code runs in either case. Exits with 1 when an example failed, and with 2 when the server did not start.
"""

from __future__ import annotations

import argparse
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import anthropic
import csv_document
import json_to_csv
import loan
import messy_contacts
import monthly_chart
import portfolio
import standard_deviation
import text_analysis
from show import Shown, heading, note

READY = "Belljar listens on "
START_SECONDS = 120
STOP_SECONDS = 30


@dataclass(frozen=True)
class Example:
    title: str
    module: ModuleType
    draws: bool = False
    """Its answer must hold a chart."""


EXAMPLES = (
    Example("Standard deviation", standard_deviation),
    Example("A loan", loan),
    Example("A CSV document", csv_document),
    Example("Monthly sales", monthly_chart, draws=True),
    Example("JSON to CSV", json_to_csv),
    Example("Text analysis", text_analysis, draws=True),
    Example("A portfolio", portfolio, draws=True),
    Example("Messy contacts", messy_contacts),
)


@dataclass(frozen=True)
class Finished:
    title: str
    seconds: float
    shown: Shown
    failure: str | None
    is_broken_off: bool = False
    """It ended in an exception; otherwise the answer came, and was not what it should be."""


class ServerFailed(Exception):
    """The server ended, or did not get ready in time."""


def main() -> int:
    parser = argparse.ArgumentParser(description="Send Belljar the eight example requests.")
    parser.add_argument("--output", type=Path, help="where charts are saved (default: demo-output)")
    if (output := parser.parse_args().output) is not None:
        os.environ["DEMO_OUTPUT"] = str(output)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, _: sys.exit(128 + number))  # so that the server is ended, too

    upstream, words = choose_upstream()
    note(words)
    try:
        with tempfile.TemporaryDirectory(prefix="belljar-demo-") as scratch:
            log = Path(scratch) / "server.log"
            with serve(upstream, Path(scratch) / "state", log) as url:
                note(f"The server is ready: {url}")
                finished, seconds = run_all(url)
            summarize(finished, seconds)
            if any(example.is_broken_off for example in finished):
                print(_with_log("The server's last lines:", log), file=sys.stderr)
            return 1 if any(example.failure for example in finished) else 0
    except ServerFailed as failure:
        print(failure, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nInterrupted; the server has been ended.", file=sys.stderr)
        return 130


def choose_upstream() -> tuple[str, str]:
    """The upstream for `belljar serve`, and what to tell the user about it."""
    if upstream := os.environ.get("BELLJAR_UPSTREAM"):
        return upstream, f"The upstream is {upstream}, as BELLJAR_UPSTREAM says."
    if os.environ.get("ANTHROPIC_API_KEY"):
        upstream = "anthropic:https://api.anthropic.com"
        return upstream, "The model is Anthropic's, as ANTHROPIC_API_KEY is set."
    script = Path(__file__).resolve().with_name("scripted.toml")
    return f"scripted:{script}", (
        "No model is connected: its words and its code are played from\n"
        f"  {script}\n"
        "The code is really run, in the sandbox: the results are what it printed and drew.\n"
        "\n"
        "To connect a model, set one of these and start again:\n"
        "  ANTHROPIC_API_KEY=sk-ant-…                        Anthropic's models\n"
        "  BELLJAR_UPSTREAM=anthropic:http://127.0.0.1:8080  a server that speaks /v1/messages, or with\n"
        "  BELLJAR_UPSTREAM=openai:http://127.0.0.1:11434    /v1/chat/completions (Ollama, vLLM, …);\n"
        "                                                    ANTHROPIC_MODEL=… is the model's name there"
    )


@contextmanager
def serve(upstream: str, state_dir: Path, log: Path) -> Iterator[str]:
    """Run `belljar serve` on a free port of this machine, with its messages in `log`. Yields its URL."""
    command = Path(sys.executable).with_name("belljar")
    if not command.exists():
        raise ServerFailed(
            f"There is no {command}. `make setup` makes an environment that has it: .venv/bin/python."
        )
    environment = os.environ | {"BELLJAR_STATE_DIR": str(state_dir), "BELLJAR_UPSTREAM": upstream}
    with log.open("wb") as stderr:
        server = subprocess.Popen(
            [command, "serve", "--port", "0"],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
            start_new_session=True,  # Ctrl-C reaches only this program, which then ends the server
        )
    lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
    reader = threading.Thread(target=_read_lines, args=(server, lines), daemon=True)
    reader.start()
    try:
        yield _url(lines, log)
    finally:
        server.terminate()
        try:
            server.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()
            print(f"The server did not end within {STOP_SECONDS} s and was killed.", file=sys.stderr)
        reader.join()
        server.stdout.close()


def _read_lines(server: subprocess.Popen[str], lines: queue.SimpleQueue[str | None]) -> None:
    for line in server.stdout:
        lines.put(line)
    lines.put(None)


def _url(lines: queue.SimpleQueue[str | None], log: Path) -> str:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            line = lines.get(timeout=max(0, deadline - time.monotonic()))
        except queue.Empty:
            raise ServerFailed(
                _with_log(f"The server was not ready after {START_SECONDS} s. Its last lines:", log)
            ) from None
        if line is None:
            raise ServerFailed(_with_log("The server ended before it was ready. Its last lines:", log))
        if line.startswith(READY):
            return line.removeprefix(READY).strip()


def _with_log(text: str, log: Path) -> str:
    tail = log.read_text(errors="replace").splitlines()[-40:]
    return "\n".join([text, *(f"  {line}" for line in tail or ["(it wrote nothing)"])])


def run_all(url: str) -> tuple[list[Finished], float]:
    """Run the examples one after the other. Returns how each went, and the seconds of all."""
    # A proxy that the environment names is no way to reach this machine.
    transport = anthropic.DefaultHttpxClient(trust_env=False)
    key = os.environ.get("ANTHROPIC_API_KEY") or "belljar"
    started = time.monotonic()
    with anthropic.Anthropic(base_url=url, api_key=key, max_retries=0, http_client=transport) as client:
        finished = [run(client, example, number) for number, example in enumerate(EXAMPLES, 1)]
    return finished, time.monotonic() - started


def run(client: anthropic.Anthropic, example: Example, number: int) -> Finished:
    """Run one example. What goes wrong in it is said and noted, and the next one follows."""
    heading(f"{number}/{len(EXAMPLES)}  {example.title}")
    started = time.monotonic()
    try:
        shown = example.module.main(client)
        finished = Finished(example.title, time.monotonic() - started, shown, _lack(example, shown))
    except Exception as error:  # noqa: BLE001 - one broken example must not hide the other seven
        failure = f"{type(error).__name__}: {error}"
        finished = Finished(example.title, time.monotonic() - started, Shown(), failure, is_broken_off=True)
    if finished.failure:
        note(f"[Failed: {finished.failure}]")
    return finished


def _lack(example: Example, shown: Shown) -> str | None:
    """What the answer should have had; None when it had all."""
    if shown.executions == 0:
        return "no code was run"
    if shown.ended_in_failure:
        return "the code ended in an error"
    if example.draws and not shown.charts:
        return "there is no chart"
    return None


def summarize(finished: list[Finished], seconds: float) -> None:
    heading("Summary")
    lines = [
        f"{'failed' if example.failure else 'done':<7} {example.title:<20} {example.seconds:6.2f} s"
        + (f"   {example.failure}" if example.failure else "")
        for example in finished
    ]
    charts = [chart for example in finished for chart in example.shown.charts]
    executions = sum(example.shown.executions for example in finished)
    failures = sum(example.shown.failures for example in finished)
    lines += [
        "",
        f"{len(finished)} requests, {executions} executions ({failures} ended in an error), "
        f"{len(charts)} charts, {seconds:.1f} seconds",
        *(f"  {chart}" for chart in charts),
    ]
    note("\n".join(lines))


if __name__ == "__main__":
    sys.exit(main())
