"""Sets alarms and interval timers of each kind, and lets one cut a sleep and a computation short."""

import signal
import time

heard = []
for name in ("SIGALRM", "SIGVTALRM", "SIGPROF"):
    signal.signal(getattr(signal, name), lambda number, _: heard.append(signal.Signals(number).name))

signal.alarm(60)
assert 58 <= signal.alarm(0) <= 60


def until_heard(name, count=1):
    deadline = time.monotonic() + 30
    while heard.count(name) < count and time.monotonic() < deadline:
        sum(range(1000))  # two of the timers run with our own time only
    assert heard.count(name) >= count, heard


signal.setitimer(signal.ITIMER_REAL, 0.01, 0.01)
until_heard("SIGALRM", 5)
assert signal.getitimer(signal.ITIMER_REAL)[1] > 0
signal.setitimer(signal.ITIMER_REAL, 0)
signal.setitimer(signal.ITIMER_VIRTUAL, 0.01)
until_heard("SIGVTALRM")
signal.setitimer(signal.ITIMER_PROF, 0.01)
until_heard("SIGPROF")


class TooLong(Exception):
    """The time is up."""


def stop(*_):
    raise TooLong


signal.signal(signal.SIGALRM, stop)


def compute():
    while True:
        pass


for wait in (lambda: time.sleep(60), compute):
    signal.setitimer(signal.ITIMER_REAL, 0.05)
    try:
        wait()
    except TooLong:
        continue
    raise AssertionError("it was not cut short")
print("done")
