"""OTLP as JSON: what arrives at Tempo is what protobuf's own JSON library reads, and the answers are JSON too."""

import gzip
import json
import random
from collections import Counter

import pytest
from google.protobuf.message import Message

from support import otlp, otlp_json
from support.http_client import PROTOBUF, ask, raw, raw_answer
from support.otlp import ExportTraceServiceRequest, ResourceSpans, numbered_keys, numbered_request, numbered_span
from support.otlp_json import JSON
from support.tempo_stub import TempoStub

MAX_BODY = 1024 * 1024
GOOD = otlp_json.from_protobuf(numbered_request(range(3)))
RANDOM_REQUESTS = 150
OPTIONS = {"tempo.compression": "none"}


def post(collector, body, headers: dict[str, str] = {}, transport: str = "tcp"):
    return ask(getattr(collector, transport), "POST", "/v1/traces", body, JSON | headers)


def assert_accepted(answer) -> None:
    assert (answer.status, answer.media_type, answer.body) == (200, "application/json", b"{}"), answer


def assert_refused(answer, status: int) -> str:
    """A google.rpc.Status in JSON, whose message says something."""
    assert (answer.status, answer.media_type) == (status, "application/json"), answer
    content = json.loads(answer.body)
    assert set(content) == {"code", "message"} and isinstance(content["code"], int), answer
    assert content["message"].strip(), answer
    return content["message"]


class Arrivals:
    """What the stub gets from now on, as one request."""

    def __init__(self, collector, tempo: TempoStub):
        self._collector, self._tempo = collector, tempo
        self._until_all_is_sent()
        self._known = len(tempo.requests)

    def _until_all_is_sent(self) -> None:
        self._collector.until_forwarded(self._collector.count("accepted_spans_total"))

    def take(self) -> ExportTraceServiceRequest:
        self._until_all_is_sent()
        merged = ExportTraceServiceRequest()
        for received in self._tempo.requests[self._known:]:
            merged.MergeFromString(received.body)
        return merged


def canonical(message: Message) -> bytes:
    """For comparisons: == finds that NaN is not NaN."""
    return message.SerializeToString(deterministic=True)


def shown(resources: Counter) -> list[ResourceSpans]:
    return [ResourceSpans.FromString(content) for content in resources]


# --- What arrives ---

def test_random_requests_arrive_as_they_were_meant(collector, tempo):
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    arrivals = Arrivals(collector, tempo)
    sent = [otlp_json.random_request(chance) for _ in range(RANDOM_REQUESTS)]
    for request in sent:
        assert_accepted(post(collector, otlp_json.spelled(request, chance)))
    # Of several requests to Tempo, one may overtake another.
    arrived = Counter(map(canonical, arrivals.take().resource_spans))
    expected = Counter(canonical(resource) for request in sent for resource in request.resource_spans)
    assert arrived == expected, f"seed {seed}: missing {shown(expected - arrived)}, not expected {shown(arrived - expected)}"


SPELLINGS = {
    "numbers in strings": '"kind": "3", "startTimeUnixNano": "17", "droppedLinksCount": "4", "flags": "257"',
    "strings as numbers": '"kind": 3, "startTimeUnixNano": 1795197881000000001, "endTimeUnixNano": 18446744073709551615',
    "whole numbers with points and exponents": '"droppedEventsCount": 2.0, "flags": 1e2, "droppedLinksCount": "3e0"',
    "names of enums": '"kind": "SPAN_KIND_CONSUMER", "status": {"code": "STATUS_CODE_ERROR"}',
    "unknown name of an enum": '"kind": "SPAN_KIND_OF_THE_FUTURE", "name": "n"',
    "names of the proto files": '"start_time_unix_nano": 1, "dropped_events_count": 2, "trace_state": "s"',
    "null": '"name": null, "attributes": null, "status": null, "kind": null, "links": null, "endTimeUnixNano": null',
    "escapes": r'"name": "\u0041\u00e9\ud83d\ude00\n\"\\\/\b\f\r\t\u0000"',
    "escaped keys": r'"\u006eame": "n", "k\u0069nd": 2',
    "values": r'''"attributes": [{"key": "a", "value": {"intValue": -1}}, {"key": "b", "value": {"doubleValue": "-Infinity"}},
        {"key": "c", "value": {"doubleValue": "1.5e3"}}, {"key": "d", "value": {"bytesValue": "-_-_AA"}}, {"key": "e"},
        {"key": "f", "value": {}}, {"key": "g", "value": {"stringValue": ""}}, {"key": "h", "value": {"boolValue": false}},
        {"key": "i", "value": {"arrayValue": {}}}, {"key": "j", "value": {"kvlistValue": {"values": []}}}]''',
    "unknown fields": '"future": {"a": [1, {"b": null}]}, "name": "n", "Name": 5, "isRemote": true',
}


@pytest.mark.parametrize("name", SPELLINGS)
def test_a_spelling_means_what_protobufs_own_library_reads(collector, tempo, name):
    ids = '"traceId": "5B8EFFF798038103d269b633813fc60c", "spanId": "EEE19b7ec3c1b174", "parentSpanId": ""'
    body = '{"resourceSpans": [{"scopeSpans": [{"spans": [{%s, %s}]}]}]}' % (ids, SPELLINGS[name])
    arrivals = Arrivals(collector, tempo)
    assert_accepted(post(collector, body.encode()))
    assert canonical(arrivals.take()) == canonical(otlp_json.parsed(body))


@pytest.mark.parametrize("headers", [
    {}, {"Content-Type": "application/json; charset=utf-8"}, {"Content-Type": "Application/JSON"},
    {"Content-Encoding": "identity"}, {"Content-Encoding": "gzip"}, {"Transfer-Encoding": "chunked"},
], ids=str)
@pytest.mark.parametrize("transport", ["tcp", "unix"])
def test_good_spans_are_accepted(collector, transport, headers):
    body = gzip.compress(GOOD) if headers.get("Content-Encoding") == "gzip" else GOOD
    before = {encoding: collector.count("received_spans_total", {"encoding": encoding}) for encoding in ("json", "protobuf")}
    sent = iter([body[i:i + 777] for i in range(0, len(body), 777)]) if "Transfer-Encoding" in headers else body
    assert_accepted(post(collector, sent, headers, transport))
    assert collector.count("received_spans_total", {"encoding": "json"}) == before["json"] + 3
    assert collector.count("received_spans_total", {"encoding": "protobuf"}) == before["protobuf"]


@pytest.mark.parametrize("body", [b"{}", b" {}\n", b'{"resourceSpans":[]}', b"\xef\xbb\xbf{}", gzip.compress(b"{}", mtime=0)], ids=repr)
def test_a_request_without_spans_is_a_success(collector, body):
    assert_accepted(post(collector, body, {"Content-Encoding": "gzip"} if body[:1] == b"\x1f" else {}))


# --- What is refused ---

BAD_BODIES = {
    b"": "the body is empty",
    b" \n": "the body is empty",
    b"{": "ends in the middle",
    b"[]": "expected an object",
    b"null": "expected an object",
    b"{}{}": "more behind",
    b'{"resourceSpans":{}}': "resourceSpans: expected an array",
    b'{"resourceSpans":[{"scopeSpans":[{"spans":[{},{"startTimeUnixNano":"x"}]}]}]}':
        "resourceSpans[0].scopeSpans[0].spans[1].startTimeUnixNano: expected a number",
    b'{"resourceSpans":[{"schemaUrl":"\xff"}]}': "resourceSpans[0].schemaUrl: a string is not UTF-8 (at byte 32)",
    b'{"a":' + 5000 * b"[": "too deeply",
    numbered_request(range(3)): "expected an object",
}


@pytest.mark.parametrize("body", BAD_BODIES, ids=lambda body: repr(body[:60]))
def test_a_bad_body_is_refused_with_a_status_that_says_what_and_where(collector, body):
    accepted = collector.count("accepted_spans_total")
    assert BAD_BODIES[body] in assert_refused(post(collector, body), 400)
    assert collector.count("accepted_spans_total") == accepted, "expected nothing half-accepted"


def test_broken_gzip_is_refused_in_json(collector):
    assert_refused(post(collector, gzip.compress(GOOD)[:-1], {"Content-Encoding": "gzip"}), 400)


def test_refusals_before_the_body_is_read_are_json_too(collector):
    assert "trace" in assert_refused(ask(collector.tcp, "POST", "/v1/metrics", b"{}", JSON), 404)
    assert_refused(ask(collector.tcp, "PUT", "/v1/traces", b"{}", JSON), 405)
    assert_refused(post(collector, b"{}", {"Content-Encoding": "br"}), 415)


@pytest.mark.parametrize("media_type", ["text/json", "application/json-seq", "application/jsonx", "application/x-protobuf-json"])
def test_an_unknown_type_is_answered_in_protobuf_with_the_types_that_are_known(collector, media_type):
    answer = ask(collector.tcp, "POST", "/v1/traces", b"{}", {"Content-Type": media_type})
    assert (answer.status, answer.media_type) == (415, "application/x-protobuf"), answer
    assert "application/json" in otlp.status(answer.body)[1]


@pytest.mark.parametrize("headers", [JSON, PROTOBUF], ids=["json", "protobuf"])
def test_a_missing_token_is_told_in_the_encoding_of_the_request(start_collector, headers):
    collector = start_collector(options={"otlp.bearer-token": "secret"})
    answer = ask(collector.tcp, "POST", "/v1/traces", b"{}", headers)
    assert (answer.status, answer.media_type) == (401, headers["Content-Type"])


# --- Size ---

def sized_request(size: int) -> bytes:
    """A good request of exactly this many bytes."""
    overhead = len(_padded(1)) - 1
    body = _padded(size - overhead)
    assert len(body) == size
    return body


def _padded(length: int) -> bytes:
    return otlp_json.from_protobuf(otlp.request(numbered_span(0, trace_state="x" * length, name="n")))


@pytest.mark.parametrize("compress", [False, True], ids=["plain", "gzip"])
def test_the_limit_counts_the_bytes_of_the_json_after_decompression(collector, compress):
    headers = {"Content-Encoding": "gzip"} if compress else {}
    encode = gzip.compress if compress else bytes
    assert_accepted(post(collector, encode(sized_request(MAX_BODY)), headers))
    assert_refused(post(collector, encode(sized_request(MAX_BODY + 1)), headers), 413)


def test_a_client_that_is_still_sending_can_read_the_answer(collector):
    size = 4 * MAX_BODY
    head = "POST /v1/traces HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    with raw(collector.tcp) as connection:
        connection.sendall(f"{head}Content-Length: {size}\r\n\r\n".encode() + b" " * size)
        assert_refused(raw_answer(connection), 413)


# --- Spans with bad ids ---

BAD_IDS = [
    {"traceId": ""}, {"traceId": None}, {"traceId": "0" * 32}, {"traceId": "1" * 31}, {"traceId": "1" * 33},
    {"traceId": "g" * 32}, {"traceId": "AQIDBAUGBwgJCgsMDQ4PEA=="}, {"traceId": 5}, {"spanId": ""}, {"spanId": "0" * 16},
    {"spanId": "1" * 17}, {"spanId": "é" * 8}, {"spanId": {"hex": "1"}}, {"parentSpanId": "1"}, {"parentSpanId": "x" * 16},
    {"links": [{"traceId": "1" * 32, "spanId": "2"}]},
]


def test_spans_with_bad_ids_are_refused_by_count_and_the_rest_arrives(collector, tempo):
    numbers = range(5_000_000, 5_000_000 + len(BAD_IDS))
    good = otlp_json.tree(ExportTraceServiceRequest.FromString(numbered_request(numbers)))
    spans = good["resourceSpans"][0]["scopeSpans"][0]["spans"]
    mixed = [span for number, bad in enumerate(BAD_IDS) for span in (spans[number], spans[number] | bad)]
    good["resourceSpans"][0]["scopeSpans"][0]["spans"] = mixed
    before = collector.count("refused_spans_total", {"reason": "bad_id"})
    answer = post(collector, json.dumps(good).encode())
    assert (answer.status, answer.media_type) == (200, "application/json"), answer
    partial = json.loads(answer.body)["partialSuccess"]
    assert partial["rejectedSpans"] == str(len(BAD_IDS)) and partial["errorMessage"], answer
    assert collector.count("refused_spans_total", {"reason": "bad_id"}) == before + len(BAD_IDS)
    tempo.until_stored(numbered_keys(numbers))
    arrived = {span.key: otlp.Span.FromString(span.span) for span in tempo.stored}
    for number in numbers:
        wanted = numbered_span(number)
        assert arrived[(wanted.trace_id, wanted.span_id)] == wanted
