"""Lives in processes so short that each has ended before somebody who has seen it can kill it: the next goes on.

Stopped by: clock, pid namespace
Succeeds by: surviving
Ends: timed_out
Timeout: 2
"""

import ctypes
import os
import signal
import subprocess
import time

PR_SET_CHILD_SUBREAPER = 36
# A shell forks many times faster than an interpreter does. It may call itself a thousand times, and then begins again.
CHAIN = """
trap '' INT TERM HUP
live() {
    echo >> "$INPUT_DIR/heartbeat"
    if [ "$1" -lt 900 ]; then
        live $(($1 + 1)) &
    elif [ "$ROUND" -lt 40 ]; then
        export ROUND=$((ROUND + 1))
        exec /bin/sh -c "$CHAIN"
    fi
}
live 0
"""

if os.fork() == 0:
    os.setsid()
    for number in (signal.SIGCHLD, signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    # Where nobody else clears the dead away, they would use up the room for the living.
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, ctypes.c_ulong(1), 0, 0, 0)
    environment = {"CHAIN": CHAIN, "ROUND": "0", "INPUT_DIR": os.environ["INPUT_DIR"]}
    for _ in range(3):
        subprocess.Popen(["/bin/sh", "-c", CHAIN], env=environment, start_new_session=True)
    time.sleep(30)
    os._exit(0)
time.sleep(30)
