"""Tells the keeper that the time is over, for the run under way and for those that come after it.

Stopped by: verdict
Succeeds by: outcome timed_out
Ends: raised
"""

import json
import os
import socket
import struct


def message(kind: str, **head: object) -> bytes:
    """A message as the interpreter's own part would send it."""
    text = json.dumps({**head, "kind": kind, "body": 0}).encode()
    return struct.pack("!B3sI", 1, b"\0\0\0", len(text)) + text


channel = socket.socket(fileno=os.dup(3))
for run in range(1, 20):
    channel.sendall(
        message("finished", run=run, status="timed_out", return_code=124, reason="timeout_seconds")
    )
