"""Ends in the middle of a body, so that whoever speaks next on the socket speaks inside it.

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


head = json.dumps(
    {"kind": "display", "body": 100_000, "type": "display_data", "parts": [["text/plain", 100_000]]}
)
os.write(3, frame(1, head.encode()) + frame(2, b"x" * 65536))
os.write(3, frame(1, json.dumps({"kind": "finished", "body": 0, "run": 1, "status": "lost"}).encode()))
time.sleep(10)
print("tried")
