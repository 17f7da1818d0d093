"""Makes identifiers that are to be unique in the world, out of a card's address, a clock and a counter.

Stopped by: fork state
Succeeds by: repeating
"""

import secrets
import uuid

# Without the time in them: the node and the sequence are what tells two processes apart.
made = uuid.uuid1()
print("VALUE uuid1", f"{made.node:012x}", f"{made.clock_seq:04x}")
print("VALUE node", f"{uuid.getnode():012x}")
print("VALUE uuid4", uuid.uuid4().hex)
print("VALUE token", secrets.token_hex(16))
print("tried")
