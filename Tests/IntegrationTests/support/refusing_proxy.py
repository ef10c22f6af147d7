"""Stands in front of a Redis as proxies of hosters do: answers some commands in words of its own, or hangs up at them."""

import socket
import socketserver
from typing import BinaryIO

from support.redis_proxy import ProxyListener
from support.redis_server import RedisServer

HANGS_UP = None


class RefusingProxy:
    """`answers`: by the command's name in capitals, the line that it is answered with, or `HANGS_UP`."""

    def __init__(self, server: RedisServer, answers: dict[bytes, bytes | None]):
        self.server = server
        self.answers = answers
        self.seen: list[bytes] = []
        self._listener = ProxyListener(self, _Handler)
        self.port = self._listener.server_address[1]

    def __enter__(self) -> "RefusingProxy":
        return self

    def __exit__(self, *_) -> None:
        self._listener.shutdown()
        self._listener.server_close()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"


def _command(stream: BinaryIO) -> tuple[bytes, bytes] | None:
    """Its name, and all of it as it came; None at the end."""
    raw = stream.readline()
    if not raw:
        return None
    name = b""
    for number in range(int(raw[1:])):
        head = stream.readline()
        word = stream.read(int(head[1:]) + 2)
        raw += head + word
        name = name if number else word[:-2].upper()
    return name, raw


def _reply(stream: BinaryIO) -> bytes:
    line = stream.readline()
    if line[:1] == b"$" and int(line[1:]) >= 0:
        return line + stream.read(int(line[1:]) + 2)
    if line[:1] == b"*" and int(line[1:]) > 0:
        return line + b"".join(_reply(stream) for _ in range(int(line[1:])))
    return line


class _Handler(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        proxy = self.server.proxy
        with socket.create_connection(("127.0.0.1", proxy.server.port)) as redis, redis.makefile("rb") as replies:
            while command := _command(self.rfile):
                name, raw = command
                proxy.seen.append(name)
                if name in proxy.answers:
                    answer = proxy.answers[name]
                    if answer is HANGS_UP:
                        return
                    self.wfile.write(answer + b"\r\n")
                    continue
                redis.sendall(raw)
                self.wfile.write(_reply(replies))
