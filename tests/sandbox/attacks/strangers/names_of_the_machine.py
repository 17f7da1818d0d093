"""Learns which machine this is by its name, from each call that tells it.

Stopped by: uts namespace, private root
Not at: reduced - the machine's name can be learned
"""

import contextlib
import os
import platform
import socket

names = {os.uname().nodename, socket.gethostname(), platform.node(), socket.getfqdn()}
with contextlib.suppress(OSError), open("/etc/hostname") as file:
    names.add(file.read().strip())
names -= {"belljar", "localhost", ""}
if names:
    print("ESCAPED: the machine's name", names)
print("tried")
