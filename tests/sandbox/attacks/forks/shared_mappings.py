"""Finds memory that a fork does not copy: mappings that all children of the server write to together.

Stopped by: clean zygote
"""

# It asks no list where its memory lies: where something new can be mapped is nothing, and where msync succeeds there is
# no gap. Of shared memory, and of no other, mremap makes a second view when it is told to take 0 bytes of it.

import ctypes
import errno
import mmap
import os
import tempfile

PAGE = os.sysconf("SC_PAGESIZE")
LOWEST = 1 << 20
READ_AND_WRITE = 3
PRIVATE, ANONYMOUS, NO_RESERVE, FIXED_NO_REPLACE = 0x2, 0x20, 0x4000, 0x100000
MS_ASYNC, MAY_MOVE = 1, 1
FAILED = ctypes.c_void_p(-1).value

libc = ctypes.CDLL(None, use_errno=True)
word, size_t, number = ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int
libc.mmap.restype = libc.mremap.restype = word
libc.mmap.argtypes = (word, size_t, number, number, number, ctypes.c_long)
libc.mremap.argtypes = (word, size_t, size_t, number)
libc.munmap.argtypes = (word, size_t)
libc.msync.argtypes = libc.mprotect.argtypes = (word, size_t, number)


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
# That it can look is shown by this, which it has to find.
with tempfile.TemporaryFile() as file:
    file.truncate(PAGE)
    planted = mmap.mmap(file.fileno(), PAGE)
place = ctypes.addressof(ctypes.c_char.from_buffer(planted))
is_found = False
for start, end in list(filled(LOWEST, top)):
    before = 0
    for at in range(start, end, PAGE):
        view = libc.mremap(at, 0, PAGE, MAY_MOVE)
        if view == FAILED:
            continue
        # Of a file that was opened to be read it cannot be made writable.
        if libc.mprotect(view, PAGE, READ_AND_WRITE) == 0:
            if at == place:
                is_found = True
            else:
                if at - before != PAGE:
                    print("ESCAPED: shared", hex(at), "begins with", ctypes.string_at(view, 64))
                before = at
        libc.munmap(view, PAGE)
if not is_found:
    raise LookupError("it does not find what it shares itself")
print("tried")
