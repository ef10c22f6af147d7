"""Stands between a client and a Redis: writes down what is asked, and answers in Redis' stead where told to.

A round trip is what a client sends before it waits for answers: what has come in before a pause of `QUIET_SECONDS` goes on
to Redis as one `Burst`. Thus the count depends neither on how the kernel cuts a pipeline into pieces nor on how soon
Redis answers its beginning.
"""

import select
import socket
import socketserver
import threading

from support.redis_server import RedisServer

QUIET_SECONDS = 0.03
# What a connection is made with; never answered with an error.
_LOGIN = {b"AUTH", b"SELECT", b"CLIENT", b"HELLO"}

Command = list[bytes]
Burst = list[Command]


class RedisProxy:
    """`server` may be None if every command is answered here."""

    def __init__(self, server: RedisServer | None = None):
        self.server = server
        self._lock = threading.Lock()
        self._bursts: list[Burst] = []
        self._connections = 0
        self.error: bytes | None = None
        self._error_once: bytes | None = None
        self.closes_at_once = False
        self._listener = ProxyListener(self, _Handler)
        self.port = self._listener.server_address[1]

    def __enter__(self) -> "RedisProxy":
        return self

    def __exit__(self, *_) -> None:
        self._listener.shutdown()
        self._listener.server_close()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def connections(self) -> int:
        """Made so far."""
        with self._lock:
            return self._connections

    def round_trips(self) -> list[Burst]:
        """Without those that only log in."""
        with self._lock:
            return [burst for burst in self._bursts if any(command[0].upper() not in _LOGIN for command in burst)]

    def answer_once(self, error: bytes) -> None:
        """The next round trip that is more than a login gets this error for each command."""
        with self._lock:
            self._error_once = error

    # --- For the handler ---

    def note_connection(self) -> None:
        with self._lock:
            self._connections += 1

    def note(self, burst: Burst) -> None:
        with self._lock:
            self._bursts.append(burst)

    def answer(self, burst: Burst) -> bytes | None:
        """None where Redis is to be asked."""
        with self._lock:
            once = self._error_once if any(command[0].upper() not in _LOGIN for command in burst) else None
            if once:
                self._error_once = None
        if self.server and not self.error and not once:
            return None
        error = once or self.error or b"ERR there is no Redis behind this proxy"
        return b"".join(b"+OK\r\n" if command[0].upper() in _LOGIN else b"-" + error + b"\r\n" for command in burst)


def commands(sent: bytes) -> Burst:
    """`*2\\r\\n$4\\r\\nLLEN\\r\\n$3\\r\\nkey\\r\\n`, and so on. A client that is not cut off sends whole commands."""
    found: Burst = []
    at = 0

    def number(mark: bytes) -> int:
        nonlocal at
        end = sent.index(b"\r\n", at)
        assert sent[at:at + 1] == mark, f"expected {mark!r} at offset {at} of {sent!r}"
        value, at = int(sent[at + 1:end]), end + 2
        return value

    while at < len(sent):
        words = []
        for _ in range(number(b"*")):
            size = number(b"$")
            words.append(sent[at:at + size])
            at += size + 2
        found.append(words)
    return found


class ProxyListener(socketserver.ThreadingTCPServer):
    """Hands each connection to a handler of this type, which finds the proxy in `self.server.proxy`."""
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, proxy: object, handler: type[socketserver.BaseRequestHandler]):
        self.proxy = proxy
        super().__init__(("127.0.0.1", 0), handler)
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()

    def handle_error(self, request, client_address):
        pass  # a client that was killed


class _Handler(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        proxy = self.server.proxy
        proxy.note_connection()
        if proxy.closes_at_once:
            return
        redis = None
        if proxy.server:
            redis = socket.create_connection(("127.0.0.1", proxy.server.port))
            redis.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with redis or socket.socket():
            self._pass_on(proxy, redis)

    def _pass_on(self, proxy: RedisProxy, redis: socket.socket | None) -> None:
        ends = [self.request] + ([redis] if redis else [])
        waiting = b""
        while True:
            ready = select.select(ends, [], [], QUIET_SECONDS if waiting else None)[0]
            if redis in ready:
                answer = redis.recv(1 << 20)
                if not answer:
                    return
                self.request.sendall(answer)
            if self.request in ready:
                asked = self.request.recv(1 << 20)
                if not asked:
                    return
                waiting += asked
            if waiting and not ready:
                burst = commands(waiting)
                proxy.note(burst)
                answer = proxy.answer(burst)
                if answer is None:
                    redis.sendall(waiting)
                else:
                    self.request.sendall(answer)
                waiting = b""
