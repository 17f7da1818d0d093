"""Where the server of a state directory is for its owner's commands, what it says of itself, and how `belljar run` has
it run a program.

Imported by the shortest way of `belljar run`: nothing but what Python has imported already, since an import of `json`,
`socket` or `typing` alone takes as long as Python takes to start. So a run is no request of the API here: what goes
either way is frames, each a letter, four bytes of length, and so many bytes.
"""

from __future__ import annotations

import os

FOLDER = "server"
RUNS = "runs.sock"
API = "api.sock"
RECORD = "record"
LOCK = "lock"
LOG = "log"

OF_RUNS = frozenset(
    f"BELLJAR_{name}"
    for name in (
        "RUNTIME DEFAULT_RUNTIME REQUIRE TIMEOUT_SECONDS GRACE_SECONDS MEMORY_BYTES PIDS DISK_BYTES OUTPUT_BYTES CPUS"
    ).split()
)
"""Settings that a run is told by: a server that has others would run the program otherwise."""

# What the command says.
CODE = b"c"
NAME = b"n"
"""Of the file that the program is in."""
ARGUMENT = b"a"
STDIN = b"i"
"""As it is, in whatever encoding; all other words are UTF-8."""
SECONDS = b"s"
MEMORY_MIB = b"m"
OUTPUT_MIB = b"k"
RUNTIME = b"r"
INPUT = b"f"
"""A file begins, of this name; its pieces follow."""
PIECE = b"d"
AS_JSON = b"j"
ON_TERMINAL = b"t"
"""Standard error is one: an exception comes with what is for people."""
FORMAT = b"g"
DPI = b"p"
GO = b"!"
INTERRUPT = b"x"

# What the server says.
HERE = b"h"
"""It has taken the connection."""
OUT = b"o"
ERR = b"e"
FILE = b"f"
"""A file begins, of this path; its pieces follow."""
PICTURE = b"p"
"""The same of a figure."""
EXIT = b"q"
"""The exit code; nothing follows."""
FAILED = b"!"
"""Why the program was not run, or its end is not known; nothing follows."""

HEAD_BYTES = 5
SUN_PATH = 107
"""Bytes that the path of a Unix socket may have (unix(7))."""


def frame(kind: bytes, body: bytes = b"") -> bytes:
    return kind + len(body).to_bytes(4, "big") + body


class Frames:
    """Takes bytes as they come, and gives the frames that are whole. Raises ValueError for one over `most` bytes."""

    def __init__(self, most: int = 2**32) -> None:
        self._most = most
        self._held = bytearray()

    def feed(self, data: bytes) -> list[tuple[bytes, bytes]]:
        held = self._held
        held += data
        found = []
        at = 0
        while len(held) - at >= HEAD_BYTES:
            end = at + HEAD_BYTES + int.from_bytes(held[at + 1 : at + HEAD_BYTES], "big")
            if end - at > self._most:
                raise ValueError(f"{end - at:,} bytes, and {self._most:,} are allowed")
            if len(held) < end:
                break
            found.append((bytes(held[at : at + 1]), bytes(held[at + HEAD_BYTES : end])))
            at = end
        del held[:at]
        return found


def state_dir(environment) -> str:  # type: ignore[no-untyped-def] # Mapping is of typing
    """As `settings.state_dir` has it."""
    given = _settings(environment).get("BELLJAR_STATE_DIR")
    if given is not None:
        return str(given)
    data = environment.get("XDG_DATA_HOME", "")
    return os.path.join(data if data.strip() else os.path.expanduser("~/.local/share"), "belljar")


def of_runs(environment) -> dict[str, str]:  # type: ignore[no-untyped-def]
    """The settings that a run is told by, as they are written."""
    return {name: value for name, value in _settings(environment).items() if name in OF_RUNS}


def differing(own: dict[str, str], record: dict[str, str]) -> list[str]:
    """The names of settings by which a server with this record would run a program otherwise. A level that only the
    server requires weakens nothing."""
    names = own.keys() | {name for name in record if name in OF_RUNS and name != "BELLJAR_REQUIRE"}
    return sorted(name for name in names if own.get(name) != record.get(name))


def _settings(environment) -> dict[str, str]:  # type: ignore[no-untyped-def]
    return {name.upper(): value for name, value in environment.items() if name[:8].upper() == "BELLJAR_"}


def write_record(place: str, facts: dict[str, str]) -> None:
    """What a server says of itself, for whoever may read its directory."""
    path = f"{place}/{RECORD}"
    with open(f"{path}.new", "wb", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
        file.write(b"\0".join(os.fsencode(f"{name}={value}") for name, value in facts.items()))
    os.replace(f"{path}.new", path)


def read_record(place: str) -> dict[str, str] | None:
    """What the server of a state directory has last said of itself; None where there was none, or it ended cleanly."""
    try:
        with open(f"{place}/{RECORD}", "rb", buffering=0) as file:
            words = os.fsdecode(file.read()).split("\0")
    except (FileNotFoundError, NotADirectoryError):
        return None
    return {name: value for name, _, value in (word.partition("=") for word in words)}


def ending(facts: dict[str, str]) -> str:
    """What ends the server that says this of itself: `belljar down` leaves alone what `belljar up` has not started."""
    return "`belljar down`" if facts.get("by") == "up" else f"`kill {facts.get('pid')}`"


def reach(place: str, name: str):  # type: ignore[no-untyped-def] # a socket
    """A socket that is connected to the server's of this name. Raises OSError: mostly nobody listens any more."""
    import _socket  # `socket` is this and a great deal of enums

    connection = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    path, fd = address(place, name)
    try:
        connection.connect(path)
    finally:
        if fd >= 0:
            os.close(fd)
    return connection


def address(place: str, name: str) -> tuple[str, int]:
    """The path of a socket there: by the directory's descriptor where it is too long for one, which the caller closes
    (-1 where it is not needed). Raises OSError."""
    path = f"{place}/{name}"
    if len(os.fsencode(path)) <= SUN_PATH:
        return path, -1
    fd = os.open(place, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    return f"/proc/self/fd/{fd}/{name}", fd
