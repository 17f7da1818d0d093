"""Bytes that are no UTF-8: which encoding they probably have, or that they are no text at all."""

from __future__ import annotations

import os
from typing import Any

from belljar.guest import values

_MAX_BYTES = 64 * 1024
_MAX_BEFORE = 8 * 1024
_MAX_LOOKED = 16 * 1024 * 1024
_SHOWN_LINES = 5
_LINE_CHARACTERS = 100
_BINARY = (
    (b"\x89PNG", "a PNG image: PIL.Image.open"),
    (b"\xff\xd8\xff", "a JPEG image: PIL.Image.open"),
    (b"GIF8", "a GIF image: PIL.Image.open"),
    (b"PK\x03\x04", "a ZIP file; an Excel workbook is one: pandas.read_excel, or zipfile"),
    (b"\xd0\xcf\x11\xe0", "an old Office file (.xls, .doc)"),
    (b"%PDF", "a PDF: pypdf or pdfplumber"),
    (b"\x1f\x8b", "gzip: gzip.open, or compression='gzip'"),
    (b"BZh", "bzip2: bz2.open"),
    (b"\xfd7zXZ", "xz: lzma.open"),
    (b"SQLite format 3", "an SQLite database: sqlite3.connect"),
    (b"PAR1", "a Parquet file: pandas.read_parquet"),
)


def hint(error: Any) -> str | None:
    """For a UnicodeDecodeError, by the bytes that it holds."""
    data = error.object
    whole, at = _file_with(error, data) or (data, error.start)
    if binary := _binary(whole):
        return binary
    found = guess(_around(whole, at))
    if found is None:
        return "These bytes are probably no text: open the file in mode 'rb' and look at how it begins."
    name, sample = found
    said = f", which reads {sample!r}" if sample else ""
    return f"The bytes are probably {name}{said}: encoding={name!r}."


def of_table(error: BaseException) -> str | None:
    """For a file that pandas cannot make a table of: what it is, or how it begins."""
    found = _file_with(error, b"")
    if found is None:
        return None
    raw = found[0][:_MAX_BYTES]
    if binary := _binary(raw):
        return binary
    lines = raw.decode("utf-8", "replace").splitlines()[:_SHOWN_LINES]
    return f"The file is text, and begins: {', '.join(repr(line[:_LINE_CHARACTERS]) for line in lines)}."


def _binary(raw: bytes) -> str | None:
    for magic, what in _BINARY:
        if raw.startswith(magic):
            return f"This is no text: it is {what}."
    return None


def _around(raw: bytes, at: int) -> bytes:
    """What is to be guessed by: the beginning, or where that is ASCII alone what is about the place of the error."""
    if at < _MAX_BYTES:
        return raw[:_MAX_BYTES]
    # From the start of a line, which is not within a character, if that is near.
    near = at - _MAX_BEFORE
    first = max(near, raw.rfind(b"\n", near, at) + 1)
    return raw[first : first + _MAX_BYTES]


def _file_with(error: BaseException, data: bytes) -> tuple[bytes, int] | None:
    """The file that was read, and where `data` is in it: pandas stumbles over a single field, which tells less."""
    at = error.__traceback__
    while at is not None:
        here = values.variables(at.tb_frame)
        for name in ("filepath_or_buffer", "path_or_buf", "path_or_buffer", "io", "fname"):
            path = here.get(name)
            if type(path) is str and os.path.isfile(path):
                with open(path, "rb") as file:
                    raw = file.read(_MAX_LOOKED)
                found = raw.find(data)
                return (raw, found) if found >= 0 else None
        at = at.tb_next
    return None


def guess(raw: bytes) -> tuple[str, str] | None:
    """The name of the encoding and some of what it makes of the bytes that are not ASCII; None for what is no text."""
    for mark, name in ((b"\xff\xfe\x00\x00", "utf-32"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16")):
        if raw.startswith(mark):
            return name, ""
    if b"\0" in raw:
        even, odd = raw[::2].count(0), raw[1::2].count(0)
        if odd > len(raw) // 8 and even < odd // 4:
            return "utf-16-le", ""
        if even > len(raw) // 8 and odd < even // 4:
            return "utf-16-be", ""
        return None
    best: tuple[float, str, str] | None = None
    for name, of_script in _CANDIDATES:
        text = _decoded(raw, name)
        if text is None:
            continue
        letters = [at for at, c in enumerate(text) if ord(c) > 0x7F]
        score = sum(of_script(text, at) for at in letters) / len(letters) if letters else 0.0
        if best is None or score > best[0] + 1e-9:
            best = score, name, _sample(text)
    if best is None or best[0] <= 0:
        return None
    return best[1], best[2]


def _decoded(raw: bytes, name: str) -> str | None:
    """The text; what was cut off may end within a character."""
    for cut in range(4):
        try:
            return raw[: len(raw) - cut].decode(name)
        except UnicodeDecodeError as error:
            if error.start < len(raw) - 4 - cut:
                return None
    return None


def _sample(text: str) -> str:
    at = next((at for at, c in enumerate(text) if ord(c) > 0x7F), 0)
    return " ".join(text[max(0, at - 8) : at + 16].split())


def _japanese(text: str, at: int) -> float:
    code = ord(text[at])
    if 0x3040 <= code <= 0x30FF:
        return 1.3  # kana are no other language's
    return 0.75 if 0x4E00 <= code <= 0x9FFF or 0x3000 <= code <= 0x303F or 0xFF01 <= code <= 0xFF5E else -1.0


def _chinese(text: str, at: int) -> float:
    """Characters that are frequent lie in the first level of GB 2312."""
    code = ord(text[at])
    if 0x4E00 <= code <= 0x9FFF:
        raw = text[at].encode("gb18030")
        return 1.0 if len(raw) == 2 and 0xB0 <= raw[0] <= 0xD7 and raw[1] >= 0xA1 else 0.2
    return 0.7 if 0x3000 <= code <= 0x303F or 0xFF01 <= code <= 0xFF5E else -0.5


def _traditional(text: str, at: int) -> float:
    """Those that are frequent lie in the first level of Big5."""
    code = ord(text[at])
    if 0x4E00 <= code <= 0x9FFF:
        raw = text[at].encode("big5", "ignore")
        return 0.95 if len(raw) == 2 and 0xA4 <= raw[0] <= 0xC6 else 0.1
    return 0.6 if 0x3000 <= code <= 0x303F or 0xFF01 <= code <= 0xFF5E else -0.5


def _korean(text: str, at: int) -> float:
    return 1.1 if 0xAC00 <= ord(text[at]) <= 0xD7A3 else -0.5


def _cyrillic(text: str, at: int) -> float:
    """In a word they stand beside one another, and letters of the West among ASCII."""
    code = ord(text[at])
    if not (0x410 <= code <= 0x44F or code in (0x401, 0x451)):
        return -0.3
    beside = text[max(0, at - 1) : at] + text[at + 1 : at + 2]
    if any(c.isascii() and c.isalpha() for c in beside):
        return -0.5
    is_word = any(0x401 <= ord(c) <= 0x451 for c in beside)
    return (1.0 if code >= 0x430 else 0.6) if is_word else 0.2


_LATIN = frozenset("äöüßéèêëàâçîïôûùÿñáíóúãõåæøÄÖÜÉÈÀÇÑÅÆØÁÍÓÚÃÕ€–—‘’“”…\xa0")
_SIGNS = frozenset("£°±²³µ§«»¿¡ºª·½¼•™®©")


def _western(text: str, at: int) -> float:
    return 0.8 if text[at] in _LATIN else 0.3 if text[at] in _SIGNS else -0.6


_CANDIDATES = (
    ("utf-8", lambda text, at: 2.0),
    ("cp1252", _western),
    ("shift_jis", _japanese),
    ("cp932", _japanese),
    ("euc_jp", _japanese),
    ("gb18030", _chinese),
    ("big5", _traditional),
    ("euc_kr", _korean),
    ("cp1251", _cyrillic),
    ("koi8_r", _cyrillic),
)
