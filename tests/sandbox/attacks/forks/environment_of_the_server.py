"""Reads the environment that the server was started with: Python's copy, libc's, and the block on the stack.

Stopped by: clean zygote, fork state
"""

import contextlib
import ctypes
import os
import re

# What an environment says of whoever started a service, and what services are told in it.
TELLING = re.compile(
    rb"(?:BELLJAR_\w+|\w*(?:TOKEN|SECRET|API_?KEY|PASSWORD|CREDENTIALS?)|PYTEST\w*|SSH_\w+|SUDO_\w+|XDG_\w+|INVOCATION_ID"
    rb"|JOURNAL_STREAM|NOTIFY_SOCKET|KUBERNETES_\w+|HOSTNAME|OLDPWD|SHLVL|VIRTUAL_ENV|UV_\w+|PIP_\w+|\w+_PROXY)=.+",
    re.IGNORECASE | re.DOTALL,
)
found = {name + b"=" + value for name, value in os.environb.items()}
block = ctypes.POINTER(ctypes.c_char_p).in_dll(ctypes.CDLL(None), "environ")
index = 0
while block and block[index]:
    found.add(block[index])
    index += 1
with contextlib.suppress(OSError), open("/proc/self/environ", "rb") as file:
    found |= set(file.read().split(b"\0"))
# The strings of exec stand at the end of the stack: environment, arguments, and last the program's path (AT_EXECFN).
libc = ctypes.CDLL(None)
libc.getauxval.restype = ctypes.c_ulong
path = libc.getauxval(ctypes.c_ulong(31))
last = path + len(ctypes.string_at(path))
found |= set(ctypes.string_at(last - 8192, 8192).split(b"\0"))
# Where Pillow finds fonts: each session has it.
OWN = re.compile(rb"XDG_DATA_DIRS=[^:]+/share:/usr/local/share:/usr/share")
for text in sorted(found):
    if TELLING.fullmatch(text) and not OWN.fullmatch(text):
        print("ESCAPED:", text[:100])
print("tried")
