"""Serves pages with http.server and reads them with urllib and http.client.

Not at: reduced - there are no sockets but socketpair
"""

import http.client
import http.server
import json
import threading
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

Path("site").mkdir()
Path("site/page.html").write_text("<h1>Grüße</h1>")


class Handler(http.server.SimpleHTTPRequestHandler):
    def __init__(self, *arguments):
        super().__init__(*arguments, directory="site")

    def do_POST(self):
        fields = urllib.parse.parse_qs(self.rfile.read(int(self.headers["content-length"])).decode())
        body = json.dumps(fields).encode()
        self.send_response(201)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        """Nothing of this belongs into the output."""


with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
    threading.Thread(target=server.serve_forever, daemon=True).start()
    base = f"http://127.0.0.1:{server.server_port}"
    with urllib.request.urlopen(f"{base}/page.html", timeout=30) as answer:
        assert answer.status == 200
        assert answer.headers["content-type"] == "text/html"
        assert answer.read().decode() == "<h1>Grüße</h1>"
    try:
        urllib.request.urlopen(f"http://localhost:{server.server_port}/none", timeout=30)
    except urllib.error.HTTPError as error:
        assert error.code == 404
    form = urllib.parse.urlencode({"name": "Ö", "tag": ["a", "b"]}, doseq=True).encode()
    with urllib.request.urlopen(f"{base}/", data=form, timeout=30) as answer:
        assert answer.status == 201
        assert json.load(answer) == {"name": ["Ö"], "tag": ["a", "b"]}
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=30)
    for _ in range(5):
        connection.request("HEAD", "/page.html")
        answer = connection.getresponse()
        assert answer.status == 200
        assert answer.read() == b""
    connection.close()
    server.shutdown()
print("done")
