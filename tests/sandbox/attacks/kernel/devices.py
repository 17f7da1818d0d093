"""Makes device nodes for memory, disks and the kernel's log, and opens those that may lie about.

Stopped by: seccomp, capabilities, private root
Weak box: root
"""

import itertools
import os
import stat

DEVICES = (
    (1, 1),
    (1, 2),
    (1, 4),
    (1, 11),
    (8, 0),
    (254, 0),
    (253, 0),
    (259, 0),
    (7, 0),
    (10, 229),
    (10, 232),
    (5, 0),
)
for directory, (major, minor) in itertools.product(("/tmp", "/dev/shm", "/files/work", "/dev"), DEVICES):
    for kind in (stat.S_IFCHR, stat.S_IFBLK):
        path = f"{directory}/node-{kind}-{major}-{minor}"
        try:
            os.mknod(path, 0o666 | kind, os.makedev(major, minor))
            print("ESCAPED: made", path)
            os.unlink(path)
        except OSError:
            pass
for name in (
    "mem",
    "kmem",
    "port",
    "kmsg",
    "vda",
    "sda",
    "nvme0n1",
    "fuse",
    "kvm",
    "net/tun",
    "loop0",
    "loop-control",
):
    try:
        os.close(os.open(f"/dev/{name}", os.O_RDONLY))
        print("ESCAPED: opened", name)
    except OSError:
        pass
print("tried")
