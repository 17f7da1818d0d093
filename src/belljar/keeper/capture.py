"""What a program wrote, kept within a budget: its head and its tail, and a line in between that says so. Pure."""

from __future__ import annotations

import codecs


class Capture:
    """One stream (stdout or stderr) of one run. `limit_bytes` bounds what is kept, and so memory."""

    def __init__(self, limit_bytes: int) -> None:
        self._head_room = limit_bytes // 2
        self._tail_limit = limit_bytes - self._head_room
        self._tail = bytearray()
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._kept_in_head = 0
        self.total_bytes = 0

    def feed(self, data: bytes) -> str:
        """Take a piece in; returns the text of it that is shown at once, because it is of the head."""
        self.total_bytes += len(data)
        taken = data[: self._head_room]
        self._head_room -= len(taken)
        self._kept_in_head += len(taken)
        self._tail += data[len(taken) :]
        if len(self._tail) > 2 * self._tail_limit:
            del self._tail[: -self._tail_limit]
        return self._decoder.decode(taken)

    def finish(self) -> str:
        """The text that follows what `feed` returned: the rest, or a marker and the tail."""
        tail = bytes(self._tail[-self._tail_limit :])
        if not self.is_truncated:
            return self._decoder.decode(tail, final=True)
        # The cuts may fall inside characters: their halves belong to what is left out.
        half, _ = self._decoder.getstate()
        start = 0
        while start < min(3, len(tail)) and tail[start] & 0xC0 == 0x80:
            start += 1
        left_out = self.total_bytes - self._kept_in_head + len(half) - len(tail) + start
        return f"\n[... {left_out:,} bytes of output left out ...]\n{tail[start:].decode('utf-8', 'replace')}"

    @property
    def is_truncated(self) -> bool:
        """Whether something that the program wrote is not kept."""
        return self.total_bytes > self._kept_in_head + min(len(self._tail), self._tail_limit)
