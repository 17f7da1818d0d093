"""Shares dictionaries, lists and objects of its own between processes through a multiprocessing manager.

Not at: reduced - the manager is a server on a Unix socket, and its locks are in /dev/shm
"""

import multiprocessing
from multiprocessing.managers import BaseManager

context = multiprocessing.get_context("fork")


def work(shared, numbers, lock, space, name):
    with lock:
        shared[name] = len(name)
        numbers.append(name)
        space.total += 1


with context.Manager() as manager:
    shared, numbers, lock = manager.dict(), manager.list(), manager.Lock()
    space = manager.Namespace(total=0)
    processes = [
        context.Process(target=work, args=(shared, numbers, lock, space, name))
        for name in ("a", "bb", "ccc", "dddd")
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(30)
    assert dict(shared) == {"a": 1, "bb": 2, "ccc": 3, "dddd": 4}
    assert sorted(numbers) == ["a", "bb", "ccc", "dddd"]
    assert space.total == 4
    queue = manager.Queue()
    queue.put(1)
    assert queue.get() == 1
    event = manager.Event()
    event.set()
    assert event.is_set()


class Counter:
    def __init__(self):
        self.count = 0

    def increase(self, by):
        self.count += by
        return self.count


class Counters(BaseManager):
    """A manager of counters."""


Counters.register("Counter", Counter)
with Counters(ctx=context) as manager:
    counter = manager.Counter()
    assert [counter.increase(2), counter.increase(3)] == [2, 5]
print("done")
