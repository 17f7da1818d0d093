"""Puts links in the place of the two directories whose content is collected.

Stopped by: collector, private root
"""

import json
import os

place = os.path.dirname(json.loads(os.environ["BAIT"])["secret_file"])
output, work = os.environ["OUTPUT_DIR"], os.environ["INPUT_DIR"]
os.rmdir(output)
os.symlink(place, output)
os.chdir("/")
os.rename(work, f"{work}.gone")
os.symlink(place, work)
print("tried")
