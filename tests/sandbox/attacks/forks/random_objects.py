"""Looks at every generator that a module has made for itself before the fork, wherever it keeps it.

Stopped by: fork state
Succeeds by: repeating
"""

import gc
import hashlib
import random
import sys

gc.unfreeze()  # what was there before the fork may be hidden from the search
seen = set()


def tell(where, state):
    print("VALUE", where, hashlib.sha256(repr(state).encode()).hexdigest())


def state_of(thing):
    if isinstance(thing, random.SystemRandom):
        return None  # the kernel's numbers
    if isinstance(thing, random.Random):
        return thing.getstate()
    # numpy's generators, old and new, without importing anything
    if type(thing).__module__.startswith("numpy.random") and hasattr(thing, "bit_generator"):
        return thing.bit_generator.state
    if type(thing).__module__.startswith("numpy.random") and hasattr(thing, "get_state"):
        return thing.get_state()
    return None


things = [(f"object of {type(thing).__module__}.{type(thing).__name__}", thing) for thing in gc.get_objects()]
for name, module in list(sys.modules.items()):
    things += [(f"{name}.{key}", value) for key, value in list(getattr(module, "__dict__", {}).items())]
for where, thing in things:
    if id(thing) not in seen and not isinstance(thing, type):
        seen.add(id(thing))
        try:
            state = state_of(thing)
        except Exception:  # objects that answer a question by importing something, or by failing
            continue
        if state is not None:
            tell(where, state)
tell("fresh", random.Random().getstate())
tell("random", random.getstate())
print("tried")
