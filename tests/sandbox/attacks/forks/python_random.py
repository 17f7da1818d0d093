"""Draws from Python's own generator what another session may draw as well: numbers, choices, the state itself.

Stopped by: fork state
Succeeds by: repeating
"""

import hashlib
import random

print("VALUE state", hashlib.sha256(repr(random.getstate()).encode()).hexdigest())
print("VALUE bits", f"{random.getrandbits(128):032x}")
print("VALUE number", random.random().hex(), random.gauss(0, 1).hex())
order = list(range(40))
random.shuffle(order)
print("VALUE order", bytes(order).hex())
print("VALUE sample", bytes(random.sample(range(256), 16)).hex())
print("tried")
