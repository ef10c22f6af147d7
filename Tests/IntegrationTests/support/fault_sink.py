"""A trace backend that meets each request with another fault, and keeps books of every numbered span.

| behaviour       | stores | what the client sees                                          |
|-----------------|--------|---------------------------------------------------------------|
| `ok`            | all    | 200                                                           |
| `slow`          | all    | 200, late                                                     |
| `partial`       | most   | 200 and the number of spans that were left out                |
| `429`           | none   | 429, now and then with `Retry-After: 1`                       |
| `500` … `504`   | none   | the status                                                    |
| `reset before`  | none   | the connection is reset, sometimes in the middle of the body  |
| `reset after`   | all    | the connection is reset in place of an answer                 |
| `black hole`    | either | no answer                                                     |
"""

import gzip
import os
import random
import socket
import struct
import threading
import time
from array import array
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from support import wire
from support.otlp import ExportTraceServiceRequest
from support.ports import free_port

WEIGHTS = {"ok": 60, "slow": 6, "partial": 4, "429": 4, "500": 6, "502": 1, "503": 4, "504": 1, "reset before": 5,
           "reset after": 5, "black hole": 4}
WELL = {"ok": 1}
SLOW_SECONDS = (0.1, 0.8)
BLACK_HOLE_SECONDS_MAX = 60
RESET = struct.pack("ii", 1, 0)  # SO_LINGER: on, 0 s


class FaultSink:
    """`numbers`: how many spans there may be; their numbers stand in their span ids, see `numbered_span`."""

    def __init__(self, numbers: int, seed: int):
        self.weights = WEIGHTS
        self.seen: Counter[str] = Counter()
        self.rejected_spans = 0
        self.strangers = 0
        # How often each span was stored, and how often an answer went out that settles it.
        self.stored = bytearray(numbers)
        self.settled = bytearray(numbers)
        # When each span was stored last, on the monotonic clock.
        self.stored_at = array("d", bytes(8 * numbers))
        self._choose = random.Random(seed)
        # However short a run, each comes once.
        self._first = self._choose.sample(list(WEIGHTS), len(WEIGHTS))
        self._lock = threading.Lock()
        self._port = free_port()
        self._server: _Server | None = None
        self.endpoint = f"http://127.0.0.1:{self._port}"

    def __enter__(self) -> "FaultSink":
        self.come_up()
        return self

    def __exit__(self, *_) -> None:
        if self._server:
            self.go_down()

    def come_up(self) -> None:
        self._server = _Server(("127.0.0.1", self._port), _Handler)
        self._server.sink = self
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def go_down(self) -> None:
        """Connections are refused; those that are open end."""
        self._server.shutdown()
        self._server.server_close()
        self._server.end_connections()
        self._server = None

    # --- For the handler ---

    def choose(self) -> tuple[str, float]:
        """What to do with a request, and a random number to do it with."""
        with self._lock:
            if self.weights is WEIGHTS and self._first:
                behaviour = self._first.pop()
            else:
                behaviour = self._choose.choices(list(self.weights), list(self.weights.values()))[0]
            self.seen[behaviour] += 1
            return behaviour, self._choose.random()

    def store(self, numbers: list[int]) -> None:
        now = time.monotonic()
        with self._lock:
            for number in numbers:
                self.stored[number] += 1
                self.stored_at[number] = now

    def settle(self, numbers: list[int], rejected: int = 0) -> None:
        with self._lock:
            self.rejected_spans += rejected
            for number in numbers:
                self.settled[number] += 1

    def numbers_in(self, headers, body: bytes) -> list[int]:
        if headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        numbers = [int.from_bytes(span.span_id, "big") - 1
                   for resource in ExportTraceServiceRequest.FromString(body).resource_spans
                   for scope in resource.scope_spans for span in scope.spans]
        known = [number for number in numbers if 0 <= number < len(self.stored)]
        with self._lock:
            self.strangers += len(numbers) - len(known)
        return known


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, *arguments):
        self._open: set[socket.socket] = set()
        super().__init__(*arguments)

    def process_request(self, request, client_address):
        self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request):
        self._open.discard(request)
        super().shutdown_request(request)

    def end_connections(self) -> None:
        for connection in list(self._open):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def handle_error(self, request, client_address):
        pass  # connections that were reset, by us or by a client at its end


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_POST(self) -> None:
        sink: FaultSink = self.server.sink
        behaviour, chance = sink.choose()
        length = int(self.headers["Content-Length"])
        if behaviour == "reset before" and chance < 0.3:
            self.rfile.read(length // 2)
            return self._reset()
        body = self.rfile.read(length)
        if len(body) != length:
            return self._reset()
        numbers = sink.numbers_in(self.headers, body)
        match behaviour:
            case "ok":
                sink.store(numbers)
                self._settle(numbers)
            case "slow":
                sink.store(numbers)
                time.sleep(SLOW_SECONDS[0] + chance * (SLOW_SECONDS[1] - SLOW_SECONDS[0]))
                self._settle(numbers)
            case "partial":
                rejected = int(chance * len(numbers))
                sink.store(numbers[rejected:])
                self._settle(numbers, rejected)
            case "reset before":
                self._reset()
            case "reset after":
                sink.store(numbers)
                self._reset()
            case "black hole":
                if chance < 0.5:
                    sink.store(numbers)
                self.connection.settimeout(BLACK_HOLE_SECONDS_MAX)
                self.rfile.read(1)  # nothing comes: the client gives up
                self.close_connection = True
            case status:
                self._answer(int(status), {"Retry-After": "1"} if status == "429" and chance < 0.3 else {}, b"")

    def _settle(self, numbers: list[int], rejected: int = 0) -> None:
        # ExportTraceServiceResponse: 1 partial_success { 1 rejected_spans, 2 error_message }
        partial = b"\x08" + wire.varint(rejected) + wire.delimited(2, b"the sink was told to") if rejected else b""
        self._answer(200, {"Content-Type": "application/x-protobuf"}, wire.delimited(1, partial))
        self.server.sink.settle(numbers, rejected)

    def _answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
        head = [f"HTTP/1.1 {status} sink", f"Content-Length: {len(body)}"]
        head += [f"{name}: {value}" for name, value in headers.items()]
        self.wfile.write("\r\n".join(head).encode() + b"\r\n\r\n" + body)

    def _reset(self) -> None:
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        # Without an orderly end, which would come before the reset.
        os.close(self.connection.detach())

    def log_message(self, *_) -> None:
        pass
