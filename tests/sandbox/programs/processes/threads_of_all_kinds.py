"""Starts many threads and coordinates them with everything that threading and queue have."""

import queue
import threading
import time

lock, total = threading.Lock(), 0


def add():
    global total
    for _ in range(1000):
        with lock:
            total += 1


threads = [threading.Thread(target=add, name=f"adder {n}") for n in range(40)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join(30)
assert total == 40_000

jobs, results = queue.PriorityQueue(), queue.Queue()


def work():
    while (job := jobs.get())[1] is not None:
        results.put(job[1] * 2)
        jobs.task_done()


workers = [threading.Thread(target=work, daemon=True) for _ in range(4)]
for number in range(100):
    jobs.put((number, number))
for worker in workers:
    worker.start()
jobs.join()
for _ in workers:
    jobs.put((1000, None))
for worker in workers:
    worker.join(30)
assert sorted(results.get() for _ in range(100)) == [2 * n for n in range(100)]

own = threading.local()
own.value = "main"
seen = []


def look():
    seen.append(getattr(own, "value", "nothing"))


thread = threading.Thread(target=look)
thread.start()
thread.join()
assert seen == ["nothing"]
assert own.value == "main"

condition, items = threading.Condition(), []
barrier, event, semaphore = threading.Barrier(2), threading.Event(), threading.BoundedSemaphore(1)


def produce():
    barrier.wait(30)
    with semaphore, condition:
        items.append("item")
        condition.notify()
    event.set()


threading.Thread(target=produce).start()
with condition:
    barrier.wait(30)
    assert condition.wait_for(lambda: items, timeout=30)
assert event.wait(30)

fired = threading.Event()
threading.Timer(0.02, fired.set).start()
cancelled = threading.Timer(60, fired.clear)
cancelled.start()
cancelled.cancel()
assert fired.wait(30)

failures = []
threading.excepthook = lambda arguments: failures.append(arguments.exc_type)
thread = threading.Thread(target=lambda: 1 / 0)
thread.start()
thread.join()
assert failures == [ZeroDivisionError]

before = threading.stack_size(4 * 1024 * 1024)
idents = set()
thread = threading.Thread(target=lambda: idents.add(threading.get_native_id()))
thread.start()
thread.join()
threading.stack_size(before)
assert threading.get_native_id() not in idents
deadline = time.monotonic() + 30
while threading.active_count() > 1 and time.monotonic() < deadline:
    time.sleep(0.001)
assert threading.enumerate() == [threading.main_thread()]
print("done")
