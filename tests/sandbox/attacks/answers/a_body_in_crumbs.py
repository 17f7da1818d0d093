"""Sends a body in frames of one byte: each costs the reader as much as a full one.

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


def say(data):
    view = memoryview(data)
    while view:
        view = view[os.write(3, view) :]


head = {"kind": "display", "body": 10**7, "type": "display_data", "parts": [["text/plain", 10**7]]}
say(frame(1, json.dumps(head).encode()))
deadline = time.monotonic() + 10
while time.monotonic() < deadline:
    say(frame(2, b"x") * 1000)
print("tried")
