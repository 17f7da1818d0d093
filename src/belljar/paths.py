"""The path of a session's file as text. Code names files by any bytes; each path has one form, and stands for one file.

Bytes that are no UTF-8 and control characters are written as `\\xNN`, and so is a backslash that would read as the
beginning of one of these. All else is as it is.
"""

from __future__ import annotations

import re

_BYTE = r"x(?:[01][0-9a-f]|5c|7f|[89a-f][0-9a-f])"
_ODD = re.compile(rf"[\0-\x1f\x7f\udc80-\udcff]|\\(?={_BYTE})")
_WRITTEN = re.compile(rf"\\{_BYTE}".encode())


def shown(path: bytes) -> str:
    """A path for whoever is told of it, and may ask for it."""
    return _ODD.sub(lambda odd: f"\\x{ord(odd[0]) & 0xFF:02x}", path.decode("utf-8", "surrogateescape"))


def raw(path: str) -> bytes:
    """The bytes of a path. Raises UnicodeEncodeError where it is no text."""
    return _WRITTEN.sub(
        lambda written: bytes.fromhex(written[0][2:].decode()), path.encode("utf-8", "surrogateescape")
    )
