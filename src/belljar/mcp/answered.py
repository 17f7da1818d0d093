"""What the tools give back: the models of their structured answers, and the blocks that say the same to a model.

Both have the same facts, since some clients show a model the one and some the other. What a block holds is bounded, for
all of it goes into a model's context.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from mcp_types import CallToolResult, ContentBlock, ImageContent, ResourceLink, TextContent
from pydantic import BaseModel, Field

from belljar.records import Status
from belljar.wire.charts import Chart
from belljar.wire.execution import Change

MOST_IMAGES = 20
MOST_IMAGE_BYTES = 3 * 1024 * 1024
"""Of one picture: base64 makes 4 MiB of it, and model servers take 5."""
MOST_IMAGES_BYTES = 8 * 1024 * 1024
"""Of all pictures of one answer."""
MOST_LINKS = 50
_SHOWN_SERIES = 20


class SeriesFacts(BaseModel):
    kind: str
    name: str | None
    count: Annotated[int | None, Field(description="Points.")]
    min: float | None
    max: float | None


class AxesFacts(BaseModel):
    kind: str
    title: str | None
    x: Annotated[str | None, Field(description="The label.")]
    y: str | None
    series: list[SeriesFacts]


class ChartFacts(BaseModel):
    """A picture that the code showed or saved. The pictures themselves are the answer's image blocks, in this order."""

    media_type: str
    path: Annotated[str | None, Field(description="Of its file, where it was saved in one.")]
    kind: Annotated[
        str | None, Field(description="`line`, `bar` and so on; null where the picture is no chart.")
    ]
    title: str | None
    text: Annotated[str, Field(description="The chart in words, with its data; empty where it is none.")]
    axes: list[AxesFacts]
    is_shown: Annotated[bool, Field(description="False where it is too large for an image block.")]


class FileFacts(BaseModel):
    """A file of the working directory."""

    path: str
    size_bytes: int
    uri: Annotated[str, Field(description="For `resources/read`.")]


class MadeFile(FileFacts):
    media_type: str
    change: Change


class LyingFile(FileFacts):
    changed_at: Annotated[str, Field(description="RFC 3339.")]


class Fault(BaseModel):
    """The exception that ended the code."""

    name: str
    message: str
    hint: Annotated[str | None, Field(description="What was probably meant.")]


class Answered(BaseModel):
    """What all answers have."""

    container: Annotated[
        str | None, Field(description="Pass it as `container`, to go on in the same session.")
    ] = None


class Run(Answered):
    """How a run ended, and what it left."""

    status: Status
    message: Annotated[
        str, Field(description="How it ended, and what became of the session's variables and files.")
    ]
    exit_code: int
    stdout: str
    stderr: Annotated[str, Field(description="With the traceback.")]
    is_cut: Annotated[bool, Field(description="Some of stdout, stderr or value was left out.")]
    value: Annotated[str | None, Field(description="Of the last expression, and what was displayed.")]
    error: Fault | None
    charts: list[ChartFacts]
    charts_left_out: Annotated[int, Field(description="More pictures than `charts` has.")]
    files: Annotated[list[MadeFile], Field(description="Made or changed by this run.")]
    files_left_out: Annotated[int, Field(description="More files than `files` has; list_files has all.")]
    deleted: list[str]
    seconds: float


class Written(Answered):
    """A file that was put there."""

    file: FileFacts


class Content(Answered):
    """A file's content. A picture is an image block; other binary content is to be read as a resource."""

    file: FileFacts
    media_type: str
    text: Annotated[str | None, Field(description="Null where it is no text.")]
    is_cut: Annotated[bool, Field(description="The middle of the text was left out.")]


class Listed(Answered):
    """What lies in the working directory."""

    files: list[LyingFile]
    is_whole: Annotated[bool, Field(description="False where there are more files than these.")]


class Ended(Answered):
    """The session is gone, with its variables and files."""

    message: str


@dataclass(frozen=True)
class Picture:
    """A picture to look at."""

    media_type: str
    body: bytes | None
    """None where it is too large."""
    path: str | None
    chart: Chart | None


def facts_of(picture: Picture) -> ChartFacts:
    chart = picture.chart
    return ChartFacts(
        media_type=picture.media_type,
        path=picture.path,
        kind=chart.kind if chart else None,
        title=chart.title if chart else None,
        text=chart.alt if chart else "",
        axes=[
            AxesFacts(
                kind=axes.kind,
                title=axes.title,
                x=axes.x.label if axes.x else None,
                y=axes.y.label if axes.y else None,
                series=[
                    SeriesFacts(kind=one.kind, name=one.name, count=one.count, min=one.min, max=one.max)
                    for one in axes.series[:_SHOWN_SERIES]
                ],
            )
            for axes in (chart.axes if chart else [])
        ],
        is_shown=picture.body is not None,
    )


def text(words: str) -> TextContent:
    return TextContent(text=words)


def image(picture: Picture) -> ImageContent:
    assert picture.body is not None
    return ImageContent(data=base64.b64encode(picture.body).decode(), mime_type=picture.media_type)


def link(file: MadeFile) -> ResourceLink:
    return ResourceLink(
        name=file.path,
        uri=file.uri,
        mime_type=file.media_type,
        size=file.size_bytes,
        description=f"{file.change} by this run",
    )


def result(answer: Answered, content: list[ContentBlock], *, is_error: bool = False) -> CallToolResult:
    """What a tool gives back, in both forms."""
    return CallToolResult(
        content=content, structured_content=answer.model_dump(mode="json"), is_error=is_error
    )


def blocks(run: Run, words: str, pictures: Sequence[Picture], *, has_to_be_named: bool) -> list[ContentBlock]:
    """A run as blocks: what there is to read, the pictures, and links to the files."""
    notes = [_alts(pictures), _listed(run)]
    if run.charts_left_out:
        notes.insert(1, f"{run.charts_left_out} more pictures are left out: save them in files.")
    if run.status not in ("completed", "raised", "exited"):
        notes.append(run.message)
    elif run.exit_code not in (0, 1) or (run.exit_code and run.error is None):
        notes.append(f"Exit code: {run.exit_code}.")
    if has_to_be_named:
        notes.append(f"container: {run.container} (pass it on, to keep variables and files)")
    has_more = pictures or run.files
    content: list[ContentBlock] = []
    if words.strip() or not has_more:
        content.append(text(words if words.strip() else "(no output)"))
    content += [text(note) for note in notes if note]
    content += [image(picture) for picture in pictures if picture.body is not None]
    content += [link(file) for file in run.files]
    return content


def _alts(pictures: Sequence[Picture]) -> str:
    lines = []
    for number, picture in enumerate(pictures, start=1):
        what = f"Picture {number}" if picture.chart is None else f"Chart {number}"
        where = f" ({picture.path})" if picture.path else ""
        if picture.body is None:
            lines.append(
                f"{what}{where} is left out: it is larger than {MOST_IMAGE_BYTES // 2**20} MiB, or all are larger than "
                f"{MOST_IMAGES_BYTES // 2**20} MiB together. Save it smaller, or in a file."
            )
        if picture.chart is not None:
            lines.append(f"{what}{where}, by its data: {picture.chart.alt}")
    return "\n".join(lines)


def _listed(run: Run) -> str:
    parts = [
        f"{file.path} ({file.media_type}, {file.size_bytes} bytes{', changed' if file.change == 'modified' else ''})"
        for file in run.files
    ]
    if run.files_left_out:
        parts.append(f"and {run.files_left_out:,} more (list_files has all)")
    lines = [f"Files in the working directory from this run: {', '.join(parts)}."] if parts else []
    if run.deleted:
        more = f" and {len(run.deleted) - MOST_LINKS:,} more" if len(run.deleted) > MOST_LINKS else ""
        lines.append(f"Deleted: {', '.join(run.deleted[:MOST_LINKS])}{more}.")
    return "\n".join(lines)
