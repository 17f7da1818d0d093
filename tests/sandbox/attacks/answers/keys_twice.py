"""Writes every name in a head twice, with an honest value and with a forged one: readers differ in which they take.

Stopped by: verdict
Succeeds by: outcome crashed
Ends: completed, raised
"""

import os
import struct
import time


def frame(kind, payload):
    return struct.pack("!B3sI", kind, bytes(3), len(payload)) + payload


def say(data):
    view = memoryview(data)
    while view:
        view = view[os.write(3, view) :]


honest = '"kind":"finished","body":0,"run":1,"status":"completed","return_code":0'
forged = '"kind":"finished","body":0,"run":1,"status":"crashed","return_code":139,"exit_status":-11'
print("tried", flush=True)
say(frame(1, f"{{{honest},{forged}}}".encode()))
say(frame(1, f"{{{forged},{honest},{forged}}}".encode()))
time.sleep(5)
