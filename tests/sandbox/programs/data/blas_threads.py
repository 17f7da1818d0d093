"""Multiplies matrices on several threads of the linear algebra library, in a process that asks for them.

Not at: reduced - it counts its threads below /proc
"""

import os
import subprocess
import sys

import numpy

a = numpy.random.default_rng(0).random((400, 400))
assert numpy.allclose(a @ numpy.linalg.inv(a), numpy.eye(400), atol=1e-6)
values = numpy.linalg.eigvalsh(a + a.T)
assert numpy.isclose(values.sum(), 2 * numpy.trace(a))

code = """
import os
import numpy
a = numpy.arange(250000.0).reshape(500, 500) / 1e5
for _ in range(5):
    b = a @ a
print(len(os.listdir("/proc/self/task")), b[0, 0] > 0)
"""
environment = {**os.environ, "OPENBLAS_NUM_THREADS": "4", "OMP_NUM_THREADS": "4"}
words = subprocess.run(
    [sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=60
)
threads, is_right = words.stdout.split()
assert is_right == "True"
assert int(threads) >= min(2, os.cpu_count())

# The library goes on working in a forked child.
pid = os.fork()
if pid == 0:
    os._exit(0 if numpy.allclose(a @ a, numpy.einsum("ij,jk->ik", a, a)) else 1)
assert os.waitpid(pid, 0)[1] == 0
print("done")
