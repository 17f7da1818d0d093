"""The form in which a file is sent, in whatever pieces it comes."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from belljar.errors import InvalidRequest, RequestTooLarge
from belljar.gateway.files import Facts
from belljar.gateway.form import Form

pytestmark = pytest.mark.anyio

TYPE = "multipart/form-data; boundary=cut"


def part(disposition: str, body: bytes, *headers: str) -> bytes:
    head = "\r\n".join(["--cut", f"Content-Disposition: form-data; {disposition}", *headers])
    return head.encode() + b"\r\n\r\n" + body + b"\r\n"


def file(body: bytes = b"a,b\n", name: str = "a.csv", *headers: str) -> bytes:
    return part(f'name="file"; filename="{name}"', body, *headers)


def expires(value: str) -> bytes:
    return part('name="expires_in_seconds"', value.encode())


END = b"--cut--\r\n"


async def read(body: bytes, *, size: int = 10_000, most: int = 1000, kind: str = TYPE) -> tuple[bytes, Facts]:
    async def chunks() -> AsyncIterator[bytes]:
        for start in range(0, len(body), size):
            yield body[start : start + size]

    form = Form(kind, chunks(), most)
    content = b"".join([piece async for piece in form.pieces()])
    return content, form.facts()


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64, 10_000])
async def test_any_pieces_are_the_same_file(size: int) -> None:
    body = b"\r\n--cuT\r\nx\r\n--cu\r\n\r\n--\r\n-" * 3
    for text in (expires("3600") + file(body) + END, file(body) + expires("3600") + END):
        assert await read(text, size=size) == (body, Facts("a.csv", None, 3600))


@pytest.mark.parametrize(
    ("header", "kind"),
    [
        ("Content-Type: text/x-mine", "text/x-mine"),
        ("content-type: Text/CSV; charset=utf-8", "text/csv"),
        ("Content-Type: application/octet-stream", None),
        ("Content-Type: nonsense", None),
        ("Content-Type: a/b\tc", None),
        ("X-Other: 1", None),
    ],
)
async def test_the_type_that_the_client_gives(header: str, kind: str | None) -> None:
    _, facts = await read(file(b"x", "a.csv", header) + END)
    assert facts.mime_type == kind


@pytest.mark.parametrize("name", ["größe 数据.csv", "x" * 255, "数" * 255, ".hidden", "a;b='c'.txt", "🐍"])
async def test_names_that_are_fine(name: str) -> None:
    assert (await read(file(b"", name) + END))[1].filename == name


@pytest.mark.parametrize(
    "name",
    ["", "x" * 256, "a/b", "a\\\\b", "a:b", "a*", "a?", "<a", "a>", "a|b", 'a\\"b', "a\x01b", "a\x7f", ".."],
)
async def test_names_that_are_refused(name: str) -> None:
    with pytest.raises(InvalidRequest, match=r"^file: .*file name"):
        await read(file(b"", name) + END)


async def test_bytes_without_a_name() -> None:
    body = part('name="file"', b"a,b\n", "Content-Type: application/octet-stream") + END
    content, facts = await read(body)
    assert (content, facts.filename, facts.mime_type) == (b"a,b\n", "upload", None)
    with pytest.raises(InvalidRequest, match=r"^file: a file name has"):
        await read(part('name="file"; filename=""', b"", "Content-Type: application/octet-stream") + END)


async def test_a_name_that_is_no_text() -> None:
    with pytest.raises(InvalidRequest, match="UTF-8"):
        await read(file(b"", "a@b").replace(b"@", b"\xff") + END)


@pytest.mark.parametrize("value", ["", "3599", "7776001", "-1", "1e5", "3600.0", "٣٦٠٠", "never", "9" * 5000])
async def test_times_that_are_refused(value: str) -> None:
    with pytest.raises(InvalidRequest, match=r"^expires_in_seconds: .* 3600 .* 7776000"):
        await read(file() + expires(value) + END)


@pytest.mark.parametrize("value", [3600, 7776000])
async def test_times_that_are_fine(value: int) -> None:
    assert (await read(file() + expires(str(value)) + END))[1].keep_seconds == value


async def test_the_largest_file_and_one_byte_more() -> None:
    assert len((await read(file(b"x" * 1000) + END))[0]) == 1000
    with pytest.raises(RequestTooLarge, match="1000 bytes"):
        await read(file(b"x" * 1001) + END, size=100)


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (END, "file: Field required"),
        (part('name="other"', b"x") + END, "file: Field required"),
        (part('name="file"', b"x") + END, "^file: a file name has"),
        (file() + file() + END, "file: .* two"),
        (file() + expires("3600") * 2 + END, "expires_in_seconds: .* two"),
        (file(), "ends before"),
        (b"", "ends before"),
        (b'{"file": 1}', "RFC 7578"),
        (b"--cut\r\nno header\r\n\r\n" + END, "RFC 7578"),
    ],
)
async def test_forms_that_are_refused(body: bytes, says: str) -> None:
    with pytest.raises(InvalidRequest, match=says):
        await read(body)


@pytest.mark.parametrize(
    "kind",
    [
        "",
        "application/json",
        "multipart/form-data",
        "multipart/form-data; boundary=",
        "multipart/mixed; boundary=x",
        f"multipart/form-data; boundary={'x' * 300}",
    ],
)
async def test_bodies_that_are_no_forms(kind: str) -> None:
    with pytest.raises(InvalidRequest, match="multipart/form-data"):
        await read(file() + END, kind=kind)


async def test_fields_that_nobody_knows_are_passed_over() -> None:
    assert (await read(part('name="purpose"', b"user_data") + file() + END))[0] == b"a,b\n"
