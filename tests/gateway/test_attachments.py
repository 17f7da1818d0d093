"""Documents: names, previews, and what is given to the session."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from steps import is_linear

from belljar.gateway.attachments import Attached, as_text, attach, digest_of
from belljar.wire.messages import Message


def document(body: bytes, title: str | None = None, kind: str = "text/csv") -> dict[str, Any]:
    source = {"type": "base64", "media_type": kind, "data": base64.b64encode(body).decode()}
    return {"type": "document", "source": source} | ({"title": title} if title is not None else {})


def attached(*blocks: dict[str, Any], given: dict[str, str] | None = None) -> Attached:
    return attach([Message(role="user", content=list(blocks))], given or {})


def names(found: Attached) -> list[str]:
    return [file.name for file in found.files]


def test_names_and_bytes() -> None:
    a, b = document(b"1,2", "a.csv"), document(b"3,4", "a.csv")
    assert names(attached(a, a)) == ["a.csv"]
    assert names(attached(a, b, a, b)) == ["a.csv", "a (2).csv"]
    assert names(attached(a, given={"a.csv": digest_of(b"1,2")})) == ["a.csv"]
    assert names(attached(b, given={"a.csv": digest_of(b"1,2"), "a (2).csv": ""})) == ["a (3).csv"]
    long = "x" * 251 + ".csv"
    second = names(attached(document(b"1", long), document(b"2", long)))[1]
    assert second.endswith(" (2).csv")
    assert len(second) == 255


def test_many_documents_of_one_name() -> None:
    def many(count: int) -> Attached:
        return attached(*(document(str(number).encode(), "a.csv") for number in range(count)))

    assert names(many(3)) == ["a.csv", "a (2).csv", "a (3).csv"]
    assert is_linear(many)


def test_a_document_that_was_there_under_a_number() -> None:
    given = {"a.csv": digest_of(b"1"), "a (2).csv": digest_of(b"2"), "a (3).csv": digest_of(b"3")}
    again = [document(body, "a.csv") for body in (b"3", b"1", b"4", b"2")]
    assert names(attached(*again, given=given)) == ["a (3).csv", "a.csv", "a (4).csv", "a (2).csv"]
    other = document(b"5", "a (2).csv")
    assert names(attached(other, document(b"2", "a.csv"), given=given)) == ["a (2) (2).csv", "a (2).csv"]


def test_documents_without_a_title() -> None:
    found = attached(document(b"a"), document(b"b", kind="application/pdf"), document(b"c", "", kind="x/y"))
    assert names(found) == ["document-1.csv", "document-2.pdf", "document-3.bin"]


@pytest.mark.parametrize(
    ("title", "name"),
    [
        ("Q1/Q2 report: 2024?", "Q1_Q2 report: 2024?"),
        ("../../etc/passwd", ".._.._etc_passwd"),
        ("a\0b\nc\x7f.csv", "a_b_c_.csv"),
        ("C:\\xfiles\\x0a.csv", "C:_xfiles_x0a.csv"),
        ("..", "document-1.csv"),
        (".", "document-1.csv"),
        ("تقرير.csv", "تقرير.csv"),
        ("ü" * 300 + ".csv", "ü" * 125 + ".csv"),
        ("a." + "x" * 300, "a." + "x" * 126),
        ("half \ud800", "half ?"),
    ],
)
def test_a_title_may_be_any_text(title: str, name: str) -> None:
    found = attached(document(b"1", title))
    assert names(found) == [name]
    assert len(name.encode()) <= 255


def test_what_the_model_gets() -> None:
    plain = {
        "type": "document",
        "source": {"type": "text", "media_type": "text/plain", "data": "hello"},
        "title": "t.txt",
    }
    pdf = document(b"%PDF-1.7\x00\x01", "p.pdf", "application/pdf")
    link = {"type": "document", "source": {"type": "url", "url": "https://example.org/a.pdf"}}
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "aaaa"}}
    found = attached(plain, pdf, link, image, document(b"a,b\n1,2\n", "c.csv"))
    blocks = found.messages[0].blocks
    assert [block["type"] for block in blocks] == [
        "document",
        "text",
        "document",
        "text",
        "document",
        "image",
        "text",
    ]
    assert "t.txt" in blocks[1]["text"]
    assert "binary" in blocks[3]["text"]
    assert "8 bytes, text/csv" in blocks[6]["text"]
    assert blocks[6]["text"].endswith("a,b\n1,2")
    assert names(found) == ["t.txt", "p.pdf", "c.csv"]


def test_a_fence_in_a_file_is_not_the_users() -> None:
    found = attached(document(b"```python\nprint(1)\n```\n", "notes.md", "text/markdown"))
    assert "```" not in found.messages[0].blocks[0]["text"]


def test_long_lines_are_cut() -> None:
    found = attached(document(b"x" * 10**6, "long.txt"))
    assert len(found.messages[0].blocks[0]["text"]) < 1500


@pytest.mark.parametrize(
    ("head", "read"),
    [
        ("grüße".encode(), "grüße"),
        ("\ufeffgrüße".encode(), "grüße"),
        ("grüße".encode("utf-16"), "grüße"),
        ("grüße".encode("latin-1"), "grüße"),
        (b"\x00\x01\x02", None),
        (b"\x89PNG\r\n\x1a\n", None),
        (b"", ""),
    ],
)
def test_encodings(head: bytes, read: str | None) -> None:
    assert as_text(head) == read
