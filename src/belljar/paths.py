"""The path of a session's file as text. Code names files by any bytes; each path has one form, and stands for one file.

Bytes that are no UTF-8 and control characters are written as `\\xNN`, and so is a backslash that would read as the
beginning of one of these. All else is as it is.
"""

from __future__ import annotations

import re

_BYTE = rb"x(?:[01][0-9a-f]|5c|7f|[89a-f][0-9a-f])"
_WRITTEN = re.compile(rb"\\" + _BYTE)
_LIKE_ONE = re.compile(rb"\\(?=" + _BYTE + rb")")
_ODD = re.compile(r"[\0-\x1f\x7f\udc80-\udcff]")
_AS_WRITTEN = {odd: f"\\x{odd & 0xFF:02x}" for odd in (*range(0x20), 0x7F, *range(0xDC80, 0xDD00))}


def shown(path: bytes) -> str:
    """A path for whoever is told of it, and may ask for it."""
    # As fast as it can be: there may be twenty thousand, all of them of odd bytes.
    plain = _LIKE_ONE.sub(rb"\\x5c", path) if b"\\x" in path else path
    text = plain.decode("utf-8", "surrogateescape")
    return text.translate(_AS_WRITTEN) if _ODD.search(text) else text


def raw(path: str) -> bytes:
    """The bytes of a path. Raises UnicodeEncodeError where it is no text, ValueError where it is written otherwise."""
    found = _WRITTEN.sub(
        lambda written: bytes.fromhex(written[0][2:].decode()), path.encode("utf-8", "surrogateescape")
    )
    if (written := shown(found)) != path:
        raise ValueError(f"{path!r} is written {written!r}")
    return found
