"""Types into the terminal of whoever started this: TIOCSTI, TIOCLINUX, a controlling terminal, a pseudo-terminal.

Stopped by: private root, seccomp
"""

import ctypes
import os

libc = ctypes.CDLL(None, use_errno=True)
for fd in (0, 1, 2, 3):
    for request in (0x5412, 0x541C, 0x540E, 0x5402, 0x80045430, 0x40045431):
        for upper in (0, 1 << 32):
            if libc.ioctl(fd, ctypes.c_ulong(upper | request), ctypes.c_char_p(b"x")) >= 0:
                print("ESCAPED: ioctl", hex(request), "of", fd)
for path in ("/dev/tty", "/dev/tty0", "/dev/console", "/dev/ptmx", "/dev/pts/0", "/dev/vcs"):
    try:
        os.close(os.open(path, os.O_RDWR))
        print("ESCAPED: opened", path)
    except OSError:
        pass
print("tried")
