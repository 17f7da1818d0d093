"""Reads which machine this is: its numbers, its boot, its hardware's serial numbers, its settings.

Stopped by: private root, Landlock
"""

import contextlib

# Without /etc/os-release, a link to /usr/lib, which all sessions may read.
for path in (
    "/etc/machine-id", "/var/lib/dbus/machine-id", "/proc/sys/kernel/random/boot_id", "/proc/sys/kernel/hostname",
    "/proc/sys/kernel/domainname", "/sys/class/dmi/id/product_uuid", "/sys/class/dmi/id/board_serial",
    "/sys/class/dmi/id/sys_vendor", "/sys/hypervisor/uuid", "/proc/device-tree/serial-number", "/proc/cmdline",
    "/etc/issue", "/etc/resolv.conf", "/etc/fstab", "/etc/timezone", "/etc/environment",
    "/run/cloud-init/instance-data.json", "/.dockerenv", "/run/.containerenv",
):  # fmt: skip
    with contextlib.suppress(OSError), open(path, "rb") as file:
        print("ESCAPED:", path, file.read(60))
print("tried")
