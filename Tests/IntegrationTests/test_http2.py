"""HTTP/2 itself: OTLP/HTTP over it, how it is told from HTTP/1.1, and what a hostile or broken client can't do."""

import os
import random
import select
import socket
import struct
import subprocess
import time

import pytest

from support import otlp
from support.deadline import SECONDS
from support.http2_client import (CONTINUATION, DATA, EMPTY_SETTINGS, END_HEADERS, END_STREAM, GOAWAY, HEADERS, PING,
                                  PREFACE, PRIORITY, RST_STREAM, SETTINGS, WINDOW_UPDATE, connection, frame, framed,
                                  frames_in, grpc_headers, until_closed)
from support.http_client import PROTOBUF, raw, raw_answer
from support.otlp import numbered_request

GOOD = numbered_request(range(3))


# --- OTLP/HTTP over HTTP/2, by curl ---

def curl(collector, body: bytes, tmp_path, *arguments: str, path: str = "/v1/traces") -> tuple[str, bytes]:
    """Version and status, and the answer's body."""
    (tmp_path / "body").write_bytes(body)
    done = subprocess.run(
        ["curl", "-sS", "--http2-prior-knowledge", "-o", tmp_path / "answer", "-w", "%{http_version} %{http_code}",
         "--data-binary", f"@{tmp_path / 'body'}", *arguments, f"http://127.0.0.1:{collector.otlp_port}{path}"],
        capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done
    return done.stdout, (tmp_path / "answer").read_bytes()


TYPE = ("-H", f"Content-Type: {PROTOBUF['Content-Type']}")


@pytest.mark.parametrize("transport", ["tcp", "unix"])
def test_curl_posts_spans_over_http2(collector, tmp_path, transport):
    labels = {"transport": "http", "encoding": "protobuf"}
    before = collector.count("received_spans_total", labels)
    socket_flags = ["--unix-socket", str(collector.socket)] if transport == "unix" else []
    assert curl(collector, GOOD, tmp_path, *TYPE, *socket_flags) == ("2 200", b"")
    assert collector.count("received_spans_total", labels) == before + 3


@pytest.mark.parametrize("body, arguments, path, status", [
    (b"\xff", TYPE, "/v1/traces", 400), (GOOD, (), "/v1/traces", 415), (GOOD, TYPE, "/v1/metrics", 404),
    (bytes(9 << 20), TYPE, "/v1/traces", 413), (bytes((1 << 20) + 1), (*TYPE, "-H", "Expect:"), "/v1/traces", 413),
], ids=["bad bytes", "no type", "other signal", "9 MiB", "1 byte too large"])
def test_refusals_over_http2_are_those_of_http_1(collector, tmp_path, body, arguments, path, status):
    answered, content = curl(collector, body, tmp_path, *arguments, path=path)
    assert answered == f"2 {status}"
    assert otlp.status(content)[1].strip(), content


def test_the_web_endpoints_speak_http_1_only(collector):
    with raw(collector.web) as client:
        client.sendall(PREFACE + EMPTY_SETTINGS)
        assert until_closed(client).startswith(b"HTTP/1.1 400")


# --- Telling the protocols apart ---

def settings_frame(client: socket.socket) -> bytes:
    """The server's first frame."""
    head = client.recv(9, socket.MSG_WAITALL)
    assert len(head) == 9 and head[3] == SETTINGS, head
    return head + client.recv(int.from_bytes(head[:3], "big"), socket.MSG_WAITALL)


@pytest.mark.parametrize("transport", ["tcp", "unix"])
def test_the_preface_may_come_in_single_bytes(collector, transport):
    with raw(getattr(collector, transport)) as client:
        if transport == "tcp":
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in PREFACE:
            client.sendall(bytes([byte]))
            time.sleep(0.001)
        client.sendall(EMPTY_SETTINGS)
        assert settings_frame(client)


def test_a_request_of_http_1_may_come_in_single_bytes(collector):
    request = (b"POST /v1/traces HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-protobuf\r\n"
               b"Content-Length: 0\r\n\r\n")
    with raw(collector.tcp) as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in request:
            client.sendall(bytes([byte]))
        assert raw_answer(client).status == 200


def test_what_only_begins_like_the_preface_is_http_1(collector):
    with raw(collector.tcp) as client:
        client.sendall(PREFACE[:20] + b"XXXX\r\n\r\n")
        assert until_closed(client).startswith(b"HTTP/1.1 400")


@pytest.mark.parametrize("length", [1, 10, len(PREFACE) - 1])
def test_half_a_preface_and_then_nothing_more_ends_the_connection(collector, length):
    with raw(collector.tcp) as client:
        client.sendall(PREFACE[:length])
        client.shutdown(socket.SHUT_WR)
        assert until_closed(client) == b""


@pytest.mark.parametrize("garbage", [
    bytes(64), b"\xff" * 64, b"GET / HTTP/1.1\r\n\r\n" * 8, frame(HEADERS, END_HEADERS, 1, b"\xff" * 20),
    EMPTY_SETTINGS + frame(DATA, 0, 1, b"x"), EMPTY_SETTINGS + frame(HEADERS, END_HEADERS, 2),
    EMPTY_SETTINGS + frame(HEADERS, END_HEADERS, 1, b"\x80\x80\x80\x80\x80\x80"),
    EMPTY_SETTINGS + frame(PING, 0, 0, b"short"), EMPTY_SETTINGS + frame(WINDOW_UPDATE, 0, 0, bytes(4)),
    EMPTY_SETTINGS + frame(SETTINGS, 0, 0, struct.pack(">HI", 4, 0xFFFFFFFF)), frame(CONTINUATION, 0, 1, b"x"),
    EMPTY_SETTINGS + b"\xff\xff\xff" + bytes([DATA, 0, 0, 0, 0, 1]),
], ids=lambda garbage: garbage[:12].hex())
def test_garbage_after_the_preface_ends_the_connection(collector, garbage):
    with raw(collector.tcp) as client:
        client.sendall(PREFACE + garbage)
        assert until_closed(client)[3] == SETTINGS


@pytest.mark.parametrize("linger", [None, struct.pack("ii", 1, 0)], ids=["close", "reset"])
@pytest.mark.parametrize("transport", ["tcp", "unix"])
def test_a_client_that_is_gone_before_the_first_answer_leaves_the_others_alone(collector, transport, linger):
    """The server's first write fails then, and what is left is read in the middle of it."""
    for number in range(300):
        client = getattr(collector, transport).connect()
        if linger:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        for part in (PREFACE[:10], PREFACE[10:] + EMPTY_SETTINGS + headers_block(1), frame(DATA, END_STREAM, 1, framed(GOOD))):
            client.sendall(part)
            time.sleep(0.0001 * (number % 3))
        client.close()


def test_frames_at_random_end_their_own_connection_at_most(collector):
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    generator = random.Random(seed)
    for number in range(300):
        with raw(collector.tcp if number % 2 else collector.unix) as client:
            client.settimeout(0.01)
            try:
                client.sendall(PREFACE + EMPTY_SETTINGS)
                for stream in range(1, 1 + 2 * generator.randrange(1, 20), 2):
                    client.sendall(headers_block(stream) if generator.random() < 0.5 else random_frame(generator))
                    if generator.random() < 0.5:
                        client.sendall(frame(DATA, generator.randrange(2), stream, framed(GOOD)))
                if generator.random() < 0.3:
                    client.shutdown(socket.SHUT_WR)
                while client.recv(1 << 16):
                    pass
            except OSError:
                pass


def random_frame(generator: random.Random) -> bytes:
    """Of any kind, on any stream, with a payload that is often one of its kind."""
    kind = generator.choice([DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, 5, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION, 200])
    number = generator.choice([0, 1, 65535, (1 << 31) - 1, (1 << 32) - 1]).to_bytes(4, "big")
    payload = {
        DATA: framed(GOOD)[:generator.randrange(100)], HEADERS: headers_block(1)[9:], PRIORITY: number + b"\x01",
        RST_STREAM: number, SETTINGS: generator.randrange(10).to_bytes(2, "big") + number, PING: b"12345678",
        GOAWAY: number + bytes(4), WINDOW_UPDATE: number,
    }.get(kind, generator.randbytes(generator.randrange(20)))
    if generator.random() < 0.1:
        payload = payload[:-1]
    flags = generator.choice([0, END_STREAM, END_HEADERS, END_STREAM | END_HEADERS, generator.randrange(256)])
    return frame(kind, flags, generator.choice([0, 1, 3, 5, 7, 2, generator.randrange(1 << 31)]), payload)


# --- Bodies, windows, headers ---

def test_a_padded_body_gives_its_window_back(collector):
    with connection(collector.tcp) as client:
        for _ in range(30):
            stream = client.start(grpc_headers())
            body = framed(numbered_request([0]) + bytes(0))
            for at in range(len(body)):
                client.h2.send_data(stream, body[at:at + 1], pad_length=255)
            client.h2.end_stream(stream)
            client.flush()
            assert client.until_answered(stream).grpc_status == 0


def test_headers_are_bounded(collector):
    with raw(collector.tcp) as client:
        literal = b"\x00\x01a\x7f\xa1\x9b\x01" + b"v" * 20_000  # one field, longer than the 16 KiB that are allowed
        client.sendall(PREFACE + EMPTY_SETTINGS)
        for start in range(0, len(literal), 16000):
            end = END_HEADERS if start + 16000 >= len(literal) else 0
            kind = HEADERS if start == 0 else CONTINUATION
            client.sendall(frame(kind, end, 1, literal[start:start + 16000]))
        assert until_closed(client)


def test_answers_that_nobody_makes_room_for_cost_nothing_lasting(collector):
    with connection(collector.tcp) as client:
        client.h2.update_settings({4: 0})  # initial window size
        client.flush()
        client.read()
        for _ in range(50):
            stream = client.start(grpc_headers())
            client.send(stream, framed(GOOD), end=True)
        client.read()
        assert not any(answer.ended for answer in client.answers.values())
        client.h2.update_settings({4: 65535})
        client.flush()
        for stream in client.answers:
            assert client.until_answered(stream).grpc_status == 0


def test_a_client_that_shuts_its_side_gets_the_answers_that_are_due(collector):
    with connection(collector.tcp) as client:
        stream = client.start(grpc_headers())
        client.send(stream, framed(GOOD), end=True)
        unfinished = client.start(grpc_headers())
        client.socket.shutdown(socket.SHUT_WR)
        client.flush = lambda: None
        assert client.until_answered(stream).grpc_status == 0
        while not client.is_closed:
            client.read()
        assert not client.answers[unfinished].ended


# --- Floods ---

def flood(endpoint, frames: bytes, seconds: float = SECONDS) -> None:
    """Sends them over and over until the connection is closed, and reads only when it can't send."""
    with raw(endpoint) as client:
        client.sendall(PREFACE + EMPTY_SETTINGS)
        client.setblocking(False)
        at, deadline = 0, time.monotonic() + seconds
        while time.monotonic() < deadline:
            readable, writable, _ = select.select([client], [client], [], 1)
            try:
                if writable:
                    at = (at + client.send(frames[at:at + (1 << 16)])) % len(frames)
                elif readable and not client.recv(1 << 20):
                    return
            except BlockingIOError:
                pass
            except OSError:
                return
        raise AssertionError("expected the connection to be closed")


def headers_block(client_stream: int) -> bytes:
    """A good call without huffman coding or table."""
    block = b"".join(b"\x00" + bytes([len(name)]) + name.encode() + bytes([len(value)]) + value.encode()
                     for name, value in grpc_headers())
    return frame(HEADERS, END_HEADERS, client_stream, block)


def cpu_seconds(collector) -> float:
    fields = open(f"/proc/{collector.process.pid}/stat", encoding="ascii").read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_bytes(collector) -> float:
    return collector.metrics().value("process_resident_memory_bytes")


@pytest.mark.parametrize("frames", [
    frame(PING, 0, 0, b"12345678") * 20_000, frame(SETTINGS, 0, 0, struct.pack(">HI", 1, 4096)) * 20_000,
    frame(PRIORITY, 0, 1, bytes(4) + b"\x00") * 20_000,
], ids=["ping", "settings", "priority"])
def test_a_flood_of_control_frames_ends_its_connection(collector, frames):
    before = resident_bytes(collector)
    flood(collector.tcp, frames)
    assert resident_bytes(collector) - before < 30 << 20


def test_rapid_resets_end_their_connection(collector):
    before = cpu_seconds(collector)
    resets = b"".join(headers_block(stream) + frame(RST_STREAM, 0, stream, (8).to_bytes(4, "big"))
                      for stream in range(1, 20_000, 2))
    with raw(collector.tcp) as client:
        client.sendall(PREFACE + EMPTY_SETTINGS)
        try:
            client.sendall(resets)
        except OSError:
            pass
        received = until_closed(client)
    answered = sum(1 for kind, _, _ in frames_in(received) if kind == HEADERS)
    assert answered == 0, "expected no answer to a call that was reset"
    assert cpu_seconds(collector) - before < 2


def test_a_flood_of_continuations_ends_its_connection(collector):
    with raw(collector.tcp) as client:
        client.sendall(PREFACE + EMPTY_SETTINGS + frame(HEADERS, 0, 1, b"\x00\x01a\x01b"))
        try:
            for _ in range(10_000):
                client.sendall(frame(CONTINUATION, 0, 1, b""))
        except OSError:
            pass
        until_closed(client)


def test_a_flood_of_empty_data_ends_its_connection(collector):
    with raw(collector.tcp) as client:
        client.sendall(PREFACE + EMPTY_SETTINGS + headers_block(1))
        try:
            for _ in range(10_000):
                client.sendall(frame(DATA, 0, 1))
        except OSError:
            pass
        until_closed(client)


def test_more_streams_than_allowed_end_the_connection(collector):
    with raw(collector.tcp) as client:
        client.sendall(PREFACE + EMPTY_SETTINGS + b"".join(headers_block(stream) for stream in range(1, 199, 2)))
        settings_frame(client)
        try:
            client.sendall(b"".join(headers_block(stream) for stream in range(199, 205, 2)))
        except OSError:
            pass
        until_closed(client)


def test_the_pings_of_a_busy_client_are_answered(collector):
    """As grpc-go and grpcio send them to measure the bandwidth: one with every answer or so."""
    with connection(collector.tcp) as client:
        stream = None
        for number in range(2000):
            client.h2.ping(number.to_bytes(8, "big"))
            if number % 10 == 0:
                stream = client.start(grpc_headers())
                client.send(stream, framed(GOOD), end=True)
            client.flush()
            client.read()
        assert not client.is_closed and client.goaway is None
        assert client.until_answered(stream).grpc_status == 0


# --- Goodbyes ---

def test_a_goodbye_that_names_the_clients_own_last_stream_is_no_breach(collector):
    """grpc-go's: RFC 9113 wants the last stream of the peer there."""
    labels = {"reason": "protocol"}
    before = collector.count("refused_requests_total", labels)
    with connection(collector.tcp) as client:
        assert client.ask(grpc_headers(), framed(GOOD)).grpc_status == 0
        client.socket.sendall(frame(GOAWAY, 0, 0, struct.pack(">II", 1, 0) + b"bye"))
        until_closed(client.socket)
    assert collector.count("refused_requests_total", labels) == before
