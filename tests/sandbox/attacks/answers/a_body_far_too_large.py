"""Announces a body of 576 MiB, and sends it: whoever takes it has it in memory twice.

Stopped by: frames
Succeeds by: harm
Ends: crashed
"""

import json
import os
import struct
import time

SIZE = 576 * 2**20


def frame(kind, payload):
    return struct.pack("!B3sI", kind, bytes(3), len(payload)) + payload


def say(data):
    view = memoryview(data)
    while view:
        view = view[os.write(3, view) :]


head = {"kind": "display", "body": SIZE, "type": "display_data", "parts": [["image/png", SIZE]]}
say(frame(1, json.dumps(head).encode()))
piece = frame(2, bytes(65536)) * 64
for _ in range(SIZE // 2**22):
    say(piece)
time.sleep(10)
print("tried")
