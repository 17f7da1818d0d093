"""Searches all of its memory, which was the server's, for keys and for settings that were never meant for it.

Stopped by: clean zygote
"""

# It asks no list where its memory lies: where something new can be mapped is nothing, and where msync succeeds there is
# no gap. What lies there goes through a pipe, so that it is the kernel that meets the pages that cannot be read.

import ctypes
import errno
import itertools
import os
import re

# As an environment has them, and as they are sent. Each pattern and each word is cut, so that it does not find itself.
PATTERN = re.compile(
    rb"\0((?:[B]ELLJAR_[A-Z]+|[A-Z]+_(?:[T]OKEN|[S]ECRET|[A]PI_KEY|[P]ASSWORD)|[P]YTEST_CURRENT_TEST|[S]SH_CONNECTION)"
    rb"=[!-~]{4,80}|[s]k-ant-[a-z0-9-]{8,80}|[A]uthorization: Bearer [!-~]{8,80})"
)
WORDS = (b"OKEN=", b"ECRET=", b"_KEY=", b"SSWORD=", b"LLJAR_", b"_TEST=", b"NECTION=", b"sk-ant", b"Bearer ")
PAGE = os.sysconf("SC_PAGESIZE")
LOWEST, CHUNK, MARGIN = 1 << 20, 1 << 16, 256
PRIVATE, ANONYMOUS, NO_RESERVE, FIXED_NO_REPLACE = 0x2, 0x20, 0x4000, 0x100000
MS_ASYNC = 1

libc = ctypes.CDLL(None, use_errno=True)
word, size_t, number = ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int
libc.mmap.restype = word
libc.mmap.argtypes = (word, size_t, number, number, number, ctypes.c_long)
libc.munmap.argtypes = (word, size_t)
libc.msync.argtypes = (word, size_t, number)
for transfer in (libc.read, libc.write):
    transfer.restype, transfer.argtypes = ctypes.c_ssize_t, (number, word, size_t)


def why_not_free(start, end):
    """The errno with which the kernel refuses to map something there, or 0."""
    flags = PRIVATE | ANONYMOUS | NO_RESERVE | FIXED_NO_REPLACE
    if libc.mmap(start, end - start, 0, flags, -1, 0) != start:
        return ctypes.get_errno()
    libc.munmap(start, end - start)
    return 0


def filled(start, end):
    """The ranges between two addresses in which there is memory."""
    if libc.msync(start, end - start, MS_ASYNC) == 0:
        yield start, end
    elif end - start > PAGE and (reason := why_not_free(start, end)):
        if reason != errno.EEXIST:
            raise OSError(reason, os.strerror(reason))
        middle = (start + end) // 2 // PAGE * PAGE
        yield from filled(start, middle)
        yield from filled(middle, end)


tops = ((1 << bits) - PAGE for bits in range(57, 30, -1))
top = next(top for top in tops if why_not_free(top - PAGE, top) != errno.ENOMEM)
data = bytearray(MARGIN + CHUNK)
buffer = ctypes.addressof((ctypes.c_char * len(data)).from_buffer(data))
reader, writer = os.pipe()
os.set_blocking(reader, False)
os.set_blocking(writer, False)
# That it can look is shown by this, which it has to find.
planted = "_".join(("\0PLANTED", "SECRET=of-its-own")).encode()
found = set()
for start, end in list(filled(LOWEST, top)):
    at, kept = start, 0
    while at < end:
        sent = libc.write(writer, at, min(CHUNK, end - at))
        if sent <= 0:
            at, kept = (at // PAGE + 1) * PAGE, 0
            continue
        size = kept + libc.read(reader, buffer + kept, sent)
        for part in WORDS:
            place = data.find(part, 0, size)
            while place >= 0:
                found.update(PATTERN.findall(bytes(data[max(0, place - MARGIN) : min(size, place + MARGIN)])))
                place = data.find(part, place + 1, size)
        # For what stands across the end of a chunk.
        at, kept = at + sent, min(size, MARGIN)
        data[:kept] = data[size - kept : size]
if planted[1:] not in found:
    raise LookupError("it does not find what it has put there itself")
for text in itertools.islice(sorted(found - {planted[1:]}), 100):
    print("ESCAPED: in memory", text)
print("tried")
