"""A forward proxy: `POST http://host/path` is sent on, `CONNECT host:port` makes a tunnel. Notes what it was asked for.

Names of .test and .example are this machine's for it, and nobody's for everyone else: who reaches them went through it.
"""

import http.client
import select
import socket
import threading
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class HTTPProxy(ThreadingHTTPServer):
    """`refuses`: the status that every request gets instead."""
    daemon_threads = True
    block_on_close = False

    def __init__(self):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.asked: list[str] = []
        self.headers: list[dict[str, str]] = []
        self.refuses: int | None = None
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()

    def __exit__(self, *_) -> None:
        self.shutdown()
        self.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, request, client_address):
        pass  # a client that has ended


def _address(host: str) -> str:
    return "127.0.0.1" if host.endswith((".test", ".example")) else host


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def _is_refused(self) -> bool:
        self.server.asked.append(f"{self.command} {self.path}")
        self.server.headers.append(dict(self.headers))
        if self.server.refuses:
            self.send_response(self.server.refuses)
            self.send_header("Content-Length", "0")
            self.end_headers()
        return bool(self.server.refuses)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self._is_refused():
            return
        target = urllib.parse.urlsplit(self.path)
        connection = http.client.HTTPConnection(_address(target.hostname), target.port, timeout=40)
        headers = {name: value for name, value in self.headers.items() if not name.lower().startswith("proxy-")}
        path = target.path + (f"?{target.query}" if target.query else "")
        connection.request("POST", path, body, headers)
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        self.send_response(answer.status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def do_CONNECT(self) -> None:
        if self._is_refused():
            return
        host, port = self.path.rsplit(":", 1)
        with socket.create_connection((_address(host.strip("[]")), int(port)), timeout=40) as far:
            self.send_response(200)
            self.end_headers()
            ends = [self.connection, far]
            while True:
                for ready in select.select(ends, [], [], 30)[0]:
                    content = ready.recv(1 << 16)
                    if not content:
                        self.close_connection = True
                        return
                    ends[1 - ends.index(ready)].sendall(content)

    def log_message(self, *_) -> None:
        pass
