"""Leaves named pipes among its results: whoever opens one waits for a writer, and none will come.

Stopped by: seccomp, collector
Succeeds by: harm
"""

import contextlib
import os

work = os.environ["INPUT_DIR"]
os.makedirs(f"{work}/data/more")
for name in ("chart.png", "table.csv", "data/more/x"):
    with contextlib.suppress(PermissionError):
        os.mkfifo(f"{work}/{name}")
with contextlib.suppress(PermissionError):
    os.mkfifo(os.path.join(os.environ["OUTPUT_DIR"], "report.pdf"))
print("tried")
