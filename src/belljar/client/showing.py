"""A result where its caller looks: in a notebook, or in a terminal, with its pictures where the terminal can show them.

Pictures go by the graphics protocol of kitty (https://sw.kovidgoyal.net/kitty/graphics-protocol/), by iTerm2's for
inline images (https://iterm2.com/documentation-images.html), which WezTerm knows as well, or as sixels
(`client.sixel`).
"""

from __future__ import annotations

import base64
import os
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from belljar.client.shown import Result

Way = Literal["kitty", "iterm", "sixel"]

_KITTY_BYTES = 4096
"""Of base64, in one escape sequence."""
_ANSWER_SECONDS = 0.3
"""For a terminal to say what it is."""
_SIXELS = b"4"
"""Among the attributes by which it does."""


def show(result: Result) -> None:
    """Print what there is to read on standard output, and show the pictures."""
    if (shell := _notebook()) is not None:
        shell.display_pub.publish({"text/html": result._repr_html_(), "text/plain": result.text})
        return
    is_terminal = sys.stdout.isatty()
    sys.stdout.write(harmless(result.text) if is_terminal else result.text)
    way = way_here() if is_terminal and result.images else None
    for number, image in enumerate(result.images, 1):
        drawing = drawn(image.data, way)
        word = f"[picture {number}: {image.mime_type}, {len(image.data):,} bytes]\n"
        sys.stdout.write(drawing.decode("ascii") if drawing else word)
    sys.stdout.flush()


def way_here() -> Way | None:
    """How the terminal of this process shows pictures; None where it cannot, or nobody knows.

    `BELLJAR_PICTURES` says so; else what terminals say of themselves in the environment, else the terminal, which is
    asked: it answers at once, or, where it is none of today's, not.
    """
    return way_of(os.environ) or ("sixel" if _may_be_asked(os.environ) and _knows_sixels() else None)


def way_of(environment: Mapping[str, str]) -> Way | None:
    """The same, of what the environment says."""
    wanted = environment.get("BELLJAR_PICTURES", "auto")
    if wanted in ("kitty", "iterm", "sixel"):
        return wanted  # type: ignore[return-value] # it is one of them
    if wanted != "auto" or "TMUX" in environment or "STY" in environment:
        return None  # what is between us and the terminal passes no pictures on, but for sixels that it knows itself
    if "KITTY_WINDOW_ID" in environment or environment.get("TERM") in ("xterm-kitty", "xterm-ghostty"):
        return "kitty"
    return "iterm" if environment.get("TERM_PROGRAM") in ("iTerm.app", "WezTerm") else None


def drawn(picture: bytes, way: Way | None) -> bytes | None:
    """What draws a picture in a terminal of this kind; None where it cannot."""
    if way == "kitty" and picture.startswith(b"\x89PNG"):
        data = base64.b64encode(picture)
        pieces = [data[start : start + _KITTY_BYTES] for start in range(0, len(data), _KITTY_BYTES)]
        out = b""
        for place, piece in enumerate(pieces):
            first = b"a=T,f=100," if place == 0 else b""
            out += b"\x1b_G%bm=%d;%b\x1b\\" % (first, place < len(pieces) - 1, piece)
        return out + b"\n"
    if way == "iterm":
        return b"\x1b]1337;File=inline=1;size=%d:%b\x07\n" % (len(picture), base64.b64encode(picture))
    if way == "sixel":
        from belljar.client import sixel

        return sixel.encoded(picture)
    return None


def harmless(text: str) -> str:
    """Text of hostile code without what tells a terminal to do something."""
    return "".join(c if c.isprintable() or c in "\n\t" else "\N{REPLACEMENT CHARACTER}" for c in text)


def _may_be_asked(environment: Mapping[str, str]) -> bool:
    return environment.get("BELLJAR_PICTURES", "auto") == "auto" and environment.get("TERM", "dumb") != "dumb"


def _knows_sixels() -> bool:
    """Whether the terminal says so, asked for its primary attributes (DA1 in xterm's ctlseqs)."""
    import select
    import termios

    try:
        terminal = os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        if os.tcgetpgrp(terminal) != os.getpgrp():
            return False  # in the background whoever asks is stopped
        before = termios.tcgetattr(terminal)
        quiet = termios.tcgetattr(terminal)
        quiet[3] &= ~(termios.ICANON | termios.ECHO)
        termios.tcsetattr(terminal, termios.TCSADRAIN, quiet)
        try:
            os.write(terminal, b"\x1b[c")
            answer = b""
            while not answer.endswith(b"c") and select.select((terminal,), (), (), _ANSWER_SECONDS)[0]:
                answer += os.read(terminal, 64)
        finally:
            termios.tcsetattr(terminal, termios.TCSADRAIN, before)
    except (OSError, termios.error):
        return False
    finally:
        os.close(terminal)
    _, _, attributes = answer.rpartition(b"\x1b[?")
    return _SIXELS in attributes.rstrip(b"c").split(b";")


def _notebook() -> Any:
    """The shell of the notebook that this runs in, if it does."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return shell if hasattr(shell, "kernel") else None
