"""Print an answer of the code execution tool, block by block, and save its charts.

A program needs none of this: the blocks are in `response.content`, and portfolio.py has a loop of eight lines
that reads them. This file is about looking nice.
"""

from __future__ import annotations

import base64
import functools
import mimetypes
import os
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass, field
from email.message import Message
from pathlib import Path
from typing import Any

import anthropic

try:
    from rich.console import Console
    from rich.markdown import Markdown
    from rich.padding import Padding
    from rich.rule import Rule
    from rich.syntax import Syntax
    from rich.text import Text
except ImportError:  # plain text will do
    Console = None

MODEL = os.environ.get("ANTHROPIC_MODEL", "claude-sonnet-5-5")
"""Any name that your model server knows. Without a model server the name is not looked at."""


@dataclass
class Shown:
    """What an answer held."""

    executions: int = 0
    failures: int = 0
    """Executions that ended in an error."""
    ended_in_failure: bool = False
    """The last execution failed: nothing after it put things right."""
    charts: list[Path] = field(default_factory=list)
    files: list[Path] = field(default_factory=list)


def belljar_by_default() -> None:
    """Without ANTHROPIC_BASE_URL, send the requests to a `belljar serve` on this machine."""
    os.environ.setdefault("ANTHROPIC_BASE_URL", "http://127.0.0.1:8421")
    os.environ.setdefault("ANTHROPIC_API_KEY", "belljar")


def question(prompt: str, attachment: str | None = None) -> None:
    """Print what is asked, before the answer is waited for."""
    _print("question", prompt if attachment is None else f"{prompt}\n[Attached: {attachment}]")


def heading(title: str) -> None:
    """Print a line that sets off what follows."""
    _print("heading", title)


def note(text: str) -> None:
    """Print something about the answer that is not part of it."""
    _print("note", text)


def answer(client: anthropic.Anthropic, response: anthropic.types.Message, name: str) -> Shown:
    """Print every block of `response`; charts and files are saved, the charts as `name`.png.

    They go to the directory that DEMO_OUTPUT names, or to `demo-output` below the current one.
    """
    shown = Shown()
    for block in response.content:
        match block.type:
            case "thinking":
                _print("thinking", block.thinking)
            case "text":
                _print("text", block.text)
            case "server_tool_use" if "code" in block.input:
                shown.executions += 1
                _print("code", str(block.input["code"]))
            case "code_execution_result":
                # Belljar's `inline` profile. The SDK does not know this type, so `output` is a plain dict.
                _inline_result(block, name, shown)
            case "code_execution_tool_result":
                _official_result(client, block.content, name, shown)
            case other:
                note(f"[A block of the type {other}]")
    if response.stop_reason != "end_turn":
        note(f"[The answer stops here: {response.stop_reason}]")
    return shown


def _inline_result(block: Any, name: str, shown: Shown) -> None:
    if block.output["type"] == "image":
        _save_chart(base64.b64decode(block.output["data"]), block.output["media_type"], name, shown)
    else:
        _result(block.output["text"], getattr(block, "is_error", False), shown)


def _official_result(client: anthropic.Anthropic, result: Any, name: str, shown: Shown) -> None:
    if result.type == "code_execution_tool_result_error":
        _result(f"The tool could not run the code: {result.error_code}", True, shown)
        return
    printed = "\n".join(part.rstrip("\n") for part in (result.stdout, result.stderr) if part)
    _result(printed, result.return_code != 0, shown)
    for output in result.content:
        content = client.beta.files.download(output.file_id)
        media_type = content.headers.get("content-type", "").partition(";")[0]
        filename = _filename(content.headers.get("content-disposition", "")) or output.file_id
        if media_type.startswith("image/"):
            _save_chart(content.read(), media_type, name, shown)
        else:
            shown.files.append(_save(content.read(), filename))
            note(f"[File saved: {shown.files[-1]}]")


def _result(text: str, is_error: bool, shown: Shown) -> None:
    shown.failures += is_error
    shown.ended_in_failure = is_error
    _print("error" if is_error else "result", text.strip("\n") or "(nothing was printed)")


def _save_chart(data: bytes, media_type: str, name: str, shown: Shown) -> None:
    number = f"-{len(shown.charts) + 1}" if shown.charts else ""
    shown.charts.append(_save(data, f"{name}{number}{mimetypes.guess_extension(media_type) or '.png'}"))
    note(f"[Chart saved: {shown.charts[-1]}]")


def _save(data: bytes, filename: str) -> Path:
    directory = Path(os.environ.get("DEMO_OUTPUT", "demo-output"))
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / filename
    path.write_bytes(data)
    return path


def _filename(disposition: str) -> str | None:
    """The file name in a Content-Disposition header, without any directories."""
    header = Message()
    header["content-disposition"] = disposition
    filename = header.get_filename()
    return Path(filename).name if filename else None


# How things look: with colours on a terminal where rich is installed, else as plain text.


@functools.cache
def _console() -> Any:
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="replace")  # a terminal without UTF-8 must not end the program
    return Console(highlight=False) if Console is not None and sys.stdout.isatty() else None


def _print(kind: str, text: str) -> None:
    if (console := _console()) is None:
        print("\n".join(_plain(kind, text)), flush=True)
    else:
        for part in _rich(kind, text):
            console.print(part)


def _plain(kind: str, text: str) -> Iterator[str]:
    if kind == "code":
        yield "--- Python ".ljust(78, "-")
    elif kind == "heading":
        yield "=" * 78
    elif kind not in ("text", "note"):
        yield f"--- {'You' if kind == 'question' else kind.capitalize()}"
        text = textwrap.indent(text, "  ")
    yield text.strip("\n")
    yield ""


def _rich(kind: str, text: str) -> Iterator[Any]:
    text = text.strip("\n")
    match kind:
        case "heading":
            yield Rule(Text(text, style="bold"), align="left", characters="━", style="cyan")
        case "question":
            yield Text("You", style="bold cyan")
            yield Padding(Text(text), (0, 0, 0, 2))
        case "thinking":
            yield Padding(Text(text, style="dim italic"), (0, 0, 0, 2))
        case "code":
            yield Rule("Python", align="left", style="dim")
            yield Syntax(text, "python", theme="ansi_dark", background_color="default", word_wrap=True)
            yield Rule(style="dim")
        case "result":
            yield Text("Result", style="bold green")
            yield Padding(Text(text), (0, 0, 0, 2))
        case "error":
            yield Text("Error", style="bold red")
            yield Padding(Text(text, style="red"), (0, 0, 0, 2))
        case "note":
            yield Text(text, style="yellow")
        case _:
            yield Markdown(text)
    yield Text()
