"""Uses all that multiprocessing has to coordinate processes: queues, pipes, locks, shared values, barriers.

Not at: reduced - semaphores are files in /dev/shm
"""

import ctypes
import multiprocessing
import queue

context = multiprocessing.get_context("fork")
WORKERS = 4


def add(value, array, lock, barrier, results, number):
    barrier.wait(timeout=30)
    for _ in range(500):
        with value.get_lock():
            value.value += 1
    with lock:
        array[number] = number * 1.5
    results.put((number, multiprocessing.current_process().name))


value, array = context.Value("i", 0), context.Array("d", WORKERS)
lock, barrier, results = context.Lock(), context.Barrier(WORKERS), context.Queue()
processes = [
    context.Process(target=add, args=(value, array, lock, barrier, results, number), name=f"worker {number}")
    for number in range(WORKERS)
]
for process in processes:
    process.start()
found = sorted(results.get(timeout=30) for _ in processes)
for process in processes:
    process.join(30)
    assert process.exitcode == 0
assert found == [(number, f"worker {number}") for number in range(WORKERS)]
assert value.value == 500 * WORKERS
assert list(array) == [0.0, 1.5, 3.0, 4.5]


def echo(connection):
    while (message := connection.recv()) is not None:
        connection.send({"back": message})
    connection.send_bytes(b"x" * 1_000_000)
    connection.close()


ours, theirs = context.Pipe()
process = context.Process(target=echo, args=(theirs,), daemon=True)
process.start()
theirs.close()
ours.send([1, "two", 3.0])
assert ours.recv() == {"back": [1, "two", 3.0]}
ours.send(None)
assert len(ours.recv_bytes()) == 1_000_000
process.join(30)

semaphore, event, condition = context.BoundedSemaphore(2), context.Event(), context.Condition()
assert semaphore.acquire(timeout=1)
assert semaphore.acquire(timeout=1)
assert not semaphore.acquire(block=False)
semaphore.release()
assert semaphore.get_value() == 1
ready = context.Value(ctypes.c_bool, False)


def tell():
    assert event.wait(30)
    with condition:
        ready.value = True
        condition.notify_all()


process = context.Process(target=tell)
process.start()
with condition:
    event.set()
    assert condition.wait_for(lambda: ready.value, timeout=30)
process.join(30)
assert process.exitcode == 0

jobs = context.JoinableQueue()


def work_off():
    while True:
        jobs.get()
        jobs.task_done()


worker = context.Process(target=work_off, daemon=True)
worker.start()
for number in range(20):
    jobs.put(number)
jobs.join()
worker.terminate()
worker.join(30)
assert worker.exitcode == -15
simple = context.SimpleQueue()
simple.put("x")
assert simple.get() == "x"
try:
    context.Queue().get(timeout=0.01)
except queue.Empty:
    print("done")
