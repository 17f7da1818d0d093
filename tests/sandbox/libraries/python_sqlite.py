"""Databases: in files with each journal, in memory, written by several threads and processes."""

import os
import sqlite3
import threading

for journal in ("wal", "delete", "truncate", "memory"):
    database = sqlite3.connect(f"{journal}.db", timeout=30)
    database.execute(f"pragma journal_mode={journal}")
    database.execute("pragma mmap_size=1000000")
    database.execute("create table t (n integer primary key, text)")
    database.commit()

    def insert(first: int, journal: str = journal) -> None:
        with sqlite3.connect(f"{journal}.db", timeout=30) as own:
            own.executemany("insert into t values (?, ?)", [(first + n, "x" * 100) for n in range(500)])

    threads = [threading.Thread(target=insert, args=(n * 1000,)) for n in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    pid = os.fork()
    if pid == 0:
        insert(9000)
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0
    assert database.execute("select count(*) from t").fetchone() == (2000,)
    database.execute("vacuum")
    copy = sqlite3.connect(":memory:")
    database.backup(copy)
    assert copy.execute("select count(*) from t").fetchone() == (2000,)
    assert list(database.iterdump())
    database.close()
print("ok")
