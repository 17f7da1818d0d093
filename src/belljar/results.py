"""What comes of a run: what the program wrote and showed while it ran, how it ended, and the files it left."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, NamedTuple

from belljar.frames import Message
from belljar.records import MAX_RUN_DISPLAY_BYTES, MAX_RUN_DISPLAYS, MAX_RUN_TEXT_BYTES, LimitReached, Outcome
from belljar.wire import charts
from belljar.wire.charts import Chart
from belljar.wire.execution import Change, ErrorFrame, ErrorOutput, ErrorValue, Truncated, Usage


@dataclass(frozen=True)
class Stream:
    """Text that the program wrote. Arrives in pieces, in the order in which it was written."""

    name: Literal["stdout", "stderr"]
    text: str
    call: int | None = None
    """As an event: which of the run's calls has written it; None where it was code."""


@dataclass(frozen=True)
class Display:
    """A rich value: what was displayed, or left open as a figure (`display_data`), or the value of the last expression
    (`execute_result`). As an event it may also take the place of an earlier one (`update_display_data`)."""

    type: Literal["display_data", "execute_result", "update_display_data"]
    data: dict[str, bytes]
    """By media type; text types are UTF-8."""
    metadata: dict[str, Any] = field(default_factory=dict)
    """As the code gave it: by media type, in a notebook's words."""
    display_id: str | None = None
    """By which the code can replace it."""
    chart: Chart | None = None
    """What a figure shows: as `data` has it, and held against its shape."""


@dataclass(frozen=True)
class Clear:
    """An event only: what was shown so far was taken back, `wait`: as soon as something else is shown."""

    wait: bool


@dataclass(frozen=True)
class Raised:
    """The exception that ended the code, as the code's own interpreter describes it."""

    ename: str
    evalue: str
    traceback: list[str]
    brief: list[str] = field(default_factory=list)
    """The same with the calls of libraries in a line each; empty where there is none."""
    frames: list[ErrorFrame] = field(default_factory=list)
    values: list[ErrorValue] = field(default_factory=list)
    """Of the names at hand in the innermost frame of the code's own."""
    hint: str | None = None


@dataclass(frozen=True)
class Ask:
    """The code waits for one of the caller's tools; `Keeper.reply` answers."""

    number: int
    name: str
    input: dict[str, Any]


@dataclass(frozen=True)
class Asks:
    """What the code has asked at one moment. While one of these has no reply, the run's clock stands still."""

    asks: list[Ask]


Output = Stream | Display | Raised
Event = Output | Clear


@dataclass(frozen=True)
class WorkFile:
    """A regular file that the run made or changed."""

    path: str
    """Relative to the working directory (or to the run's $OUTPUT_DIR), with `/`, as `paths` writes it."""
    size_bytes: int
    handle: str
    """For `Keeper.read`; good until the next run in the session, or its end."""
    call: int | None = None
    """Which of the run's calls has made it; None where it was code."""
    change: Change = "created"
    """`modified` where there was a file of that path before. In the directory of a call all are new."""
    chart: Chart | None = None
    """What it shows, where code has saved a figure in it."""


@dataclass(frozen=True)
class Lying:
    """A regular file that lies in the working directory."""

    path: str
    """As of a `WorkFile`."""
    size_bytes: int
    handle: str
    changed_at: int
    """By the machine's clock, in microseconds since 1970."""


@dataclass(frozen=True)
class CallResult:
    """How a shell command or an edit ended."""

    stdout: str
    stderr: str
    return_code: int | None
    """None where it did not end: the run's outcome says why. Of an edit it is 0."""
    truncated: Truncated
    body: bytes
    """What an edit has to tell, as JSON: see `guest.editor`. It was written where the user's code runs."""


@dataclass(frozen=True)
class Result:
    """How a run ended and what it left behind. `outputs` is in order and within the limits.

    `stderr` ends with the traceback, as a terminal would show it; `outputs` has it as `Raised` instead.
    """

    outcome: Outcome
    return_code: int
    stdout: str
    stderr: str
    truncated: Truncated
    outputs: list[Output]
    files: list[WorkFile]
    files_left_out: int
    """Files that are together larger than the session's disk."""
    displays_left_out: int
    """Rich values beyond the limits on how many and how large one run may give back."""
    usage: Usage
    laps: dict[str, float]
    """Milliseconds for each step, also of making the session where it was made for this run."""
    is_closed: bool = False
    """The session has been closed, as was asked for."""
    calls: list[CallResult] = field(default_factory=list)
    deleted: list[str] = field(default_factory=list)
    """Paths in the working directory at which there was a file before the run; at most 1,000."""
    deleted_left_out: int = 0


_OBJECT = re.compile(r"<[^<>]*>")
"""What says no more than what kind of thing it is."""


def text_of(shown: Display) -> str:
    """What there is to read of a rich value; nothing of a picture that was displayed."""
    found = {mime: part.decode("utf-8", "replace") for mime, part in shown.data.items() if _is_read(mime)}
    if shown.type == "display_data" and any(_is_seen(mime) for mime in shown.data):
        return ""
    plain = found.pop("text/plain", "")
    if "text/markdown" in found:
        return found["text/markdown"]
    return next(iter(found.values()), plain) if not plain or _OBJECT.fullmatch(plain) else plain


def notes(raised: Raised | ErrorOutput) -> list[str]:
    """Lines for who is to mend the code: what its names stood for, and the hint."""
    lines = []
    if raised.values:
        own = [frame for frame in raised.frames if frame.is_own]
        where = f"In {own[-1].function or own[-1].file}, line {own[-1].line}" if own else "At hand"
        lines.append(f"{where}:")
        lines += [f"  {value.name}: {value.type}, {value.text}" for value in raised.values]
    if raised.hint:
        lines.append(f"Hint: {raised.hint}")
    return lines


def in_brief(raised: Raised | ErrorOutput) -> list[str]:
    """An exception as a model is told it: the calls of libraries in a line each, the values and the hint behind it."""
    return [*(raised.brief or raised.traceback), *notes(raised)]


def with_help(stderr: str, outputs: Sequence[Output]) -> str:
    """What code wrote to stderr, in which the traceback is the one in brief, with the values and the hint behind it."""
    raised = next((output for output in outputs if isinstance(output, Raised)), None)
    if raised is None:
        return stderr
    plain = "\n".join(raised.traceback)
    if not plain:  # the guest has said nothing that we understood
        return "\n".join([stderr.rstrip("\n"), *notes(raised)])
    before, _, behind = stderr.rpartition(plain)
    return before + "\n".join(in_brief(raised)) + behind


def _is_seen(mime: str) -> bool:
    return mime.startswith("image/") and not mime.startswith("image/svg")


def _is_read(mime: str) -> bool:
    return mime in ("text/plain", "text/markdown", "text/latex", "application/json")


class _Amount(NamedTuple):
    """Of what is shown."""

    displays: int = 0
    all_bytes: int = 0
    text_bytes: int = 0

    def plus(self, other: _Amount, times: int = 1) -> _Amount:
        return _Amount(*(one + times * more for one, more in zip(self, other, strict=True)))


_NOTHING = _Amount()
_MOST = _Amount(MAX_RUN_DISPLAYS, MAX_RUN_DISPLAY_BYTES, MAX_RUN_TEXT_BYTES)


def _amount_of(shown: Display) -> _Amount:
    texts = sum(len(part) for mime, part in shown.data.items() if not _is_seen(mime))
    return _Amount(1, sum(map(len, shown.data.values())), texts)


class _Places:
    """Where displays of one id stand, and how much they are together."""

    def __init__(self) -> None:
        self.at: list[int] = []
        self.amount = _NOTHING

    def add(self, at: int, one: _Amount) -> None:
        self.at.append(at)
        self.amount = self.amount.plus(one)


class Outputs:
    """Folds a run's events into its result."""

    def __init__(
        self,
        on_event: Callable[[Event], None] | None,
        on_asks: Callable[[Asks], None] | None = None,
        calls: int = 0,
    ) -> None:
        self._on_event = on_event
        self._on_asks = on_asks
        self._calls: list[dict[str, list[str]]] = [{"stdout": [], "stderr": []} for _ in range(calls)]
        self._bodies = [b""] * calls
        self._outputs: list[Output] = []
        self._places: dict[str, _Places] = {}
        """Of what can be replaced, by display id."""
        self._amount = _NOTHING
        """Of all that is shown."""
        self._left_out = 0
        """Rich values that the keeper has let through: it does not know in how many places each of them stands."""
        self._is_to_clear = False
        """With the next output."""
        self._open: tuple[Literal["stdout", "stderr"], list[str]] | None = None
        """The stream that is being written, in pieces: joined when something else follows."""
        self._texts: dict[str, list[str]] = {"stdout": [], "stderr": []}

    def take(self, message: Message) -> None:
        if message.kind == "stream":
            text = message.body.decode()
            if (call := message.head.get("call")) is not None:
                self._calls[call][message.head["name"]].append(text)
                self._tell(Stream(message.head["name"], text, call))
            else:
                self._stream(message.head["name"], text)
        elif message.kind == "called":
            self._bodies[message.head["call"]] = message.body
        elif message.kind == "ask":
            if self._on_asks is not None:
                asked = json.loads(message.body)
                self._on_asks(Asks([Ask(ask["ask"], ask["name"], ask["input"]) for ask in asked]))
        else:
            at, data = 0, {}
            for mime, size in message.head["parts"]:
                data[mime] = message.body[at : at + size]
                at += size
            self._show(message.head, data)

    def _show(self, head: dict[str, Any], data: dict[str, bytes]) -> None:
        metadata = head.get("metadata", {})
        if head["type"] == "clear_output":
            wait = metadata.get("wait") is True
            self._is_to_clear = wait
            if not wait:
                self._clear()
            self._tell(Clear(wait))
            return
        shown = _display(head["type"], data, metadata, head.get("display_id"))
        places = self._places.get(shown.display_id or "")
        if shown.type == "update_display_data" and places is not None:
            self._update(shown, places)
            return
        if self._is_to_clear:
            self._clear()
        if shown.type == "update_display_data":  # of what an earlier run has shown
            shown = replace(shown, type="display_data")
        one = _amount_of(shown)
        if self._has_room(one):
            self._add(shown)
            self._amount = self._amount.plus(one)
            if shown.display_id is not None:
                self._places.setdefault(shown.display_id, _Places()).add(len(self._outputs) - 1, one)

    def _update(self, shown: Display, places: _Places) -> None:
        filled = _NOTHING.plus(_amount_of(shown), len(places.at))
        if self._has_room(filled, in_place_of=places.amount):
            self._amount = self._amount.plus(places.amount, -1).plus(filled)
            places.amount = filled
            for at in places.at:
                self._outputs[at] = replace(shown, type="display_data")
            self._tell(shown)

    def _has_room(self, more: _Amount, in_place_of: _Amount = _NOTHING) -> bool:
        """Whether all that is shown is within the limits then; else it is counted as left out.

        The keeper sees to that too, and cannot know in how many places each stands.
        """
        total = self._amount.plus(in_place_of, -1).plus(more)
        has_room = all(one <= most for one, most in zip(total, _MOST, strict=True))
        self._left_out += not has_room
        return has_room

    def _clear(self) -> None:
        """What a notebook would show is gone; what was printed stays printed."""
        self._is_to_clear = False
        self._open = None
        self._outputs.clear()
        self._places.clear()
        self._amount = _NOTHING

    def _stream(self, name: Literal["stdout", "stderr"], text: str) -> None:
        if self._is_to_clear:
            self._clear()
        self._texts[name].append(text)
        if self._open is None or self._open[0] != name:
            self._close()
            self._open = (name, [])
        self._open[1].append(text)
        self._tell(Stream(name, text))

    def _close(self) -> None:
        if self._open is not None:
            name, pieces = self._open
            self._outputs.append(Stream(name, "".join(pieces)))
            self._open = None

    def _add(self, event: Output) -> None:
        if self._is_to_clear:
            self._clear()
        self._close()
        self._outputs.append(event)
        self._tell(event)

    def _tell(self, event: Event) -> None:
        if self._on_event is not None:
            self._on_event(event)

    def result(self, facts: dict[str, Any], *, is_closed: bool) -> Result:
        stderr = "".join(self._texts["stderr"])
        facts["displays_left_out"] += self._left_out
        if facts["raised"] is not None:
            raised = _raised(facts["raised"])
            self._add(raised)
            stderr += "".join(f"{line}\n" for line in raised.traceback)
        if left_out := _left_out(facts):
            facts["outcome"]["message"] += f" {left_out}"
            stderr += f"{left_out}\n"
        self._close()
        return Result(
            outcome=_outcome(facts["outcome"]),
            return_code=facts["return_code"],
            stdout="".join(self._texts["stdout"]),
            stderr=stderr,
            truncated=Truncated.model_validate(facts["truncated"]),
            outputs=self._outputs,
            files=[WorkFile(**{**file, "chart": charts.read(file.get("chart"))}) for file in facts["files"]],
            files_left_out=facts["files_left_out"],
            displays_left_out=facts["displays_left_out"],
            usage=Usage.model_validate(facts["usage"]),
            laps=facts["laps"],
            is_closed=is_closed,
            deleted=facts["deleted"],
            deleted_left_out=facts["deleted_left_out"],
            calls=[
                CallResult(
                    "".join(texts["stdout"]),
                    "".join(texts["stderr"]),
                    call["return_code"],
                    Truncated.model_validate(call["truncated"]),
                    body,
                )
                for texts, body, call in zip(self._calls, self._bodies, facts["calls"], strict=True)
            ],
        )


def _outcome(facts: dict[str, Any]) -> Outcome:
    limit = facts["limit"]
    return Outcome(**facts | {"limit": LimitReached(**limit) if limit is not None else None})


def _raised(facts: dict[str, Any]) -> Raised:
    frames = [ErrorFrame.model_validate(frame) for frame in facts.get("frames", ())]
    values = [ErrorValue.model_validate(value) for value in facts.get("values", ())]
    return Raised(**{**facts, "frames": frames, "values": values})


def _display(
    kind: Literal["display_data", "execute_result", "update_display_data"],
    data: dict[str, bytes],
    metadata: dict[str, Any],
    display_id: str | None,
) -> Display:
    """A rich value, with what the guest says of a chart only where that is of the right shape."""
    chart = None
    if (said := data.pop(charts.CHART, None)) is not None and (chart := charts.read(said)) is not None:
        data = {**data, charts.CHART: charts.written(chart)}
    return Display(kind, data, metadata, display_id, chart)


def _left_out(facts: dict[str, Any]) -> str:
    """What the caller would otherwise not know to be missing."""
    counted = (
        (facts["files_left_out"], "files"),
        (facts["displays_left_out"], "figures or values"),
        (facts["deleted_left_out"], "names of deleted files"),
    )
    what = [f"{count} {name}" for count, name in counted if count]
    said = [f"Left out, over the limits on what one run gives back: {' and '.join(what)}."] if what else []
    if not facts["are_files_whole"]:
        said.append(
            "There are more files than one look takes in: some that the run has made are perhaps left out."
        )
    return " ".join(said)
