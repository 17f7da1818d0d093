"""Leaves directories full of links to themselves: who follows them has more ways to go than there are atoms.

Stopped by: collector
Succeeds by: harm
"""

import os

work = os.environ["INPUT_DIR"]
for number in range(12):
    os.symlink(".", f"{work}/{number}")
    os.symlink("..", f"{work}/up-{number}")
    os.symlink(f"chain-{(number + 1) % 12}", f"{work}/chain-{number}")
print("tried")
