"""Files that commands write: never over one that is there, unless they are told to, and never half of one."""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from belljar.commands import Failure
from belljar.commands.printing import print_json, say


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
