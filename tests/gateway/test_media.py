"""Media types from bytes."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from belljar.settings import Settings
from belljar.wire import media
from belljar.wire.media import HEAD_BYTES, extension_of, is_text, media_type

XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"


@pytest.mark.parametrize(
    ("name", "head", "kind"),
    [
        ("a.csv", b"a,b\n", "text/csv"),
        ("A.CSV", b"", "text/csv"),
        ("a", b"hello", "text/plain"),
        ("a.unknown", b"hello", "text/plain"),
        ("a.json", b"{}", "application/json"),
        ("a.html", b"<p>", "text/html"),
        ("a.svg", b"<svg/>", "image/svg+xml"),
        ("a.csv", b"\x89PNG\r\n\x1a\n", "image/png"),
        ("a.png", b"not an image", "text/plain"),
        ("a.bin", b"\xff\xd8\xff\xe0", "image/jpeg"),
        ("a", b"GIF89a\x01\x00\x01\x00\x00\xff\x00", "image/gif"),
        ("a.gif", b"GIF89a=1;alert(1)", "text/plain"),
        ("a.png", b"<html><script>alert(1)</script>", "text/plain"),
        ("a.png", b"<svg xmlns='http://www.w3.org/2000/svg'><script>", "text/plain"),
        ("a.html", b"\x89PNG\r\n\x1a\n<html><script>", "image/png"),
        ("a.parquet", b"PAR1 is how it begins", "text/plain"),
        ("a.tar", b"x" * 257 + b"ustar", "text/plain"),
        ("a.webp", b"RIFFabcdWEBP", "text/plain"),
        ("a.txt", b"a\xe2\x82", "application/octet-stream"),
        ("a.txt", b"a" * (HEAD_BYTES - 2) + b"\xe2\x82", "text/plain"),
        ("a", b"RIFF\x00\x00\x00\x00WEBPVP8 ", "image/webp"),
        ("a", b"RIFF\x00\x00\x00\x00WAVE", "application/octet-stream"),
        ("a.xlsx", b"PK\x03\x04", XLSX),
        ("a.zip", b"PK\x03\x04", "application/zip"),
        ("a.csv", b"PK\x03\x04", "application/zip"),
        ("a", b"%PDF-1.7", "application/pdf"),
        ("a", b"\x1f\x8b\x08", "application/gzip"),
        ("a.db", b"SQLite format 3\x00", "application/vnd.sqlite3"),
        ("a.parquet", b"PAR1\x15", "application/vnd.apache.parquet"),
        ("a.csv", b"a\x00b", "application/octet-stream"),
        ("notes.txt", b"BMW and others", "text/plain"),
    ],
)
def test_types(name: str, head: bytes, kind: str) -> None:
    assert media_type(name, head) == kind


def test_a_character_cut_in_two_is_still_text() -> None:
    assert is_text("aä".encode()[:-1])
    assert not is_text(b"\xe4bc")


def test_extensions() -> None:
    assert extension_of("text/csv") == "csv"
    assert extension_of("text/plain; charset=utf-8") == "txt"
    assert extension_of(XLSX) == "xlsx"
    assert extension_of("what/ever") == "bin"


@pytest.mark.parametrize(
    ("save", "more"),
    [
        ("PNG", {}),
        ("GIF", {}),
        ("JPEG", {}),
        ("JPEG", {"progressive": True, "exif": b"Exif\0\0" + b"x" * 500}),
        ("WEBP", {}),
        ("WEBP", {"lossless": True}),
        ("WEBP", {"exif": b"Exif\0\0" + b"x" * 50}),
    ],
)
def test_the_dimensions_of_real_pictures(tmp_path: Path, save: str, more: dict[str, Any]) -> None:
    """Written by the runtime's own library."""
    path = tmp_path / "picture"
    code = (
        f"from PIL import Image; Image.new('RGB', (321, 45), 'red').save({str(path)!r}, {save!r}, **{more!r})"
    )
    subprocess.run([Settings().runtime / "bin" / "python", "-c", code], check=True, timeout=60)
    assert media.dimensions(path.read_bytes()) == (321, 45)


_HEADS = [b"\x89PNG\r\n\x1a\n", b"GIF89a", b"\xff\xd8", b"RIFF1234WEBPVP8 ", b"RIFF1234WEBPVP8X"]


@given(st.sampled_from(_HEADS), st.binary())
def test_the_dimensions_of_anything(head: bytes, rest: bytes) -> None:
    found = media.dimensions(head + rest)
    assert found is None or all(side >= 0 for side in found)


def test_a_picture_of_many_segments_is_of_no_known_size() -> None:
    frame = b"\xff\xc0\0\x11\x08\0\x07\0\x09"
    assert media.dimensions(b"\xff\xd8" + b"\xff\xe0\0\2" * 500 + frame) == (9, 7)
    assert media.dimensions(b"\xff\xd8" + b"\xff\xe0\0\2" * 5000 + frame) is None
