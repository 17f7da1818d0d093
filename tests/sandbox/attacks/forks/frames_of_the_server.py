"""Goes up its own stack into the server that forked it, and reads there whom else it serves.

Stopped by: fork state
"""

import sys

SERVED = ("guest", "session", "child", "client", "worker", "connection", "held")
frame = sys._getframe().f_back
while frame is not None:
    things = dict(frame.f_locals)
    for name, thing in list(things.items()):
        if name in ("self", "server", "app"):
            things.update(vars(thing) if hasattr(thing, "__dict__") else {})
    for name, thing in things.items():
        if isinstance(thing, dict | list | set | tuple) and thing and any(word in name for word in SERVED):
            print("ESCAPED:", name, "in", frame.f_code.co_qualname, list(thing)[:5], thing)
    frame = frame.f_back
print("tried")
