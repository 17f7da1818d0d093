"""Reads all clocks, sleeps, and measures."""

import os
import sched
import time
import timeit
from datetime import datetime

for name in ("time", "monotonic", "perf_counter", "process_time", "thread_time"):
    clock = getattr(time, name)
    assert clock() <= clock()
    assert time.get_clock_info(name).resolution < 0.02
for name in ("REALTIME", "MONOTONIC", "BOOTTIME", "PROCESS_CPUTIME_ID", "THREAD_CPUTIME_ID", "MONOTONIC_RAW"):
    assert time.clock_gettime(getattr(time, f"CLOCK_{name}")) >= 0
    assert time.clock_getres(getattr(time, f"CLOCK_{name}")) < 0.02
started = time.monotonic()
time.sleep(0.05)
assert time.monotonic() - started >= 0.05
assert 2024 <= datetime.now().year < 2100
before = time.process_time()
deadline = time.monotonic() + 30
while time.process_time() - before < 0.02 and time.monotonic() < deadline:
    sum(range(1000))
assert os.times().user > 0
order = []
scheduler = sched.scheduler()
for delay, name in ((0.02, "second"), (0.01, "first")):
    scheduler.enter(delay, 1, order.append, (name,))
scheduler.run()
assert order == ["first", "second"]
assert timeit.timeit("sum(range(10))", number=1000) > 0
try:
    time.clock_settime(time.CLOCK_REALTIME, time.time())
except PermissionError:
    print("the clock is not ours to set")
print("done")
