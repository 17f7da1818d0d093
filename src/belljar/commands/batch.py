"""`belljar batch`: programs by the thousand, without a server."""

from __future__ import annotations

import contextlib
import os
import select
import stat
import sys
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import anyio
import click

from belljar import exits
from belljar.batch import lines_of
from belljar.commands import Failure
from belljar.commands.given import Whole, settings_of
from belljar.commands.printing import progress_of_things, say
from belljar.gateway.frame import json_bytes
from belljar.wire.execution import json_of

if TYPE_CHECKING:
    from belljar.wire.execution import BatchLine


@click.command()
@click.argument("source", metavar="FILE")
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the answers into this new file [default: standard output].",
)
@click.option(
    "-j",
    "--at-once",
    type=Whole(1, 1024),
    metavar="N",
    help="Programs under way at the same time [default: two for each processor].",
)
@click.option("--json", "as_json", is_flag=True, help="Its answers are JSON lines in any case.")
def batch(source: str, output: Path | None, at_once: int | None, as_json: bool) -> None:
    """Run many programs: JSON lines in (FILE, or `-` for standard input), JSON lines out as they finish.

    Each line is a request of POST /v1/executions, with a `custom_id` if you like. Ends with exit code 1 when a line
    could not be run; what a program does by itself is in its answer.
    """
    from belljar.client import batch as batches

    lines = lines_of(sys.stdin.buffer.read() if source == "-" else Path(source).read_bytes())
    failed = 0
    with contextlib.ExitStack() as stack:
        target = stack.enter_context(_new(output)) if output else sys.stdout.buffer
        progress = stack.enter_context(progress_of_things())
        task = progress.add_task("programs", total=len(lines))

        turn = anyio.Lock()

        async def told(line: BatchLine) -> None:
            nonlocal failed
            failed += line.error is not None
            async with turn:
                await _write(target, json_bytes(json_of(line)) + b"\n")
            progress.advance(task)

        anyio.run(batches.run, settings_of(), lines, at_once or 2 * (os.cpu_count() or 1), told)
    if failed:
        say(f"{failed:,} of {len(lines):,} lines could not be run; `error` in their answers says why")
    sys.exit(exits.FOUND if failed else exits.DONE)


def _new(output: Path) -> BinaryIO:
    try:
        return output.open("xb")
    except FileExistsError as error:
        raise Failure(
            f"{output} is there already, and is not written over: name another with --output"
        ) from error


async def _write(target: BinaryIO, line: bytes) -> None:
    """Write a line. Of a pipe that nobody reads a place is waited for, so that Ctrl-C ends that, too."""
    is_pipe = stat.S_ISFIFO(os.fstat(target.fileno()).st_mode)
    size = select.PIPE_BUF if is_pipe else len(line)
    for start in range(0, len(line), size):
        if is_pipe:
            await anyio.wait_writable(target.fileno())
        target.write(line[start : start + size])
        target.flush()
