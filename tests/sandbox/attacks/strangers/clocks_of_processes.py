"""Reads how much processor time the bait has had, by the clock that the kernel keeps of each process and thread.

Stopped by: pid namespace
Not at: reduced - that a process with a certain number exists can be learned, and by its clock how much it computes
"""

import contextlib
import json
import os
import time

pid = json.loads(os.environ["BAIT"])["pid"]
OF_A_THREAD = 4
if pid != os.getpid():
    for kind in (0, 1, 2):  # CPUCLOCK_PROF, CPUCLOCK_VIRT, CPUCLOCK_SCHED
        for clock in (~pid << 3 | kind, ~pid << 3 | OF_A_THREAD | kind):
            with contextlib.suppress(OSError):
                print("ESCAPED: the clock", clock, "of process", pid, "says", time.clock_gettime(clock))
print("tried")
