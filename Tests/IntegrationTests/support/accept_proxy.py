"""Asks for a page with an Accept header of its own, so that any scraper gets any format."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from support.http_client import Endpoint, ask


class AcceptProxy:
    def __init__(self, target: Endpoint, accept: str):
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                answer = ask(target, "GET", self.path, headers={"Accept": accept})
                self.send_response(answer.status)
                self.send_header("Content-Type", answer.headers["Content-Type"])
                self.send_header("Content-Length", str(len(answer.body)))
                self.end_headers()
                self.wfile.write(answer.body)

            def log_message(self, *_):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self._server.server_address[1]

    def __enter__(self) -> "AcceptProxy":
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_) -> None:
        self._server.shutdown()
        self._server.server_close()
