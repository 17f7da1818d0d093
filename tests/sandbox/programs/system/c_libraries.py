"""Calls functions of the C and mathematics libraries by ctypes, with callbacks, structures and errno."""

import ctypes
import ctypes.util
import errno
import math
import os

libc = ctypes.CDLL(None, use_errno=True)
libm = ctypes.CDLL(ctypes.util.find_library("m") or "libm.so.6")
libm.cos.restype, libm.cos.argtypes = ctypes.c_double, [ctypes.c_double]
assert libm.cos(1.0) == math.cos(1.0)
assert libc.getpid() == os.getpid()
assert libc.strlen(b"seven c") == 7
libc.getenv.restype = ctypes.c_char_p
assert libc.getenv(b"PATH") == os.environb[b"PATH"]

COMPARE = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_int), ctypes.POINTER(ctypes.c_int))
numbers = (ctypes.c_int * 5)(5, 3, 1, 4, 2)
compare = COMPARE(lambda a, b: a[0] - b[0])
libc.qsort(numbers, 5, ctypes.sizeof(ctypes.c_int), compare)
assert list(numbers) == [1, 2, 3, 4, 5]


class Pair(ctypes.Structure):
    _fields_ = [("quot", ctypes.c_int), ("rem", ctypes.c_int)]


libc.div.restype = Pair
pair = libc.div(17, 5)
assert (pair.quot, pair.rem) == (3, 2)
assert libc.open(b"/no/such/file", os.O_RDONLY) == -1
assert ctypes.get_errno() == errno.ENOENT
buffer = ctypes.create_string_buffer(64)
assert libc.snprintf(buffer, 64, b"%s-%d", b"x", 42) == 4
assert buffer.value == b"x-42"
libc.malloc.restype, libc.free.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
address = libc.malloc(1 << 20)
ctypes.memset(address, 65, 1 << 20)
assert ctypes.string_at(address, 3) == b"AAA"
libc.free(address)
print("done")
