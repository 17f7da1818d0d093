"""Lets eight processes speak on the control socket at the same time, in pieces that are no whole frames.

Stopped by: frames
Succeeds by: harm
Ends: crashed
"""

import json
import os
import struct
import time


def frame(kind, payload):
    return struct.pack("!B3sI", kind, bytes(3), len(payload)) + payload


head = {"kind": "display", "body": 70_000, "type": "display_data", "parts": [["text/plain", 70_000]]}
data = frame(1, json.dumps(head).encode()) + frame(2, b"x" * 65536) + frame(2, b"x" * (70_000 - 65536))
children = []
for _ in range(8):
    child = os.fork()
    if child == 0:
        for _ in range(20):
            for at in range(0, len(data), 1000):
                os.write(3, data[at : at + 1000])
        os._exit(0)
    children.append(child)
time.sleep(10)
for child in children:
    os.kill(child, 9)
print("tried")
