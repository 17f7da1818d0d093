"""Says that other runs have ended: those before it, those after it, and runs whose numbers are no numbers.

Stopped by: verdict
Succeeds by: outcome output_exceeded
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


for run in (0, -1, 999, 2**63, 1.5, "1", None, [1], {"run": 1}, False):
    say(message("finished", run=run, status="output_exceeded", return_code=1))
time.sleep(0.5)
print("tried")
