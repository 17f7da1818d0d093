"""What code reads and prints by: descriptors 0 to 2 as text.

Stdout and stderr reach the keeper by two pipes. So that it can tell in which order they were written, whoever writes
to stderr waits until all that is in the pipe of stdout has been read; the other way round needs no waiting, since the
keeper takes what is in stderr's first. See `keeper.guests`.
"""

from __future__ import annotations

import fcntl
import io
import os
import struct
import termios
from collections.abc import Callable
from typing import Any

_NOBODY_TYPES = (
    "nothing is left to read from standard input, and nobody can type here. Put the values into the code, or give "
    "them as `stdin` (POST /v1/executions) or by `belljar run --stdin`"
)
_INT = struct.Struct("i")
_read_line = input


class Stderr(io.TextIOWrapper):
    """`settle` is called before each piece of text."""

    settle: Callable[[], None]

    def write(self, text: str) -> int:
        self.settle()
        return super().write(text)


def read_text() -> io.TextIOWrapper:
    """Stdin, as whoever begins to read it wants it."""
    return io.TextIOWrapper(_raw(0, "r"), encoding="utf-8", errors="replace", line_buffering=True)


def written_text() -> io.TextIOWrapper:
    """Stdout. By the line, so that a kill loses little, and so that what is shown while it runs is current."""
    return io.TextIOWrapper(_raw(1, "w"), encoding="utf-8", errors="backslashreplace", line_buffering=True)


def error_text(settle: Callable[[], None]) -> Stderr:
    """Stderr, by the line as well."""
    stream = Stderr(_raw(2, "w"), encoding="utf-8", errors="backslashreplace", line_buffering=True)
    stream.settle = settle
    return stream


def _raw(fd: int, mode: str) -> Any:
    return open(fd, mode + "b", buffering=-1, closefd=False)  # lives as long as the process


def is_unread(fd: int) -> bool:
    """Whether something is in the pipe that `fd` writes to; False where the code has put something else there."""
    try:
        (pending,) = _INT.unpack(fcntl.ioctl(fd, termios.FIONREAD, bytes(_INT.size)))
    except OSError:
        return False
    return bool(pending)


def asked(prompt: object = "", /) -> str:
    """Read a line from standard input, without its end. The prompt, if given, is printed first."""
    try:
        return _read_line(prompt)
    except EOFError:
        raise EOFError(f"input(): {_NOBODY_TYPES}") from None


asked.__name__ = asked.__qualname__ = "input"


def asked_secretly(prompt: str = "Password: ", stream: object = None, *, echo_char: str | None = None) -> str:
    """As `input`: there is no terminal on which anything could be seen."""
    try:
        return _read_line(prompt)
    except EOFError:
        raise EOFError(f"getpass(): {_NOBODY_TYPES}") from None


asked_secretly.__name__ = asked_secretly.__qualname__ = "getpass"


def give_to_read(text: str, temporary: str) -> None:
    """Make `text`, or nothing, what is read from descriptor 0. Bytes that are no UTF-8 come by PEP 383's escapes."""
    if text:
        fd = os.open(temporary, os.O_TMPFILE | os.O_RDWR)
        with open(fd, "wb", closefd=False) as file:
            file.write(_bytes(text))
        os.lseek(fd, 0, os.SEEK_SET)
    else:
        fd = os.open("/dev/null", os.O_RDONLY)
    os.dup2(fd, 0)
    os.close(fd)


def _bytes(text: str) -> bytes:
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # half of a pair, as JSON can have one: no bytes were ever escaped so
        return text.encode("utf-8", "surrogatepass")
