"""The guest's end of the control socket. All threads of the code may speak by it, and one of them reads at a time.

Whoever has something shown waits until the keeper has taken it in, and reads meanwhile what it says: an answer to what
another thread has asked of the caller's tools as well, or the next request, which is then there for the main thread.
"""

from __future__ import annotations

import os
import select
import threading
from collections import deque
from collections.abc import Callable
from typing import Any

from belljar.frames import MAX_RUN_BYTES, Decoder, Message, encode

_MAX_REQUEST_BYTES = MAX_RUN_BYTES + 1024 * 1024
"""With paths and names that the keeper adds."""
_READ_BYTES = 65536


class Channel:
    """Made in the zygote, and opened in the guest. A process that the code forks has no part in it."""

    def __init__(self, take_reply: Callable[[Message], None]) -> None:
        self.fd = -1
        self._take_reply = take_reply
        self._decoder = Decoder(_MAX_REQUEST_BYTES)
        self._requests: deque[Message] = deque()
        self._reading = threading.Lock()
        self._speaking = threading.RLock()
        self._is_sending = False
        self._speaker = 0
        """The thread that says something and waits until it was taken in, by its ident: one at a time."""
        self._later: list[tuple[str, dict[str, Any], bytes]] = []
        """What a signal's handler wanted to say in the middle of something else."""
        self._asked = self._answered = 0
        """The numbers of the last words that were, or are to be, taken in."""
        self._heard = 0
        """How many requests have come: with each of them, who waits for a word on the run before waits in vain."""

    def send(self, message: Message) -> None:
        """Say something that nobody waits for."""
        data = memoryview(encode(message))
        with self._speaking:
            self._is_sending = True
            while data:
                data = data[os.write(self.fd, data) :]
            self._is_sending = False

    def interject(self, message: Message) -> None:
        """Say something from a signal's handler: or nothing, where that came in the middle of another word."""
        if not self._is_sending and self._speaking.acquire(blocking=False):
            try:
                self.send(message)
            finally:
                self._speaking.release()

    def tell(self, kind: str, head: dict[str, Any], body: bytes = b"") -> None:
        """Say something, and wait until the keeper has taken it in: what is printed next comes after, and it takes
        another way, which could be faster."""
        own = threading.get_ident()
        if self._speaker == own:
            self._later.append((kind, head, body))
            return
        with self._speaking:
            self._tell_all(own, kind, head, body)

    def try_to_tell(self, kind: str, seconds: float) -> None:
        """The same, or nothing, where others speak for so long: one of them may wait for what the caller holds."""
        own = threading.get_ident()
        if self._speaker != own and self._speaking.acquire(timeout=seconds):
            try:
                self._tell_all(own, kind, {}, b"")
            finally:
                self._speaking.release()

    def _tell_all(self, own: int, *said: Any) -> None:
        self._speaker = own
        try:
            self._tell(*said)
            while self._later:
                self._tell(*self._later.pop(0))
        finally:
            self._speaker = 0

    def _tell(self, kind: str, head: dict[str, Any], body: bytes) -> None:
        self._asked += 1
        number, heard = self._asked, self._heard
        self.send(Message(kind, {**head, "number": number}, body))
        while self._answered < number and self._heard == heard:
            with self._reading:
                if self._answered < number and self._heard == heard:
                    self._read()

    def receive(self) -> Message:
        """The next request; ends the process where there is no keeper any more."""
        while not self._requests:
            with self._reading:
                if not self._requests:
                    self._read()
        return self._requests.popleft()

    def listen(self) -> None:
        """Take in what is there by now, if it is: another thread, or something that was shown, may have been faster."""
        if self._reading.acquire(blocking=False):
            try:
                if select.select([self.fd], [], [], 0)[0]:
                    self._read()
            finally:
                self._reading.release()

    def take_in(self, data: bytes) -> None:
        for message in self._decoder.feed(data):
            if message.kind == "reply":
                self._take_reply(message)
            elif message.kind == "shown":
                self._answered = max(self._answered, message.head["number"])
            else:
                self._heard += 1
                self._requests.append(message)

    def _read(self) -> None:
        data = os.read(self.fd, _READ_BYTES)
        if not data:
            os._exit(0)
        self.take_in(data)
