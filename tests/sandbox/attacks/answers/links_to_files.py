"""Leaves links where results are, to a file of the machine, as pictures and tables that somebody will open.

Stopped by: collector, private root
"""

import json
import os

work = os.environ["INPUT_DIR"]
secret = json.loads(os.environ["BAIT"])["secret_file"]
for name in ("chart.png", "table.csv", "notes.txt", "README", "report.pdf"):
    os.symlink(secret, f"{work}/{name}")
os.symlink("../" * 12 + secret.lstrip("/"), f"{work}/relative.txt")
# A link to a link to a link, the last of which leads out.
os.symlink("relative.txt", f"{work}/second.txt")
os.symlink("./second.txt", f"{work}/third.txt")
print("tried")
