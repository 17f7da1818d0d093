"""Serves TCP with a thread and with a process for each client, by socketserver.

Not at: reduced - there are no sockets but socketpair
"""

import os
import socket
import socketserver
import threading


class Handler(socketserver.StreamRequestHandler):
    timeout = 30

    def handle(self):
        self.wfile.write(self.rfile.readline().strip() + f" {os.getpid()}".encode())


class Forking(socketserver.ForkingTCPServer):
    allow_reuse_address = True


class Threading(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


for kind, is_here in ((Threading, True), (Forking, False)):
    with kind(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        for number in range(8):
            with socket.create_connection(server.server_address, timeout=30) as client:
                client.sendall(f"{number}\n".encode())
                text, pid = client.makefile("rb").read().split()
                assert int(text) == number
                assert (int(pid) == os.getpid()) == is_here
        server.shutdown()
print("done")
