"""Hides as a thread of the kernel: a shell that has its name and none of its own, and that hears no signal.

Stopped by: clock, pid namespace
Succeeds by: surviving
Ends: timed_out
Timeout: 2
"""

import os
import subprocess
import time

BEATS = """
trap '' INT TERM HUP QUIT
for count in $(seq 400); do printf . >> "$INPUT_DIR/heartbeat"; sleep 0.05; done
"""

subprocess.Popen(
    ["[kworker/0:1]", "-c", BEATS],
    executable="/bin/sh",
    env={"INPUT_DIR": os.environ["INPUT_DIR"], "PATH": os.defpath},
    start_new_session=True,
    stdin=subprocess.DEVNULL,
    stdout=subprocess.DEVNULL,
    stderr=subprocess.DEVNULL,
)
time.sleep(30)
