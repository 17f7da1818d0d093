"""Files, directories, links, locks, times and maps, as far as the standard library reaches."""

import contextlib
import fcntl
import glob
import mmap
import os
import shutil
import stat
import tempfile
from pathlib import Path

Path("a").mkdir(mode=0o755)
Path("a/one.txt").write_text("one\n" * 1000)
os.link("a/one.txt", "a/hard.txt")
os.symlink("one.txt", "a/soft.txt")
assert Path("a/soft.txt").resolve().name == "one.txt"
assert os.stat("a/one.txt").st_nlink == 2
os.chmod("a/one.txt", 0o600)
assert stat.S_IMODE(os.stat("a/one.txt").st_mode) == 0o600
os.utime("a/one.txt", (1e9, 2e9))
assert os.stat("a/one.txt").st_mtime == 2e9
os.rename("a/hard.txt", "a/renamed.txt")
os.replace("a/renamed.txt", "a/hard.txt")
shutil.copytree("a", "b", symlinks=True)
shutil.copy2("a/one.txt", "b/two.txt")
assert sorted(os.listdir("b")) == ["hard.txt", "one.txt", "soft.txt", "two.txt"]
shutil.move("b/two.txt", "moved.txt")
assert [
    entry.name for entry in sorted(os.scandir("b"), key=lambda entry: entry.name) if entry.is_symlink()
] == ["soft.txt"]
assert len(glob.glob("**/*.txt", recursive=True)) == 7
for kind in ("zip", "gztar", "bztar", "xztar"):
    archive = shutil.make_archive("packed", kind, "b")
    shutil.unpack_archive(archive, f"unpacked-{kind}")
    assert Path(f"unpacked-{kind}/one.txt").stat().st_size == 4000
shutil.rmtree("b")
assert shutil.disk_usage(".").total > 0
with tempfile.TemporaryDirectory() as directory, tempfile.NamedTemporaryFile(dir=directory) as named:
    named.write(b"x")
    assert os.path.exists(named.name)
with tempfile.TemporaryFile() as unnamed, tempfile.SpooledTemporaryFile(10) as spooled:
    unnamed.write(b"y" * 100)
    spooled.write(b"z" * 100)
with open("map.bin", "wb+") as file:
    file.truncate(1 << 20)
    with mmap.mmap(file.fileno(), 0) as mapped:
        mapped[:4] = b"abcd"
        mapped.flush()
        mapped.madvise(mmap.MADV_SEQUENTIAL)
        mapped.madvise(mmap.MADV_DONTNEED)
        assert mapped.find(b"cd") == 2
        mapped.resize(1 << 21)
    os.fsync(file.fileno())
    os.fdatasync(file.fileno())
    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    fcntl.lockf(file, fcntl.LOCK_EX, 10, 5)
    os.posix_fallocate(file.fileno(), 0, 1 << 16)
    os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_SEQUENTIAL)
    assert os.pread(file.fileno(), 4, 0) == b"abcd"
    os.pwrite(file.fileno(), b"efgh", 4)
    assert os.preadv(file.fileno(), [bytearray(2), bytearray(2)], 0) == 4
    os.pwritev(file.fileno(), [b"ij", b"kl"], 8)
    os.lseek(file.fileno(), 0, os.SEEK_SET)
    os.writev(file.fileno(), [b"mn", b"op"])
    os.readv(file.fileno(), [bytearray(2)])
    os.copy_file_range(
        file.fileno(), os.open("copied", os.O_CREAT | os.O_WRONLY), 100, offset_src=0, offset_dst=0
    )
    os.sendfile(os.open("sent", os.O_CREAT | os.O_WRONLY), file.fileno(), 0, 100)
assert os.path.getsize("sent") == os.path.getsize("copied") == 100
reader, writer = os.pipe()
os.set_blocking(reader, False)
with contextlib.suppress(BlockingIOError):
    os.read(reader, 1)
os.write(writer, b"x")
assert os.read(os.dup(reader), 1) == b"x"
os.dup2(reader, 200)
os.closerange(200, 210)
directory = os.open("a", os.O_RDONLY)
assert os.listdir(directory) == os.listdir("a")
os.mkdir("inner", dir_fd=directory)
os.rename("inner", "outer", src_dir_fd=directory, dst_dir_fd=directory)
os.rmdir("outer", dir_fd=directory)
os.chmod("one.txt", 0o644, dir_fd=directory)
os.fchmod(directory, 0o755)
os.chown("a/one.txt", -1, os.getgid())
os.fchown(directory, -1, os.getgid())
os.lchown("a/soft.txt", -1, os.getgid())
os.fchdir(directory)
os.chdir("..")
os.truncate("a/one.txt", 10)
assert os.access("a/one.txt", os.R_OK)
assert os.access("a/one.txt", os.R_OK, effective_ids=True)
assert os.readlink("a/soft.txt") == "one.txt"
assert os.statvfs(".").f_bsize > 0
assert os.fstatvfs(directory).f_bsize > 0
assert isinstance(os.listxattr("a/one.txt"), list)
with contextlib.suppress(OSError):
    os.getxattr("a/one.txt", "user.none")
with contextlib.suppress(OSError):  # a session does not set them
    os.setxattr("a/one.txt", "user.none", b"x")
with contextlib.suppress(OSError):  # nor has it named pipes
    os.mkfifo("fifo")
os.sync()
print("ok")
