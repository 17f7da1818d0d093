"""Finds memory that a fork does not copy: mappings that all children of the server write to together.

Stopped by: clean zygote
"""

# Without /proc, which not every box has: what nothing can be mapped over is mapped, and only what is shared can be
# mapped a second time by mremap.

import ctypes
import mmap

PAGE, NOTHING = mmap.PAGESIZE, ctypes.c_void_p(-1).value
NOREPLACE, ASYNC, MAYMOVE = 0x100022, 1, 1  # MAP_FIXED_NOREPLACE | MAP_ANONYMOUS | MAP_PRIVATE; MS_ASYNC
libc = ctypes.CDLL(None, use_errno=True)
libc.getauxval.restype = libc.mmap.restype = libc.mremap.restype = ctypes.c_size_t
NUMBER = ctypes.c_size_t


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


top = 1 << libc.getauxval(NUMBER(31)).bit_length()  # AT_EXECFN stands at the end of the stack
pages = shared = 0
for start, end in mapped(1 << 16, top):
    for page in range(start, end, PAGE):
        pages += 1
        second = libc.mremap(NUMBER(page), NUMBER(0), NUMBER(PAGE), MAYMOVE)
        if second == NOTHING:
            continue
        # In the copy, where nothing of ours is lost: what is only read now may become writable.
        if libc.mprotect(NUMBER(second), NUMBER(PAGE), mmap.PROT_READ | mmap.PROT_WRITE) == 0:
            shared += 1
            if shared <= 5:
                print("ESCAPED: shared", hex(page))
        libc.munmap(NUMBER(second), NUMBER(PAGE))
assert pages > 1000, "it found less than an interpreter has"
print("tried")
