"""A file or a program that is not there: its name in other letters, or in another place, or what there is."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import unicodedata
from collections.abc import Iterator
from typing import Any

from belljar.guest import values
from belljar.guest.alike import MAX_NAMES, NO_NETWORK, close, listed, plain, quoted


def hint(error: Any) -> str | None:
    """For an OSError."""
    path = _path_of(error)
    if issubclass(type(error), FileNotFoundError):
        if path is None:
            return None
        if _is_of_subprocess(error):
            return _no_program(path)
        return _no_file(path)
    if error.errno in (errno.EROFS, errno.EACCES, errno.EPERM) and path and not os.path.exists(path):
        return "Only the working directory, $OUTPUT_DIR and /tmp can be written to."
    if issubclass(type(error), IsADirectoryError) and path is not None:
        return f"It is a directory; in it there is: {listed(_names_in(path)) or 'nothing'}."
    return None


def _path_of(error: Any) -> str | None:
    """The path that an OSError is about; libraries of their own make only say it in their text."""
    path = error.filename
    if isinstance(path, os.PathLike) and values.package_of(type(path)) == "pathlib":
        path = os.fspath(path)
    if type(path) in (str, bytes):
        return os.fsdecode(path)
    if path is None and error.args and type(error.args[0]) is str:
        text = error.args[0][:4096]
        found = re.search(r"['\"]([^'\"\n]+)['\"]", text) or re.match(r"(\S+) (?:was )?not found", text)
        return str(found[1]) if found else None
    return None


def _is_of_subprocess(error: BaseException) -> bool:
    last, at = None, error.__traceback__
    while at is not None:
        last, at = at, at.tb_next
    return last is not None and last.tb_frame.f_code.co_filename.endswith("subprocess.py")


def _no_program(path: str) -> str:
    name = os.path.basename(path)
    programs: list[str] = []
    for folder in os.environ.get("PATH", os.defpath).split(os.pathsep):
        programs += _names_in(folder)
    near = close(name, programs)
    there = f" Close names: {listed(near)}." if near else ""
    return f"There is no program {quoted(name)} here.{there} {NO_NETWORK}"


def _no_file(path: str) -> str:
    wanted = os.path.basename(path.replace("\\", "/").rstrip("/")) or path
    parent = os.path.dirname(path)
    siblings = _names_in(parent or ".")
    if wanted in siblings and os.path.islink(path):
        return f"{quoted(path)} is a link to {quoted(os.readlink(path))}, which is not there."
    if same := [name for name in siblings if plain(name) == plain(wanted)]:
        return f"There is {quoted(os.path.join(parent, same[0]))}: {_difference(wanted, same[0])}"
    said = ""
    if parent and not os.path.isdir(parent):
        said = f"There is no directory {quoted(parent)} (for a file that is to be made: os.makedirs first). "
        siblings = _names_in(".")
    found = list(_elsewhere(wanted))
    if found:
        return f"{said}There is {listed(found, 5)}: open it by that path."
    if near := close(wanted, siblings):
        said += f"Close names: {listed(near)}. "
    where = parent if parent and os.path.isdir(parent) else "the working directory"
    return f"{said}In {where} there is: {listed(siblings) or 'nothing'}."


def _difference(wanted: str, name: str) -> str:
    if unicodedata.normalize("NFC", wanted) == unicodedata.normalize("NFC", name):
        form = "NFC" if unicodedata.is_normalized("NFC", name) else "NFD"
        return (
            f"it looks the same but has other code points (Unicode {form}): take the name from os.listdir()."
        )
    if wanted.casefold() == name.casefold():
        return "upper and lower case differ."
    return "spaces or forms of letters differ."


def _elsewhere(wanted: str) -> Iterator[str]:
    """Paths of files of that name in the places where files lie: the attachments, their folders, earlier results."""
    left = MAX_NAMES
    output = os.environ.get("OUTPUT_DIR", "")
    tops = [
        (".", ""),
        (os.environ.get("INPUT_DIR", ""), None),
        (os.path.dirname(output), None),
        ("/tmp", None),
    ]
    seen: set[tuple[int, int]] = set()
    for top, prefix in tops:
        if not top:
            continue
        for folder, folders, names in os.walk(top):
            left -= len(folders) + len(names)
            for name in names:
                if plain(name) != plain(wanted):
                    continue
                path = os.path.join(folder, name)
                try:
                    status = os.stat(path)
                except OSError:
                    continue
                if (status.st_dev, status.st_ino) not in seen:
                    seen.add((status.st_dev, status.st_ino))
                    yield os.path.relpath(path) if prefix == "" else path
            if left < 0:
                return


def _names_in(folder: str) -> list[str]:
    """The names in a directory, as far as a look is quick."""
    names: list[str] = []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                is_directory = False
                with contextlib.suppress(OSError):  # a link to itself
                    is_directory = entry.is_dir()
                names.append(f"{entry.name}/" if is_directory else entry.name)
                if len(names) == MAX_NAMES:
                    break
    except OSError:
        return []
    return sorted(name for name in names if not name.startswith(".belljar-"))
