"""Files that come with a program: their names, and base64."""

from __future__ import annotations

import base64
import binascii

import pytest
from hypothesis import given
from hypothesis import strategies as st

from belljar.errors import InvalidRequest
from belljar.inputs import checked_name, checked_names, decoded
from belljar.wire.execution import InputFile


@pytest.mark.parametrize("name", ["a", "ä" * 127, "...", "a..b", " ", "-rf", "C:\\a", "\\xff", "a\\x0a"])
def test_good_names(name: str) -> None:
    assert checked_name(name, "here") == name


OTHERWISE_WRITTEN = ("a\\x00b", "\\xc3\\xa9", "a\\x5cb")
"""A NUL, and what would be the second text for a name."""


@pytest.mark.parametrize(
    "name", ["", ".", "..", "a/b", "/", "\0", "a\x7f", "ä" * 128, None, 3, "\udc80", *OTHERWISE_WRITTEN]
)
def test_bad_names(name: object) -> None:
    with pytest.raises(InvalidRequest, match=r"^here: "):
        checked_name(name, "here")


def test_base64_may_have_line_breaks() -> None:
    assert decoded("YWJj\nZGVm\n", "here") == b"abcdef"
    assert decoded(" ", "here") == b""


@pytest.mark.parametrize("data", ["*", "YQ", "YQ==YQ==", "YQ=\n", "Y-_a", "ä\n", "\0\0\0\0", None, b"YQ=="])
def test_bad_base64(data: object) -> None:
    with pytest.raises(InvalidRequest, match=r"^here: "):
        decoded(data, "here")


def test_base64_of_any_length() -> None:
    for size in range(70):
        body = bytes(range(size))
        assert decoded(base64.b64encode(body).decode(), "here") == body


@given(st.text("ABab01+/=-_", max_size=13))
def test_base64_is_what_binascii_takes_for_it(data: str) -> None:
    try:
        body = binascii.a2b_base64(data, strict_mode=True)
    except ValueError:
        with pytest.raises(InvalidRequest):
            decoded(data, "here")
    else:
        assert decoded(data, "here") == body


def test_a_name_stands_for_one_file() -> None:
    checked_names([InputFile(name="a"), InputFile(name="b")])
    with pytest.raises(InvalidRequest, match=r"^files\.1\.name: 'a' is the name of another"):
        checked_names([InputFile(name="a"), InputFile(name="a")])
    with pytest.raises(InvalidRequest, match=r"^files\.0\.name: "):
        checked_names([InputFile(name="a/b")])
