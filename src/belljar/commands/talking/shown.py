"""An answer as it comes: on a terminal with its text as Markdown and its code in colours, else as plain text."""

from __future__ import annotations

import sys
from typing import Any, Protocol

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.markdown import Markdown
from rich.padding import Padding
from rich.syntax import Syntax
from rich.text import Text

from belljar.client import showing
from belljar.commands.talking.typed import code_in

Event = dict[str, Any]
_PICTURES = ("image/png", "image/jpeg", "image/gif", "image/webp")
_FENCES = ("```", "~~~")


class Shown(Protocol):
    """Takes the events of one answer, in order."""

    def take(self, event: Event) -> None: ...

    def end(self) -> None:
        """Nothing more comes; also where the answer was given up."""


class _Heard:
    """What was said of each use while it ran."""

    def __init__(self) -> None:
        self._stderr: dict[str, str] = {}

    def words(self, event: Event) -> str:
        """What there is to read of an event."""
        use_id, output = event["tool_use_id"], event["output"]
        heard = self._stderr.setdefault(use_id, "")
        if output["type"] == "error":
            self._stderr[use_id] = heard + "".join(f"{line}\n" for line in output["traceback"])
        elif output.get("name") == "stderr":
            self._stderr[use_id] = heard + output["text"]
        return _words(output)

    def rest(self, block: Event) -> str:
        """What the result of a use says beyond that: how it failed, and at its end which limit was reached."""
        content = block["content"]
        if not isinstance(content, dict):
            return ""
        if content.get("type", "").endswith("_error"):
            return f"{content.get('error_code', 'error')}\n"
        stdout, stderr = (str(content.get(name) or "") for name in ("stdout", "stderr"))
        if (heard := self._stderr.get(block["tool_use_id"])) is None:
            return stdout + stderr
        if stderr.startswith(heard):
            return stderr[len(heard) :]
        # It was shortened for the model: what follows the last line that was heard.
        said, lines = set(heard.splitlines()) - {""}, stderr.splitlines()
        last = max((at for at, line in enumerate(lines) if line in said), default=len(lines))
        return "".join(f"{line}\n" for line in lines[last + 1 :])


class Plain:
    """The text of the answer on standard output; code, and what it prints, on standard error."""

    def __init__(self) -> None:
        self._kind = ""
        self._written = ""
        self._heard = _Heard()

    def take(self, event: Event) -> None:
        kind = event["type"]
        if kind == "content_block_start":
            block = event["content_block"]
            self._kind, self._written = block["type"], ""
            if self._kind == "text":
                self._print(block["text"])
            elif self._kind.endswith("_tool_result"):
                self._result(block)
        elif kind == "content_block_delta":
            delta = event["delta"]
            if delta["type"] == "text_delta":
                self._print(delta["text"])
            elif delta["type"] == "input_json_delta":
                self._written += delta["partial_json"]
        elif kind == "content_block_stop":
            if self._kind == "text":
                self._print("\n")
            elif self._written:
                _tell("".join(f">>> {line}\n" for line in code_in(self._written).splitlines()))
        elif kind == "belljar_output":
            _tell(self._heard.words(event))

    def _print(self, text: str) -> None:
        sys.stdout.write(text)
        sys.stdout.flush()

    def _result(self, block: Event) -> None:
        _tell(self._heard.rest(block))

    def end(self) -> None:
        sys.stdout.flush()


def _tell(text: str) -> None:
    if text:
        sys.stderr.write(text if text.endswith("\n") else f"{text}\n")
        sys.stderr.flush()


class Rich:
    """On a terminal. What is finished is printed; what is still being written stands below it, and is drawn anew."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = Live(console=console, transient=True, auto_refresh=False, vertical_overflow="crop")
        self._live.start()
        self._kind = ""
        self._text = ""
        self._heard = _Heard()
        self._printed = ""
        """What code has printed of a line that is not at its end."""

    def take(self, event: Event) -> None:
        kind = event["type"]
        if kind == "message_start":
            self._draw(Text("…", style="dim"))
        elif kind == "content_block_start":
            block = event["content_block"]
            self._kind, self._text = block["type"], ""
            if self._kind == "text":
                self._add(block["text"])
            elif self._kind.endswith("_tool_result"):
                self._result(block)
        elif kind == "content_block_delta":
            delta = event["delta"]
            if delta["type"] == "text_delta":
                self._add(delta["text"])
            elif delta["type"] == "thinking_delta":
                self._draw(Text(f"thinking … {delta['thinking'][-40:]!r}", style="dim italic"))
            elif delta["type"] == "input_json_delta":
                self._text += delta["partial_json"]
                self._draw(self._code(code_in(self._text), is_whole=False))
        elif kind == "content_block_stop":
            self._stop()
        elif kind == "belljar_output":
            self._hear(event["output"], self._heard.words(event))

    def _add(self, text: str) -> None:
        """Text of the answer: paragraphs that are whole are printed."""
        self._text += text
        whole, self._text = _paragraphs(self._text)
        if whole.strip():
            self._print(Padding(Markdown(showing.harmless(whole)), (1, 0, 0, 0)))
        self._draw(Markdown(showing.harmless(self._text)))

    def _stop(self) -> None:
        if self._kind == "text":
            if self._text.strip():
                self._print(Padding(Markdown(showing.harmless(self._text)), (1, 0, 0, 0)))
        elif self._kind == "server_tool_use" and self._text:
            self._print(self._code(code_in(self._text), is_whole=True))
            self._draw(Text("runs …", style="dim"))
        self._text = ""

    def _code(self, code: str, *, is_whole: bool) -> RenderableType:
        code = showing.harmless(code)
        if not is_whole:  # as much of its end as there is room for
            lines = code.splitlines()
            code = "\n".join(lines[-max(1, self._console.height - 4) :])
        syntax = Syntax(code, "python", background_color="default", word_wrap=True)
        return Padding(syntax, (1, 0, 0, 2)) if is_whole else Padding(syntax, (0, 0, 0, 2))

    def _hear(self, output: Event, words: str) -> None:
        if output["type"] == "clear_output":
            return
        is_red = output["type"] == "error" or output.get("name") == "stderr"
        if output["type"] == "stream":
            *lines, self._printed = (self._printed + words).split("\n")
        else:
            lines, self._printed = [*([self._printed] if self._printed else []), *words.splitlines()], ""
        for line in lines:
            self._print(_line(line, is_red=is_red))
        self._draw(_line(self._printed, is_red=is_red) if self._printed else Text("runs …", style="dim"))

    def _result(self, block: Event) -> None:
        self._end_line()
        for line in self._heard.rest(block).splitlines():
            self._print(_line(line, is_red=False))
        self._draw(Text("…", style="dim"))

    def _end_line(self) -> None:
        if self._printed:
            self._print(_line(self._printed, is_red=False))
            self._printed = ""

    def _draw(self, what: RenderableType) -> None:
        self._live.update(Group(what), refresh=True)

    def _print(self, what: RenderableType) -> None:
        self._live.update(Text(""))
        self._console.print(what)

    def end(self) -> None:
        if self._kind == "text" and self._text.strip():  # it was given up in the middle
            self._print(Padding(Markdown(showing.harmless(self._text)), (1, 0, 0, 0)))
        self._end_line()
        self._live.update(Text(""), refresh=True)
        self._live.stop()
        self._console.print()


def _paragraphs(text: str) -> tuple[str, str]:
    """What is whole of Markdown that is still being written, and the rest: a paragraph ends at an empty line, and a
    block of code at its fence."""
    whole, is_fenced, at = 0, False, 0
    for line in text.splitlines(keepends=True):
        if line.lstrip().startswith(_FENCES):
            is_fenced = not is_fenced
        at += len(line)
        if not line.strip() and not is_fenced and line.endswith("\n"):
            whole = at
    return text[:whole], text[whole:]


def _line(text: str, *, is_red: bool) -> RenderableType:
    """A line of what code has printed; of what it has written over itself, the last."""
    shown = showing.harmless(text.rstrip("\r").rpartition("\r")[2])
    return Padding(Text(shown, style="red" if is_red else "cyan"), (0, 0, 0, 2))


def _words(output: Event) -> str:
    """What there is to read of an output."""
    if output["type"] == "stream":
        return str(output["text"])
    if output["type"] == "error":
        return "\n".join(output["brief"] or output["traceback"]) + "\n"
    data = output.get("data") or {}
    if any(kind in data for kind in _PICTURES):
        return ""
    words = next((data[kind] for kind in ("text/markdown", "text/plain", "text/latex") if kind in data), "")
    return f"{words}\n" if words else ""
