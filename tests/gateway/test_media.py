"""Media types from bytes."""

from __future__ import annotations

import pytest

from belljar.wire.media import extension_of, is_text, media_type

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
        ("a", b"GIF89a", "image/gif"),
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
