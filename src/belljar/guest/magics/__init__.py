"""Magics: what `%name` and `%%name` do. One file for each kind, with tables of its magics by name.

A magic is a function of the shell and of what stands behind its name, and for a cell, of the cell. It does what it does
in a notebook, or raises a UsageError that says what to do instead.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from belljar.guest.shell import Shell

Line = Callable[["Shell", str], Any]
Cell = Callable[["Shell", str, str], Any]


class UsageError(Exception):
    """A magic cannot do what was asked."""

    __module__ = "builtins"  # a traceback has its name alone


def options_of(line: str, flags: str, valued: str) -> tuple[dict[str, str], str]:
    """The one-letter options at the beginning of `line`, and the rest as it is written. Raises UsageError."""
    found: dict[str, str] = {}
    rest = line.strip()
    while match := re.match(r"-(\w)(\S*)\s*(.*)", rest, re.DOTALL):
        letter, glued, behind = match.groups()
        if letter in valued:
            if glued:
                value, rest = glued, behind
            else:
                value, _, rest = behind.partition(" ")
            found[letter] = value
        elif letter in flags:
            found[letter], rest = "", f"-{glued} {behind}" if glued else behind
        else:
            raise UsageError(
                f"no option -{letter}; there are {', '.join('-' + one for one in flags + valued)}"
            )
        rest = rest.strip()
    return found, rest


def number(options: dict[str, str], letter: str, default: int) -> int:
    value = options.get(letter, str(default))
    if not value.isdigit() or (letter == "r" and value == "0"):
        raise UsageError(f"-{letter} needs a number, not {value!r}")
    return int(value)
