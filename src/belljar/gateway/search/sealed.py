"""What goes to the client as `encrypted_content` and comes back in its history.

It is opaque to clients and not secret: the words of a page, with a mark in front by which we know our own. What
comes back is the client's word, like all of its history.
"""

from __future__ import annotations

import base64
import binascii

_MARK = b"belljar-1:"
_MOST_CHARS = 20_000
"""More than a page's words that we have sealed."""


def seal(text: str) -> str:
    return base64.b64encode(_MARK + text.encode("utf-8", "replace")).decode()


def unseal(sealed: object) -> str | None:
    """The words; None for what is not ours."""
    if not isinstance(sealed, str) or len(sealed) > _MOST_CHARS * 6:
        return None
    try:
        opened = base64.b64decode(sealed.encode("ascii", "replace"), validate=True)
    except binascii.Error:
        return None
    if not opened.startswith(_MARK):
        return None
    return opened.removeprefix(_MARK).decode("utf-8", "replace")[:_MOST_CHARS]
