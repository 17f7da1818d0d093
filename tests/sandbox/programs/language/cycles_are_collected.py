"""Makes and forgets objects that refer to themselves, without a thought for the garbage collector.

Limits: memory_bytes=256 MiB
"""

import weakref


class Node:
    def __init__(self):
        self.me = self
        self.load = bytearray(100_000)


first = weakref.ref(Node())
for _ in range(5000):  # twice its memory in all, were they kept
    Node()
assert first() is None
print("done")
