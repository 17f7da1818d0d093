"""The tools that run on this side. One Protocol, one file for each tool that answers to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from belljar import orders, results
from belljar.gateway.search import Found, declared
from belljar.gateway.store import File
from belljar.installed import Installed
from belljar.records import Limits
from belljar.wire.charts import Chart

CODE, BASH, EDITOR = "code_execution", "bash_code_execution", "text_editor_code_execution"
SEARCH = declared.NAME
"""Their names, to models and to clients."""
OUR_NAMES = frozenset({CODE, BASH, EDITOR, SEARCH})


@dataclass(frozen=True)
class Image:
    """A picture to look at: a figure that was left open, or an image file that the run wrote."""

    media_type: str
    body: bytes
    name: str = ""
    """Of its file, where it has one."""
    chart: Chart | None = None
    """What it shows, where that is known."""


_LISTED_PATHS = 10
_PATH_CHARACTERS = 120


@dataclass(frozen=True)
class Archive:
    """The file that holds those which do not come one by one."""

    file_id: str
    name: str
    paths: list[str]
    """Of what is in it."""

    @property
    def word(self) -> str:
        """What is said of it."""
        shown = self.paths[:_LISTED_PATHS]
        some = ", ".join(p if len(p) <= _PATH_CHARACTERS else f"…{p[1 - _PATH_CHARACTERS :]}" for p in shown)
        more = ", …" if len(self.paths) > _LISTED_PATHS else ""
        return f"{len(self.paths):,} more files are in {self.name}: {some}{more}."


@dataclass(frozen=True)
class Ran:
    """Code or a command that ran, however it ended, and what of it is kept."""

    result: results.Result
    files: list[File]
    figures: list[File] = field(default_factory=list)
    images: list[Image] = field(default_factory=list)
    shown: frozenset[str] = frozenset()
    """The ids of those of `files` whose content is among the images."""
    call: int | None = None
    """Its place among the result's calls; None where it was code."""
    note: str = ""
    """What is said besides, at the end of stderr."""
    modified: frozenset[str] = frozenset()
    """The ids of those of `files` that were there before."""
    archive: Archive | None = None
    """Which of `files` holds others."""
    charts: Mapping[str, Chart] = field(default_factory=dict)
    """What those of `files` show that are charts, by id."""

    @property
    def size(self) -> int:
        """In bytes, about: what the program chose."""
        shown = [o for o in self.result.outputs if isinstance(o, results.Display)]
        texts = len(self.result.stdout) + len(self.result.stderr)
        return (
            2 * texts
            + sum(len(part) for o in shown for part in o.data.values())
            + sum(len(image.body) for image in self.images)
        )

    @property
    def return_code(self) -> int:
        own = self.result.return_code if self.call is None else self.result.calls[self.call].return_code
        return own if own is not None else self.result.return_code or 1

    @property
    def is_error(self) -> bool:
        if self.call is None:
            return self.return_code != 0 or self.result.outcome.status not in {"completed", "exited"}
        return self.return_code != 0

    @property
    def stdout(self) -> str:
        return self.result.stdout if self.call is None else self.result.calls[self.call].stdout

    @property
    def values(self) -> list[str]:
        """What the code displayed, and what its last expression was worth, as text; of pictures there is none."""
        shown = [o for o in self.result.outputs if isinstance(o, results.Display)]
        return [text for o in shown if (text := results.text_of(o))]

    @property
    def stderr(self) -> str:
        """stderr with the traceback, then what ended the run where it was not the code itself."""
        text, outcome = self.result.stderr, self.result.outcome
        ended_itself = outcome.status in {"completed", "raised", "exited"}
        if self.call is not None:
            text = self.result.calls[self.call].stderr
            ended_itself = self.result.calls[self.call].return_code is not None
        said = [] if ended_itself else [outcome.message]
        if self.note:
            said.append(self.note)
        if said and text and not text.endswith("\n"):
            text += "\n"
        return text + "\n".join(said)


@dataclass(frozen=True)
class Edited:
    """What the text editor did or showed: the fields of the contract's result, without its type."""

    command: str
    """`view`, `create` or `str_replace`."""
    fields: dict[str, Any]
    image: Image | None = None
    """What was viewed, where it is a picture that a model can look at."""
    pdf: bytes | None = None
    note: str = ""
    """What the model is to be told besides."""


@dataclass(frozen=True)
class Searched:
    """What a web search has found."""

    query: str
    pages: list[Found]


@dataclass(frozen=True)
class Failed:
    """What did not run: the tool itself failed."""

    error_code: str
    message: str


Outcome = Ran | Edited | Searched | Failed


@dataclass(frozen=True)
class Offer:
    """What a request lets code do, for the descriptions of the tools."""

    about: Installed
    limits: Limits
    timeout_seconds: float
    is_beside_shell: bool
    """Code runs beside a shell and an editor."""
    client_tools: Sequence[dict[str, Any]] = ()
    """Those that code may call, as they were declared."""
    search: declared.Declared | None = None
    has_code: bool = True
    """Code is among the tools: its description says what is installed."""
    sees: bool = True
    """The model can look at pictures."""


class Tool(Protocol):
    """What a model calls, by an ordinary tool with a schema."""

    name: str

    def definition(self, offer: Offer) -> dict[str, Any]:
        """The tool as the upstream sees it."""

    def asked(self, given: object) -> str | orders.Command | orders.Edit | Failed:
        """What the model's input wants run, code being a string, and so is a query; or why there is nothing to run."""


def string_of(given: object, name: str) -> str | Failed:
    """The string `name` of a tool's input, or why there is none."""
    if isinstance(given, str):
        return not_json(given)
    value = given.get(name) if isinstance(given, dict) else None
    if not isinstance(value, str):
        return Failed("invalid_tool_input", f'The input has to be {{"{name}": "…"}}, with a string.')
    return unless_broken(value)


def not_json(written: str) -> Failed:
    """What a model gets for input that it has broken."""
    return Failed("invalid_tool_input", f"The input is not a JSON object: {written[:400]}")


def unless_broken(text: str) -> str | Failed:
    """`text`, where it can be written as UTF-8."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        return Failed("invalid_tool_input", f"The text is not valid Unicode: {error}")
    return text
