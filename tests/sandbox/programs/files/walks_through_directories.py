"""Finds its way through trees of directories: glob, pathlib, walk, scandir, thousands of files."""

import fnmatch
import glob
import os
from pathlib import Path

for number in range(2000):
    path = Path("tree", f"d{number % 20}", f"{number}.{'txt' if number % 2 else 'csv'}")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
assert len(glob.glob("tree/**/*.txt", recursive=True)) == 1000
assert len(glob.glob("*.csv", root_dir="tree/d0")) == 100
assert len(list(Path("tree").rglob("*.csv"))) == 1000
assert len(fnmatch.filter(os.listdir("tree"), "d1?")) == 10
count = sum(len(files) for _, _, files in os.walk("tree"))
assert count == 2000
assert sum(len(files) for _, _, files, _ in os.fwalk("tree")) == 2000
with os.scandir("tree") as entries:
    assert sorted(entry.name for entry in entries if entry.is_dir()) == sorted(f"d{n}" for n in range(20))
assert min(path.name for path in Path("tree").iterdir()) == "d0"
deep = Path("deep", *["x" * 50] * 15)
deep.mkdir(parents=True)
assert len(list(os.walk("deep"))) == 16
for top, directories, files in os.walk("tree", topdown=False):
    for name in files:
        os.unlink(os.path.join(top, name))
    for name in directories:
        os.rmdir(os.path.join(top, name))
os.rmdir("tree")
os.removedirs(deep)
assert not os.path.exists("deep")
assert Path("/usr/bin").is_dir()
assert any(path.name.startswith("libc.so") for path in Path("/usr/lib").glob("*/libc.so*"))
assert Path("a/../b").resolve() == Path.cwd() / "b"
print("done")
