"""Crashes a child so that the kernel writes down all its memory, or starts a program on the machine to do so.

Stopped by: rlimits
Weak box: root
"""

# What the kernel starts for a core runs as the machine's root, outside: systemd's and Ubuntu's were both holed in 2025.

import os
import resource
import signal
import subprocess
import sys

for name in ("RLIMIT_CORE", "RLIMIT_FSIZE"):
    limit = getattr(resource, name)
    try:
        resource.setrlimit(limit, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        print("ESCAPED: more of", name)
    except (OSError, ValueError):
        pass
for dying in (signal.SIGSEGV, signal.SIGQUIT, signal.SIGABRT, signal.SIGSYS):
    code = f"import os; os.kill(os.getpid(), {int(dying)})"
    child = subprocess.Popen([sys.executable, "-I", "-S", "-c", code])
    _, status = os.waitpid(child.pid, 0)
    child.returncode = 0
    if os.WCOREDUMP(status):
        print("ESCAPED: a core by", dying.name)
print("tried")
