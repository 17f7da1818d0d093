"""Spreads work over a multiprocessing.Pool of forked workers, and gets results, errors and time-outs back.

Not at: reduced - the pool's locks are semaphores in /dev/shm
"""

import multiprocessing
import os
import time

context = multiprocessing.get_context("fork")


def square(number):
    return number * number


def fail(number):
    raise ValueError(f"no {number} here")


def who(_):
    time.sleep(0.01)  # so that one worker does not take all
    return os.getpid()


with context.Pool(4) as pool:
    assert pool.map(square, range(100)) == [n * n for n in range(100)]
    assert sorted(pool.imap_unordered(square, range(50), chunksize=7)) == [n * n for n in range(50)]
    assert pool.starmap(pow, [(2, 10), (3, 3)]) == [1024, 27]
    assert pool.apply_async(square, (12,)).get(timeout=20) == 144
    assert len(set(pool.map(who, range(16), chunksize=1))) > 1
    try:
        pool.map(fail, [7])
    except ValueError as error:
        assert str(error) == "no 7 here"
    else:
        raise AssertionError("the worker's error was lost")
    slow = pool.apply_async(time.sleep, (30,))
    try:
        slow.get(timeout=0.05)
    except multiprocessing.TimeoutError:
        pool.terminate()
    else:
        raise AssertionError("no time-out")

with context.Pool(2, maxtasksperchild=1) as pool:
    assert len(set(pool.map(who, range(6), chunksize=1))) == 6
    pool.close()
    pool.join()
assert multiprocessing.active_children() == []
print("done")
