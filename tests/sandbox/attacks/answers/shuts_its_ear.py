"""Shuts the direction in which it is spoken to, and then says what has to be answered.

Stopped by: frames
Succeeds by: harm
Ends: completed, exited, crashed
"""

import json
import os
import socket
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


socket.socket(fileno=os.dup(3)).shutdown(socket.SHUT_RD)
for number in range(20):
    say(message("display", b"x", type="display_data", parts=[["text/plain", 1]], number=number))
time.sleep(0.5)
print("tried")
