"""Connects to itself over TCP on 127.0.0.1 and ::1, by number and by name, from threads and processes.

Not at: reduced - there are no sockets but socketpair
"""

import errno
import os
import socket
import threading


def everything(connection):
    """What comes until the other end is shut."""
    return b"".join(iter(lambda: connection.recv(65536), b""))


def serve(listener):
    while True:
        connection, _ = listener.accept()
        with connection:
            received = everything(connection)
            if received == b"end":
                return
            connection.sendall(received[::-1])


def ask(address, data):
    with socket.create_connection(address, timeout=30) as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        client.sendall(data)
        client.shutdown(socket.SHUT_WR)
        return everything(client)


for family, host in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
    with socket.create_server((host, 0), family=family) as listener:
        port = listener.getsockname()[1]
        server = threading.Thread(target=serve, args=(listener,))
        server.start()
        assert ask((host, port), b"hello") == b"olleh"
        assert ask(("localhost" if family == socket.AF_INET else host, port), b"name") == b"eman"
        data = os.urandom(2_000_000)
        assert ask((host, port), data) == data[::-1]
        pid = os.fork()
        if pid == 0:
            os._exit(0 if ask((host, port), b"child") == b"dlihc" else 1)
        assert os.waitpid(pid, 0)[1] == 0
        ask((host, port), b"end")
        server.join(30)
    with socket.socket(family) as client:
        assert client.connect_ex((host, port)) == errno.ECONNREFUSED
        assert client.getsockname()
assert socket.getaddrinfo("localhost", 80, type=socket.SOCK_STREAM)
print("done")
