"""Names that are nearly others, and lists of them in a few words."""

from __future__ import annotations

import difflib
import unicodedata
from collections.abc import Iterable
from typing import Any

from belljar.guest import values

MAX_NAMES = 2000
"""That are looked through."""
NO_NETWORK = "There is no network here, and nothing can be installed."
_MAX_LISTED = 20
_MAX_LISTED_TEXT = 600
_MAX_NAME = 80
_MAX_COMPARED = 100
"""Characters of a name."""
_CLOSE = 0.7


def close(wanted: str, names: Iterable[str], most: int = 3) -> list[str]:
    """Names that are nearly `wanted`, the nearest first, and before them those that differ in case or spaces only."""
    # Long names that are alike take long to compare.
    known = [name for name in dict.fromkeys(names) if len(name) <= _MAX_COMPARED][:MAX_NAMES]
    same = [name for name in known if plain(name) == plain(wanted) and name != wanted]
    by_plain: dict[str, str] = {}
    for name in known:
        by_plain.setdefault(plain(name), name)
    near = difflib.get_close_matches(plain(wanted), by_plain, n=most, cutoff=_CLOSE)
    found = dict.fromkeys([*same, *(by_plain[name] for name in near)])
    found.pop(wanted, None)
    return list(found)[:most]


def listed(names: Iterable[Any], most: int = _MAX_LISTED) -> str:
    """Some names, quoted, and how many more there are."""
    known = list(names)
    shown: list[str] = []
    left = _MAX_LISTED_TEXT
    for name in known[:most]:
        text = quoted(name)
        left -= len(text) + 2
        if left < 0 and shown:
            break
        shown.append(text)
    more = len(known) - len(shown)
    return ", ".join(shown) + (f" and {more:,} more" if more else "")


def quoted(name: Any) -> str:
    """A name such that spaces and odd characters in it are seen."""
    text = repr(name) if type(name) is str else values.part(name)
    return text if len(text) <= _MAX_NAME else f"{text[: _MAX_NAME - 1]}…"


def plain(name: str) -> str:
    """A name without what is easily mistaken: case, spaces, forms of letters."""
    return " ".join(unicodedata.normalize("NFKC", name).casefold().split())
