"""Says that it is ready, as it did before it was given code, and that it was interrupted while it got ready.

Stopped by: frames
Succeeds by: outcome interrupted
Ends: crashed
"""

import json
import os
import struct
import time


def frame(kind, payload):
    return struct.pack("!B3sI", kind, bytes(3), len(payload)) + payload


def message(kind, body=b"", **head):
    head = json.dumps({**head, "kind": kind, "body": len(body)}).encode()
    return frame(1, head) + b"".join(frame(2, body[at : at + 65536]) for at in range(0, len(body), 65536))


def say(data):
    view = memoryview(data)
    while view:
        view = view[os.write(3, view) :]


laps = {"join": 1e300, "x" * 1000: -1, "filter": "0"}
say(message("ready", laps=laps, status="interrupted", run=1))
time.sleep(5)
print("tried")
