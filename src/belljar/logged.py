"""What a log may say: whose request a line belongs to, and of an exception what cannot be a user's or a model's words.

An exception quotes what it stumbled over: a name of a file, a piece of a prompt, a key. So without BELLJAR_LOG_CONTENT
a traceback has the places and the types, and words only where they are the kernel's or ours.
"""

from __future__ import annotations

import contextlib
import os
import sys
import traceback
from contextvars import ContextVar

from belljar.errors import JailUnavailable, KeeperLost, NotKept, SessionLost, StoreFailed

REQUEST_ID: ContextVar[str] = ContextVar("belljar_request_id", default="")
"""Of the request that is being answered: for the log, and for what the keeper is asked meanwhile."""
CONTENT_CHARS = 4000
"""Of a prompt, a program or a result, where the log has any."""
_OURS = (JailUnavailable, KeeperLost, NotKept, SessionLost, StoreFailed)
"""Errors that say what the machine is like."""
_MOST_CHAINED = 10


class StandardError:
    """Where a log goes, line by line. One that is closed, or a file on a full disk, is no reason for anything else to
    fail."""

    def __init__(self) -> None:
        self._line = ""

    def write(self, text: str) -> None:
        self._line += text
        if not text.endswith("\n"):
            return  # a line goes out whole: another process may write there too
        data, self._line = self._line.encode("utf-8", "backslashreplace"), ""
        if sys.stderr is None:
            return
        with contextlib.suppress(OSError):
            # Past Python's own buffer: what that could not write it would try again at the end, and fail by it.
            fd = sys.stderr.fileno()
            while data:
                data = data[os.write(fd, data) :]

    def flush(self) -> None:
        """Nothing waits but the beginning of a line."""

    def isatty(self) -> bool:
        return sys.stderr is not None and sys.stderr.isatty()


def clipped(text: str) -> str:
    """The text, as much of it as a line of the log takes: its beginning and its end."""
    if len(text) <= CONTENT_CHARS:
        return text
    half = CONTENT_CHARS // 2
    return f"{text[:half]}[... {len(text) - 2 * half} characters left out ...]{text[-half:]}"


def words_of(error: BaseException, *, with_content: bool = False) -> str:
    """The type of an exception, and what it says as far as it may be said."""
    name = type(error).__name__
    if with_content:
        return f"{name}: {clipped(str(error))}"
    if isinstance(error, _OURS):
        return f"{name}: {error}"
    if isinstance(error, OSError) and error.strerror:
        return f"{name}: {error.strerror}"  # without the file's name
    return name


def traceback_of(error: BaseException, *, with_content: bool = False) -> str:
    """Where an exception and those behind it came from, without the values of any variables."""
    return "\n\n".join(_described(error, with_content, set()))


def _described(error: BaseException, with_content: bool, seen: set[int]) -> list[str]:
    """The oldest first."""
    if id(error) in seen or len(seen) >= _MOST_CHAINED:
        return []
    seen.add(id(error))
    before: list[str] = []
    earlier = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if earlier is not None:
        before = _described(earlier, with_content, seen)
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            before += _described(inner, with_content, seen)
    places = "".join(traceback.format_tb(error.__traceback__))
    return [*before, f"{places}{words_of(error, with_content=with_content)}"]
