"""What one run of a sandbox's code came to, as its caller looks at it."""

from __future__ import annotations

import base64
import html
from dataclasses import dataclass
from pathlib import Path

from belljar import results
from belljar.records import Outcome
from belljar.wire.execution import (
    DisplayOutput,
    ErrorOutput,
    Execution,
    ExecutionFile,
    Output,
    StreamOutput,
    Usage,
)
from belljar.wire.media import extension_of

_PICTURES = ("image/png", "image/jpeg", "image/gif", "image/webp")
_WORDS = ("text/markdown", "text/plain", "text/latex", "application/json")
"""Of a rich value, the first of these is what there is to read."""
_SHOWN = 200
"""Characters of what there is to read, where a result stands for itself."""
_VECTORS = "image/svg+xml"


@dataclass(frozen=True)
class Image:
    """A picture that code showed: a chart, or an image that was displayed."""

    mime_type: str
    data: bytes

    def save(self, path: str | Path) -> Path:
        """Write it into a file; one that is there is replaced. Raises OSError."""
        Path(path).write_bytes(self.data)
        return Path(path)

    def _repr_mimebundle_(self, **_: object) -> dict[str, bytes]:
        return {self.mime_type: self.data}


@dataclass(frozen=True, repr=False)
class Result:
    """One run: what it printed and showed, how it ended, what it made.

    `document` is the whole of it, as `POST /v1/executions` answers.
    """

    document: Execution

    @property
    def ok(self) -> bool:
        """Whether the code came to its end by itself, without an exception, a limit or an exit code but 0."""
        return self.document.return_code == 0

    @property
    def outcome(self) -> Outcome:
        """How it ended, as a status, a reason for programs, a message for people, and the limit that was reached."""
        return self.document.outcome

    @property
    def stdout(self) -> str:
        """What it printed."""
        return self.document.stdout

    @property
    def stderr(self) -> str:
        """What it printed there, and the traceback that ended it."""
        return self.document.stderr

    @property
    def outputs(self) -> list[Output]:
        """All that it printed and showed, in the order in which it happened."""
        return self.document.outputs

    @property
    def error(self) -> ErrorOutput | None:
        """The exception that ended it, with its traceback; None where there was none."""
        return next((one for one in self.outputs if isinstance(one, ErrorOutput)), None)

    @property
    def value(self) -> str | None:
        """The last expression's value as text; None where there was none."""
        values = [
            one for one in self.outputs if isinstance(one, DisplayOutput) and one.type == "execute_result"
        ]
        return words_of(values[-1]) if values else None

    @property
    def text(self) -> str:
        """All that there is to read, in order: what a person would read, or a model is to be told.

        What was printed, values and displayed things as text, the exception with the values at hand and its hint, and
        the word of the limit that it met.
        """
        read = [words_of(output) for output in self.outputs]
        lines = "".join(text if text.endswith("\n") or not text else f"{text}\n" for text in read)
        if self.outcome.limit is not None or self.outcome.status not in ("completed", "raised", "exited"):
            lines += f"{self.outcome.message}\n"
        return lines

    @property
    def images(self) -> list[Image]:
        """The pictures that it showed, in order: open figures, and images that were displayed or the last value."""
        return [
            Image(mime_type, base64.b64decode(output.data[mime_type]))
            for output in self.outputs
            if isinstance(output, DisplayOutput)
            for mime_type in _PICTURES
            if mime_type in output.data
        ]

    @property
    def files(self) -> list[ExecutionFile]:
        """What it made or changed, in the working directory and in $OUTPUT_DIR; `Sandbox.get` has their contents."""
        return self.document.files

    @property
    def usage(self) -> Usage:
        """What it took: seconds on the wall, seconds of processors, and bytes of memory at the peak."""
        return self.document.usage

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        text = self.text if len(self.text) <= _SHOWN else f"{self.text[:_SHOWN]}…"
        return f"Result({self.outcome.status}, {text!r}, {len(self.images)} images, {len(self.files)} files)"

    def show(self) -> None:
        """Print what there is to read, and show the pictures: in a notebook, in a terminal that can, else by name."""
        from belljar.client import showing

        showing.show(self)

    def _repr_html_(self) -> str:
        """For notebooks. Whatever the code wrote is text, a picture, or HTML in a frame where no script runs."""
        return "\n".join(filter(None, map(_html, self.outputs)))


def words_of(output: Output) -> str:
    """What there is to read of an output."""
    if isinstance(output, StreamOutput):
        return output.text
    if isinstance(output, ErrorOutput):
        return "\n".join(results.in_brief(output))
    if output.type != "execute_result" and any(kind in output.data for kind in _PICTURES):
        return ""
    return next((output.data[kind] for kind in _WORDS if kind in output.data), "")


def picture_name(number: int, image: Image) -> str:
    return f"figure-{number}.{extension_of(image.mime_type)}"


def _html(output: Output) -> str:
    if isinstance(output, DisplayOutput):
        for kind in (*_PICTURES, _VECTORS):
            if kind in output.data:
                # In an image no script of a drawing runs either.
                data = output.data[kind]
                if kind == _VECTORS:
                    data = base64.b64encode(data.encode("utf-8", "replace")).decode()
                return f'<img src="data:{kind};base64,{html.escape(data)}">'
        if "text/html" in output.data:
            page = html.escape(output.data["text/html"])
            return (
                f'<iframe sandbox="" srcdoc="{page}" style="border: 0; width: 100%; height: 24em"></iframe>'
            )
    text = words_of(output)
    if not text:
        return ""
    is_red = isinstance(output, ErrorOutput) or (isinstance(output, StreamOutput) and output.name == "stderr")
    colour = ' style="color: #b00020"' if is_red else ""
    return f"<pre{colour}>{html.escape(text)}</pre>"
