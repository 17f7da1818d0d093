"""Makes sockets and opens files by io_uring, whose requests no filter sees.

Stopped by: seccomp
"""

import ctypes

libc = ctypes.CDLL(None, use_errno=True)
parameters = ctypes.create_string_buffer(120)
for entries in (1, 8, 4096):
    if libc.syscall(ctypes.c_long(425), ctypes.c_long(entries), parameters) >= 0:
        print("ESCAPED: an io_uring")
context = ctypes.c_ulong()
for number in (206, 0):  # io_setup, the older kind
    if number and libc.syscall(ctypes.c_long(number), ctypes.c_long(8), ctypes.byref(context)) == 0:
        print("ESCAPED: asynchronous I/O")
print("tried")
