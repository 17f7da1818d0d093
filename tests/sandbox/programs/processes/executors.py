"""Runs jobs in process and thread pools of concurrent.futures, and has one pool break.

Not at: reduced - the process pool's locks are semaphores in /dev/shm
"""

import concurrent.futures
import multiprocessing
import os
import threading
import time

context = multiprocessing.get_context("fork")


def cube(number):
    return number**3


with concurrent.futures.ProcessPoolExecutor(3, mp_context=context) as pool:
    assert list(pool.map(cube, range(20), chunksize=3)) == [n**3 for n in range(20)]
    futures = {pool.submit(cube, n): n for n in range(10)}
    for future in concurrent.futures.as_completed(futures, timeout=30):
        assert future.result() == futures[future] ** 3
    failing = pool.submit(divmod, 1, 0)
    assert isinstance(failing.exception(timeout=30), ZeroDivisionError)
    assert pool.submit(os.getpid).result() != os.getpid()

try:
    with concurrent.futures.ProcessPoolExecutor(1, mp_context=context) as pool:
        pool.submit(os._exit, 3).result(timeout=30)
except concurrent.futures.process.BrokenProcessPool:
    broken = True
assert broken

barrier = threading.Barrier(5)
with concurrent.futures.ThreadPoolExecutor(5, thread_name_prefix="job") as pool:
    waiting = [pool.submit(barrier.wait, 30) for _ in range(5)]
    concurrent.futures.wait(waiting, timeout=30)
    assert sorted(future.result() for future in waiting) == [0, 1, 2, 3, 4]
    assert pool.submit(lambda: threading.current_thread().name).result().startswith("job_")
    late = pool.submit(time.sleep, 0.3)
    try:
        late.result(timeout=0.01)
    except concurrent.futures.TimeoutError:
        print("done")
