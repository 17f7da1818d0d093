"""Connects to the machine's services by their Unix sockets, named and abstract.

Stopped by: private root, network namespace, Landlock
"""

import contextlib
import json
import os
import socket

NAMED = """
    /run/docker.sock /var/run/docker.sock /run/containerd/containerd.sock /run/systemd/private
    /run/dbus/system_bus_socket /run/systemd/journal/socket /dev/log /run/nscd/socket /tmp/.X11-unix/X0 /run/user/0/bus
""".split()
ABSTRACT = ["/tmp/.X11-unix/X0", "/tmp/dbus-1", "/containerd-shim/1", "belljar", "", "00000"]
bait = json.loads(os.environ["BAIT"])
NAMED.append(bait["socket"])
ABSTRACT.append(bait["abstract_socket"])
for path in NAMED + ["\0" + name for name in ABSTRACT]:
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_SEQPACKET):
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, kind) as sock:
            sock.settimeout(1)
            sock.connect(path)
            print("ESCAPED: connected to", repr(path), sock.recv(100))
with contextlib.suppress(OSError), open("/proc/self/net/unix") as file:
    names = [line.split()[7] for line in file.read().splitlines()[1:] if len(line.split()) > 7]
    if names:
        print("ESCAPED: sockets of others", names)
print("tried")
