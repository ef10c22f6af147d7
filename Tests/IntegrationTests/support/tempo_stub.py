"""A stand-in for Grafana Tempo's OTLP/HTTP endpoint, as strict as the real one was observed to be (3.0.3).

    good protobuf, plain, gzip, deflate or zstd, chunked or not  200, body 0a 00
    Content-Encoding: identity, broken compression             400, google.rpc.Status
    truncated protobuf, or over 20 MiB after decompression     400, google.rpc.Status
    one span with a bad trace or span id                       400 for the whole batch, nothing stored
    wrong path / method / content type                         404 / 405 / 415

What is stored, is stored before the answer goes out, and never de-duplicated. JSON is not imitated.
Faults: `go_down`, `come_up`, `answer` (503, 429, 400 for ever or a number of times), `judge` (by what a request holds),
`hold` and `release`, `slow_down`.
"""

import gzip
import socket
import socketserver
import ssl
import threading
import time
import zlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from email.message import Message
from http.server import BaseHTTPRequestHandler

import zstandard
from google.protobuf.message import DecodeError

from support import wire
from support.deadline import SECONDS, eventually
from support.otlp import ExportTraceServiceRequest, RawSpan, SpanKey, spans_in
from support.ports import free_port

BODY_BYTES_MAX = 20 * 1024 * 1024
HOLD_SECONDS_MAX = 60


@dataclass(eq=False)
class Received:
    """One request, also a refused one."""
    headers: Message
    body: bytes
    arrived: float
    connection: tuple[str, int]  # the client's address
    spans: list[RawSpan] = field(default_factory=list)
    status: int | None = None  # None: not answered (yet)
    answered: float | None = None


@dataclass
class Fault:
    status: int
    headers: dict[str, str] = field(default_factory=dict)
    times: int | None = None  # None: until told otherwise
    message: str = "the stub was told to"
    body: bytes | None = None  # in place of a google.rpc.Status with the message
    rejected: int = 0  # with status 200: stored but for this number of spans, which partial success tells


class Refusal(Exception):
    def __init__(self, status: int, message: str):
        super().__init__(message)
        self.status = status


class TempoStub:
    """With `tls` (an `ssl.SSLContext` for servers) it speaks TLS. `host` is the address that it listens on."""

    def __init__(self, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1", port: int | None = None):
        self.tls = tls
        self.host = host
        self.port = port or free_port()
        scheme, authority = "https" if tls else "http", f"[{host}]" if ":" in host else host
        self.endpoint = f"{scheme}://{authority}:{self.port}"
        self._lock = threading.Lock()
        self._requests: list[Received] = []
        self._stored: list[RawSpan] = []
        self._fault: Fault | None = None
        self._judge: Callable[[set[SpanKey]], Fault | None] = lambda keys: None
        self._delay_seconds = 0.0
        self._go_on = threading.Event()
        self._go_on.set()
        self._server: _Server | None = None

    def __enter__(self) -> "TempoStub":
        self.come_up()
        return self

    def __exit__(self, *_) -> None:
        self.release()
        self.go_down()

    # --- What has arrived ---

    @property
    def requests(self) -> list[Received]:
        with self._lock:
            return list(self._requests)

    @property
    def stored(self) -> list[RawSpan]:
        """Every span of every request that was stored, as often as it came."""
        with self._lock:
            return list(self._stored)

    def times_stored(self) -> Counter[SpanKey]:
        return Counter(raw.key for raw in self.stored)

    def until_stored(self, keys: set[SpanKey], seconds: float = SECONDS) -> None:
        def none_missing() -> bool:
            missing = keys - set(self.times_stored())
            assert not missing, f"{len(missing)} of {len(keys)} spans are missing"
            return True

        eventually("every span at the stub", none_missing, seconds)

    def assert_each_once(self, keys: set[SpanKey]) -> None:
        times = self.times_stored()
        wrong = {key: times[key] for key in keys | set(times) if times[key] != 1 or key not in keys}
        assert not wrong, f"expected each of {len(keys)} spans once and no other, got {len(wrong)} else: {_some(wrong)}"

    # --- Faults ---

    def answer(self, status: int, headers: dict[str, str] = {}, times: int | None = None, **how) -> None:
        """Answers every request, or the next ones, with this status and stores nothing."""
        with self._lock:
            self._fault = Fault(status, headers, times, **how)

    def judge(self, by: Callable[[set[SpanKey]], Fault | None]) -> None:
        """Asks for each good request, given its spans, whether it is to be answered with a fault."""
        with self._lock:
            self._judge = by

    def answer_normally(self) -> None:
        with self._lock:
            self._fault = None
            self._judge = lambda keys: None

    def hold(self) -> None:
        """Requests are stored and then wait for their answer."""
        self._go_on.clear()

    def release(self) -> None:
        self._go_on.set()

    def slow_down(self, seconds: float) -> None:
        """Requests are stored and answered so much later; 0: at once."""
        self._delay_seconds = seconds

    def go_down(self) -> None:
        """Connections are refused; those that are open end."""
        if self._server:
            self._server.stop()
            self._server = None

    def come_up(self) -> None:
        assert self._server is None, "the stub is up already"
        self._server = _Server(self)

    # --- For the handler ---

    def take(self, path: str, method: str, headers: Message, body: bytes, connection) -> tuple[int, dict[str, str], bytes]:
        received = Received(headers, body, time.monotonic(), connection)
        with self._lock:
            self._requests.append(received)
            fault = self._next_fault()
        if fault:
            body = _status(14, fault.message) if fault.body is None else fault.body
            status, answer = fault.status, (fault.headers, body)
        else:
            status, answer = self._store(path, method, received)
        if self._delay_seconds:
            time.sleep(self._delay_seconds)
        self._go_on.wait(HOLD_SECONDS_MAX)
        received.status, received.answered = status, time.monotonic()
        return status, *answer

    def _next_fault(self) -> Fault | None:
        fault = self._fault
        if fault and fault.times is not None:
            fault.times -= 1
            if fault.times <= 0:
                self._fault = None
        return fault

    def _store(self, path: str, method: str, received: Received):
        try:
            spans = accepted_spans(path, method, received.headers, received.body)
        except Refusal as refusal:
            content = {"Content-Type": "application/x-protobuf"} if refusal.status == 400 else {}
            return refusal.status, (content, _status(3, str(refusal)))
        with self._lock:
            fault = self._judge({raw.key for raw in spans})
            if fault and fault.status != 200:
                return fault.status, (fault.headers, _status(3, fault.message))
            received.spans = spans
            kept = spans[fault.rejected:] if fault else spans
            self._stored += kept
        content = {"Content-Type": "application/x-protobuf"}
        if not fault:
            return 200, (content, b"\x0a\x00")
        # ExportTraceServiceResponse: 1 partial_success { 1 rejected_spans, 2 error_message }
        partial = b"\x08" + wire.varint(fault.rejected) + wire.delimited(2, fault.message.encode())
        return 200, (content, wire.delimited(1, partial))


def accepted_spans(path: str, method: str, headers: Message, body: bytes) -> list[RawSpan]:
    """The spans of a request, or the Refusal that Tempo answers with."""
    if path != "/v1/traces":
        raise Refusal(404, "404 page not found")
    if method != "POST":
        raise Refusal(405, "405 method not allowed, supported: [POST]")
    if headers.get_content_type() != "application/x-protobuf" or "content-type" not in headers:
        raise Refusal(415, "415 unsupported media type")
    request = decompressed(headers.get("content-encoding"), body)
    if len(request) > BODY_BYTES_MAX:
        raise Refusal(400, "request body too large")
    try:
        ExportTraceServiceRequest.FromString(request)
        spans = spans_in(request)
    except (DecodeError, ValueError) as error:
        raise Refusal(400, f"unexpected EOF: {error}") from error
    for raw in spans:
        for name, identifier, size in (("trace", raw.key[0], 16), ("span", raw.key[1], 8)):
            if len(identifier) != size or not any(identifier):
                raise Refusal(400, f"{name} ids must be {size * 8} bit, received {len(identifier) * 8} bits")
    return spans


def decompressed(encoding: str | None, body: bytes) -> bytes:
    try:
        if encoding is None:
            return body
        if encoding == "gzip":
            return gzip.decompress(body)
        if encoding == "deflate":
            return zlib.decompress(body)
        if encoding == "zstd":
            return _zstd_frame(body)
    except (OSError, EOFError, zlib.error, zstandard.ZstdError) as error:
        raise Refusal(400, f"{encoding}: {error}") from error
    raise Refusal(400, f"unsupported Content-Encoding: {encoding}")


def _zstd_frame(body: bytes) -> bytes:
    frame = zstandard.ZstdDecompressor().decompressobj()
    content = frame.decompress(body)
    if not frame.eof or frame.unused_data:
        raise EOFError("not one whole frame")
    return content


def _status(code: int, message: str) -> bytes:
    """google.rpc.Status: code = 1, message = 2."""
    return b"\x08" + wire.varint(code) + wire.delimited(2, message.encode())


def _some(wrong: dict[SpanKey, int]) -> list[str]:
    return [f"{trace.hex()}/{span.hex()}: {times} times" for (trace, span), times in list(wrong.items())[:5]]


class _Server(socketserver.ThreadingTCPServer):
    """Listens from construction until `stop`, which also ends the open connections."""
    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, stub: TempoStub):
        self.stub = stub
        self.address_family = socket.AF_INET6 if ":" in stub.host else socket.AF_INET
        self._open: set[socket.socket] = set()
        super().__init__((stub.host, stub.port), _Handler)
        self._thread = threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def get_request(self):
        request, address = super().get_request()
        if self.stub.tls:
            # The handshake comes with the first read, in the connection's own thread.
            request = self.stub.tls.wrap_socket(request, server_side=True, do_handshake_on_connect=False)
        return request, address

    def process_request(self, request, client_address):
        self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request):
        self._open.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request, client_address):
        pass  # a client that was killed

    def stop(self) -> None:
        self.shutdown()
        self._thread.join()
        self.server_close()
        for connection in list(self._open):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_POST(self) -> None:
        body = self._body()
        status, headers, answer = self.server.stub.take(
            self.path, self.command, self.headers, body, self.client_address[:2])
        # An answer with a larger Content-Length than its own breaks off, or hangs.
        head = [f"HTTP/1.1 {status} stub"] + [f"{name}: {value}" for name, value in ({"Content-Length": len(answer)} | headers).items()]
        self.close_connection = headers.get("Connection") == "close"
        self.wfile.write("\r\n".join(head).encode() + b"\r\n\r\n" + (b"" if self.command == "HEAD" else answer))

    do_GET = do_PUT = do_DELETE = do_HEAD = do_POST

    def _body(self) -> bytes:
        if self.headers.get("transfer-encoding", "").lower() != "chunked":
            return self._exactly(int(self.headers.get("content-length", 0)))
        parts = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            parts.append(self._exactly(size))
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass  # trailers
        return b"".join(parts)

    def _exactly(self, size: int) -> bytes:
        body = self.rfile.read(size)
        if len(body) != size:
            raise ConnectionError(f"the client ended after {len(body)} of {size} bytes")
        return body

    def log_message(self, *_) -> None:
        pass
