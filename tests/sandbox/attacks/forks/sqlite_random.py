"""Draws from SQLite, whose generator belongs to the process and is seeded when it is first used.

Stopped by: fork state
Succeeds by: repeating
"""

import sqlite3

database = sqlite3.connect(":memory:")
print("VALUE random", database.execute("select hex(randomblob(16))").fetchone()[0])
print("VALUE number", *database.execute("select random(), random()").fetchone())
print("tried")
