"""What the receiver answers to good, bad and hostile requests. One collector takes them all, one after the other."""

import gzip
import json
import select
import socket

import pytest

from support import otlp
from support.http_client import PROTOBUF, Connection, ask, encoded, post_traces, raw, raw_answer
from support.otlp import numbered_keys, numbered_request, numbered_span

MAX_BODY = 1024 * 1024
GOOD = numbered_request(range(3))
GZIP = PROTOBUF | {"Content-Encoding": "gzip"}


def assert_status_message(answer, status: int) -> str:
    """A google.rpc.Status in protobuf, whose message says something."""
    assert answer.status == status, f"expected {status}, got {answer}"
    assert answer.media_type == "application/x-protobuf", f"expected the request's encoding, got {answer}"
    _, message = otlp.status(answer.body)
    assert message.strip(), f"expected a google.rpc.Status with a message, got {answer}"
    return message


def assert_accepted(answer) -> None:
    assert answer.status == 200, f"expected 200, got {answer}"
    assert answer.media_type == "application/x-protobuf", answer
    assert otlp.rejected(answer.body) == (0, ""), f"expected full success, got {answer}"


# --- Good requests ---

@pytest.mark.parametrize("headers", [
    PROTOBUF,
    PROTOBUF | {"Content-Encoding": "identity"},
    {"Content-Type": "application/x-protobuf; charset=utf-8"},
    {"Content-Type": "Application/X-Protobuf"},
    PROTOBUF | {"Expect": "100-continue"},
    PROTOBUF | {"X-Unknown": "x" * 1000},
], ids=str)
def test_good_spans_are_accepted(collector, headers):
    assert_accepted(ask(collector.tcp, "POST", "/v1/traces", GOOD, headers))


@pytest.mark.parametrize("body, headers", [
    (b"", PROTOBUF), (None, PROTOBUF), (iter([]), PROTOBUF), (gzip.compress(b""), GZIP),
], ids=["empty", "no body", "chunked", "gzip"])
def test_an_empty_request_is_a_success(collector, body, headers):
    assert_accepted(ask(collector.tcp, "POST", "/v1/traces", body, headers))


def test_requests_that_are_sent_without_waiting_are_answered_in_order(collector):
    bodies = [numbered_request([0]), b"\xff\xff", numbered_request([1])]
    with raw(collector.tcp) as connection:
        connection.sendall(b"".join(_as_http(body) for body in bodies))
        assert [raw_answer_of(connection).status for _ in bodies] == [200, 400, 200]


def _as_http(body: bytes) -> bytes:
    return (b"POST /v1/traces HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-protobuf\r\n"
            b"Content-Length: %d\r\n\r\n" % len(body)) + body


def raw_answer_of(connection: socket.socket):
    """Takes one answer off the connection and not a byte more."""
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        byte = connection.recv(1)
        assert byte, f"expected an answer, the connection ended after {head!r}"
        head += byte
    length = next(int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:"))
    body = connection.recv(length, socket.MSG_WAITALL) if length else b""
    return _Head(int(head.split()[1]), body)


class _Head:
    def __init__(self, status: int, body: bytes):
        self.status, self.body = status, body


def test_a_bad_request_leaves_the_connection_usable(collector):
    connection = Connection(collector.tcp)
    statuses = [connection.ask("POST", "/v1/traces", *encoded(body)).status for body in (b"\xff", GOOD, b"\x0a\x05", GOOD)]
    connection.close()
    assert statuses == [400, 200, 400, 200]


# --- Bad bodies ---

BAD_PROTOBUF = {
    "truncated": GOOD[:-1],
    "cut in the middle": GOOD[:len(GOOD) // 2],
    "length beyond the end": b"\x0a\xff\xff\xff\xff\x0f",
    "length of 2^63": b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\x7f",
    "varint without end": b"\xff" * 11,
    # Lenient parsers skip it as unknown; Tempo's refuses the whole batch, so it must not get that far.
    "wrong wire type": b"\x08\x01",
    "field number 0": b"\x02\x00",
    "text": b"this is no protobuf",
    "JSON": json.dumps({"resourceSpans": []}).encode(),
    "gzip without saying so": gzip.compress(GOOD),
    "span cut inside its parents' lengths": b"\x0a\x06\x12\x04\x12\x02\x0a\x10",
}


@pytest.mark.parametrize("name", BAD_PROTOBUF)
def test_bad_protobuf_is_refused_with_a_status_that_says_what_and_where(collector, name):
    accepted = collector.count("accepted_spans_total")
    assert_status_message(post_traces(collector.tcp, BAD_PROTOBUF[name]), 400)
    assert collector.count("accepted_spans_total") == accepted, "expected nothing half-accepted"


@pytest.mark.parametrize("body", [
    b"\x1f\x8b", b"no gzip at all", gzip.compress(GOOD)[:-1], gzip.compress(GOOD)[:20], gzip.compress(GOOD)[:-8] + bytes(8),
    gzip.compress(GOOD) + b"rubbish", gzip.compress(GOOD[:-1]),
], ids=["two bytes", "text", "last byte missing", "truncated", "wrong checksum", "rubbish behind", "bad protobuf inside"])
def test_broken_gzip_is_refused(collector, body):
    accepted = collector.count("accepted_spans_total")
    assert_status_message(ask(collector.tcp, "POST", "/v1/traces", body, GZIP), 400)
    assert collector.count("accepted_spans_total") == accepted


def test_gzip_in_several_members_is_one_body(collector):
    body = gzip.compress(GOOD[:50]) + gzip.compress(GOOD[50:])
    assert_accepted(ask(collector.tcp, "POST", "/v1/traces", body, GZIP))


# --- Wrong path, method, type, encoding ---

@pytest.mark.parametrize("path", ["/", "/v1/trace", "/v1/traces/", "/v1/traces/more", "/metrics", "/V1/TRACES"])
def test_a_wrong_path_is_not_found(collector, path):
    assert ask(collector.tcp, "POST", path, GOOD, PROTOBUF).status == 404


@pytest.mark.parametrize("signal", ["metrics", "logs"])
def test_the_other_signals_are_not_found_and_the_message_says_what_is_taken(collector, signal):
    answer = ask(collector.tcp, "POST", f"/v1/{signal}", b"", PROTOBUF)
    assert "trace" in assert_status_message(answer, 404).lower()


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "PATCH", "DELETE"])
def test_a_wrong_method_is_told_the_right_one(collector, method):
    answer = ask(collector.tcp, method, "/v1/traces")
    assert answer.status == 405, answer
    assert "POST" in answer.headers.get("Allow", ""), f"expected Allow: POST, got {dict(answer.headers)}"


@pytest.mark.parametrize("headers", [
    {}, {"Content-Type": ""}, {"Content-Type": "text/plain"}, {"Content-Type": "application/protobuf-x"},
    {"Content-Type": "application/x-www-form-urlencoded"},
], ids=str)
def test_a_missing_or_unknown_content_type_is_unsupported(collector, headers):
    assert ask(collector.tcp, "POST", "/v1/traces", GOOD, headers).status == 415


@pytest.mark.parametrize("encoding", ["br", "snappy", "gzip, gzip", "rubbish"])
def test_an_unknown_content_encoding_is_unsupported(collector, encoding):
    answer = ask(collector.tcp, "POST", "/v1/traces", GOOD, PROTOBUF | {"Content-Encoding": encoding})
    assert_status_message(answer, 415)


# --- Size ---

def sized_request(size: int) -> bytes:
    """A good request of exactly this many bytes."""
    overhead = len(_padded(size - 200)) - (size - 200)
    body = _padded(size - overhead)
    assert len(body) == size
    return body


def _padded(length: int) -> bytes:
    return otlp.request(numbered_span(0, attributes=otlp.attributes(padding="x" * length)))


@pytest.mark.parametrize("chunked", [False, True], ids=["whole", "chunked"])
@pytest.mark.parametrize("compress", [False, True], ids=["plain", "gzip"])
def test_the_limit_counts_the_bytes_after_decompression(collector, compress, chunked):
    assert_accepted(post_traces(collector.tcp, sized_request(MAX_BODY), compress=compress, chunked=chunked))
    answer = post_traces(collector.tcp, sized_request(MAX_BODY + 1), compress=compress, chunked=chunked)
    assert_status_message(answer, 413)


@pytest.mark.parametrize("chunked", [False, True], ids=["whole", "chunked"])
def test_a_gzip_bomb_is_too_large(collector, chunked):
    bomb = gzip.compress(bytes(500 * MAX_BODY))
    assert len(bomb) < MAX_BODY
    body = iter([bomb[i:i + 4096] for i in range(0, len(bomb), 4096)]) if chunked else bomb
    answer = ask(collector.tcp, "POST", "/v1/traces", body, GZIP)
    assert answer.status == 413, answer


@pytest.mark.parametrize("transport", ["tcp", "unix"])
@pytest.mark.parametrize("size", [2 * MAX_BODY, 12 * MAX_BODY])
def test_the_answer_can_be_read_by_a_client_that_is_still_sending(collector, transport, size):
    with raw(getattr(collector, transport)) as connection:
        connection.sendall(_as_http(bytes(size)))  # most clients never look for an answer when this fails
        assert raw_answer(connection).status == 413


@pytest.mark.parametrize("transport", ["tcp", "unix"])
def test_the_answer_can_be_read_by_a_client_that_pauses_while_it_sends(collector, transport):
    message = _as_http(bytes(2 * MAX_BODY))
    with raw(getattr(collector, transport)) as connection:
        connection.sendall(message[:300_000])
        select.select([connection], [], [], 0.3)  # gives an early answer, and an early close, the time to happen
        connection.sendall(message[300_000:])
        assert raw_answer(connection).status == 413


@pytest.mark.parametrize("transport", ["tcp", "unix"])
def test_the_answer_can_be_read_by_a_client_that_is_still_sending_chunks(collector, transport):
    chunk = b"10000\r\n" + bytes(0x10000) + b"\r\n"
    with raw(getattr(collector, transport)) as connection:
        connection.sendall(b"POST /v1/traces HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n"
                           b"Content-Type: application/x-protobuf\r\n\r\n" + 64 * chunk + b"0\r\n\r\n")
        assert raw_answer(connection).status == 413


def test_a_client_that_asks_first_is_told_before_it_sends(collector):
    with raw(collector.tcp) as connection:
        connection.sendall(b"POST /v1/traces HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-protobuf\r\n"
                           b"Content-Length: 10000000000\r\nExpect: 100-continue\r\n\r\n")
        assert raw_answer(connection).status == 413


# --- Spans with bad ids ---

BAD_IDS = [
    {"trace_id": b""}, {"trace_id": bytes(16)}, {"trace_id": b"t" * 15}, {"trace_id": b"t" * 17}, {"trace_id": b"t" * 1000},
    {"span_id": b""}, {"span_id": bytes(8)}, {"span_id": b"s" * 7}, {"span_id": b"s" * 9},
]


def counts(collector) -> dict[str, float]:
    return {name: collector.count(name) for name in ("received_spans_total", "accepted_spans_total", "refused_spans_total")}


def increase(collector, before: dict[str, float]) -> dict[str, float]:
    return {name: count - before[name] for name, count in counts(collector).items()}


def test_spans_with_bad_ids_are_refused_by_count_and_the_rest_arrives(collector, tempo):
    before = counts(collector)
    good = [numbered_span(number) for number in range(1_000_000, 1_000_010)]
    bad = [numbered_span(2_000_000 + number, **ids) for number, ids in enumerate(BAD_IDS)]
    mixed = [span for pair in zip(good, bad) for span in pair] + good[len(bad):]
    answer = post_traces(collector.tcp, otlp.request(*mixed))
    assert answer.status == 200, answer
    rejected, message = otlp.rejected(answer.body)
    assert rejected == len(BAD_IDS), answer
    assert message, "expected a message that says why"
    tempo.until_stored(numbered_keys(range(1_000_000, 1_000_010)))
    arrived = {raw.key: raw for raw in tempo.stored}
    for expected in otlp.spans_in(otlp.request(*good)):
        assert arrived[expected.key] == expected, "expected the good spans byte for byte, with resource and scope"
    assert increase(collector, before) == {"received_spans_total": 19, "accepted_spans_total": 10, "refused_spans_total": 9}


@pytest.mark.parametrize("ids", BAD_IDS, ids=str)
def test_a_request_of_nothing_but_bad_ids_is_a_partial_success_of_none(collector, ids):
    before = counts(collector)
    answer = post_traces(collector.tcp, otlp.request(numbered_span(3_000_000, **ids), numbered_span(3_000_001, **ids)))
    assert answer.status == 200, answer
    assert otlp.rejected(answer.body)[0] == 2, answer
    assert increase(collector, before) == {"received_spans_total": 2, "accepted_spans_total": 0, "refused_spans_total": 2}


# --- No HTTP at all ---

def send_on_regardless(connection: socket.socket, data: bytes) -> None:
    try:
        connection.sendall(data)
    except (BrokenPipeError, ConnectionResetError):
        pass  # whoever takes no garbage may say so early


@pytest.mark.parametrize("garbage", [
    b"\x00" * 100, b"\xff" * 5000, b"GET\r\n\r\n", b"POST /v1/traces HTTP/9.9\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    b"POST /v1/traces HTTP/1.1\r\nContent-Length: -1\r\n\r\n", b"POST /v1/traces HTTP/1.1\r\nContent-Length: 1e3\r\n\r\n",
    b"POST /v1/traces HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Type: application/x-protobuf\r\n\r\nzz\r\n",
    b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 100_000,
], ids=lambda garbage: repr(garbage[:40]))
@pytest.mark.parametrize("transport", ["tcp", "unix"])
def test_garbage_ends_its_own_connection_and_nothing_else(collector, transport, garbage):
    with raw(getattr(collector, transport)) as connection:
        send_on_regardless(connection, garbage)
        try:
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(65536):
                pass
        except TimeoutError:
            raise
        except OSError:
            pass  # reset: also an end


@pytest.mark.parametrize("at", [1, 10, 60, 100, 130])
def test_a_client_that_goes_away_in_the_middle_leaves_nothing_behind(collector, at):
    before = collector.count("received_spans_total")
    with raw(collector.tcp) as connection:
        connection.sendall(_as_http(GOOD)[:at])
    assert collector.count("received_spans_total") == before
