"""Random requests against Google's own protobuf: what arrives at Tempo means exactly what was sent.

The oracle is the pb2 classes of opentelemetry-proto: they read what was sent, lose the spans that have to be refused, and
compare with what they read of what arrived, unknown fields included. A number of requests per run; more of them by

    ASYNQ_COLLECTOR_TESTS_ORACLE_REQUESTS=20000 python -m pytest Tests/IntegrationTests/test_oracle.py

The seed is in every message; ASYNQ_COLLECTOR_TESTS_ORACLE_SEED repeats a run.
"""

import os
import random
from collections import Counter
from contextlib import ExitStack, closing

import pytest
from grpc import Compression, StatusCode

from support import grpc_client, otlp, otlp_json, otlp_wire, wire
from support.collector import Collector
from support.http_client import Connection, encoded
from support.otlp import ExportTraceServiceRequest, Span
from support.tempo_stub import TempoStub

REQUESTS = int(os.environ.get("ASYNQ_COLLECTOR_TESTS_ORACLE_REQUESTS", 400))
SEED = int(os.environ.get("ASYNQ_COLLECTOR_TESTS_ORACLE_SEED", random.SystemRandom().randrange(1 << 32)))
# Sent before what has arrived is looked at.
ROUND = 200
RESOURCE_SPANS = 1  # the only field of a request


def make_bad(span: Span, chance: random.Random) -> None:
    """One of the ids that Tempo refuses a whole batch for."""
    match chance.randrange(6):
        case 0:
            span.trace_id = chance.choice([b"", bytes(16), b"t", b"t" * 15, b"t" * 17, b"t" * 300])
        case 1:
            span.span_id = chance.choice([b"", bytes(8), b"s", b"s" * 7, b"s" * 9, b"s" * 16])
        case 2:
            span.parent_span_id = chance.choice([b"p", b"p" * 7, b"p" * 9, b"p" * 16])
        case 3:
            span.links.add(trace_id=chance.choice([b"t" * 15, b"t" * 17, b"t"]), span_id=b"s" * 8)
        case 4:
            span.links.add(trace_id=b"t" * 16, span_id=chance.choice([b"s", b"s" * 7, b"s" * 9]))
        case _:
            span.trace_id, span.span_id = b"", b""


def is_bad(span: Span) -> bool:
    """The rule, said once more: ids that are zero or of a wrong length; of parents and links a wrong length alone."""
    if len(span.trace_id) != 16 or len(span.span_id) != 8 or not any(span.trace_id) or not any(span.span_id):
        return True
    return len(span.parent_span_id) not in (0, 8) or any(
        len(link.trace_id) not in (0, 16) or len(link.span_id) not in (0, 8) for link in span.links)


def scopes_of(request: ExportTraceServiceRequest):
    return [scope for resource in request.resource_spans for scope in resource.scope_spans]


def random_body(chance: random.Random) -> bytes:
    request = otlp_json.random_request(chance)
    spans = [span for scope in scopes_of(request) for span in scope.spans]
    share = chance.choice([0, 0, 0.3, 0.3, 1])
    for span in spans:
        if chance.random() < share:
            make_bad(span, chance)
    return otlp_wire.spelled(request, chance)


class Expected:
    """What has to arrive of a body, and how many of its spans have to be refused."""

    def __init__(self, body: bytes):
        self.body = body
        self.request = ExportTraceServiceRequest.FromString(body)
        self.refused = self.accepted = 0
        for scope in scopes_of(self.request):
            kept = [span for span in scope.spans if not is_bad(span)]
            self.accepted += len(kept)
            self.refused += len(scope.spans) - len(kept)
            for at in reversed(range(len(scope.spans))):
                if is_bad(scope.spans[at]):
                    del scope.spans[at]

    def resources(self) -> list[bytes]:
        return [canonical(resource) for resource in self.request.resource_spans] if self.accepted else []

    def raw_resources(self) -> list[bytes]:
        """Byte for byte, where nothing had to be taken out."""
        return [value for number, value in wire.fields(self.body) if number == RESOURCE_SPANS] if not self.refused else []

    def unknown(self) -> list[tuple]:
        return others(self.body) if self.accepted else []


def canonical(message) -> bytes:
    return message.SerializeToString(deterministic=True)


def others(body: bytes) -> list[tuple]:
    return [(number, value) for number, value in wire.fields(body) if number != RESOURCE_SPANS]


class Senders:
    """Every way to send protobuf, each with a connection of its own."""

    def __init__(self, collector: Collector, stack: ExitStack):
        self._http = [stack.enter_context(closing(Connection(endpoint))) for endpoint in (collector.tcp, collector.unix)]
        self._grpc = [stack.enter_context(grpc_client.client(endpoint, compression))
                      for endpoint in (collector.tcp, collector.unix)
                      for compression in (Compression.NoCompression, Compression.Gzip)]

    def send(self, body: bytes, chance: random.Random) -> tuple[int, str]:
        """Rejected spans and the message, of an answer that must be a success."""
        if chance.random() < 0.5:
            outcome = chance.choice(self._grpc).export(body)
            assert outcome.code == StatusCode.OK, f"seed {SEED}: expected success, got {outcome}; body {body.hex()}"
            return otlp.rejected(outcome.body)
        content, headers = encoded(body, compress=chance.random() < 0.5, chunked=chance.random() < 0.2)
        answer = chance.choice(self._http).ask("POST", "/v1/traces", content, headers)
        assert answer.status == 200, f"seed {SEED}: expected 200, got {answer}; body {body.hex()}"
        return otlp.rejected(answer.body)


@pytest.mark.timeout(240 + REQUESTS / 10)
def test_what_arrives_means_what_was_sent_but_for_the_spans_that_nobody_takes(start_collector):
    print(f"seed {SEED}, {REQUESTS} requests")
    chance = random.Random(SEED)
    refused = sent = 0
    for at in range(0, REQUESTS, ROUND):
        with TempoStub() as tempo, ExitStack() as stack:
            # A collector and a stub for each round: the stub keeps all that it gets.
            collector = start_collector(options={"tempo.endpoint": tempo.endpoint, "tempo.compression": "none"})
            senders = Senders(collector, stack)
            round_expected = []
            for _ in range(min(ROUND, REQUESTS - at)):
                expected = Expected(random_body(chance))
                rejected, message = senders.send(expected.body, chance)
                assert rejected == expected.refused, (
                    f"seed {SEED}: expected {expected.refused} spans to be refused, got {rejected}; body {expected.body.hex()}")
                assert bool(message) == bool(rejected), f"seed {SEED}: expected a reason if any, got {message!r}"
                round_expected.append(expected)
            collector.until_forwarded(sum(expected.accepted for expected in round_expected))
            assert_arrived(round_expected, [received.body for received in tempo.requests])
            page = collector.balanced_metrics()
            assert page.sum("asynq_collector_refused_spans_total", {"reason": "bad_id"}) == sum(e.refused for e in round_expected)
            collector.stop()
        refused += sum(expected.refused for expected in round_expected)
        sent += sum(expected.refused + expected.accepted for expected in round_expected)
    assert 0 < refused < sent, f"seed {SEED}: expected some of {sent} spans to be bad, and not all; {refused} were"


def assert_arrived(sent: list[Expected], bodies: list[bytes]) -> None:
    """Requests may overtake each other on the way to Tempo: compared are bags of what a request is made of."""
    resources = [resource for body in bodies for resource in ExportTraceServiceRequest.FromString(body).resource_spans]
    assert_same("resource", Counter(r for e in sent for r in e.resources()), Counter(map(canonical, resources)))
    unknown = Counter(field for body in bodies for field in others(body))
    assert_same("unknown field", Counter(field for e in sent for field in e.unknown()), unknown)
    raw = Counter(value for body in bodies for number, value in wire.fields(body) if number == RESOURCE_SPANS)
    changed = Counter(r for e in sent for r in e.raw_resources()) - raw
    assert not changed, f"seed {SEED}: expected these bytes as they came: {next(iter(changed)).hex()}"


def assert_same(what: str, expected: Counter, found: Counter) -> None:
    missing, extra = expected - found, found - expected
    assert not missing and not extra, (
        f"seed {SEED}: {missing.total()} of {expected.total()} times a {what} is missing, {extra.total()} times another is "
        f"there; the first missing: {_shown(missing)}; the first other: {_shown(extra)}")


def _shown(bag: Counter) -> str:
    first = next(iter(bag), None)
    return first.hex() if isinstance(first, bytes) else repr(first)
