"""Searches all of its memory, which was the server's, for keys and for settings that were never meant for it.

Stopped by: clean zygote
"""

import contextlib
import ctypes
import re

# As an environment has them, and as they are sent. Each pattern and each word is cut, so that it does not find itself.
PATTERN = re.compile(
    rb"\0((?:[B]ELLJAR_[A-Z]+|[A-Z]+_(?:[T]OKEN|[S]ECRET|[A]PI_KEY|[P]ASSWORD)|[P]YTEST_CURRENT_TEST|[S]SH_CONNECTION)"
    rb"=[!-~]{4,80}|[s]k-ant-[a-z0-9-]{8,80}|[A]uthorization: Bearer [!-~]{8,80})"
)
WORDS = (b"OKEN=", b"ECRET=", b"_KEY=", b"SSWORD=", b"LLJAR_", b"_TEST=", b"NECTION=", b"sk-ant", b"Bearer ")
CHUNK, MARGIN = 1 << 20, 256
# One buffer, made before the map is read: memory that is given back meanwhile would end the search.
data = bytearray(CHUNK + MARGIN)
buffer = (ctypes.c_char * len(data)).from_buffer(data)
found = set()
ranges = []
with contextlib.suppress(PermissionError), open("/proc/self/maps") as file:
    ranges = [line.split() for line in file]
for edges, rights, _, _, _, *name in ranges:
    if not rights.startswith("rw") or (name and name[0].startswith("[v")):
        continue
    start, end = (int(edge, 16) for edge in edges.split("-"))
    for at in range(start, end, CHUNK):
        # Longer than a chunk, for what stands across its end.
        size = min(CHUNK + MARGIN, end - at)
        ctypes.memmove(buffer, at, size)
        for word in WORDS:
            place = data.find(word, 0, size)
            while place >= 0:
                found.update(PATTERN.findall(bytes(data[max(0, place - MARGIN) : place + MARGIN])))
                place = data.find(word, place + 1, size)
for text in sorted(found):
    print("ESCAPED: in memory", text)
print("tried")
