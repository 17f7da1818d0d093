"""What a server says where it refuses, and what is said of one that does not answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import httpx2


# What a server advises programs to do that send requests. Who has none to send reads what does the same.
_KEY = "send one as `x-api-key` or as `authorization: Bearer`."
_NEW = "Send the request without `container` to get a new one."
_WITHOUT = "Send the request without `container`."
_OR_WITHOUT = "or send the request without `container`."
_FEWER = "Name one of them as `container`, or delete one (DELETE /v1/containers/{id});"
_LIST = "`belljar containers list` has those that are there."
_BY_COMMAND = {
    _KEY: "give it in BELLJAR_API_KEY, or by --api-key.",
    _NEW: _LIST,
    _WITHOUT: _LIST,
    _OR_WITHOUT: _LIST,
    _FEWER: "Delete one (belljar containers delete);",
    "(GET /v1/files, DELETE /v1/files/{id})": "(belljar files list, belljar files delete)",
    "Send the part with another `filename`.": "--as gives it another.",
}
_BY_LIBRARY = {
    _KEY: "give it as `api_key`, or in BELLJAR_API_KEY.",
    _NEW: "Leave `container` out to get a new one.",
    _WITHOUT: "Leave `container` out to get a new one.",
    _OR_WITHOUT: "or leave `container` out to get a new one.",
    _FEWER: "Name one of them as `container`, or close a sandbox;",
}


def for_command(message: str) -> str:
    """A server's word, for whoever sits at a terminal."""
    return _put(message, _BY_COMMAND)


def for_library(message: str) -> str:
    """The same for a program that uses the library."""
    return _put(message, _BY_LIBRARY)


def _put(message: str, otherwise: dict[str, str]) -> str:
    for theirs, ours in otherwise.items():
        message = message.replace(theirs, ours)
    return message


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
