"""Ends its run at once, and says that the clock has ended it.

Stopped by: verdict
Succeeds by: outcome timed_out
Ends: raised
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


for run in (1, 2):
    facts = {
        "run": run,
        "return_code": 124,
        "stop": "timed_out",
        "reason": "timeout_seconds",
        "was_killed": True,
    }
    say(message("finished", b"{}", status="timed_out", **facts))
time.sleep(5)
print("tried")
