"""Reads who listens and who talks, from the tables of the network that /proc keeps for each process.

Stopped by: network namespace, private root
"""

import contextlib
import glob

TABLES = (
    "tcp",
    "tcp6",
    "udp",
    "udp6",
    "udplite",
    "raw",
    "raw6",
    "icmp",
    "packet",
    "arp",
    "route",
    "nf_conntrack",
)
for place in ("/proc/net", "/proc/self/net", "/proc/1/net", *glob.glob("/proc/self/task/*/net")):
    for name in TABLES:
        with contextlib.suppress(OSError), open(f"{place}/{name}") as file:
            entries = file.read().splitlines()[name != "nf_conntrack" :]
            if any(entry.strip() for entry in entries):
                print("ESCAPED:", file.name, entries[:2])
    with contextlib.suppress(OSError), open(f"{place}/unix") as file:
        # The first line is a heading; those with an eighth column have a name.
        names = [line.split()[7] for line in file.read().splitlines()[1:] if len(line.split()) > 7]
        if names:
            print("ESCAPED: named sockets", names[:5])
    with contextlib.suppress(OSError), open(f"{place}/dev") as file:
        interfaces = {line.split(":")[0].strip(): line.split(":")[1] for line in file.read().splitlines()[2:]}
        if set(interfaces) - {"lo"}:
            print("ESCAPED: interfaces", sorted(interfaces))
        if any(figure != "0" for line in interfaces.values() for figure in line.split()):
            print("ESCAPED: the traffic of others", interfaces)
print("tried")
