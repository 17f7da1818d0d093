"""Fills four fifths of its memory with one array, and computes with it.

Limits: memory_bytes=256 MiB
"""

import numpy

size = int(0.8 * 256 * 1024**2) // 8
array = numpy.ones(size)
array *= 3
assert array.sum() == 3.0 * size
assert array[-1] == 3.0
print("done")
