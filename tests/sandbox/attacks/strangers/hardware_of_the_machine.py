"""Reads the machine's inventory from /sys and /proc: network cards, disks, modules, memory, what its kernel maps where.

Stopped by: private root
"""

import contextlib
import os

for path in (
    "/sys/class/net", "/sys/block", "/sys/devices", "/sys/module", "/sys/firmware", "/sys/kernel", "/sys/fs",
    "/proc/sys", "/proc/bus", "/proc/irq", "/proc/driver", "/proc/acpi", "/proc/fs", "/proc/tty", "/proc/scsi",
    "/dev/disk", "/dev/mapper", "/dev/dri", "/dev/input", "/dev/net", "/dev/block", "/dev/char", "/boot",
    "/sys/bus",
):  # fmt: skip
    with contextlib.suppress(OSError):
        print("ESCAPED: listed", path, os.listdir(path)[:5])
for name in (
    "partitions", "diskstats", "swaps", "modules", "interrupts", "softirqs", "iomem", "ioports", "meminfo", "cpuinfo",
    "vmstat", "zoneinfo", "slabinfo", "buddyinfo", "filesystems", "devices", "misc", "mdstat", "crypto", "version",
    "kallsyms", "kcore", "kpagecount", "config.gz", "sysvipc/shm", "pressure/cpu", "cgroups", "key-users",
):  # fmt: skip
    with contextlib.suppress(OSError), open(f"/proc/{name}", "rb") as file:
        print("ESCAPED: read", file.name, file.read(40))
print("tried")
