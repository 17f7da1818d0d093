"""Files that commands write: never over one that is there, unless they are told to, and never half of one."""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from belljar.commands import Failure
from belljar.commands.printing import print_json, say

OUTPUT = click.option(
    "-o",
    "--output",
    metavar="PATH",
    type=click.Path(allow_dash=True),
    help="Where to save it, also a directory (`new/` is made), `-` for stdout [default: here, by its own name].",
)


def place_of(output: str | None, own: str) -> Path:
    """Where a file that is called `own` is written. A directory takes it by that name, and what ends with a slash is
    meant to be one, which is made where it is not there."""
    if output is None:
        return Path(own)
    target = Path(output)
    if output.endswith("/"):
        target.mkdir(parents=True, exist_ok=True)
    return target / own if target.is_dir() else target


@contextmanager
def writing(target: Path, *, force: bool, as_json: bool) -> Iterator[Callable[[bytes], object]]:
    """What writes a file piece by piece, `-` for standard output; says that it is saved. Raises Failure."""
    if str(target) == "-":
        yield sys.stdout.buffer.write
        sys.stdout.buffer.flush()
        return
    place = target.with_name(f".{target.name[:200]}.{secrets.token_hex(4)}") if force else target
    try:
        file = place.open("xb")
    except OSError as error:
        advice = "; --force writes over it" if isinstance(error, FileExistsError) else ""
        raise Failure(f"{target} cannot be written: {error.strerror}{advice}") from error
    try:
        with file:
            yield file.write
        if force:
            os.replace(place, target)
    except BaseException:
        place.unlink(missing_ok=True)
        raise
    if as_json:
        print_json({"saved": str(target), "size_bytes": target.stat().st_size})
    else:
        say(f"saved {target}")
