"""Draws from numpy's old generator, which half of all data programs use, and which no fork makes anew.

Stopped by: fork state
Succeeds by: repeating
"""

try:
    import numpy
except ImportError:
    import random

    print("VALUE instead", random.random().hex())
else:
    print("VALUE legacy", numpy.random.bytes(16).hex(), numpy.random.rand().hex())
    print("VALUE integers", bytes(numpy.random.randint(0, 256, 16).tolist()).hex())
    print("VALUE order", bytes(numpy.random.permutation(60).tolist()).hex())
    print("VALUE new", numpy.random.default_rng().bytes(16).hex())
    bits = numpy.random.get_bit_generator()
    print("VALUE seed", bits.seed_seq.entropy)
    print("VALUE spawned", bits.spawn(1)[0].random_raw(2).tobytes().hex())
print("tried")
