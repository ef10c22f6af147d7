"""What the receiver answers to gRPC calls, good, bad and hostile, by grpcio and frame by frame."""

import gzip
import time

import pytest
from grpc import Compression, StatusCode

from support import otlp
from support.go_capture import GoCapture
from support.grpc_client import EXPORT, TIMEOUT_SECONDS, client, export
from support.http_client import ask
from support.http2_client import connection, framed, grpc_headers
from support.otlp import numbered_keys, numbered_request, numbered_span
from support.tempo_stub import TempoStub

MAX_BODY = 1024 * 1024
GOOD = numbered_request(range(3))
TOKEN = "correct horse"


def padded(length: int) -> bytes:
    return otlp.request(numbered_span(0, attributes=otlp.attributes(padding="x" * length)))


def sized_request(size: int) -> bytes:
    body = padded(size - (len(padded(size - 200)) - (size - 200)))
    assert len(body) == size
    return body


def refused_requests(collector, reason: str) -> float:
    return collector.count("refused_requests_total", {"reason": reason})


# --- Good calls ---

@pytest.mark.parametrize("compression", [Compression.NoCompression, Compression.Gzip], ids=["plain", "gzip"])
@pytest.mark.parametrize("transport", ["tcp", "unix"])
def test_spans_are_accepted_and_counted_by_their_transport(collector, transport, compression):
    labels = {"transport": "grpc", "encoding": "protobuf"}
    before = collector.count("received_spans_total", labels)
    with client(getattr(collector, transport), compression) as sender:
        for body in (GOOD, b"", GOOD):
            outcome = sender.export(body)
            assert outcome.code == StatusCode.OK, outcome
            assert outcome.body == b"", "expected full success to be an empty message"
    assert collector.count("received_spans_total", labels) == before + 6


@pytest.mark.parametrize("compression", [Compression.NoCompression, Compression.Gzip], ids=["plain", "gzip"])
@pytest.mark.parametrize("transport", ["tcp", "unix"])
def test_what_the_go_sdk_sent_arrives_as_it_was(start_collector, transport, compression):
    with TempoStub() as stub:
        collector = start_collector(options={"tempo.endpoint": stub.endpoint})
        capture = GoCapture()
        with client(getattr(collector, transport), compression) as sender:
            for body in capture.bodies:
                assert sender.export(body).code == StatusCode.OK
        page = collector.balanced_metrics()
        assert page.by("asynq_task_attempts_total", "queue", "task_type", "status", "attempt") == capture.attempts()
        collector.until_forwarded(capture.span_count)
        sent = {raw.key: raw for body in capture.bodies for raw in otlp.spans_in(body)}
        assert {raw.key: raw for raw in stub.stored} == sent
        stub.assert_each_once(set(sent))


@pytest.mark.parametrize("compression", [Compression.NoCompression, Compression.Gzip], ids=["plain", "gzip"])
def test_large_messages_are_taken_whole(start_collector, compression):
    collector = start_collector()
    body = padded(8 << 20)
    with client(collector.unix, compression) as sender:
        for _ in range(3):
            assert sender.export(body).code == StatusCode.OK
    assert collector.count("accepted_spans_total") == 3


def test_spans_with_bad_ids_are_a_partial_success(collector):
    body = otlp.request(numbered_span(1), numbered_span(2, span_id=b""), numbered_span(3, trace_id=bytes(16)))
    outcome = export(collector.tcp, body)
    assert outcome.code == StatusCode.OK
    count, message = otlp.rejected(outcome.body)
    assert count == 2 and message


def test_calls_that_are_sent_without_waiting_are_all_answered(collector):
    before = collector.count("accepted_spans_total")
    with client(collector.tcp) as sender:
        call = sender.channel.unary_unary(EXPORT)
        for done in [call.future(numbered_request([number]), timeout=TIMEOUT_SECONDS) for number in range(300)]:
            assert done.result() == b""
    assert collector.count("accepted_spans_total") == before + 300


# --- Bad calls ---

@pytest.mark.parametrize("method", [
    "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
    "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
])
def test_the_other_signals_are_unimplemented_and_the_message_says_what_is_taken(collector, method):
    outcome = export(collector.tcp, b"", method=method)
    assert outcome.code == StatusCode.UNIMPLEMENTED
    assert "traces only" in outcome.message, outcome


@pytest.mark.parametrize("method", [
    EXPORT + "s", EXPORT.lower(), "/opentelemetry.proto.collector.trace.v1.TraceService/Import", "/grpc.health.v1.Health/Check",
    "/v1/traces", "/",
])
def test_a_wrong_service_or_method_is_unimplemented(collector, method):
    outcome = export(collector.tcp, GOOD, method=method)
    assert outcome.code == StatusCode.UNIMPLEMENTED
    assert outcome.message and outcome.retry_seconds is None


@pytest.mark.parametrize("body", [GOOD[:-1], b"\xff" * 11, b"\x08\x01", b"this is no protobuf"],
                         ids=["truncated", "varint without end", "wrong wire type", "text"])
def test_bad_bytes_are_an_invalid_argument(collector, body):
    accepted = collector.count("accepted_spans_total")
    outcome = export(collector.tcp, body)
    assert outcome.code == StatusCode.INVALID_ARGUMENT
    assert "ExportTraceServiceRequest" in outcome.message and outcome.retry_seconds is None
    assert collector.count("accepted_spans_total") == accepted


@pytest.mark.parametrize("compression", [Compression.NoCompression, Compression.Gzip], ids=["plain", "gzip"])
def test_the_limit_counts_the_message_after_decompression(collector, compression):
    with client(collector.tcp, compression) as sender:
        assert sender.export(sized_request(MAX_BODY)).code == StatusCode.OK
        for size in (MAX_BODY + 1, 3 * MAX_BODY):
            outcome = sender.export(sized_request(size))
            assert outcome.code == StatusCode.RESOURCE_EXHAUSTED
            assert outcome.retry_seconds is None, "expected no RetryInfo: a retry can't succeed"
            assert "otlp.max-body" in outcome.message
        assert sender.export(GOOD).code == StatusCode.OK


def test_many_that_are_too_large_at_a_time_leave_the_connection_usable(collector):
    body = padded(5 * MAX_BODY)
    with client(collector.tcp) as sender:
        call = sender.channel.unary_unary(EXPORT)
        codes = [done.code() for done in [call.future(body, timeout=TIMEOUT_SECONDS) for _ in range(60)]]
        # UNAVAILABLE asks for a retry: so many at a time may find no memory.
        codes = [call.future(body, timeout=TIMEOUT_SECONDS).code() if code == StatusCode.UNAVAILABLE else code for code in codes]
        assert set(codes) == {StatusCode.RESOURCE_EXHAUSTED}
        assert sender.export(GOOD).code == StatusCode.OK


def test_other_compression_is_unimplemented_and_the_answer_names_what_is_accepted(collector):
    outcome = export(collector.tcp, GOOD, compression=Compression.Deflate)
    assert outcome.code == StatusCode.UNIMPLEMENTED
    with connection(collector.tcp) as raw:
        answer = raw.ask(grpc_headers(grpc_encoding="snappy"), framed(GOOD, compressed=1))
        assert answer.grpc_status == StatusCode.UNIMPLEMENTED.value[0]
        assert answer.headers["grpc-accept-encoding"] == "identity,gzip"


def test_a_full_spool_asks_for_a_retry(start_collector, tempo):
    tempo.go_down()
    try:
        collector = start_collector(options={"tempo.endpoint": tempo.endpoint, "spool.max-bytes": "1MiB"})
        with client(collector.unix) as sender:
            outcome = sender.export(padded(200_000))
            for _ in range(10):
                if outcome.code != StatusCode.OK:
                    break
                outcome = sender.export(padded(200_000))
        assert outcome.code == StatusCode.RESOURCE_EXHAUSTED
        assert outcome.retry_seconds and outcome.retry_seconds > 0, outcome
        assert collector.count("refused_spans_total", {"reason": "spool_full"}) == 1
    finally:
        tempo.come_up()


def test_acknowledged_after_the_sync_when_it_is_asked_for(start_collector, tempo):
    collector = start_collector(options={"tempo.endpoint": tempo.endpoint, "spool.sync": "always"})
    numbers = range(5_000_000, 5_000_200)
    with client(collector.tcp) as sender:
        call = sender.channel.unary_unary(EXPORT)
        for done in [call.future(numbered_request([number]), timeout=TIMEOUT_SECONDS) for number in numbers]:
            assert done.result() == b""
    collector.until_forwarded(len(numbers))
    assert numbered_keys(numbers) <= set(tempo.times_stored())


# --- The bearer token ---

@pytest.mark.parametrize("sent, code", [
    ({"authorization": f"Bearer {TOKEN}"}, StatusCode.OK), ({}, StatusCode.UNAUTHENTICATED),
    ({"authorization": f"Bearer {TOKEN}r"}, StatusCode.UNAUTHENTICATED),
    ({"authorization": f"Basic {TOKEN}"}, StatusCode.UNAUTHENTICATED),
], ids=str)
def test_the_bearer_token_is_required_when_it_is_set(start_collector, sent, code):
    collector = start_collector(options={"otlp.bearer-token": TOKEN})
    outcome = export(collector.tcp, GOOD, metadata=sent)
    assert outcome.code == code
    assert collector.count("accepted_spans_total") == (3 if code == StatusCode.OK else 0)


# --- Deadlines ---

def test_a_call_that_is_complete_after_its_deadline_is_not_taken(collector):
    accepted, refused = collector.count("accepted_spans_total"), refused_requests(collector, "deadline")
    with connection(collector.tcp) as raw:
        stream = raw.start(grpc_headers(grpc_timeout="50m"))
        # Once this is answered, the one before it has begun.
        assert raw.ask(grpc_headers(), framed(b"")).grpc_status == 0
        time.sleep(0.06)
        raw.send(stream, framed(GOOD), end=True)
        assert raw.until_answered(stream).grpc_status == StatusCode.DEADLINE_EXCEEDED.value[0]
        assert raw.ask(grpc_headers(grpc_timeout="99S"), framed(b"")).grpc_status == 0
    assert collector.count("accepted_spans_total") == accepted
    assert refused_requests(collector, "deadline") == refused + 1


@pytest.mark.parametrize("timeout", ["", "1", "S", "123456789S", "1s", "-1S", "1.5S"])
def test_a_timeout_that_is_none_is_refused(collector, timeout):
    with connection(collector.tcp) as raw:
        assert raw.ask(grpc_headers(grpc_timeout=timeout), framed(GOOD)).grpc_status == StatusCode.INTERNAL.value[0]


# --- What grpcio would not send ---

@pytest.mark.parametrize("body", [
    b"", b"\x00", b"\x00\x00\x00\x00", framed(GOOD)[:-1], framed(GOOD) + b"\x00", framed(GOOD) * 2, framed(b"") * 2,
    framed(GOOD, compressed=2), framed(gzip.compress(GOOD), compressed=1), b"\x00\xff\xff\xff\xff" + GOOD,
], ids=["none", "flag only", "part of a prefix", "cut", "one byte more", "two", "two empty", "bad flag",
        "compressed without grpc-encoding", "length of 4 GiB"])
def test_anything_but_one_message_is_an_internal_error(collector, body):
    accepted = collector.count("accepted_spans_total")
    with connection(collector.tcp) as raw:
        answer = raw.ask(grpc_headers(), body)
        assert (answer.status, answer.grpc_status) == (200, StatusCode.INTERNAL.value[0])
        assert answer.headers["grpc-message"]
        assert raw.ask(grpc_headers(), framed(GOOD)).grpc_status == 0
    assert collector.count("accepted_spans_total") == accepted + 3


def test_a_call_may_end_without_a_body(collector):
    with connection(collector.tcp) as raw:
        stream = raw.start(grpc_headers(), end=True)
        assert raw.until_answered(stream).grpc_status == StatusCode.INTERNAL.value[0]


def test_a_message_that_is_not_compressed_may_come_with_an_encoding(collector):
    with connection(collector.tcp) as raw:
        assert raw.ask(grpc_headers(grpc_encoding="gzip"), framed(GOOD)).grpc_status == 0
        assert raw.ask(grpc_headers(grpc_encoding="gzip"), framed(gzip.compress(GOOD), 1)).grpc_status == 0
        broken = framed(gzip.compress(GOOD)[:-9], 1)
        assert raw.ask(grpc_headers(grpc_encoding="gzip"), broken).grpc_status == StatusCode.INVALID_ARGUMENT.value[0]
        bomb = framed(gzip.compress(bytes(500 * MAX_BODY)), 1)
        assert raw.ask(grpc_headers(grpc_encoding="gzip"), bomb).grpc_status == StatusCode.RESOURCE_EXHAUSTED.value[0]


@pytest.mark.parametrize("content_type, status", [
    ("application/grpc", 200), ("application/grpc+proto", 200), ("application/grpc; charset=utf-8", 200),
    ("Application/GRPC", 200), ("application/grpc+json", 415), ("application/grpc-web", 415),
    ("application/grpc-web+proto", 415), ("text/plain", 415), (None, 415),
])
def test_other_content_types_are_unsupported(collector, content_type, status):
    with connection(collector.tcp) as raw:
        assert raw.ask(grpc_headers(content_type=content_type), framed(GOOD)).status == status


def test_an_answer_has_its_status_in_trailers_and_a_refusal_in_headers_only(collector):
    with connection(collector.tcp) as raw:
        good = raw.ask(grpc_headers(), framed(GOOD))
        assert (good.status, good.headers["content-type"], good.body) == (200, "application/grpc", framed(b""))
        assert good.trailers == {"grpc-status": "0"}
        bad = raw.ask(grpc_headers(), framed(b"\xff"))
        assert (bad.status, bad.headers["content-type"], bad.body, bad.trailers) == (200, "application/grpc", b"", {})
        assert raw.ask(grpc_headers(_method="GET"), b"").status == 405


def test_grpc_over_http_1_is_refused(collector):
    assert ask(collector.tcp, "POST", EXPORT, framed(GOOD), {"Content-Type": "application/grpc"}).status == 404
    assert ask(collector.tcp, "POST", "/v1/traces", framed(GOOD), {"Content-Type": "application/grpc"}).status == 415


def test_a_client_that_cancels_in_the_middle_leaves_nothing_behind(collector):
    received = collector.count("received_spans_total")
    with connection(collector.tcp) as raw:
        for _ in range(20):
            stream = raw.start(grpc_headers())
            raw.send(stream, framed(sized_request(MAX_BODY))[:-1])
            raw.h2.reset_stream(stream)
            raw.flush()
        assert raw.ask(grpc_headers(), framed(b"")).grpc_status == 0
    assert collector.count("received_spans_total") == received


def test_more_unfinished_bodies_than_a_connection_may_hold_are_refused_for_a_while(collector):
    """A connection takes most of the memory for bodies, and leaves others theirs."""
    refused = refused_requests(collector, "overloaded")
    part = framed(sized_request(MAX_BODY))[:-1]
    with connection(collector.tcp) as raw:
        streams = [raw.start(grpc_headers()) for _ in range(80)]
        for stream in streams:
            raw.send(stream, part)
        raw.until_read()
        answered = [raw.answers[stream] for stream in streams if raw.answers[stream].ended]
        share = collector.metrics().value("asynq_collector_memory_limit_bytes", {"part": "bodies"})
        held_bytes = (len(streams) - len(answered)) * MAX_BODY
        assert share / 2 < held_bytes < share * 8 / 9, (len(answered), share)
        assert {answer.grpc_status for answer in answered} == {StatusCode.UNAVAILABLE.value[0]}
        assert export(collector.tcp, GOOD).code == StatusCode.OK
        for stream in streams:
            if not raw.answers[stream].ended:
                raw.h2.reset_stream(stream)
        raw.flush()
        assert raw.ask(grpc_headers(), framed(sized_request(MAX_BODY))).grpc_status == 0
    assert refused_requests(collector, "overloaded") == refused + len(answered)
