"""What pictures say of themselves."""

from __future__ import annotations

from belljar.wire import media


def test_a_picture_of_many_segments_is_of_no_known_size() -> None:
    frame = b"\xff\xc0\0\x11\x08\0\x07\0\x09"
    assert media.dimensions(b"\xff\xd8" + b"\xff\xe0\0\2" * 500 + frame) == (9, 7)
    assert media.dimensions(b"\xff\xd8" + b"\xff\xe0\0\2" * 5000 + frame) is None
