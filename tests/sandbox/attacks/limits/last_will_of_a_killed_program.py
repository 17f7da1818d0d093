"""Forges an end for lack of memory, and kills itself before anybody can ask: the kill is to prove the words.

Stopped by: verdict
Succeeds by: outcome out_of_memory
Ends: raised, crashed
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
channel.sendall(b"".join(message("finished", run=run, status="out_of_memory") for run in range(1, 20)))
os.kill(os.getpid(), 9)
