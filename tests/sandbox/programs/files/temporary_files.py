"""Makes temporary files and directories of every kind that tempfile has."""

import os
import stat
import tempfile
from pathlib import Path

assert tempfile.gettempdir() == os.environ.get("TMPDIR", "/tmp")
with tempfile.TemporaryFile() as file:
    file.write(b"no name")
    file.seek(0)
    assert file.read() == b"no name"
with tempfile.NamedTemporaryFile("w+", suffix=".txt", prefix="named-") as file:
    file.write("text")
    file.flush()
    assert Path(file.name).read_text() == "text"
assert not os.path.exists(file.name)
with tempfile.SpooledTemporaryFile(max_size=100) as file:
    file.write(b"x" * 50)
    file.write(b"x" * 100)  # over the limit: now it is a file
    assert file.fileno() > 2
with tempfile.TemporaryDirectory(prefix="directory-") as directory:
    assert stat.S_IMODE(os.stat(directory).st_mode) == 0o700
    Path(directory, "below", "deep").mkdir(parents=True)
    Path(directory, "below", "deep", "file").touch()
assert not os.path.exists(directory)
fd, name = tempfile.mkstemp(dir=".")
assert os.write(fd, b"x") == 1
os.close(fd)
os.unlink(name)
os.rmdir(tempfile.mkdtemp(dir="."))
os.environ["TMPDIR"] = os.getcwd()
tempfile.tempdir = None
assert tempfile.gettempdir() == os.getcwd()
with tempfile.NamedTemporaryFile() as file:
    assert os.path.dirname(file.name) == os.getcwd()
names = {tempfile.mktemp() for _ in range(1000)}
assert len(names) == 1000
print("done")
