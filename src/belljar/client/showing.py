"""A result where its caller looks: in a notebook, or in a terminal, with its pictures where the terminal can show them.

Pictures go by the graphics protocol of kitty (https://sw.kovidgoyal.net/kitty/graphics-protocol/), or by iTerm2's for
inline images (https://iterm2.com/documentation-images.html), which WezTerm knows as well.
"""

from __future__ import annotations

import base64
import os
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from belljar.client.shown import Image, Result

_KITTY_BYTES = 4096
"""Of base64, in one escape sequence."""


def show(result: Result) -> None:
    """Print what there is to read on standard output, and show the pictures."""
    if (shell := _notebook()) is not None:
        shell.display_pub.publish({"text/html": result._repr_html_(), "text/plain": result.text})
        return
    sys.stdout.write(harmless(result.text) if sys.stdout.isatty() else result.text)
    for number, image in enumerate(result.images, 1):
        drawn = drawn_in(image, os.environ) if sys.stdout.isatty() else None
        sys.stdout.write(drawn or f"[picture {number}: {image.mime_type}, {len(image.data):,} bytes]\n")
    sys.stdout.flush()


def drawn_in(image: Image, environment: Mapping[str, str]) -> str | None:
    """What draws a picture in the terminal that the environment tells of; None where it cannot."""
    data = base64.b64encode(image.data).decode()
    is_kitty = "KITTY_WINDOW_ID" in environment or environment.get("TERM") in ("xterm-kitty", "xterm-ghostty")
    if is_kitty and image.mime_type == "image/png":
        pieces = [data[start : start + _KITTY_BYTES] for start in range(0, len(data), _KITTY_BYTES)] or [""]
        drawn = ""
        for place, piece in enumerate(pieces):
            first = "a=T,f=100," if place == 0 else ""
            drawn += f"\x1b_G{first}m={int(place < len(pieces) - 1)};{piece}\x1b\\"
        return f"{drawn}\n"
    if environment.get("TERM_PROGRAM") in ("iTerm.app", "WezTerm"):
        return f"\x1b]1337;File=inline=1;size={len(image.data)}:{data}\x07\n"
    return None


def harmless(text: str) -> str:
    """Text of hostile code without what tells a terminal to do something."""
    return "".join(c if c.isprintable() or c in "\n\t" else "\N{REPLACEMENT CHARACTER}" for c in text)


def _notebook() -> Any:
    """The shell of the notebook that this runs in, if it does."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return shell if hasattr(shell, "kernel") else None
