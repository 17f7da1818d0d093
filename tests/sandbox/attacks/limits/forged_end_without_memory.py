"""Tells the keeper, in the form that only the interpreter uses, that the run had no memory left.

Stopped by: verdict
Succeeds by: outcome out_of_memory
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
    channel.sendall(message("finished", run=run, status="out_of_memory", return_code=137))
