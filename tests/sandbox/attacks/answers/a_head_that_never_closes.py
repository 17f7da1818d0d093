"""Sends heads of lists in lists and objects in objects, as deep as a frame has room for.

Stopped by: frames
Succeeds by: harm
Ends: crashed
"""

import os
import struct
import time


def frame(kind, payload):
    return struct.pack("!B3sI", kind, bytes(3), len(payload)) + payload


def say(data):
    view = memoryview(data)
    while view:
        view = view[os.write(3, view) :]


for beginning, again in (
    (b"", b"["),
    (b'{"kind":"display","body":0,"x":', b"["),
    (b"", b'{"a":'),
    (b"", b'[{"":'),
):
    payload = beginning + again * 70_000
    say(frame(1, payload[:65536]))
time.sleep(10)
print("tried")
