"""Waits for children by descriptors that stand for them, and signals them so.

Not at: reduced - the machine's own processes have numbers there too
"""

import os
import select
import signal

pid = os.fork()
if pid == 0:
    signal.pause()
    os._exit(0)
held = os.pidfd_open(pid)
poll = select.poll()
poll.register(held, select.POLLIN)
assert poll.poll(0) == []
signal.pidfd_send_signal(held, signal.SIGKILL)
assert poll.poll(30_000)
ended = os.waitid(os.P_PIDFD, held, os.WEXITED)
assert (ended.si_pid, ended.si_status) == (pid, signal.SIGKILL)
try:
    os.pidfd_open(2_000_000)
except ProcessLookupError:
    print("done")
