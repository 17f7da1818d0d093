"""Has an io_uring make a raw socket: the whole way, rings, request and answer.

Stopped by: seccomp
"""

# No filter sees what a ring is asked for; six in ten of the winning kernel exploits of Google's kCTF in 2022 used it.

import ctypes
import errno
import mmap
import struct

SETUP, ENTER = 425, 426
OP_SOCKET, GETEVENTS = 45, 1
AF_INET, SOCK_RAW, IPPROTO_ICMP = 2, 3, 1

libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long


def call(number, *arguments):
    """The call's result, or minus its errno."""
    passed = [ctypes.c_long(a) if isinstance(a, int) else a for a in arguments]
    result = libc.syscall(ctypes.c_long(number), *passed)
    return result if result >= 0 else -ctypes.get_errno()


def attempt(what, number, *arguments):
    """Says so where the kernel did it, or looked at the arguments: a shut door answers EPERM or ENOSYS."""
    result = call(number, *arguments)
    if result not in (-errno.EPERM, -errno.ENOSYS):
        print("ESCAPED:", what, result)
    return result


parameters = ctypes.create_string_buffer(120)
ring = attempt("an io_uring", SETUP, 4, parameters)
if ring >= 0:
    sq_entries, cq_entries = struct.unpack_from("=II", parameters, 0)
    tail, array = struct.unpack_from("=I", parameters, 44)[0], struct.unpack_from("=I", parameters, 64)[0]
    (entries,) = struct.unpack_from("=I", parameters, 100)
    rings = mmap.mmap(ring, max(array + sq_entries * 4, entries + cq_entries * 16), offset=0)
    requests = mmap.mmap(ring, sq_entries * 64, offset=0x10000000)
    struct.pack_into("=BBHiQQII", requests, 0, OP_SOCKET, 0, 0, AF_INET, SOCK_RAW, 0, IPPROTO_ICMP, 0)
    struct.pack_into("=I", rings, array, 0)
    struct.pack_into("=I", rings, tail, 1)
    call(ENTER, ring, 1, 1, GETEVENTS, 0, 0)
    print("ESCAPED: the ring's answer", struct.unpack_from("=i", rings, entries + 8)[0])
print("tried")
