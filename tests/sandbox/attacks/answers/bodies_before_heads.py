"""Sends the body first, and then the head that would have announced it.

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


head = json.dumps({"kind": "display", "body": 5, "type": "display_data", "parts": [["text/plain", 5]]})
os.write(3, frame(2, b"first") + frame(1, head.encode()))
time.sleep(10)
print("tried")
