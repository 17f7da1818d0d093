"""Keeps objects in shelves and in the dbm files that this Python has."""

import dbm
import importlib
import shelve

with shelve.open("shelf", writeback=True) as shelf:
    shelf["list"] = [1, 2]
    shelf["list"].append(3)
    shelf["nested"] = {"a": {"b": (1, 2)}}
with shelve.open("shelf", flag="r") as shelf:
    assert shelf["list"] == [1, 2, 3]
    assert sorted(shelf) == ["list", "nested"]

found = []
for name in ("dbm.gnu", "dbm.ndbm", "dbm.dumb"):
    try:
        module = importlib.import_module(name)
    except ImportError:
        continue
    found.append(name)
    path = name.replace(".", "_")
    with module.open(path, "n") as database:
        for number in range(200):
            database[f"key {number}".encode()] = str(number).encode() * 10
        del database[b"key 7"]
    with module.open(path, "r") as database:
        assert len(database.keys()) == 199
        assert database[b"key 9"] == b"9" * 10
        assert b"key 7" not in database
    assert dbm.whichdb(path) == name
assert "dbm.dumb" in found
print("done")
