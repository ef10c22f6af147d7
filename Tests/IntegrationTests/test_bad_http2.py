"""Malformed and hostile HTTP/2 and gRPC, frame by frame, each with the end that RFC 9113 wants for it.

After every one the collector is up, another client is answered as if nothing had happened, and the counters have seen the
spans of the calls that were answered and no others. Where swift-nio-http2 does otherwise than the RFC asks, the entry says
so, and why that is good enough.
"""

import struct
from collections.abc import Iterable
from dataclasses import dataclass

import pytest
from hpack import Decoder

from support.hostile import HALF_CLOSE, PAUSE, Flood, Ledger, Step, conversation
from support.http2_client import (CONTINUATION, DATA, EMPTY_SETTINGS, END_HEADERS, END_STREAM, GOAWAY, HEADERS, PING, PREFACE,
                                  PRIORITY, RST_STREAM, SETTINGS, WINDOW_UPDATE, frame, framed, frames_in, grpc_headers)
from support.otlp import numbered_request

SPANS = 5
MESSAGE = framed(numbered_request(range(SPANS)))
PUSH_PROMISE, PADDED, PRIORITIZED = 5, 0x8, 0x20
START = PREFACE + EMPTY_SETTINGS

# Error codes: RFC 9113, 7.
PROTOCOL_ERROR, FLOW_CONTROL_ERROR, STREAM_CLOSED, FRAME_SIZE_ERROR, CANCEL = 1, 3, 5, 6, 8
COMPRESSION_ERROR, ENHANCE_YOUR_CALM = 9, 11
INTERNAL = 13  # of gRPC

Field = tuple[bytes, bytes]
FIELDS: list[Field] = [(name.encode(), value.encode()) for name, value in grpc_headers()]
METHOD, SCHEME, PATH, AUTHORITY = FIELDS[:4]


def literal(fields: Iterable[Field]) -> bytes:
    """HPACK without table and without Huffman coding (RFC 7541, 6.2.2)."""
    return b"".join(b"\0" + _string(name) + _string(value) for name, value in fields)


def _string(text: bytes) -> bytes:
    return integer(len(text), 7) + text


def integer(value: int, bits: int) -> bytes:
    """RFC 7541, 5.1."""
    limit = (1 << bits) - 1
    if value < limit:
        return bytes([value])
    value -= limit
    out = bytes([limit])
    while value > 0x7F:
        out += bytes([value & 0x7F | 0x80])
        value >>= 7
    return out + bytes([value])


def head(stream: int, block: bytes | None = None, flags: int = END_HEADERS) -> bytes:
    return frame(HEADERS, flags, stream, literal(FIELDS) if block is None else block)


def data(stream: int, content: bytes, flags: int = END_STREAM) -> bytes:
    return frame(DATA, flags, stream, content)


def call(stream: int = 1) -> bytes:
    return head(stream) + data(stream, MESSAGE)


def also(*fields: Field) -> bytes:
    """A call with more fields."""
    return head(1, literal(FIELDS + list(fields))) + data(1, MESSAGE)


def pseudo(*fields: Field) -> bytes:
    """A call with these pseudo fields instead of its own."""
    return head(1, literal([*fields, *FIELDS[4:]])) + data(1, MESSAGE)


def setting(identifier: int, value: int) -> bytes:
    return frame(SETTINGS, 0, 0, struct.pack(">HI", identifier, value))


def window(stream: int, increment: int) -> bytes:
    return frame(WINDOW_UPDATE, 0, stream, increment.to_bytes(4, "big"))


def reset(stream: int, code: int = CANCEL) -> bytes:
    return frame(RST_STREAM, 0, stream, code.to_bytes(4, "big"))


def continued(block: bytes, size: int = 16_000) -> bytes:
    """One block in as many frames as it takes."""
    parts = [block[at:at + size] for at in range(0, len(block), size)]
    last = len(parts) - 1
    return b"".join(frame(HEADERS if at == 0 else CONTINUATION, END_HEADERS if at == last else 0, 1, part)
                    for at, part in enumerate(parts))


def streams(count: int) -> range:
    return range(1, 1 + 2 * count, 2)


@dataclass(frozen=True)
class Case:
    steps: list[Step]
    # The connection ends: the code of GOAWAY, or None where it may end without.
    ends: bool
    goaway: int | None = None
    # Of stream 1: the grpc-status, or the :status without one; or the code of RST_STREAM.
    answer: int | None = None
    reset: int | None = None
    spans: int = 0


def _steps(sent: bytes | list[Step]) -> list[Step]:
    return [START + sent] if isinstance(sent, bytes) else sent


def ends(sent: bytes | list[Step], goaway: int | None, spans: int = 0) -> Case:
    """An error of the connection (5.4.1)."""
    return Case(_steps(sent), True, goaway, spans=spans)


def resets(sent: bytes, code: int, spans: int = 0) -> Case:
    """An error of the stream (5.4.2); the connection goes on."""
    return Case(_steps(sent), False, reset=code, spans=spans)


def answers(sent: bytes | list[Step], status: int, spans: int = 0) -> Case:
    return Case(_steps(sent), False, answer=status, spans=spans)


def ignores(sent: bytes) -> Case:
    return Case(_steps(sent), False)


# --- The beginning: 3.4, 6.5 ---

BEGINNINGS = {
    # What is not the preface to its last byte is HTTP/1.1, and bad there: test_bad_http1.
    "no SETTINGS": ends([PREFACE + call()], PROTOCOL_ERROR),
    "PING before SETTINGS": ends([PREFACE + frame(PING, 0, 0, bytes(8))], PROTOCOL_ERROR),
    "acknowledgement before SETTINGS": ends([PREFACE + frame(SETTINGS, 1, 0)], PROTOCOL_ERROR),
    "preface twice": ends(START, FRAME_SIZE_ERROR),
    "HTTP/1.1 behind the preface": ends([PREFACE + b"POST /v1/traces HTTP/1.1\r\nHost: a\r\n\r\n"], FRAME_SIZE_ERROR),
    "ClientHello behind the preface": ends([PREFACE + bytes.fromhex("16030100c6010000c20303") + bytes(187)], FRAME_SIZE_ERROR),
    "in parts": answers([PREFACE[:7], PAUSE, PREFACE[7:] + EMPTY_SETTINGS[:4], PAUSE, EMPTY_SETTINGS[4:] + call()], 0, SPANS),
    "SETTINGS of 5 bytes": ends(frame(SETTINGS, 0, 0, bytes(5)), FRAME_SIZE_ERROR),
    "SETTINGS on a stream": ends(frame(SETTINGS, 0, 1, bytes(6)), PROTOCOL_ERROR),
    "acknowledgement with a payload": ends(frame(SETTINGS, 1, 0, bytes(6)), FRAME_SIZE_ERROR),
    "more acknowledgements than SETTINGS": ends(frame(SETTINGS, 1, 0) * 3, PROTOCOL_ERROR),
    "ENABLE_PUSH 2": ends(setting(2, 2), PROTOCOL_ERROR),
    "window of 2^31": ends(setting(4, 1 << 31), FLOW_CONTROL_ERROR),
    "frames of 100 bytes": ends(setting(5, 100), PROTOCOL_ERROR),
    "frames of 2^24 bytes": ends(setting(5, 1 << 24), PROTOCOL_ERROR),
    "unknown setting": answers(setting(0x99, 5) + call(), 0, SPANS),
    "table of 4 GiB": answers(setting(1, 0xFFFFFFFF) + call(), 0, SPANS),
    "table of nothing": answers(setting(1, 0) + call(), 0, SPANS),
    "header list of nothing": answers(setting(6, 0) + call(), 0, SPANS),
}

# --- Frames: 4.1, 4.2, 6 ---

FRAMES = {
    "PING of 7 bytes": ends(frame(PING, 0, 0, bytes(7)), FRAME_SIZE_ERROR),
    "PING on a stream": ends(frame(PING, 0, 1, bytes(8)), PROTOCOL_ERROR),
    "answer to no PING": ignores(frame(PING, 1, 0, bytes(8))),
    "GOAWAY of 4 bytes": ends(frame(GOAWAY, 0, 0, bytes(4)), FRAME_SIZE_ERROR),
    "GOAWAY on a stream": ends(frame(GOAWAY, 0, 1, bytes(8)), PROTOCOL_ERROR),
    # The client opens no more streams; those it has are answered.
    "GOAWAY behind a call": answers(call() + frame(GOAWAY, 0, 0, bytes(8)), 0, SPANS),
    "RST_STREAM of 3 bytes": ends(head(1) + frame(RST_STREAM, 0, 1, bytes(3)), FRAME_SIZE_ERROR),
    "RST_STREAM on stream 0": ends(reset(0), PROTOCOL_ERROR),
    "RST_STREAM on an idle stream": ends(reset(5), PROTOCOL_ERROR),
    # 6.3 makes these errors of the stream; of the connection, they hit no other client either.
    "PRIORITY of 4 bytes": ends(head(1) + frame(PRIORITY, 0, 1, bytes(4)), FRAME_SIZE_ERROR),
    "PRIORITY on stream 0": ends(frame(PRIORITY, 0, 0, bytes(5)), PROTOCOL_ERROR),
    "stream that depends on itself": ends(
        head(1, struct.pack(">IB", 1, 0) + literal(FIELDS), END_HEADERS | PRIORITIZED), PROTOCOL_ERROR),
    "WINDOW_UPDATE of 3 bytes": ends(frame(WINDOW_UPDATE, 0, 0, bytes(3)), FRAME_SIZE_ERROR),
    "WINDOW_UPDATE of 0": ends(window(0, 0), PROTOCOL_ERROR),
    "WINDOW_UPDATE of 0 on a stream": resets(head(1) + window(1, 0), PROTOCOL_ERROR),
    "WINDOW_UPDATE over 2^31": ends(window(0, 0x7FFFFFFF), FLOW_CONTROL_ERROR),
    "WINDOW_UPDATE over 2^31 on a stream": resets(head(1) + window(1, 0x7FFFFFFF), FLOW_CONTROL_ERROR),
    "WINDOW_UPDATE on an idle stream": ends(window(5, 1), PROTOCOL_ERROR),
    "window made larger by SETTINGS, over 2^31": ends(
        head(1) + window(1, 0x7FFF0000) + setting(4, 0x7FFFFFFF), FLOW_CONTROL_ERROR),
    "PUSH_PROMISE from a client": ends(frame(PUSH_PROMISE, END_HEADERS, 1, bytes(4) + literal(FIELDS)), PROTOCOL_ERROR),
    # 5.5: unknown kinds and flags, and the reserved bit, are ignored.
    "unknown kind": answers(frame(0xBE, 0xFF, 1, b"hello") + call(), 0, SPANS),
    "reserved bit": answers(frame(HEADERS, END_HEADERS, 1 << 31 | 1, literal(FIELDS)) + data(1 << 31 | 1, MESSAGE), 0, SPANS),
    "unknown kind that is too large": ends(frame(0xBE, 0, 0, bytes(70_000)), FRAME_SIZE_ERROR),
    "HEADERS that are too large": ends(head(1, literal(FIELDS + [(b"x", b"y" * 70_000)])), FRAME_SIZE_ERROR),
    "DATA that is too large": ends(head(1) + data(1, bytes(70_000)), FRAME_SIZE_ERROR),
    "length of 16 MiB": ends(b"\xff\xff\xff" + bytes([DATA, 0, 0, 0, 0, 1]), FRAME_SIZE_ERROR),
    "padding longer than its frame": ends(head(1) + frame(DATA, PADDED, 1, b"\x0aabc"), PROTOCOL_ERROR),
    "padding without a length": ends(head(1) + frame(DATA, PADDED, 1), PROTOCOL_ERROR),
    "padding longer than its HEADERS": ends(head(1, b"\xff" + literal(FIELDS), END_HEADERS | PADDED), PROTOCOL_ERROR),
    "nothing but padding": answers(head(1) + frame(DATA, PADDED, 1, b"\3abc") + data(1, MESSAGE), 0, SPANS),
    # The window is given back as it is used, so that it can't be overrun but by a frame that is larger than allowed: the
    # frames of the window before the client has seen a larger one.
    "more than the first window": answers(head(1) + data(1, bytes(16_384), 0) * 20 + data(1, b""), INTERNAL),
}

# --- Streams: 5.1, 8.1 ---

STREAMS = {
    "DATA on stream 0": ends(data(0, b"x"), PROTOCOL_ERROR),
    "DATA on an idle stream": ends(data(1, b"x"), PROTOCOL_ERROR),
    "DATA on an idle stream, later": ends([START, PAUSE, data(1, b"x")], PROTOCOL_ERROR),
    "DATA on an idle stream beside another": ends(call() + data(3, b"x"), PROTOCOL_ERROR, SPANS),
    "DATA on an even stream": ends(data(2, b"x"), PROTOCOL_ERROR),
    "RST_STREAM on an even stream": ends(reset(2), PROTOCOL_ERROR),
    "WINDOW_UPDATE on an even stream": ends(window(2, 1), PROTOCOL_ERROR),
    "PRIORITY on an idle stream": answers(frame(PRIORITY, 0, 1, struct.pack(">IB", 0, 1)) + call(), 0, SPANS),
    "PRIORITY on itself": ends(head(1) + frame(PRIORITY, 0, 1, struct.pack(">IB", 1, 0)), PROTOCOL_ERROR),
    "HEADERS on stream 0": ends(head(0), PROTOCOL_ERROR),
    "HEADERS on an even stream": ends(head(2), PROTOCOL_ERROR),
    "HEADERS on an earlier stream": ends(head(5) + head(3), PROTOCOL_ERROR),
    # The call was complete, and is counted. Its sender breaks the stream before the answer is out.
    "DATA behind the end": resets(call() + data(1, b"x"), STREAM_CLOSED, SPANS),
    "HEADERS behind the end": resets(call() + head(1), STREAM_CLOSED, SPANS),
    "HEADERS behind the end, with an end of their own": resets(
        call() + head(1, flags=END_HEADERS | END_STREAM), STREAM_CLOSED, SPANS),
    "trailers behind the end": resets(
        call() + head(1, literal([(b"x", b"y")]), END_HEADERS | END_STREAM), STREAM_CLOSED, SPANS),
    "WINDOW_UPDATE of 0 behind the end": resets(call() + window(1, 0), PROTOCOL_ERROR, SPANS),
    # The stream is closed once it is answered. 5.1.1: its id is no longer expected.
    "HEADERS behind the answer": ends([START + call(), PAUSE, PAUSE, PAUSE, head(1)], PROTOCOL_ERROR, SPANS),
    "DATA behind the answer": ends([START + call(), PAUSE, PAUSE, PAUSE, data(1, b"x")], STREAM_CLOSED, SPANS),
    "WINDOW_UPDATE behind the answer": answers([START + call(), PAUSE, PAUSE, PAUSE, window(1, 1)], 0, SPANS),
    "RST_STREAM behind the answer": answers([START + call(), PAUSE, PAUSE, PAUSE, reset(1)], 0, SPANS),
    "PRIORITY behind the answer": answers(
        [START + call(), PAUSE, PAUSE, PAUSE, frame(PRIORITY, 0, 1, struct.pack(">IB", 0, 1))], 0, SPANS),
    "HEADERS behind a reset": ends(head(1) + reset(1) + head(1), PROTOCOL_ERROR),
    # A client may have sent it before it has read our reset.
    "DATA behind our reset": resets(head(1) + window(1, 0) + data(1, b"x"), PROTOCOL_ERROR),
    "DATA behind a reset": ends(head(1) + reset(1) + data(1, b"x"), STREAM_CLOSED),
    "trailers": answers(head(1) + data(1, MESSAGE, 0) + head(1, literal([(b"x", b"y")]), END_HEADERS | END_STREAM), 0, SPANS),
    "trailers that don't end the stream": resets(
        head(1) + data(1, MESSAGE, 0) + head(1, literal([(b"x", b"y")])), PROTOCOL_ERROR),
    "trailers with pseudo fields": resets(
        head(1) + data(1, MESSAGE, 0) + head(1, flags=END_HEADERS | END_STREAM), PROTOCOL_ERROR),
    "CONTINUATION without HEADERS": ends(frame(CONTINUATION, END_HEADERS, 1), PROTOCOL_ERROR),
    "CONTINUATION behind the last": ends(head(1) + frame(CONTINUATION, END_HEADERS, 1), PROTOCOL_ERROR),
    "CONTINUATION of another stream": ends(head(1, flags=0) + frame(CONTINUATION, END_HEADERS, 3), PROTOCOL_ERROR),
    "DATA instead of CONTINUATION": ends(head(1, flags=0) + data(1, MESSAGE), PROTOCOL_ERROR),
    "PING instead of CONTINUATION": ends(head(1, flags=0) + frame(PING, 0, 0, bytes(8)), PROTOCOL_ERROR),
    "HEADERS in two parts": answers(continued(literal(FIELDS), 50) + data(1, MESSAGE), 0, SPANS),
    "HEADERS that end in the middle of a field": ends(head(1, literal(FIELDS)[:-1]), COMPRESSION_ERROR),
    "half a frame, and the end": ends([START + call()[:-3], HALF_CLOSE], None),
    "half a call, and the end": ends([START + head(1), HALF_CLOSE], None),
}

# --- Fields: 8.2, 8.3. A malformed request is an error of its stream, and never a request of HTTP/1.1 to anybody ---

FIELD_CASES = {
    "transfer-encoding": resets(also((b"transfer-encoding", b"chunked")), PROTOCOL_ERROR),
    "connection": resets(also((b"connection", b"close")), PROTOCOL_ERROR),
    "upgrade": resets(also((b"upgrade", b"h2c")), PROTOCOL_ERROR),
    "proxy-connection": resets(also((b"proxy-connection", b"close")), PROTOCOL_ERROR),
    "te that is not trailers": resets(also((b"te", b"gzip")), PROTOCOL_ERROR),
    "capital letters": resets(also((b"X", b"y")), PROTOCOL_ERROR),
    "line break in a value": resets(also((b"x", b"y\r\ncontent-length: 0")), PROTOCOL_ERROR),
    "NUL in a value": resets(also((b"x", b"y\0")), PROTOCOL_ERROR),
    "colon in a name": resets(also((b"x:y", b"z")), PROTOCOL_ERROR),
    "space in a name": resets(also((b"x y", b"z")), PROTOCOL_ERROR),
    # Of the connection, because the decoder of HPACK finds it.
    "empty name": ends(also((b"", b"y")), COMPRESSION_ERROR),
    # "MUST be treated as malformed", because a gateway could pass it on. This is none.
    "spaces around a value": answers(also((b"x", b" y ")), 0, SPANS),
    "no method": resets(pseudo(SCHEME, PATH, AUTHORITY), PROTOCOL_ERROR),
    "no path": resets(pseudo(METHOD, SCHEME, AUTHORITY), PROTOCOL_ERROR),
    "empty path": resets(pseudo(METHOD, SCHEME, (b":path", b""), AUTHORITY), PROTOCOL_ERROR),
    "no scheme": resets(pseudo(METHOD, PATH, AUTHORITY), PROTOCOL_ERROR),
    "two paths": resets(pseudo(METHOD, SCHEME, PATH, PATH, AUTHORITY), PROTOCOL_ERROR),
    "two methods": resets(pseudo(METHOD, METHOD, SCHEME, PATH, AUTHORITY), PROTOCOL_ERROR),
    "unknown pseudo field": resets(pseudo(METHOD, SCHEME, PATH, (b":future", b"x")), PROTOCOL_ERROR),
    "pseudo field of answers": resets(pseudo(METHOD, SCHEME, PATH, (b":status", b"200")), PROTOCOL_ERROR),
    "pseudo field behind others": resets(pseudo(METHOD, SCHEME, (b"x", b"y"), PATH), PROTOCOL_ERROR),
    "space in the path": resets(pseudo(METHOD, SCHEME, (b":path", b"/v1/traces HTTP/1.1"), AUTHORITY), PROTOCOL_ERROR),
    "request in the path": resets(
        pseudo(METHOD, SCHEME, (b":path", b"/ HTTP/1.1\r\nHost: b\r\n\r\n"), AUTHORITY), PROTOCOL_ERROR),
    "CONNECT": answers(head(1, literal([(b":method", b"CONNECT"), (b":authority", b"a:80")])), 404),
    "no fields": resets(head(1, b""), PROTOCOL_ERROR),
    # 8.1.1: the length has to be that of the body.
    "length too long": resets(also((b"content-length", b"1000")), PROTOCOL_ERROR),
    "length too short": resets(also((b"content-length", b"3")), PROTOCOL_ERROR),
    "length below 0": resets(also((b"content-length", b"-%d" % len(MESSAGE))), PROTOCOL_ERROR),
    # No length (9110, 8.6), but the right number, and no server behind this one.
    "length with a sign": answers(also((b"content-length", b"+%d" % len(MESSAGE))), 0, SPANS),
    "length of 2^64 and more": resets(also((b"content-length", b"%d" % (2**64 + len(MESSAGE)))), PROTOCOL_ERROR),
    "two lengths": resets(also((b"content-length", b"3"), (b"content-length", b"%d" % len(MESSAGE))), PROTOCOL_ERROR),
    "right length": answers(also((b"content-length", b"%d" % len(MESSAGE))), 0, SPANS),
}

# --- HPACK: RFC 7541; every error is one of the connection (2.3.3 and others) ---

# An entry that just fits the table, and then three thousand times one byte that stands for it: 12 MB.
BOMB = literal(FIELDS) + b"\x40\x01a" + _string(b"v" * 3900) + b"\xbe" * 3000

HPACK = {
    "index 0": ends(head(1, b"\x80"), COMPRESSION_ERROR),
    "index behind the table": ends(head(1, b"\xff\xff\x7f"), COMPRESSION_ERROR),
    "integer without end": ends(head(1, b"\xff" * 20 + b"\x7f"), COMPRESSION_ERROR),
    "string longer than the block": ends(head(1, literal(FIELDS) + b"\0\x01a\x7f\xff\xff\xff\x07"), COMPRESSION_ERROR),
    "bad Huffman padding": ends(head(1, literal(FIELDS) + b"\0\x81\xff\x81\xff"), COMPRESSION_ERROR),
    "Huffman end of string": ends(head(1, literal(FIELDS) + b"\0\x01a\x84\xff\xff\xff\xff"), COMPRESSION_ERROR),
    "table larger than allowed": ends(head(1, b"\x3f\xe1\x3f" + literal(FIELDS)), COMPRESSION_ERROR),
    "table resized behind a field": ends(head(1, literal(FIELDS) + b"\x20"), COMPRESSION_ERROR),
    "bomb": ends(head(1, BOMB), None),
    "16 KiB of fields and more": ends(continued(literal(FIELDS + [(b"x", b"y" * 100)] * 200)), None),
    "8 KiB of fields": answers(head(1, literal(FIELDS + [(b"x", b"y" * 100)] * 50)) + data(1, MESSAGE), 0, SPANS),
}

# --- gRPC: Length-Prefixed-Message ---

GRPC = {
    "no message": answers(head(1) + data(1, b""), INTERNAL),
    "no message, and no DATA": answers(head(1, flags=END_HEADERS | END_STREAM), INTERNAL),
    "part of a prefix": answers(head(1) + data(1, MESSAGE[:3]), INTERNAL),
    "length longer than the message": answers(head(1) + data(1, b"\0\0\0\xff\xff" + MESSAGE[5:]), INTERNAL),
    "length of 4 GiB": answers(head(1) + data(1, b"\0\xff\xff\xff\xff" + MESSAGE[5:]), INTERNAL),
    "length shorter than the message": answers(head(1) + data(1, b"\0\0\0\0\3" + MESSAGE[5:]), INTERNAL),
    "garbage behind the message": answers(head(1) + data(1, MESSAGE + b"x"), INTERNAL),
    "two messages": answers(head(1) + data(1, MESSAGE * 2), INTERNAL),
    "compressed flag 2": answers(head(1) + data(1, b"\2" + MESSAGE[1:]), INTERNAL),
    "compressed flag 255": answers(head(1) + data(1, b"\xff" + MESSAGE[1:]), INTERNAL),
    "compressed, but by nothing": answers(head(1) + data(1, b"\1" + MESSAGE[1:]), INTERNAL),
    "byte by byte": answers(
        head(1) + b"".join(data(1, MESSAGE[at:at + 1], 0) for at in range(len(MESSAGE))) + data(1, b""), 0, SPANS),
}

# --- Floods: CVE-2019-9511 and its like, CVE-2023-44487, CVE-2024-27316, CVE-2025-8671 ---

FLOOD_RATE = 40_000  # frames a second: twice what the receiver takes for a flood (1,000 in 50 ms)

FLOODS = {
    "PING": ends([START, Flood(frame(PING, 0, 0, bytes(8)) * 5000, 5000)], ENHANCE_YOUR_CALM),
    "SETTINGS": ends([START, Flood(setting(1, 4096) * 5000, 5000)], ENHANCE_YOUR_CALM),
    "PRIORITY": ends([START, Flood(frame(PRIORITY, 0, 1, bytes(4) + b"\0") * 5000, 5000)], ENHANCE_YOUR_CALM),
    # Here and with the malformed ones it is the collector that is made to reset the streams.
    "WINDOW_UPDATE of 0": ends(
        [START, b"".join(head(stream) + window(stream, 0) for stream in streams(5000))], ENHANCE_YOUR_CALM),
    "rapid reset": ends([START, b"".join(head(stream) + reset(stream) for stream in streams(5000))], ENHANCE_YOUR_CALM),
    "malformed requests": ends([START, b"".join(head(stream, b"") for stream in streams(5000))], ENHANCE_YOUR_CALM),
    "empty DATA": ends([START + head(1), Flood(data(1, b"", 0) * 1000, 1000)], ENHANCE_YOUR_CALM),
    "empty CONTINUATION": ends([START + head(1, flags=0), Flood(frame(CONTINUATION, 0, 1) * 1000, 1000)], ENHANCE_YOUR_CALM),
    "streams": ends([START, b"".join(head(stream) for stream in streams(150))], None),
}

GROUPS = {"beginning": BEGINNINGS, "frames": FRAMES, "streams": STREAMS, "fields": FIELD_CASES, "hpack": HPACK, "grpc": GRPC,
          "flood": FLOODS}
CASES = {f"{group}: {name}": case for group, cases in GROUPS.items() for name, case in cases.items()}


class Seen:
    """What the collector's frames say."""

    def __init__(self, received: bytes):
        self.decoder = decoder = Decoder()
        decoder.max_allowed_table_size = 0xFFFFFFFF
        self.goaway: int | None = None
        self.resets: dict[int, int] = {}
        self.fields: dict[int, dict[str, str]] = {}
        for kind, stream, payload in frames_in(received):
            if kind == HEADERS:
                self.fields.setdefault(stream, {}).update(decoder.decode(payload))
            elif kind == RST_STREAM:
                self.resets[stream] = int.from_bytes(payload, "big")
            elif kind == GOAWAY and (code := int.from_bytes(payload[4:8], "big")):
                self.goaway = code

    def status(self, stream: int) -> int | None:
        """None while the answer is not complete."""
        fields = self.fields.get(stream, {})
        if fields.get("content-type") != "application/grpc":
            return int(fields[":status"]) if fields else None
        return int(fields["grpc-status"]) if "grpc-status" in fields else None

    def __str__(self) -> str:
        return f"GOAWAY {self.goaway}, RST_STREAM {self.resets}, {self.fields}"


# An answer to it comes behind everything that the frames before it lead to.
PROBE = b"probe..."


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("transport", ["tcp", "unix"])
def test_bad_frames_end_their_stream_or_connection_and_bother_nobody(shared_collector, neighbour, transport, name):
    case = CASES[name]
    ledger = Ledger(shared_collector)
    steps = case.steps if case.ends else [*case.steps, frame(PING, 0, 0, PROBE)]
    # Spans are appended beside the connection, so that the answer to a PING may come before that to a call.
    def is_enough(received: bytes) -> bool:
        return PROBE in received and (case.answer is None or case.reset is not None or Seen(received).status(1) is not None)

    with conversation(getattr(shared_collector, transport), steps, is_enough) as hostile:
        neighbour.must_be_well(f"while {name} is going on")
        is_over = hostile.wait()
        if not is_over and (hostile.flood_frames_a_second or FLOOD_RATE) < FLOOD_RATE:
            pytest.skip(f"{hostile.flood_frames_a_second:.0f} frames a second are no flood: the machine is too busy")
        assert is_over, f"expected an end, got nothing more after {Seen(hostile.received)}"
    seen = Seen(hostile.received)
    assert hostile.is_closed == case.ends, f"expected the connection to {'end' if case.ends else 'go on'}, got {seen}"
    # A reset may overtake GOAWAY.
    if case.goaway is not None and not (hostile.is_reset and seen.goaway is None):
        assert seen.goaway == case.goaway, f"expected GOAWAY {case.goaway}, got {seen}"
    if not case.ends:
        assert seen.goaway is None and seen.resets.get(1) == case.reset, f"expected RST_STREAM {case.reset}, got {seen}"
        assert seen.status(1) == case.answer or case.reset, f"expected the status {case.answer}, got {seen}"
    neighbour.must_be_well(f"after {name}")
    assert ledger.spans == case.spans, f"expected {case.spans} spans to be seen, there were {ledger.spans}; {seen}"


def test_a_client_that_allows_a_table_of_4_gib_does_not_get_one(shared_collector, neighbour):
    """The encoder of answers searches its table for every field: with each message in it, a thousand calls took twenty times
    as long."""
    calls = range(60)
    sent = b"".join(head(stream) + data(stream, framed(bytes([0x92, 0x3E, at]) + bytes(at) + b"\xff"))
                    for at, stream in zip(calls, streams(len(calls))))
    steps = [START + setting(1, 0xFFFFFFFF) + sent + frame(PING, 0, 0, PROBE)]
    with conversation(shared_collector.tcp, steps, lambda received: PROBE in received) as hostile:
        assert hostile.wait(), "expected answers"
    seen = Seen(hostile.received)
    messages = {fields["grpc-message"] for fields in seen.fields.values()}
    assert len(messages) == len(calls), f"expected a message of its own for each, got {messages}"
    table = seen.decoder.header_table.dynamic_entries
    assert len(table) < 10, f"expected a table of what comes often, it has {len(table)} fields: {list(table)[:5]}"
    neighbour.must_be_well("afterwards")
