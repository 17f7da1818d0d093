"""What a server says where it refuses, and what is said of one that does not answer."""

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


def no_answer(url: str, error: BaseException) -> str:
    """Of a server that cannot be asked: why, and what to do."""
    if wrong := no_address(url):
        return wrong
    why = str(error).rstrip(".") or type(error).__name__
    return f"The server at {url} does not answer: {why}. `belljar serve` starts one."


def no_address(url: str) -> str | None:
    """What to say of a URL that is none of a server, since it does not begin as one does."""
    if url.lower().startswith(("http:", "https:")):
        return None
    place = url.rpartition("://")[2].rstrip("/") or "localhost:8421"
    return f"{url!r} is no URL of a server: write http://{place}"
