"""Listens on Unix sockets, in a file and with an abstract name, from threads and other processes.

Not at: reduced - there are no sockets but socketpair
"""

import multiprocessing
import multiprocessing.connection
import os
import socket
import socketserver
import stat
import threading


class Upper(socketserver.StreamRequestHandler):
    def handle(self):
        for line in self.rfile:
            self.wfile.write(line.upper())


class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True


for address in ("/tmp/upper.sock", "\0upper"):
    with Server(address, Upper) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        for _ in range(10):
            with socket.socket(socket.AF_UNIX) as client:
                client.settimeout(30)
                client.connect(address)
                client.sendall(b"quiet\n")
                assert client.recv(100) == b"QUIET\n"
        server.shutdown()
assert stat.S_ISSOCK(os.stat("/tmp/upper.sock").st_mode)
os.unlink("/tmp/upper.sock")
try:
    socket.socket(socket.AF_UNIX).connect("/tmp/upper.sock")
except FileNotFoundError:
    gone = True
assert gone

receiver = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
receiver.bind("receiver.sock")
sender = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
sender.bind("")  # the kernel chooses an abstract name
assert sender.sendto(b"datagram", "receiver.sock") == 8
message, whence = receiver.recvfrom(100)
assert message == b"datagram"
assert whence == sender.getsockname()


def connect(address):
    with multiprocessing.connection.Client(address, authkey=b"key") as connection:
        connection.send({"sum": sum(connection.recv())})


with multiprocessing.connection.Listener(family="AF_UNIX", authkey=b"key") as listener:
    process = multiprocessing.get_context("fork").Process(target=connect, args=(listener.address,))
    process.start()
    with listener.accept() as connection:
        connection.send([1, 2, 3])
        assert connection.recv() == {"sum": 6}
    process.join(30)
    assert process.exitcode == 0
print("done")
