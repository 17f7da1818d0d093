"""Shows small values by the ten thousand, and reads every answer, so that nothing slows it down.

Stopped by: frames
Succeeds by: harm
Ends: crashed
"""

import json
import os
import struct
import threading
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


def listen():
    while os.read(3, 65536):
        pass


threading.Thread(target=listen, daemon=True).start()

value = message("display", bytes(65536), type="execute_result", parts=[["text/plain", 65536]], number=1)
deadline = time.monotonic() + 15
while time.monotonic() < deadline:
    say(value * 16)
print("tried")
