"""Puts its functions into a module of its own and starts workers as new interpreters that import it.

Not at: reduced - the pool's locks are semaphores in /dev/shm
"""

import multiprocessing
import os
import textwrap
from pathlib import Path

# A spawned worker imports what it runs by name.
Path("spawn_work.py").write_text(
    textwrap.dedent(
        """
        import os

        state = []

        def prepare(value):
            state.append(value)

        def count_words(text):
            return len(text.split()) + state[0], os.getpid()

        def answer(queue, lock):
            with lock:
                queue.put(("from a process", os.getppid()))
        """
    )
)
import spawn_work  # noqa: E402

context = multiprocessing.get_context("spawn")
with context.Pool(2, initializer=spawn_work.prepare, initargs=(100,)) as pool:
    results = pool.map(spawn_work.count_words, ["one", "one two", "one two three"] * 4, chunksize=1)
assert [count for count, _ in results] == [101, 102, 103] * 4
assert os.getpid() not in {pid for _, pid in results}

queue, lock = context.Queue(), context.Lock()
process = context.Process(target=spawn_work.answer, args=(queue, lock))
process.start()
words, parent = queue.get(timeout=60)
process.join(60)
assert words == "from a process"
assert (parent == os.getpid()) == ("spawn" == "spawn")
assert process.exitcode == 0
print("done")
