"""Looks in its own interpreter for what the trusted side might have left: sockets, descriptors, secrets, frames.

Stopped by: clean zygote, descriptors
"""

import gc
import os
import re
import socket
import sys

for fd in range(4, 1024):
    try:
        os.fstat(fd)
        print("ESCAPED: descriptor", fd)
    except OSError:
        pass
for thing in gc.get_objects():
    if isinstance(thing, socket.socket) and thing.fileno() not in (-1, 3):
        print("ESCAPED: a socket", thing)
text = repr(
    [
        dict(getattr(module, "__dict__", {}))
        for module in list(sys.modules.values())
        if "belljar" in str(module)
    ]
)
if re.search(r"sk-ant-[a-z0-9]|api[_-]?key['\"]?[:=]", text, re.IGNORECASE):
    print("ESCAPED: a key")
frame = sys._getframe()
while frame is not None:
    for name, value in list(frame.f_locals.items()):
        if "token" in name or "secret" in name:
            print("ESCAPED:", name, value)
    frame = frame.f_back
if [
    name
    for name in sys.modules
    if name.startswith(("belljar.keeper", "belljar.gateway", "pydantic", "anyio"))
]:
    print("ESCAPED: modules of the trusted side")
print("tried")
