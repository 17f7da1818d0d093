"""Says that it has finished, and in the same breath that the disk is full: the later word might count.

Stopped by: verdict
Succeeds by: outcome disk_full
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


print("tried", flush=True)
well = message("finished", run=1, status="completed", return_code=0)
full = message(
    "finished",
    b'{"ename": "OSError", "evalue": "No space left on device", "traceback": []}',
    run=1,
    status="disk_full",
    disk_is_full=True,
    return_code=1,
)
say(well + full)
time.sleep(5)
