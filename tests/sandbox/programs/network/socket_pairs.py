"""Talks over socket pairs of each type, and passes descriptors and credentials over them.

Not at: reduced - a pair of datagram sockets could send to any path of the machine
"""

import array
import os
import socket
import threading

for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_SEQPACKET):
    ours, theirs = socket.socketpair(socket.AF_UNIX, kind)
    with ours, theirs:
        ours.sendall(b"hello")
        assert theirs.recv(100) == b"hello"
        theirs.settimeout(0.01)
        try:
            theirs.recv(1)
        except TimeoutError:
            pass
        else:
            raise AssertionError("no time-out")

ours, theirs = socket.socketpair()
with open("passed.txt", "w+b") as file:
    file.write(b"by another way")
    file.flush()
    socket.send_fds(ours, [b"take it"], [file.fileno()])
    text, (fd,), _, _ = socket.recv_fds(theirs, 100, 1)
    assert text == b"take it"
    assert os.pread(fd, 100, 0) == b"by another way"
    os.close(fd)

ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)
assert ours.getsockopt(socket.SOL_SOCKET, socket.SO_TYPE) == socket.SOCK_STREAM
peer = array.array("i", ours.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
assert peer[1] == os.getuid()

data = os.urandom(5_000_000)
sender = threading.Thread(target=lambda: (ours.sendall(data), ours.shutdown(socket.SHUT_WR)))
sender.start()
with theirs.makefile("rb") as stream:
    assert stream.read() == data
sender.join()
ours.close()
theirs.close()
print("done")
