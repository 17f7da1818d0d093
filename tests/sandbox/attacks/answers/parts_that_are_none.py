"""Describes displays by parts that are no parts: numbers, names without sizes, sizes that are words.

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


def message(kind, body=b"", **head):
    head = json.dumps({**head, "kind": kind, "body": len(body)}).encode()
    return frame(1, head) + b"".join(frame(2, body[at : at + 65536]) for at in range(0, len(body), 65536))


def say(data):
    view = memoryview(data)
    while view:
        view = view[os.write(3, view) :]


for parts in (
    [["text/plain", "1"]],
    [["text/plain"]],
    [[["text/plain"], 1]],
    {"text/plain": 1},
    1,
    None,
    [[]],
    True,
):
    say(message("display", b"x", type="display_data", parts=parts, number=1))
time.sleep(10)
print("tried")
