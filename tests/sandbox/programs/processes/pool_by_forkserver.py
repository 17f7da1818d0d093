"""Puts its functions into a module of its own and has a fork server start the workers that import it.

Not at: reduced - the pool's locks are semaphores in /dev/shm
"""

import multiprocessing
import os
import textwrap
from pathlib import Path

# A worker of the fork server imports what it runs by name: what is typed into a session is nowhere to be imported from.
Path("forkserver_work.py").write_text(
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
import forkserver_work  # noqa: E402

context = multiprocessing.get_context("forkserver")
with context.Pool(2, initializer=forkserver_work.prepare, initargs=(100,)) as pool:
    results = pool.map(forkserver_work.count_words, ["one", "one two", "one two three"] * 4, chunksize=1)
assert [count for count, _ in results] == [101, 102, 103] * 4
assert os.getpid() not in {pid for _, pid in results}

queue, lock = context.Queue(), context.Lock()
process = context.Process(target=forkserver_work.answer, args=(queue, lock))
process.start()
words, parent = queue.get(timeout=60)
process.join(60)
assert words == "from a process"
assert (parent == os.getpid()) == ("forkserver" == "spawn")
assert process.exitcode == 0
print("done")
