"""Paths as text: any bytes have one form, which leads back to them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from belljar import paths


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        (b"a b.csv", "a b.csv"),
        ("größe 猫".encode(), "größe 猫"),
        (b"a\nb\t\x7f", "a\\x0ab\\x09\\x7f"),
        (b"\xff.txt", "\\xff.txt"),
        (b"\\xff.txt", "\\x5cxff.txt"),
        (b"\\x5c", "\\x5cx5c"),
        (b"\\\xff", "\\\\xff"),
        (b"C:\\x\\x64", "C:\\x\\x64"),
        (b"caf\xc3", "caf\\xc3"),
    ],
)
def test_a_path_as_it_is_shown(path: bytes, shown: str) -> None:
    assert paths.shown(path) == shown
    assert paths.raw(shown) == path


_TRICKY = st.lists(st.sampled_from([b"\\", b"x", b"5c", b"0a", b"ff", b"\xff", b"\xc3", b"\xa9", b"\n"])).map(
    b"".join
)


@given(st.one_of(st.binary(), _TRICKY))
def test_every_path_is_asked_for_by_what_is_shown(path: bytes) -> None:
    shown = paths.shown(path)
    assert paths.raw(shown) == path
    assert all(character >= " " and character != "\x7f" for character in shown)
    shown.encode()


def test_no_text() -> None:
    with pytest.raises(UnicodeEncodeError):
        paths.raw("\ud800")
