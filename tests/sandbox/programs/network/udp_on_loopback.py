"""Sends datagrams to itself over UDP on 127.0.0.1 and ::1.

Not at: reduced - there are no sockets but socketpair
"""

import select
import socket

for family, host in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
    with (
        socket.socket(family, socket.SOCK_DGRAM) as server,
        socket.socket(family, socket.SOCK_DGRAM) as client,
    ):
        server.bind((host, 0))
        server.settimeout(30)
        client.settimeout(30)
        for number in range(20):
            client.sendto(str(number).encode(), server.getsockname())
            message, whence = server.recvfrom(100)
            server.sendto(message * 2, whence)
            assert client.recv(100) == str(number).encode() * 2
        client.connect(server.getsockname())
        assert client.getpeername()[:2] == server.getsockname()[:2]
        client.send(b"x" * 9000)
        assert select.select([server], [], [], 30)[0] == [server]
        assert len(server.recv(65536)) == 9000
print("done")
