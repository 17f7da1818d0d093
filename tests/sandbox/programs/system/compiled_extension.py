"""Compiles C to a shared library and calls it, where the machine has a compiler; else it has nothing to do.

Not at: reduced without own uid - what was compiled cannot be made executable, since modes stay as they are
"""

import ctypes
import shutil
import subprocess
from pathlib import Path

# No header is needed for this, and none need be there.
Path("fast.c").write_text(
    "long fibonacci(int n) { long a = 0, b = 1; while (n-- > 0) { long t = a + b; a = b; b = t; } return a; }\n"
)
compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
if compiler:
    subprocess.run([compiler, "-O2", "-shared", "-fPIC", "-o", "fast.so", "fast.c"], check=True, timeout=60)
    fast = ctypes.CDLL("./fast.so")
    fast.fibonacci.restype = ctypes.c_long
    assert fast.fibonacci(80) == 23416728348467685
    Path("main.c").write_text("int main(void) { return 42; }\n")
    subprocess.run([compiler, "-o", "main", "main.c"], check=True, timeout=60)
    assert subprocess.run(["./main"]).returncode == 42
print("done")
