"""What the standard library asks of the system: processes, users, signals, clocks, limits, scheduling, libraries in C."""

import contextlib
import ctypes
import ctypes.util
import faulthandler
import getpass
import grp
import locale
import os
import platform
import pwd
import resource
import secrets
import select
import signal
import sysconfig
import threading
import time
import uuid
import zoneinfo
from datetime import datetime

assert os.getppid() >= 0
assert len(os.getresuid()) == len(os.getresgid()) == 3
assert isinstance(os.getgroups(), list)
assert os.getpgrp() == os.getpgid(0)
assert os.getsid(0) >= 0
assert os.cpu_count()
assert os.sched_getaffinity(0)
with contextlib.suppress(PermissionError):
    os.sched_setaffinity(0, os.sched_getaffinity(0))
assert os.sched_getscheduler(0) == os.SCHED_OTHER
assert os.sched_getparam(0).sched_priority == 0
assert os.sched_get_priority_max(os.SCHED_FIFO) > os.sched_get_priority_min(os.SCHED_FIFO)
assert os.sched_rr_get_interval(0) >= 0
os.sched_yield()
os.nice(1)
assert os.getpriority(os.PRIO_PROCESS, 0) >= 1
os.setpriority(os.PRIO_PROCESS, 0, 5)
assert os.times().elapsed > 0
assert os.uname().sysname == "Linux"
assert os.sysconf("SC_PHYS_PAGES") > 0
assert len(os.getrandom(8)) == 8
os.umask(os.umask(0o22))
with contextlib.suppress(OSError):
    os.getlogin()
with contextlib.suppress(OSError):
    os.ctermid(), os.ttyname(0)
with contextlib.suppress(OSError):
    os.get_terminal_size()
assert not os.isatty(os.open("/dev/null", os.O_RDONLY))
event = os.eventfd(0)
os.eventfd_write(event, 3)
assert os.eventfd_read(event) == 3
with contextlib.suppress(OSError):
    os.ftruncate(os.memfd_create("memory"), 4096)
poll = select.poll()
poll.register(event, select.POLLOUT)
assert poll.poll(1000)
with select.epoll() as epoll:
    epoll.register(event, select.EPOLLOUT)
    assert epoll.poll(1)
heard = []
signal.signal(signal.SIGALRM, lambda number, _: heard.append(number))
signal.setitimer(signal.ITIMER_REAL, 0.01)
signal.pause()
signal.alarm(1)
signal.alarm(0)
assert signal.getitimer(signal.ITIMER_REAL)[0] == 0
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1, signal.SIGUSR2])
os.kill(os.getpid(), signal.SIGUSR1)
assert signal.SIGUSR1 in signal.sigpending()
assert signal.sigwait([signal.SIGUSR1]) == signal.SIGUSR1
assert signal.sigtimedwait([signal.SIGUSR2], 0.01) is None
signal.raise_signal(signal.SIGUSR2)
assert signal.sigwaitinfo([signal.SIGUSR2]).si_signo == signal.SIGUSR2
signal.pthread_kill(threading.get_ident(), signal.SIGALRM)
assert signal.SIGALRM in heard
signal.siginterrupt(signal.SIGALRM, False)
faulthandler.enable()
faulthandler.disable()
for clock in (
    time.CLOCK_REALTIME,
    time.CLOCK_MONOTONIC,
    time.CLOCK_PROCESS_CPUTIME_ID,
    time.CLOCK_THREAD_CPUTIME_ID,
):
    assert time.clock_gettime(clock) > 0
    assert time.clock_getres(clock) > 0
assert time.clock_gettime(time.pthread_getcpuclockid(threading.get_ident())) > 0
time.sleep(0.001)
assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss > 0
soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
assert len(resource.prlimit(0, resource.RLIMIT_CORE)) == 2
for asked in (
    lambda: pwd.getpwuid(os.getuid()),
    lambda: grp.getgrgid(os.getgid()),
    getpass.getuser,
    pwd.getpwall,
):
    with contextlib.suppress(KeyError, OSError):
        asked()
assert platform.platform()
assert platform.libc_ver()[0] == "glibc"
assert locale.setlocale(locale.LC_ALL, "C.UTF-8")
assert sysconfig.get_config_var("SOABI")
assert datetime(2025, 7, 1, tzinfo=zoneinfo.ZoneInfo("Europe/Berlin")).utcoffset().seconds == 7200
assert len(zoneinfo.available_timezones()) > 300
assert uuid.uuid4() != uuid.uuid1()
assert len(secrets.token_bytes(32)) == 32
libc = ctypes.CDLL(None, use_errno=True)
assert libc.getpid() == os.getpid()
assert ctypes.util.find_library("m")
assert ctypes.CDLL(ctypes.util.find_library("m")).abs(-3) == 3
numbers = (ctypes.c_int * 5)(5, 3, 1, 4, 2)
compare = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_int), ctypes.POINTER(ctypes.c_int))
libc.qsort(numbers, 5, ctypes.sizeof(ctypes.c_int), compare(lambda a, b: a[0] - b[0]))
assert list(numbers) == [1, 2, 3, 4, 5]
stack_size = threading.stack_size(1 << 20)
threads = [threading.Thread(target=time.sleep, args=(0.001,)) for _ in range(20)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
threading.stack_size(stack_size)
child = os.fork()
if child == 0:
    os.setsid()
    os.abort()
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGABRT
print("ok")
