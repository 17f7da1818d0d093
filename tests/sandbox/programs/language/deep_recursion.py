"""Recurses deep, in a thread with a large stack."""

import sys
import threading

sys.setrecursionlimit(60_000)
results = []


class Key:
    """Compared through C, so that the stack is really used."""

    def __init__(self, depth):
        self.depth = depth

    def __eq__(self, other):
        return self.depth == 0 or [Key(self.depth - 1)] == [Key(self.depth - 1)]

    __hash__ = None


threading.stack_size(256 * 1024 * 1024)
thread = threading.Thread(target=lambda: results.append(Key(5000) == Key(5000)))
thread.start()
thread.join(60)
assert results == [True]


def depth(n):
    return 0 if n == 0 else 1 + depth(n - 1)


thread = threading.Thread(target=lambda: results.append(depth(50_000)))
thread.start()
thread.join(60)
assert results == [True, 50_000]
nested = []
for _ in range(100_000):
    nested = [nested]
del nested  # taken apart without a recursion of its own
print("done")
