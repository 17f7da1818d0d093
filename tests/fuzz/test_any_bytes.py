"""Any bytes under any name: never a media type whose sign is not there."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from belljar.wire.media import HEAD_BYTES, IMAGES, extension_of, is_text, media_type

SIGNS: dict[str, tuple[tuple[int, bytes], ...]] = {
    "image/png": ((0, b"\x89PNG\r\n\x1a\n"),),
    "image/jpeg": ((0, b"\xff\xd8\xff"),),
    "image/gif": ((0, b"GIF8"),),
    "image/webp": ((0, b"RIFF"), (8, b"WEBP")),
    "image/bmp": ((0, b"BM"),),
    "application/pdf": ((0, b"%PDF-"),),
    "application/gzip": ((0, b"\x1f\x8b"),),
    "application/x-bzip2": ((0, b"BZh"),),
    "application/x-xz": ((0, b"\xfd7zXZ\0"),),
    "application/vnd.sqlite3": ((0, b"SQLite format 3\0"),),
    "application/vnd.apache.parquet": ((0, b"PAR1"),),
    "application/x-npy": ((0, b"\x93NUMPY"),),
    "application/x-hdf5": ((0, b"\x89HDF\r\n\x1a\n"),),
    "audio/mpeg": ((0, b"ID3"),),
    "video/mp4": ((4, b"ftyp"),),
    "application/x-tar": ((257, b"ustar"),),
}
_TIFFS = (b"II*\0", b"MM\0*")
"""By the order of their bytes."""
_ZIPS = ("xlsx", "docx", "pptx", "ods", "odt", "odp", "epub", "npz", "zip")
_SCRIPTS = (
    b"<script>alert(1)</script>",
    b"<svg onload='x'>",
    b"<!DOCTYPE html>",
    b"#!/bin/sh\n",
    b"=1;alert(1)",
)
_extensions = st.sampled_from(
    [*_ZIPS, *"png jpg gif webp svg html csv txt json pdf py js exe gz tar PNG HTML".split(), ""]
)
names = (
    st.builds(lambda stem, extension: f"{stem}.{extension}", st.text(max_size=10), _extensions) | st.text()
)
_starts = st.sampled_from(
    [*_TIFFS, *(sign for signs in SIGNS.values() for at, sign in signs if at == 0)]
).flatmap(lambda sign: st.integers(0, len(sign)).map(lambda size: sign[:size]))
heads = st.builds(
    lambda start, middle, script, rest: (start + middle + script + rest)[:HEAD_BYTES],
    _starts | st.just(b"") | st.just(b"PK\x03\x04") | st.just(b"RIFF"),
    st.binary(max_size=8) | st.just(b"x" * 253) | st.just(b"\0\0\0\0WEBP") | st.just(b"    ftyp"),
    st.sampled_from([b"", *_SCRIPTS]),
    st.binary(max_size=50)
    | st.text(max_size=50).map(str.encode)
    | st.just(b"ustar\0" * 20)
    | st.just(b"a" * 5000),
)


@given(names, heads)
def test_no_type_without_its_sign(name: str, head: bytes) -> None:
    kind = media_type(name, head)
    if kind in SIGNS:
        assert all(head[at : at + len(sign)] == sign for at, sign in SIGNS[kind])
        assert kind == "application/pdf" or not is_text(head)
    elif kind == "image/tiff":
        assert head[:4] in _TIFFS
    elif kind == "application/zip" or extension_of(kind) in _ZIPS:
        assert head[:2] == b"PK"
    elif kind != "application/octet-stream":
        # All others are texts, and can be read as such.
        assert b"\0" not in head
        head.decode("utf-8", "strict" if len(head) < HEAD_BYTES else "replace")


@given(names, names, heads)
def test_a_name_makes_no_picture_and_no_picture_less(one: str, other: str, head: bytes) -> None:
    kinds = {media_type(one, head), media_type(other, head)}
    assert len(kinds) == 1 or not kinds & IMAGES


_texts = st.builds(
    lambda start, rest: start + rest,
    st.sampled_from(
        ["", "GIF89a", "GIF87a", "BM", "BZh", "PAR1", "ID3", "RIFFxxxxWEBP", "xxxxftyp", "x" * 257 + "ustar"]
    ),
    st.text(st.characters(exclude_categories=["Cc", "Cs"]), max_size=100),
)


@given(st.sampled_from(["png", "jpg", "gif", "webp", "pdf", "zip", "xlsx"]), _texts)
def test_a_text_is_no_picture_whatever_it_is_called(extension: str, text: str) -> None:
    kind = media_type(f"chart.{extension}", text.encode())
    assert kind == ("application/pdf" if text.startswith("%PDF-") else "text/plain")


@given(st.text(max_size=60))
def test_an_extension_is_plain(kind: str) -> None:
    assert extension_of(kind).isalnum()
