"""Leaves directories among its results that are links to one of the machine, by several ways.

Stopped by: collector, private root
"""

import json
import os

work = os.environ["INPUT_DIR"]
place = os.path.dirname(json.loads(os.environ["BAIT"])["secret_file"])
os.symlink(place, f"{work}/data")
os.makedirs(f"{work}/a/b/c")
os.symlink(place, f"{work}/a/b/c/d")
os.symlink("../" * 12 + place.lstrip("/"), f"{work}/a/relative")
os.symlink("b/c/d", f"{work}/a/through")
print("tried")
