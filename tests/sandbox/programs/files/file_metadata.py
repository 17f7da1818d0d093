"""Changes and reads all that a file has besides its content: modes, times, owners, links, attributes, holes.

Not at: reduced without own uid - modes, owners and times stay as they are
"""

import errno
import os
import stat
from pathlib import Path

file = Path("file")
file.write_bytes(b"x" * 5000)
for mode in (0o600, 0o644, 0o755, 0o400, 0o1777, 0o2755):
    file.chmod(mode)
    assert stat.S_IMODE(file.stat().st_mode) in (mode, mode & ~0o2000)
file.chmod(0o644)
os.chown(file, os.getuid(), os.getgid())
os.lchown(file, -1, os.getgid())
os.utime(file, (1_000_000_000, 1_000_000_001))
assert file.stat().st_mtime == 1_000_000_001
os.utime(file, ns=(1, 1_234_567_890_123_456_789))
assert file.stat().st_mtime_ns == 1_234_567_890_123_456_789

os.symlink("file", "link")
assert os.readlink("link") == "file"
assert Path("link").is_symlink()
assert Path("link").resolve() == file.resolve()
os.utime("link", (5, 5), follow_symlinks=False)
assert os.lstat("link").st_mtime == 5
os.link("file", "hard")
assert os.stat("hard").st_nlink == 2
assert os.path.samefile("hard", "file")
os.symlink("nowhere", "dangling")
assert not os.path.exists("dangling")
os.symlink("loop", "loop")
try:
    os.open("loop", os.O_RDONLY)
except OSError as error:
    assert error.errno == errno.ELOOP

# Extended attributes may be refused, in words that every program knows.
try:
    os.setxattr("file", "user.note", b"value")
except OSError as error:
    assert error.errno in (errno.EPERM, errno.EACCES, errno.ENOTSUP)
    assert os.listxattr("file") == []
else:
    assert os.getxattr("file", "user.note") == b"value"

before = os.umask(0o077)
Path("private").touch()
assert stat.S_IMODE(os.stat("private").st_mode) == 0o600
os.umask(before)
os.truncate("file", 100)
assert file.stat().st_size == 100
with open("sparse", "wb") as sparse:
    sparse.seek(50_000_000)
    sparse.write(b"end")
assert os.stat("sparse").st_blocks * 512 < 1_000_000
fd = os.open("sparse", os.O_RDWR)
assert os.lseek(fd, 0, os.SEEK_DATA) > 40_000_000
assert os.lseek(fd, 0, os.SEEK_HOLE) == 0
os.posix_fallocate(fd, 0, 100_000)
os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_RANDOM)
os.fsync(fd)
os.fdatasync(fd)
os.close(fd)
space = os.statvfs(".")
assert space.f_bavail > 0
assert space.f_namemax == 255
os.sync()

assert os.access("file", os.R_OK | os.W_OK)
os.rename("private", "renamed")
os.replace("renamed", "hard")
assert os.stat("hard").st_size == 0
directory = os.open(".", os.O_RDONLY)
os.mkdir("inner", dir_fd=directory)
os.rename("hard", "inner/moved", src_dir_fd=directory, dst_dir_fd=directory)
assert os.listdir("inner") == ["moved"]
os.chdir("inner")
assert os.getcwd().endswith("/inner")
os.fchdir(directory)
for path, expected in (("/usr/bin/new", PermissionError), ("missing/file", FileNotFoundError)):
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT))
    except OSError as error:
        assert isinstance(error, expected) or error.errno == errno.EROFS, error
    else:
        os.unlink(path)
print("done")
