"""Asks for the next names of temporary files, which another session might be about to use too.

Stopped by: fork state
Succeeds by: repeating
"""

import os
import tempfile

names = tempfile._get_candidate_names()
print("VALUE next", *(next(names) for _ in range(3)))
with tempfile.NamedTemporaryFile() as file:
    print("VALUE file", os.path.basename(file.name))
with tempfile.TemporaryDirectory() as directory:
    print("VALUE directory", os.path.basename(directory))
print("tried")
