"""Maps files, shared with children, and anonymous memory, and resizes, flushes and searches them."""

import mmap
import os
import struct
from pathlib import Path

Path("mapped.bin").write_bytes(b"\0" * 1_000_000)
with open("mapped.bin", "r+b") as file, mmap.mmap(file.fileno(), 0) as view:
    view[10:15] = b"hello"
    view.flush()
    assert view.find(b"hello") == 10
    view.resize(2_000_000)
    assert len(view) == 2_000_000
    view.madvise(mmap.MADV_SEQUENTIAL)
    view.move(100, 10, 5)
    view.seek(100)
    assert view.read(5) == b"hello"
content = Path("mapped.bin").read_bytes()
assert len(content) == 2_000_000
assert content[100:105] == b"hello"
with open("mapped.bin", "rb") as file, mmap.mmap(file.fileno(), 4096, access=mmap.ACCESS_READ) as view:
    try:
        view[0] = 1
    except TypeError:
        refused = True
assert refused
with open("mapped.bin", "r+b") as file, mmap.mmap(file.fileno(), 4096, access=mmap.ACCESS_COPY) as view:
    view[:5] = b"other"
assert Path("mapped.bin").read_bytes()[:5] == b"\0" * 5

private = mmap.mmap(-1, 4096, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
pid = os.fork()
if pid == 0:
    private[:8] = struct.pack("<q", 2**40)
    os._exit(0)
os.waitpid(pid, 0)
assert private[:8] == bytes(8)

with open("mapped.bin", "r+b") as file, mmap.mmap(file.fileno(), 4096) as view:
    pid = os.fork()
    if pid == 0:
        view[0:3] = b"abc"
        os._exit(0)
    os.waitpid(pid, 0)
    assert view[:3] == b"abc"
anonymous = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
code = mmap.mmap(-1, 4096, anonymous, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
code.close()
large = mmap.mmap(-1, 256 * 1024 * 1024, anonymous)
large.madvise(mmap.MADV_DONTNEED)
large[-1] = 1
assert large[0] == 0
print("done")
