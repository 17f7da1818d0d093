"""Servers of the standard library for a program's own clients, over Unix sockets: HTTP, XML-RPC's marshalling, managers."""

import http.client
import http.server
import socket
import socketserver
import threading
import xmlrpc.client
from multiprocessing.connection import Client, Listener


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"served " + self.path.encode())

    def address_string(self) -> str:
        return "unix"

    def log_message(self, *_: object) -> None:
        return


class Connection(http.client.HTTPConnection):
    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect("http.sock")


class Server(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True


with Server("http.sock", Handler) as server:
    threading.Thread(target=server.serve_forever, daemon=True).start()
    connection = Connection("unix")
    connection.request("GET", "/there")
    assert connection.getresponse().read() == b"served /there"
    connection.close()
    server.shutdown()
assert xmlrpc.client.loads(xmlrpc.client.dumps((1, "a")))[0] == (1, "a")
with Listener("listener.sock", "AF_UNIX", authkey=b"key") as listener:
    client = threading.Thread(target=lambda: Client("listener.sock", authkey=b"key").send("hello"))
    client.start()
    with listener.accept() as accepted:
        assert accepted.recv() == "hello"
    client.join()
print("ok")
