"""Puts into heads what JSON has no number for, and numbers that take a reader hours.

Stopped by: frames
Succeeds by: harm
Ends: crashed
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


for number in (b"1e999", b"-1e999", b"NaN", b"Infinity", b"-Infinity", b"9" * 60_000, b"-" + b"7" * 60_000):
    say(frame(1, b'{"kind":"display","type":"display_data","parts":[],"body":0,"number":' + number + b"}"))
time.sleep(10)
print("tried")
