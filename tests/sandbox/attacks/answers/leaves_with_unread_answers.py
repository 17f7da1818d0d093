"""Closes the control socket while answers lie unread in it, which the other end is told as an error.

Stopped by: frames
Succeeds by: harm
Ends: completed, exited, crashed, timed_out
Timeout: 5
"""

import json
import os
import select
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


say(message("display", b"x", type="display_data", parts=[["text/plain", 1]], number=1))
select.select([3], [], [], 5)
print("tried", flush=True)
# Something else has the number from now on, and the socket is gone.
os.dup2(os.open("/dev/null", os.O_RDWR), 3)
time.sleep(1)
