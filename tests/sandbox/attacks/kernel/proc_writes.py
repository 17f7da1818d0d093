"""Writes into the files of /proc that steer the kernel, and into those of pid 1.

Stopped by: private root, own uid, Landlock
"""

import os

PATHS = [
    "/proc/sys/kernel/core_pattern",
    "/proc/sys/kernel/modprobe",
    "/proc/sys/vm/overcommit_memory",
    "/proc/sysrq-trigger",
    "/proc/sys/kernel/hostname",
    "/proc/sys/user/max_user_namespaces",
    "/proc/self/uid_map",
    "/proc/self/gid_map",
    "/proc/self/setgroups",
    "/proc/1/oom_score_adj",
    "/proc/1/comm",
    "/proc/1/mem",
    "/proc/self/attr/current",
    "/proc/self/loginuid",
    "/proc/self/timens_offsets",
    "/proc/irq/default_smp_affinity",
    "/proc/acpi/wakeup",
    "/proc/self/projid_map",
]
for path in PATHS:
    for mode in (os.O_WRONLY, os.O_RDWR, os.O_WRONLY | os.O_TRUNC):
        try:
            fd = os.open(path, mode)
        except OSError:
            continue
        print("ESCAPED: opened for writing", path)
        os.close(fd)
try:
    with open("/proc/self/oom_score_adj", "w") as file:
        file.write("-1000")
    print("ESCAPED: will never be the one to be killed")
except OSError:
    pass
for path in (
    "/proc/kcore",
    "/proc/kallsyms",
    "/proc/kmsg",
    "/proc/vmallocinfo",
    "/proc/config.gz",
    "/proc/mounts/..",
):
    try:
        with open(path, "rb") as file:
            print("ESCAPED: read", path, file.read(10))
    except OSError:
        pass
print("tried")
