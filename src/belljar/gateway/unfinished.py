"""A JSON object on its way in: how much of it can be passed on to somebody who reads it as it comes.

Pure. What models write is not always JSON, and clients' SDKs parse each piece: they fail where it cannot become JSON
any more. So only that is passed on which closing what is open makes a whole object, at any time.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Literal

_MOST_DEEP = 100
"""Objects and lists inside one another: SDKs refuse some more."""
_MOST_HELD = 10_000
"""Characters of a key or a number, which is looked at again with each piece."""
_HEX = "[0-9a-fA-F]"
_HIGH, _LOW = f"u[dD][89abAB]{_HEX}{{2}}", f"u[dD][c-fC-F]{_HEX}{{2}}"
_OTHER = f"u(?:[0-9a-cA-CefEF]{_HEX}|[dD][0-7]){_HEX}{{2}}"
_CHARACTERS = rf'(?:[^"\\\x00-\x1f]+|\\(?:["\\/bfnrt]|{_OTHER}|{_HIGH}\\{_LOW}))*'
"""Of a string. Half a surrogate pair is none: not every parser takes it."""
_WITHIN = re.compile(_CHARACTERS)
_ESCAPE_BEGUN = re.compile(
    rf"\\(?:u(?:{_HEX}{{0,3}}|[dD][89abAB]{_HEX}{{2}}(?:\\(?:u(?:[dD](?:[c-fC-F]{_HEX}?)?)?)?)?))?"
)
_SPACE = re.compile(r"[ \t\n\r]*")
_WORD = re.compile(r"[-+.0-9A-Za-z]+")
_SCALAR = re.compile(r"true|false|null|-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")


@dataclass
class UnfinishedObject:
    """The text of one object, in pieces."""

    is_broken: bool = False
    """It is none: nothing more of it is passed on."""
    has_begun: bool = False
    """Something was passed on."""
    _held: str = ""
    """What may be passed on once more has come: the beginning of a key, a number or an escape."""
    _read: int = 0
    """Of what is held, the characters that are understood."""
    _open: list[Literal["{", "["]] = field(default_factory=list)
    _is_in_string: bool = False
    _next: Literal["start", "key", "first key", "colon", "value", "first value", "comma", "end"] = "start"

    def add(self, piece: str) -> str:
        """What can be passed on, now that this has come."""
        if self.is_broken:
            return ""
        text = self._held + piece
        at, passed = self._read, 0
        while (end := self._token(text, at)) is not None and end > at:
            at = end
            # Behind a key, a colon or a comma an object cannot end.
            if self._is_in_string or self._next in {"first key", "first value", "comma", "end"}:
                passed = at
        self.is_broken = end is None
        self._held, self._read = text[passed:], at - passed
        self.is_broken |= len(self._held) > _MOST_HELD
        self.has_begun |= passed > 0
        return text[:passed]

    def rest(self) -> str:
        """What makes an object of what was passed on. Nothing more can come after it."""
        if not self.has_begun:
            return "{}"
        closing = "".join("}" if one == "{" else "]" for one in reversed(self._open))
        return ('"' if self._is_in_string else "") + closing

    def _token(self, text: str, at: int) -> int | None:
        """The end of what stands at `at`: `at` itself where more has to come, None where it can be nothing."""
        if self._is_in_string:
            return self._string(text, at)
        begin = _space_end(text, at)
        if begin == len(text):
            return begin if self._next == "end" else at
        match self._next, text[begin]:
            case "start", "{":
                return self._opened("{", begin)
            case (("key" | "first key"), '"'):
                end = _string_end(text, begin + 1)
                if end is not None and text[end : end + 1] == '"':
                    self._next = "colon"
                    return end + 1
                return None if end is None else at
            case "colon", ":":
                self._next = "value"
                return begin + 1
            case (("value" | "first value"), '"'):
                self._is_in_string = True
                return begin + 1
            case (("value" | "first value"), ("{" | "[") as bracket):
                return self._opened("{" if bracket == "{" else "[", begin)
            case ("first key", "}") | ("first value", "]"):
                return self._closed(begin)
            case (("value" | "first value"), _):
                word = _WORD.match(text, begin)
                if word is not None and word.end() == len(text):
                    return at
                if word is None or not _SCALAR.fullmatch(word.group()):
                    return None
                self._next = "comma"
                return word.end()
            case "comma", ",":
                self._next = "key" if self._open[-1] == "{" else "value"
                return begin + 1
            case "comma", ("}" | "]") as bracket if bracket == ("}" if self._open[-1] == "{" else "]"):
                return self._closed(begin)
        return None

    def _string(self, text: str, at: int) -> int | None:
        found = _WITHIN.match(text, at)
        assert found is not None  # it may be empty
        if found.end() > at:
            return found.end()  # whatever stands behind it
        end = _string_end(text, at)
        if end is not None and text[end : end + 1] == '"':
            self._is_in_string, self._next = False, "comma"
            return end + 1
        return end

    def _opened(self, bracket: Literal["{", "["], begin: int) -> int | None:
        if len(self._open) == _MOST_DEEP:
            return None
        self._open.append(bracket)
        self._next = "first key" if bracket == "{" else "first value"
        return begin + 1

    def _closed(self, begin: int) -> int:
        self._open.pop()
        self._next = "comma" if self._open else "end"
        return begin + 1


def _space_end(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    assert found is not None  # it may be empty
    return found.end()


def _string_end(text: str, at: int) -> int | None:
    """How far what is at `at` goes on as a string does; None where there is what no string has."""
    found = _WITHIN.match(text, at)
    assert found is not None  # as above
    end = found.end()
    is_whole = end == len(text) or text[end] == '"'
    return end if is_whole or _ESCAPE_BEGUN.fullmatch(text, end) else None
