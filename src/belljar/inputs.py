"""The files that come with a program, as the server and `belljar batch` take them."""

from __future__ import annotations

import binascii
import contextlib
from collections.abc import Iterable

from pydantic import ConfigDict, TypeAdapter, ValidationError

from belljar import paths
from belljar.errors import InvalidRequest
from belljar.wire.execution import InputFile

NAME_BYTES = 255
_BASE64 = TypeAdapter(bytes, config=ConfigDict(val_json_bytes="base64"))
"""Seven times as fast as binascii. It takes as well what has no padding, or `-` and `_` in place of `+` and `/`."""


def checked_names(files: Iterable[InputFile]) -> None:
    """Raises InvalidRequest where a file's name can be none in a directory, or is another's already."""
    names: set[str] = set()
    for index, file in enumerate(files):
        checked_name(file.name, f"files.{index}.name")
        if file.name in names:
            raise InvalidRequest(
                f"files.{index}.name: {file.name!r} is the name of another file in the list already"
            )
        names.add(file.name)


def checked_name(name: object, path: str) -> str:
    """`name`, where it can be a file's name in a directory. Raises InvalidRequest, naming `path`."""
    if not isinstance(name, str):
        raise InvalidRequest(f"{path}: Input should be a valid string")
    if any(ord(character) < 0x20 or ord(character) == 0x7F for character in name):
        raise InvalidRequest(
            f"{path}: {name!r} cannot be a file name: it contains a control character, which is written as \\xNN"
        )
    try:
        raw = paths.raw(name)
    except UnicodeEncodeError as error:
        raise InvalidRequest(f"{path}: {name!r} is not valid Unicode") from error
    except ValueError as error:
        raise InvalidRequest(f"{path}: {error}") from error
    if not 0 < len(raw) <= NAME_BYTES:
        raise InvalidRequest(f"{path}: a file name has 1 to {NAME_BYTES} bytes, this one has {len(raw)}")
    if b"/" in raw or raw in {b".", b".."}:
        raise InvalidRequest(
            f"{path}: {name!r} cannot be a file name: it may not contain '/' nor be '.' or '..'"
        )
    if b"\0" in raw:
        raise InvalidRequest(f"{path}: {name!r} cannot be a file name: it contains a NUL")
    return name


def checked_path(path: str, name: str) -> str:
    """`path`, where it can be a file's in the working directory. Raises InvalidRequest, naming `name`."""
    if path.startswith("/"):
        raise InvalidRequest(f"{name}: {path!r} begins with '/': it is relative, as 'data/sales.csv'")
    for part in path.split("/"):
        checked_name(part, name)
    return path


def decoded(data: object, path: str) -> bytes:
    """Strict base64, but for white space. Raises InvalidRequest, naming `path`."""
    if not isinstance(data, str):
        raise InvalidRequest(f"{path}: Input should be a valid string")
    if len(data) % 4 == 0 and "-" not in data and "_" not in data:
        with contextlib.suppress(ValidationError):  # binascii says what it is, and takes it where it is good
            return _BASE64.validate_strings(data)
    try:
        return binascii.a2b_base64(data, strict_mode=True)
    except ValueError as error:
        # Line breaks are rare, and to look for them takes longer than to decode.
        without = "".join(data.split())
        if len(without) != len(data):
            return decoded(without, path)
        raise InvalidRequest(f"{path}: not valid base64: {error}") from error
