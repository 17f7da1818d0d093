"""Sockets among a program's own threads: TCP and UDP on loopback where there is one, Unix sockets, select and TLS's bytes."""

import array
import contextlib
import errno
import os
import selectors
import socket
import ssl
import threading


def has_loopback(family: int, address: str) -> bool:
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.bind((address, 0))
            probe.connect(probe.getsockname())
            probe.send(b"?")
    except OSError as error:
        assert error.errno in (errno.EADDRNOTAVAIL, errno.ENETUNREACH, errno.EAFNOSUPPORT), error
        return False
    return True


def echo(listener: socket.socket) -> None:
    connection, _ = listener.accept()
    with connection:
        while data := connection.recv(65536):
            connection.sendall(data)


def serve_and_ask(family: int, address: object) -> None:
    with socket.create_server(address, family=family, reuse_port=family != socket.AF_UNIX) as listener:  # type: ignore[arg-type]
        thread = threading.Thread(target=echo, args=(listener,))
        thread.start()
        with socket.socket(family) as client:
            client.settimeout(20)
            client.connect(listener.getsockname())
            client.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 16)
            if family != socket.AF_UNIX:
                client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                assert client.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
            assert client.getsockopt(socket.SOL_SOCKET, socket.SO_TYPE) == socket.SOCK_STREAM
            assert client.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0
            client.sendall(b"x" * 100_000)
            received = b""
            while len(received) < 100_000:
                received += client.recv(65536)
            assert client.getpeername() == listener.getsockname()
            client.shutdown(socket.SHUT_RDWR)
        thread.join(20)


for family, address in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
    if has_loopback(family, address):
        serve_and_ask(family, (address, 0))
        with socket.socket(family, socket.SOCK_DGRAM) as one, socket.socket(family, socket.SOCK_DGRAM) as two:
            one.bind((address, 0))
            two.sendto(b"datagram", one.getsockname())
            assert one.recvfrom(100)[0] == b"datagram"
serve_and_ask(socket.AF_UNIX, "echo.sock")
os.unlink("echo.sock")
assert socket.getaddrinfo("localhost", 80, type=socket.SOCK_STREAM)
for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_SEQPACKET):
    with contextlib.ExitStack() as stack:
        one, two = (stack.enter_context(end) for end in socket.socketpair(socket.AF_UNIX, kind))
        one.sendmsg([b"he", b"llo"])
        assert two.recvmsg(10)[0] == b"hello"
one, two = socket.socketpair()
socket.send_fds(one, [b"fd"], [os.open(".", os.O_RDONLY)])
assert len(socket.recv_fds(two, 10, 1)[1]) == 1
for choice in (selectors.EpollSelector, selectors.PollSelector, selectors.SelectSelector):
    with choice() as selector:
        selector.register(two, selectors.EVENT_READ)
        assert selector.select(0) == []
        one.send(b"x")
        assert len(selector.select(20)) == 1
        two.recv(1)
assert array.array("i", [socket.AF_UNIX])[0] == 1
context = ssl.create_default_context()
context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
inward, outward = ssl.MemoryBIO(), ssl.MemoryBIO()
with contextlib.suppress(ssl.SSLWantReadError):
    context.wrap_bio(inward, outward).do_handshake()
assert outward.read(1) == b"\x16"
assert len(ssl.RAND_bytes(16)) == 16
print("ok")
