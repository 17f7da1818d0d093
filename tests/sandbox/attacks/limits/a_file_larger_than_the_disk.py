"""Makes one file of a terabyte, all hole, in each way there is: who copies or sends it has to believe its size.

Stopped by: rlimits
"""

import contextlib
import os
import tempfile

TERABYTE = 2**40


def in_pieces(fd: int) -> None:
    """By a copy from one file's hole into another's far end."""
    with tempfile.TemporaryFile() as source:
        source.write(b"x" * 4096)
        source.flush()
        os.copy_file_range(source.fileno(), fd, 4096, 0, TERABYTE)


ways = {
    "ftruncate": lambda fd: os.ftruncate(fd, TERABYTE),
    "pwrite": lambda fd: os.pwrite(fd, b"x", TERABYTE),
    "lseek": lambda fd: (os.lseek(fd, TERABYTE, os.SEEK_SET), os.write(fd, b"x")),
    "copy_file_range": in_pieces,
}
for place in (tempfile.gettempdir(), "/dev/shm", os.environ["INPUT_DIR"]):
    for way, grow in ways.items():
        try:
            fd, name = tempfile.mkstemp(dir=place)
        except OSError:
            continue  # not a place for it to write
        with contextlib.suppress(OSError):
            grow(fd)
        if os.fstat(fd).st_size > 64 * 2**20:
            print("ESCAPED: a terabyte by", way)
        os.close(fd)
        os.unlink(name)
print("tried")
