"""Copies, moves, packs and unpacks trees of files with shutil, between two mounts too.

Not at: reduced without own uid - modes and times stay as they are
"""

import os
import shutil
import stat
import tempfile
from pathlib import Path

elsewhere = os.path.join(tempfile.mkdtemp(), "moved")
Path("tree/a/b").mkdir(parents=True)
for number in range(20):
    Path(f"tree/a/{number}.txt").write_text("line\n" * number)
Path("tree/script").write_text("#!/bin/sh\n")
Path("tree/script").chmod(0o755)
Path("tree/link").symlink_to("script")
Path("tree/big").write_bytes(os.urandom(300_000))
os.utime("tree/big", (10**9, 10**9))

shutil.copytree("tree", "copy", symlinks=True)
assert Path("copy/link").is_symlink()
assert Path("copy/a/19.txt").read_text() == "line\n" * 19
assert Path("copy/script").stat().st_mode & stat.S_IXUSR
assert Path(shutil.copy2("tree/big", "big")).stat().st_mtime == 10**9
assert Path("big").read_bytes() == Path("tree/big").read_bytes()
shutil.copyfile("tree/script", "script")
shutil.copymode("tree/script", "script")
assert os.access("script", os.X_OK)

shutil.move("copy", elsewhere)  # another mount: copied, and then deleted
assert not os.path.exists("copy")
shutil.move(elsewhere, "back")
assert Path("back/a/b").is_dir()
shutil.copytree("tree", "back", dirs_exist_ok=True, ignore=shutil.ignore_patterns("*.txt"))

for kind in ("zip", "tar", "gztar", "bztar", "xztar"):
    archive = shutil.make_archive(f"packed-{kind}", kind, "tree")
    shutil.unpack_archive(archive, f"out-{kind}")
    assert Path(f"out-{kind}/a/7.txt").read_text() == "line\n" * 7
    assert Path(f"out-{kind}/big").stat().st_size == 300_000
usage = shutil.disk_usage(".")
assert usage.total >= usage.used + usage.free > 0
shutil.rmtree("tree")
shutil.rmtree("not there", ignore_errors=True)
assert not os.path.exists("tree")
shutil.chown("big", os.getuid(), os.getgid())
print("done")
