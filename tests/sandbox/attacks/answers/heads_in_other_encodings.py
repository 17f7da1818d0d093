"""Writes heads in encodings that some readers of JSON guess, and with halves of characters that are no text.

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


text = '{"kind":"display","type":"display_data","parts":[],"body":0,"number":0%s}'
for head in (
    (text % ',"x":"\\ud800"').encode(),
    (text % ',"x":"\ud800"').encode("utf-8", "surrogatepass"),
    (text % "").encode("utf-16"),
    (text % "").encode("utf-32-be"),
    (text % "").encode("utf-8-sig"),
    (text % ',"x":"\xff"').encode("latin-1"),
):
    say(frame(1, head))
time.sleep(10)
print("tried")
