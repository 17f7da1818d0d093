"""The code execution tool: what the model is told of it, one run of it, and the run's result as data.

A result is made once, here, and told three times: to the model (a `tool_result`), to a client of the
official shape, and to one that wants everything inline (see `profiles`).
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from belljar import errors, link, results
from belljar.gateway.attachments import Attachment
from belljar.gateway.files import Files
from belljar.gateway.history import clipped, tool_result
from belljar.gateway.placement import Session
from belljar.gateway.store import File
from belljar.gateway.turn import CODE_TOOL
from belljar.wire import media
from belljar.wire.execution import Limits

KNOWN_TYPES = ("code_execution_20250522",)

MODEL_IMAGES = 8
MODEL_IMAGE_BYTES = 5 * 1024 * 1024 * 3 // 4
"""Of one image, so that its base64 has at most 5 MiB: what model servers accept."""
INLINE_IMAGE_BYTES = 32 * 1024 * 1024
"""Of all images of one run; a larger one is a file to be fetched."""
_LISTED_FILES = 50
_MAIN_PACKAGES = (
    "numpy",
    "pandas",
    "matplotlib",
    "seaborn",
    "scipy",
    "sympy",
    "scikit-learn",
    "statsmodels",
    "openpyxl",
    "pyarrow",
    "pillow",
)


@dataclass(frozen=True)
class Image:
    """A picture to look at: a figure that was left open, or an image file that the run wrote."""

    media_type: str
    body: bytes


@dataclass(frozen=True)
class Ran:
    """Code that ran, however it ended, and what of it is kept."""

    result: results.Result
    figures: list[File]
    files: list[File]
    images: list[Image]
    shown: frozenset[str] = frozenset()
    """The ids of those of `files` whose content is among the images."""

    @property
    def is_error(self) -> bool:
        return self.result.return_code != 0 or self.result.outcome.status not in {"completed", "exited"}

    @property
    def values(self) -> list[str]:
        """What the code's last expression was worth, as text."""
        shown = [
            o for o in self.result.outputs if isinstance(o, results.Display) and o.type == "execute_result"
        ]
        return [o.data["text/plain"].decode("utf-8", "replace") for o in shown if "text/plain" in o.data]

    @property
    def stderr(self) -> str:
        """stderr with the traceback, then what ended the run where it was not the code itself."""
        text, outcome = self.result.stderr, self.result.outcome
        if outcome.status in {"completed", "raised", "exited"}:
            return text
        return f"{text}\n{outcome.message}" if text and not text.endswith("\n") else text + outcome.message


@dataclass(frozen=True)
class Failed:
    """Code that did not run: the tool itself failed."""

    error_code: str
    message: str


Outcome = Ran | Failed


@dataclass
class _Kept:
    figures: list[File] = field(default_factory=list)
    files: list[File] = field(default_factory=list)
    images: list[Image] = field(default_factory=list)
    digests: set[str] = field(default_factory=set)
    shown: set[str] = field(default_factory=set)
    image_bytes_left: int = INLINE_IMAGE_BYTES


def definition(
    tool: dict[str, Any], about: link.Description, limits: Limits, timeout_seconds: float
) -> dict[str, Any]:
    """The tool as the upstream sees it: an ordinary one, with a schema."""
    packages = [f"{name} {about.packages[name]}" for name in _MAIN_PACKAGES if name in about.packages]
    text = (
        f"Run Python {about.python} code in a sandbox and get back what it prints. "
        "Print what you want to see; the value of a last expression is shown as well. "
        "Variables, imports and files live on from one call to the next in the same container. "
        "Attached files lie in the current working directory: open them by their name. "
        "Matplotlib figures are shown automatically, to you and to the user, without savefig. "
        "Files that you write into the working directory or into $OUTPUT_DIR are handed to the user. "
        f"There is no network and nothing can be installed. Each call may take {timeout_seconds:g} seconds, "
        f"the session {limits.memory_bytes // 2**20} MiB of memory, {limits.disk_bytes // 2**20} MiB of files."
    )
    if packages:
        text += f" Installed, besides the standard library: {', '.join(packages)}."
    made: dict[str, Any] = {
        "name": CODE_TOOL,
        "description": text,
        "input_schema": {
            "type": "object",
            "properties": {"code": {"type": "string", "description": "The Python code to run."}},
            "required": ["code"],
        },
    }
    return made | {"cache_control": tool["cache_control"]} if tool.get("cache_control") else made


def code_of(given: object) -> str | Failed:
    """The code in a tool's input, or why there is none."""
    if isinstance(given, str):
        return Failed("invalid_tool_input", f"The input is not a JSON object: {clipped(given, 400)}")
    code = given.get("code") if isinstance(given, dict) else None
    if not isinstance(code, str):
        return Failed(
            "invalid_tool_input", 'The input has to be {"code": "…"}, with the Python code as a string.'
        )
    try:
        code.encode()
    except UnicodeEncodeError as error:
        return Failed("invalid_tool_input", f"The code is not valid Unicode: {error}")
    return code


async def run(
    session: Session, code: str, timeout_seconds: float, files: Files, put: Sequence[Attachment]
) -> Ran:
    """Put the attachments into place, run the code, keep what it made.

    Raises NotFound where the container is gone and KeeperLost where the keeper is.
    """
    for attachment in put:
        await session.give(attachment.name, attachment.digest, attachment.body)
    return await run_and_keep(session, link.Run(code, timeout_seconds), files, keep_figures=True)


async def run_and_keep(session: Session, what: link.Run, files: Files, *, keep_figures: bool = False) -> Ran:
    """Run code and keep the files that it wrote; with `keep_figures` also the figures that it left open."""
    result = await session.execute(what)
    kept = _Kept()
    for output in result.outputs:
        if isinstance(output, results.Display) and keep_figures:
            await _keep_figure(output, kept, files, session.container_id)
    for file in result.files:
        await _keep_file(file, kept, files, session)
    return Ran(result, kept.figures, kept.files, kept.images, frozenset(kept.shown))


async def _keep_figure(output: results.Display, kept: _Kept, files: Files, container_id: str) -> None:
    for kind in media.IMAGES & output.data.keys():
        body = output.data[kind]
        name = f"figure-{len(kept.figures) + 1}.{media.extension_of(kind)}"
        saved = await files.keep(name, body, container_id=container_id)
        kept.figures.append(saved.file)
        if saved.digest not in kept.digests:
            kept.images.append(Image(kind, body))
        kept.digests.add(saved.digest)


async def _keep_file(file: results.WorkFile, kept: _Kept, files: Files, session: Session) -> None:
    most = kept.image_bytes_left
    try:
        saved = await files.keep(
            file.path, session.read(file), container_id=session.container_id, echo_images=most
        )
    except errors.InvalidRequest:
        return  # a process that the code left behind removed it meanwhile
    kept.files.append(saved.file)
    if saved.image is None:
        return
    kept.shown.add(saved.file.id)
    kept.image_bytes_left -= len(saved.image)
    if saved.digest not in kept.digests:
        kept.images.append(Image(saved.file.mime_type, saved.image))
    kept.digests.add(saved.digest)


def for_model(use_id: str, outcome: Outcome) -> dict[str, Any]:
    """The `tool_result`: what was printed, what else there is to know, and the pictures."""
    if isinstance(outcome, Failed):
        text = f"The tool failed ({outcome.error_code}): {outcome.message}"
        return tool_result(use_id, [{"type": "text", "text": text}], is_error=True)
    content: list[dict[str, Any]] = [{"type": "text", "text": _printed(outcome)}]
    if notes := _notes(outcome):
        content.append({"type": "text", "text": notes})
    fitting = [image for image in outcome.images if len(image.body) <= MODEL_IMAGE_BYTES][:MODEL_IMAGES]
    content += [{"type": "image", "source": image_source(image)} for image in fitting]
    return tool_result(use_id, content, is_error=outcome.is_error)


def image_source(image: Image) -> dict[str, str]:
    return {"type": "base64", "media_type": image.media_type, "data": base64.b64encode(image.body).decode()}


def _printed(ran: Ran) -> str:
    parts = [clipped(ran.result.stdout).rstrip("\n"), *(clipped(value) for value in ran.values)]
    if stderr := ran.stderr:
        parts.append(clipped(stderr).rstrip("\n"))
    return "\n".join(part for part in parts if part) or "(no output)"


def _notes(ran: Ran) -> str:
    notes = []
    if ran.figures:
        notes.append(f"{len(ran.figures)} figure(s) were shown to the user.")
    if ran.files:
        listed = [
            f"{file.path} ({file.mime_type}, {file.size_bytes} bytes)" for file in ran.files[:_LISTED_FILES]
        ]
        more = len(ran.files) + ran.result.files_left_out - len(listed)
        notes.append(
            f"Files handed to the user: {', '.join(listed)}{f' and {more} more' if more > 0 else ''}."
        )
    if ran.result.return_code not in {0, 1}:
        notes.append(f"Return code: {ran.result.return_code}.")
    return " ".join(notes)


def unavailable(error: errors.BelljarError) -> Failed:
    """The session could not be used: the conversation goes on, and the model learns why."""
    return Failed("unavailable", str(error))
