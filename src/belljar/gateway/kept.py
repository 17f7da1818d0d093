"""What a run made, kept: its files, and the figures that it left open."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from belljar import errors, orders, results
from belljar.gateway.bundle import split
from belljar.gateway.files import StorageQuotaExceeded, TenantFiles
from belljar.gateway.placement import Session
from belljar.gateway.store import File
from belljar.gateway.tools import Archive, Image, Ran
from belljar.wire import media
from belljar.wire.charts import Chart

_NO_ROOM = (StorageQuotaExceeded, errors.StoreFailed)
"""The tenant's, or the disk's: a run that has ended is told all the same."""
INLINE_IMAGE_BYTES = 32 * 1024 * 1024
"""Of all images of one run; a larger one is a file to be fetched."""


@dataclass
class _Kept:
    figures: list[File] = field(default_factory=list)
    files: list[File] = field(default_factory=list)
    images: list[Image] = field(default_factory=list)
    digests: set[str] = field(default_factory=set)
    shown: set[str] = field(default_factory=set)
    charts: dict[str, Chart] = field(default_factory=dict)
    """By the id of the file."""
    seen: set[str] = field(default_factory=set)
    """The ids of charts that are among the images."""
    image_bytes_left: int = INLINE_IMAGE_BYTES
    modified: set[str] = field(default_factory=set)
    archive: Archive | None = None
    not_kept: list[str] = field(default_factory=list)
    """Names of what there was no room for."""

    def ran(self, result: results.Result, call: int | None = None) -> Ran:
        if self.not_kept:
            result = _with_word(result, call, f"Not kept, for want of room: {', '.join(self.not_kept)}")
        return Ran(
            result,
            self.files,
            self.figures,
            self.images,
            frozenset(self.shown),
            call,
            modified=frozenset(self.modified),
            archive=self.archive,
            charts=self.charts,
        )


async def run_code(
    session: Session,
    what: orders.Run,
    files: TenantFiles,
    *,
    keep_figures: bool = False,
    on_event: Callable[[results.Event], None] | None = None,
    on_asks: Callable[[results.Asks], None] | None = None,
) -> Ran:
    """Run code and keep the files that it wrote; with `keep_figures` also the figures that it left open.

    Raises NotFound where the container is gone and KeeperLost where the keeper is.
    """
    result = await session.execute(what, on_event, on_asks)
    kept = _Kept()
    for output in result.outputs:
        if isinstance(output, results.Display) and keep_figures:
            await _keep_figure(output, kept, files, session.container_id)
    await _keep_files(result.files, kept, files, session)
    return kept.ran(result)


async def run_calls(
    session: Session,
    what: orders.Run,
    files: TenantFiles,
    on_event: Callable[[results.Event], None] | None = None,
) -> list[Ran]:
    """Run shell commands and edits side by side, and keep the files of each. Raises as `run_code` does."""
    result = await session.execute(what, on_event)
    kept = [_Kept() for _ in what.calls]
    for call, own in enumerate(kept):
        await _keep_files([file for file in result.files if file.call == call], own, files, session)
    return [own.ran(result, call) for call, own in enumerate(kept)]


def _with_word(result: results.Result, call: int | None, word: str) -> results.Result:
    """The result with a line of ours at the end of stderr: the run was as it was, so it is no error."""
    if call is None:
        return replace(result, stderr=_ended(result.stderr) + word + "\n")
    calls = list(result.calls)
    calls[call] = replace(calls[call], stderr=_ended(calls[call].stderr) + word + "\n")
    return replace(result, calls=calls)


def _ended(text: str) -> str:
    return text if not text or text.endswith("\n") else text + "\n"


async def _keep_figure(output: results.Display, kept: _Kept, files: TenantFiles, container_id: str) -> None:
    for kind in media.IMAGES & output.data.keys():
        body = output.data[kind]
        name = f"figure-{len(kept.figures) + 1}.{media.extension_of(kind)}"
        try:
            saved = await files.keep(name, body, container_id=container_id)
        except _NO_ROOM:
            kept.not_kept.append(name)
            kept.images.append(Image(kind, body, name, output.chart))  # it can be looked at all the same
            continue
        kept.figures.append(saved.file)
        if saved.digest not in kept.digests:
            kept.images.append(Image(kind, body, name, output.chart))
        kept.digests.add(saved.digest)
        if output.chart is not None and output.chart.id:
            kept.seen.add(output.chart.id)


async def _keep_files(
    made: Sequence[results.WorkFile], kept: _Kept, files: TenantFiles, session: Session
) -> None:
    """Keep files one by one, and where there are many the rest as one archive."""
    separate, bundle = split(made)
    for file in separate:
        await _keep_file(file, kept, files, session)
    if bundle is None:
        return
    body = bundle.pieces(session.read)
    try:
        saved = await files.keep(bundle.name, body, container_id=session.container_id)
    except _NO_ROOM:
        kept.not_kept.append(f"{bundle.name}, with {len(bundle.files):,} files")
        return
    finally:
        await body.aclose()
    kept.files.append(saved.file)
    kept.archive = Archive(saved.file.id, bundle.name, bundle.packed)


async def _keep_file(file: results.WorkFile, kept: _Kept, files: TenantFiles, session: Session) -> None:
    most = kept.image_bytes_left
    try:
        saved = await files.keep(
            file.path, session.read(file), container_id=session.container_id, echo_images=most
        )
    except _NO_ROOM:
        kept.not_kept.append(file.path)
        return
    except errors.InvalidRequest:
        return  # a process that the code left behind removed it meanwhile
    kept.files.append(saved.file)
    if file.change == "modified":
        kept.modified.add(saved.file.id)
    chart = file.chart
    if chart is not None:
        kept.charts[saved.file.id] = chart
    if saved.image is None:
        return
    if chart is not None and chart.id in kept.seen:
        return  # a file to have of a chart that can be looked at already
    kept.shown.add(saved.file.id)
    kept.image_bytes_left -= len(saved.image)
    if saved.digest not in kept.digests:
        kept.images.append(Image(saved.file.mime_type, saved.image, saved.file.path, chart))
    kept.digests.add(saved.digest)
    if chart is not None and chart.id:
        kept.seen.add(chart.id)
