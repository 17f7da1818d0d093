"""What a server says where it refuses."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import httpx2


def words_of(answer: httpx2.Response) -> str | None:
    """The message of an answer that has been read; None where it is none of Belljar's form."""
    try:
        return str(answer.json()["error"]["message"])
    except (ValueError, LookupError, TypeError):
        return None
