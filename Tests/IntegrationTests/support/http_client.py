"""HTTP/1.1 to the collector, over TCP or a unix socket, close enough to the wire for odd requests."""

import gzip
import http.client
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

PROTOBUF = {"Content-Type": "application/x-protobuf"}
TIMEOUT_SECONDS = 40


@dataclass(frozen=True)
class Endpoint:
    """A TCP port of this machine, or a unix socket."""
    port: int | None = None
    path: Path | None = None
    host: str = "127.0.0.1"

    def connect(self) -> socket.socket:
        family = socket.AF_UNIX if self.path else socket.AF_INET6 if ":" in self.host else socket.AF_INET
        connection = socket.socket(family, socket.SOCK_STREAM)
        connection.settimeout(TIMEOUT_SECONDS)
        if not self.path:
            # Head and body are two sends: the second would wait for the acknowledgement of the first, up to 40 ms.
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            connection.connect(str(self.path) if self.path else (self.host, self.port))
        except OSError:
            connection.close()
            raise
        return connection


@dataclass(frozen=True)
class Answer:
    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def media_type(self) -> str:
        return self.headers.get_content_type()

    def __str__(self) -> str:
        return f"{self.status} {self.media_type} {self.body[:300]!r}"


class Connection(http.client.HTTPConnection):
    def __init__(self, endpoint: Endpoint):
        super().__init__("localhost", timeout=TIMEOUT_SECONDS)
        self._endpoint = endpoint

    def connect(self) -> None:
        self.sock = self._endpoint.connect()

    def ask(self, method: str, path: str, body=None, headers: dict[str, str] = {}) -> Answer:
        """Keeps the connection. A body that is an iterator goes out chunked."""
        self.request(method, path, body, headers, encode_chunked=isinstance(body, Iterator))
        return read(self.getresponse())


def ask(endpoint: Endpoint, method: str, path: str, body=None, headers: dict[str, str] = {}) -> Answer:
    connection = Connection(endpoint)
    try:
        return connection.ask(method, path, body, headers)
    finally:
        connection.close()


def read(response: http.client.HTTPResponse) -> Answer:
    return Answer(response.status, response.headers, response.read())


def encoded(body: bytes, compress: bool = False, chunked: bool = False):
    """Body and headers as a client would send them."""
    headers = dict(PROTOBUF)
    if compress:
        body, headers["Content-Encoding"] = gzip.compress(body, 1), "gzip"
    if chunked:
        headers["Transfer-Encoding"] = "chunked"
        # Odd chunk sizes: frames and fields are cut anywhere.
        return iter([body[i:i + 777] for i in range(0, len(body), 777)]), headers
    return body, headers


def post_traces(endpoint: Endpoint, body: bytes, compress: bool = False, chunked: bool = False) -> Answer:
    content, headers = encoded(body, compress, chunked)
    return ask(endpoint, "POST", "/v1/traces", content, headers)


@contextmanager
def raw(endpoint: Endpoint):
    """A connected socket."""
    connection = endpoint.connect()
    try:
        yield connection
    finally:
        connection.close()


def raw_answer(connection: socket.socket, method: str = "POST") -> Answer:
    response = http.client.HTTPResponse(connection, method=method)
    response.begin()
    return read(response)
