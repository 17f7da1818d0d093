"""Speaks as its session would when the machine had lost it, with the words that the keeper has for its owner.

Stopped by: frames, verdict
Succeeds by: outcome lost
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


outcome = {"status": "lost", "reason": "session", "message": "The session was lost."}
for kind in ("error", "answer", "failed", "exit"):
    body = json.dumps({"outcome": outcome, "return_code": 1, "raised": None}).encode()
    say(message(kind, body, id=1, error="KeeperLost", status="lost", outcome=outcome))
time.sleep(5)
print("tried")
