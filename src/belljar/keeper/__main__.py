"""`python -m belljar.keeper FD`: how an owner starts its keeper."""

import sys

import anyio

from belljar.keeper.supervisor import run

if __name__ == "__main__":
    anyio.run(run, int(sys.argv[1]))
