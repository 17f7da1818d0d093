"""Pools, queues, locks, shared memory and managers of multiprocessing and concurrent.futures."""

import math
import multiprocessing as mp
import os
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor, as_completed
from multiprocessing import shared_memory
from pathlib import Path


def add(counter, lock, queue, number):
    for _ in range(50):
        with lock:
            counter.value += 1
    queue.put(number * number)


forking = mp.get_context("fork")
with forking.Pool(2) as pool:
    assert pool.map(math.factorial, range(8))[-1] == 5040
    assert sorted(pool.imap_unordered(abs, range(-9, 0), chunksize=2)) == list(range(1, 10))
with ProcessPoolExecutor(2, mp_context=forking) as executor:
    assert (
        sum(future.result() for future in as_completed([executor.submit(pow, 2, n) for n in range(8)])) == 255
    )
with ThreadPoolExecutor(8) as threads:
    assert sum(threads.map(math.isqrt, range(100))) == 615
counter, lock, queue = forking.Value("i", 0), forking.Lock(), forking.Queue()
workers = [forking.Process(target=add, args=(counter, lock, queue, n)) for n in range(4)]
for worker in workers:
    worker.start()
assert sorted(queue.get(timeout=30) for _ in workers) == [0, 1, 4, 9]
for worker in workers:
    worker.join()
assert counter.value == 200
one, two = forking.Pipe()
one.send({"a": b"x" * 100_000})
assert len(two.recv()["a"]) == 100_000
block = shared_memory.SharedMemory(create=True, size=1 << 16)
block.buf[:5] = b"hello"
again = shared_memory.SharedMemory(block.name)
assert bytes(again.buf[:5]) == b"hello"
again.close()
block.close()
block.unlink()
with forking.Manager() as manager:
    shared = manager.dict(a=1)
    process = forking.Process(target=shared.update, args=({"b": 2},))
    process.start()
    process.join()
    assert dict(shared) == {"a": 1, "b": 2}
event, barrier = forking.Event(), forking.Barrier(2)
process = forking.Process(target=lambda: (barrier.wait(20), event.set()))
process.start()
barrier.wait(20)
assert event.wait(20)
process.join()
# The other ways to start a child: a module of its own, for they import it anew.
Path("squares.py").write_text(
    "import multiprocessing as mp, sys\n"
    "def square(n): return n * n\n"
    "if __name__ == '__main__':\n"
    "    with mp.get_context(sys.argv[1]).Pool(2) as pool:\n"
    "        print(sum(pool.map(square, range(10))))\n"
)
for method in ("spawn", "forkserver"):
    with os.popen(f"{os.path.join(os.sys.prefix, 'bin', 'python')} squares.py {method}") as stream:
        assert stream.read() == "285\n", method
print("ok")
