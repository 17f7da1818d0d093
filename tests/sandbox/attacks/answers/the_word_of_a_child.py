"""Lets a child say that its parent was killed for its memory, while the parent goes on.

Stopped by: verdict
Succeeds by: outcome out_of_memory
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


child = os.fork()
if child == 0:
    say(message("finished", run=1, status="out_of_memory", return_code=137, oom_kills=5, exit_status=-9))
    os._exit(137)
os.waitpid(child, 0)
time.sleep(5)
print("tried")
