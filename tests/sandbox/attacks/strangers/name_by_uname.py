"""Asks the kernel for the machine's name, and for the domain that it is in.

Stopped by: uts namespace
Not at: reduced - the machine's name can be learned
"""

import ctypes
import os
import platform
import socket

domain = ctypes.create_string_buffer(65)
ctypes.CDLL(None).getdomainname(domain, ctypes.c_size_t(len(domain)))
names = {os.uname().nodename, socket.gethostname(), platform.node(), domain.value.decode()}
names -= {"belljar", "localhost", "(none)", ""}
if names:
    print("ESCAPED: the machine's name", names)
print("tried")
