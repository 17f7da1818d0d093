"""What a run shows, on its way to the keeper, which ends a guest that says more than it may: so it stops before."""

from __future__ import annotations

import os
import sys
import threading
from typing import Any, Protocol

MOST_TEXT = 256 * 1024
"""Characters of a value's text; beyond them its end is left out."""
_MOST = 4000
"""Displays of one run, and what replaces them. The keeper keeps few of them; a loop that shows progress has many."""
_MOST_SHOWN_BYTES = 16 * 1024 * 1024
"""Of one display: the keeper holds no larger message."""
_MOST_BYTES = 48 * 1024 * 1024
_MANY_BYTES, _MANY_TEXT_BYTES = 24 * 1024 * 1024, 6 * 1024 * 1024
"""Past these, what is replaced again and again is held back: the keeper would leave out its last step as well."""
_MOST_HELD = 64
_MOST_HELD_BYTES = 2 * 1024 * 1024

Shown = tuple[str, dict[str, bytes], dict[str, Any], str]


def _is_text(mime: str) -> bool:
    return not mime.startswith("image/") or mime.startswith("image/svg")


def clip(text: str) -> bytes:
    """A value's text as it travels."""
    if len(text) > MOST_TEXT:
        text = f"{text[:MOST_TEXT]}\n[... {len(text) - MOST_TEXT} characters left out ...]"
    return text.encode("utf-8", "backslashreplace")


class Speaker(Protocol):
    """What a guest offers for this."""

    pid: int

    def tell_keeper(self, kind: str, head: dict[str, Any], body: bytes = b"") -> None: ...

    def flush(self) -> None: ...


class Displays:
    """Those of one run after the other."""

    def __init__(self, speaker: Speaker) -> None:
        self._speaker = speaker
        self._lock = threading.RLock()
        self._count = 0
        self._bytes = self._text_bytes = 0
        self._left_out = 0
        self._held: dict[str, Shown] = {}
        """Past the most: the last that was to be shown in a place, by its display id."""
        self.into: list[Shown] | None = None
        """Where what is shown is gathered instead (%%capture)."""

    def send(
        self,
        kind: str,
        data: dict[str, bytes],
        metadata: dict[str, Any] | None = None,
        display_id: str = "",
    ) -> None:
        """Show a bundle, data by media type. A child that the code has forked prints it, where that is possible."""
        if os.getpid() != self._speaker.pid:
            if not any(mime.startswith("image/") for mime in data):
                print(data.get("text/plain", b"").decode("utf-8", "replace"))
            return
        shown = (kind, data, metadata or {}, display_id)
        size = sum(map(len, data.values()))
        if size > _MOST_SHOWN_BYTES:
            print(
                f"Left out: a display of {size:,} bytes; one may have {_MOST_SHOWN_BYTES:,}.", file=sys.stderr
            )
            return
        with self._lock:
            if self.into is not None:
                self.into.append(shown)
                return
            if display_id and self._is_much(size) and self._can_hold(display_id):
                self._held[display_id] = shown
            elif self._count < _MOST and self._bytes + size <= _MOST_BYTES:
                self._count += 1
                self._bytes += size
                self._text_bytes += sum(len(part) for mime, part in data.items() if _is_text(mime))
                self._say(*shown)
            else:
                self._left_out += 1

    def _is_much(self, more: int) -> bool:
        return (
            self._count >= _MOST
            or self._bytes + more > _MANY_BYTES
            or self._text_bytes + more > _MANY_TEXT_BYTES
        )

    def _can_hold(self, display_id: str) -> bool:
        return display_id in self._held or len(self._held) < _MOST_HELD

    def end(self) -> None:
        """The run is over: show what was held back, as far as it may be, and say what was not."""
        if not (self._count or self._left_out) or os.getpid() != self._speaker.pid:
            return
        held, left = list(self._held.values()), _MOST_HELD_BYTES
        for shown in held:
            left -= sum(map(len, shown[1].values()))
            if left >= 0:
                self._say(*shown)
            else:
                self._left_out += 1
        if self._left_out:
            print(f"Left out: {self._left_out} displays; one run may show {_MOST:,}.", file=sys.stderr)
        self._held.clear()
        self._count = self._bytes = self._text_bytes = self._left_out = 0

    def _say(self, kind: str, data: dict[str, bytes], metadata: dict[str, Any], display_id: str) -> None:
        head: dict[str, Any] = {"type": kind, "parts": [[mime, len(value)] for mime, value in data.items()]}
        if metadata:
            head["metadata"] = metadata
        if display_id:
            head["display_id"] = display_id
        self._speaker.flush()  # what was printed before comes before
        self._speaker.tell_keeper("display", head, b"".join(data.values()))
