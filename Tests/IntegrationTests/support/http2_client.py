"""HTTP/2 frame by frame, for what no well-behaved client sends. The protocol is the `h2` package's, where it allows it."""

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import h2.config
import h2.connection
import h2.events

from support.deadline import SECONDS
from support.http_client import Endpoint

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = 0, 1, 2, 3, 4, 6, 7, 8, 9
END_STREAM, END_HEADERS = 0x1, 0x4
EMPTY_SETTINGS = bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])
EXPORT = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"


def framed(message: bytes, compressed: int = 0) -> bytes:
    """A message with gRPC's prefix."""
    return bytes([compressed]) + len(message).to_bytes(4, "big") + message


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """Any bytes as a frame (RFC 9113, 4.1)."""
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


def frames_in(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Kind, stream and payload of each whole frame."""
    at = 0
    while len(data) >= at + 9 + (length := int.from_bytes(data[at:at + 3], "big")):
        yield data[at + 3], int.from_bytes(data[at + 5:at + 9], "big"), data[at + 9:at + 9 + length]
        at += 9 + length


def grpc_headers(**changes: str | None) -> list[tuple[str, str]]:
    """Of a good call. `content_type` stands for content-type, None leaves a field out, `_path` is the pseudo field."""
    fields = {":method": "POST", ":scheme": "http", ":path": EXPORT, ":authority": "localhost", "te": "trailers",
              "content-type": "application/grpc"}
    for name, value in changes.items():
        fields[":" + name[1:] if name.startswith("_") else name.replace("_", "-")] = value
    return [(name, value) for name, value in fields.items() if value is not None]


@dataclass
class Answer:
    """Of one stream. With trailers only, they are the headers."""
    headers: dict[str, str] = field(default_factory=dict)
    trailers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    ended: bool = False
    reset: int | None = None

    @property
    def status(self) -> int:
        return int(self.headers[":status"])

    @property
    def grpc_status(self) -> int:
        return int((self.trailers or self.headers)["grpc-status"])


class Connection:
    def __init__(self, endpoint: Endpoint):
        self.socket = endpoint.connect()
        self.h2 = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding="utf-8"))
        self.h2.initiate_connection()
        self.answers: dict[int, Answer] = {}
        self.goaway: h2.events.ConnectionTerminated | None = None
        self.is_closed = False
        self._pongs: list[bytes] = []
        self.flush()

    def flush(self) -> None:
        self.socket.sendall(self.h2.data_to_send())

    def start(self, headers: list[tuple[str, str]], end: bool = False) -> int:
        stream = self.h2.get_next_available_stream_id()
        self.answers[stream] = Answer()
        self.h2.send_headers(stream, headers, end_stream=end)
        self.flush()
        return stream

    def send(self, stream: int, data: bytes, end: bool = False, seconds: float = SECONDS) -> None:
        """Waits for the window where it must; gives up when the stream is answered."""
        deadline = time.monotonic() + seconds
        while data and not self.answers[stream].ended:
            room = min(self.h2.local_flow_control_window(stream), self.h2.max_outbound_frame_size)
            if room <= 0:
                assert time.monotonic() < deadline, "expected the window to open"
                self.read()
                continue
            self.h2.send_data(stream, data[:room])
            data = data[room:]
            self.flush()
        if end and not self.answers[stream].ended:
            self.h2.end_stream(stream)
            self.flush()

    def ask(self, headers: list[tuple[str, str]], body: bytes) -> Answer:
        stream = self.start(headers)
        self.send(stream, body, end=True)
        return self.until_answered(stream)

    def until_answered(self, stream: int, seconds: float = SECONDS) -> Answer:
        deadline = time.monotonic() + seconds
        answer = self.answers[stream]
        while not answer.ended and answer.reset is None:
            assert not self.is_closed, f"expected an answer, the connection was closed; {self.goaway}"
            assert time.monotonic() < deadline, "expected an answer"
            self.read()
        return answer

    def until_read(self) -> None:
        """Until the far side has read all that was sent, and its answers are here."""
        self.h2.ping(len(self._pongs).to_bytes(8, "big"))
        self.flush()
        before, deadline = len(self._pongs), time.monotonic() + SECONDS
        while len(self._pongs) == before:
            assert not self.is_closed and time.monotonic() < deadline, "expected the answer to a PING"
            self.read()

    def read(self, seconds: float = 1) -> None:
        """One read of the socket. Nothing within the time is no fault."""
        self.socket.settimeout(seconds)
        try:
            data = self.socket.recv(1 << 16)
        except TimeoutError:
            return
        except OSError:
            data = b""
        if not data:
            self.is_closed = True
            return
        for event in self.h2.receive_data(data):
            self._handle(event)
        self.flush()

    def _handle(self, event: h2.events.Event) -> None:
        answer = self.answers.get(getattr(event, "stream_id", None) or 0, Answer())
        match event:
            case h2.events.ResponseReceived():
                answer.headers = dict(event.headers)
            case h2.events.TrailersReceived():
                answer.trailers = dict(event.headers)
            case h2.events.DataReceived():
                answer.body += event.data
                self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            case h2.events.StreamEnded():
                answer.ended = True
            case h2.events.StreamReset():
                answer.reset = event.error_code
            case h2.events.PingAckReceived():
                self._pongs.append(event.ping_data)
            case h2.events.ConnectionTerminated():
                self.goaway = event


@contextmanager
def connection(endpoint: Endpoint):
    made = Connection(endpoint)
    try:
        yield made
    finally:
        made.socket.close()


def until_closed(connection: socket.socket, seconds: float = SECONDS) -> bytes:
    """What still comes, to the end of the connection, also a hard one."""
    connection.settimeout(seconds)
    data = b""
    try:
        while part := connection.recv(1 << 16):
            data += part
    except TimeoutError:
        raise AssertionError(f"expected the connection to be closed within {seconds} s") from None
    except OSError:
        pass
    return data
