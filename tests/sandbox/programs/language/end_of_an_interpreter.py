"""Has interpreters end: exit functions, exit codes, finalizers, weak references, garbage."""

import gc
import subprocess
import sys
import weakref


def run(code):
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30)
    return answer.stdout, answer.returncode


assert run("import atexit; atexit.register(print, 1); atexit.register(print, 2)") == ("2\n1\n", 0)
assert run("import atexit, sys; atexit.register(print, 'end'); sys.exit(4)") == ("end\n", 4)
assert run("import atexit, os; atexit.register(print, 'end'); os._exit(5)") == ("", 5)
assert run("import threading; threading.Timer(0.05, print, ['late']).start()") == ("late\n", 0)
assert run("import sys; sys.exit('words')")[1] == 1
assert run("raise SystemExit")[1] == 0
assert run("try:\n  exit(3)\nfinally:\n  print('finally')") == ("finally\n", 3)


class Node:
    def __init__(self):
        self.me = self


ended = []
node = Node()
reference = weakref.ref(node)
weakref.finalize(node, ended.append, "ended")
del node
gc.collect()
assert reference() is None
assert ended == ["ended"]
values = weakref.WeakValueDictionary()
values["x"] = kept = Node()
assert "x" in values
del kept
gc.collect()
assert "x" not in values


class Loud:
    def __del__(self):
        ended.append("deleted")


Loud()
assert ended == ["ended", "deleted"]
print("done")
