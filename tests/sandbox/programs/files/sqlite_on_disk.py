"""Uses SQLite on disk: write-ahead log, several processes, locks, backups, full text.

Not at: reduced - the processes wait for each other with a semaphore in /dev/shm
"""

import multiprocessing
import os
import sqlite3

context = multiprocessing.get_context("fork")
connection = sqlite3.connect("data.db", timeout=30)
assert connection.execute("PRAGMA journal_mode = WAL").fetchone() == ("wal",)
connection.execute("CREATE TABLE item (id INTEGER PRIMARY KEY, name TEXT NOT NULL, data BLOB)")
with connection:
    connection.executemany(
        "INSERT INTO item (name, data) VALUES (?, ?)", [(f"n{n}", bytes(n)) for n in range(500)]
    )
assert os.path.exists("data.db-wal")
assert os.path.exists("data.db-shm")
connection.close()


def write(number, barrier):
    barrier.wait(30)
    own = sqlite3.connect("data.db", timeout=30, isolation_level=None)
    for count in range(40):
        own.execute("BEGIN IMMEDIATE")
        own.execute("INSERT INTO item (name) VALUES (?)", (f"w{number}-{count}",))
        own.execute("COMMIT")
    own.close()


barrier = context.Barrier(3)
writers = [context.Process(target=write, args=(number, barrier)) for number in range(3)]
for writer in writers:
    writer.start()
for writer in writers:
    writer.join(60)
    assert writer.exitcode == 0
connection = sqlite3.connect("data.db")
assert connection.execute("SELECT count(*) FROM item").fetchone() == (620,)
assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)

# One writer at a time: the other is told.
connection.isolation_level = None
connection.execute("BEGIN EXCLUSIVE")
other = sqlite3.connect("data.db", timeout=0.05)
try:
    other.execute("DELETE FROM item")
except sqlite3.OperationalError as error:
    assert "locked" in str(error)
else:
    raise AssertionError("two writers")
connection.execute("ROLLBACK")
other.close()

for mode in ("delete", "truncate", "persist"):
    assert connection.execute(f"PRAGMA journal_mode = {mode}").fetchone() == (mode,)
    connection.execute("INSERT INTO item (name) VALUES (?)", (mode,))
connection.execute("PRAGMA mmap_size = 1048576")
connection.execute("VACUUM")
connection.execute("ATTACH 'other.db' AS other")
connection.execute("CREATE TABLE other.copy AS SELECT * FROM item")
with sqlite3.connect("backup.db") as backup:
    connection.backup(backup)
    assert backup.execute("SELECT count(*) FROM item").fetchone() == (623,)
connection.create_function("double", 1, lambda value: value * 2)
assert connection.execute("SELECT double(21)").fetchone() == (42,)
connection.execute("CREATE TABLE number AS SELECT value FROM json_each('[3, 1, 2]')")
assert connection.execute("SELECT value FROM number ORDER BY value").fetchall() == [(1,), (2,), (3,)]
assert sqlite3.connect("file:data.db?mode=ro", uri=True).execute("SELECT count(*) FROM item").fetchone() == (
    623,
)
print("done")
