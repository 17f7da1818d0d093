"""`python -m belljar.keeper FD`: how an owner starts its keeper."""

import gc
import os
import sys

import anyio

from belljar import inherited
from belljar.keeper.supervisor import run

if __name__ == "__main__":
    inherited.leave_behind()
    gc.freeze()  # what was imported stays, and a collection need not look at it each time
    os.umask(0o022)  # an operator's own may keep guests, who have other uids, from what is made for them
    anyio.run(run, int(sys.argv[1]))
