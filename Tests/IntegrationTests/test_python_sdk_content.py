"""All that a span of the real Python SDK can hold arrives as the SDK encodes it, whatever it is sent by.

The judge is the SDK's own encoder: what it makes of each batch has to be what Tempo gets.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import grpc
import pytest
import requests
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GRPCSpanExporter
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HTTPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanLimits, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags, TraceState

from support import unix_adapter
from support.collector import Collector
from support.otlp import ExportTraceServiceRequest

SPANS = 120
BATCH = 50
TOKEN = "correct horse"
OPTIONS = {"otlp.max-body": "16MiB", "tempo.compression": "none"}

VALUES = {
    "text": "plain", "empty": "", "unicode": "é€送😀", "long": "x" * 5000, "true": True, "false": False, "zero": 0,
    "int": -(2**63), "large": 2**63 - 1, "float": 0.1, "tiny": 5e-324, "infinite": float("inf"), "bytes": b"\0\xff",
    "texts": ["a", "", "é"], "bools": [True, False], "ints": [1, -1], "floats": [0.5, -0.0], "none": [],
}


class Encoding(SpanExporter):
    """Keeps what the SDK's encoder makes of every batch, then exports it."""

    def __init__(self, exporter: SpanExporter):
        self._exporter = exporter
        self.requests: list[ExportTraceServiceRequest] = []
        self.results: list[SpanExportResult] = []

    def export(self, spans):
        self.requests.append(encode_spans(spans))
        self.results.append(self._exporter.export(spans))
        return self.results[-1]

    def shutdown(self):
        self._exporter.shutdown()


def make_spans(exporter: SpanExporter) -> None:
    limits = SpanLimits(max_events=3, max_links=2, max_span_attributes=len(VALUES) + 1)
    provider = TracerProvider(resource=Resource(VALUES | {"service.name": "worker"}), span_limits=limits)
    provider.add_span_processor(BatchSpanProcessor(exporter, max_export_batch_size=BATCH))
    tracers = [provider.get_tracer("scope"), provider.get_tracer("scope", "1.2", "https://example.com/schema", VALUES)]
    remote = SpanContext(0xABCD << 96, 0xEF << 40, is_remote=True, trace_flags=TraceFlags(TraceFlags.SAMPLED),
                         trace_state=TraceState([("vendor", "value"), ("other", "1")]))
    for number in range(SPANS):
        context = trace.set_span_in_context(trace.NonRecordingSpan(remote)) if number % 3 == 0 else None
        links = [Link(remote, VALUES)] * (number % 4)  # more than are kept
        with tracers[number % 2].start_as_current_span(
                f"span {number}", context, list(SpanKind)[number % 5], VALUES | {"number": number}, links) as span:
            for event in range(number % 5):
                span.add_event(f"event {event}", VALUES)
            if number % 4 == 0:
                span.set_attribute("one too many", number)
                span.set_status(Status(StatusCode.ERROR, "as every fourth"))
            elif number % 4 == 1:
                span.set_status(Status(StatusCode.OK))
    provider.shutdown()


@contextmanager
def http_exporter(collector: Collector, transport: str, compression: str) -> Iterator[SpanExporter]:
    with requests.Session() if transport == "tcp" else unix_adapter.session(collector.unix) as session:
        session.trust_env = False
        yield HTTPSpanExporter(f"http://127.0.0.1:{collector.otlp_port}/v1/traces", session=session,
                               compression=Compression(compression))


@contextmanager
def grpc_exporter(collector: Collector, transport: str, compression: str) -> Iterator[SpanExporter]:
    endpoint = f"http://127.0.0.1:{collector.otlp_port}" if transport == "tcp" else f"unix://{collector.socket}"
    kind = {"none": grpc.Compression.NoCompression, "gzip": grpc.Compression.Gzip}[compression]
    yield GRPCSpanExporter(endpoint=endpoint, insecure=True, compression=kind)


WAYS = [("http", transport, compression) for transport in ("tcp", "unix") for compression in ("none", "gzip", "deflate")]
WAYS += [("grpc", transport, compression) for transport in ("tcp", "unix") for compression in ("none", "gzip")]
EXPORTERS = {"http": http_exporter, "grpc": grpc_exporter}


def resources(encoded: list[ExportTraceServiceRequest]) -> Counter:
    return Counter(r.SerializeToString(deterministic=True) for request in encoded for r in request.resource_spans)


@pytest.mark.parametrize("protocol, transport, compression", WAYS)
def test_everything_that_a_span_can_hold_arrives_as_it_was(collector, tempo, protocol, transport, compression):
    received = collector.count("received_spans_total", {"transport": protocol})
    forwarded = int(collector.count("accepted_spans_total"))
    collector.until_forwarded(forwarded)
    earlier = len(tempo.requests)
    with EXPORTERS[protocol](collector, transport, compression) as made:
        exporter = Encoding(made)
        make_spans(exporter)
    assert set(exporter.results) == {SpanExportResult.SUCCESS} and len(exporter.results) >= SPANS / BATCH
    assert collector.count("received_spans_total", {"transport": protocol}) == received + SPANS
    collector.until_forwarded(forwarded + SPANS)
    arrived = resources([ExportTraceServiceRequest.FromString(request.body) for request in tempo.requests[earlier:]])
    expected = resources(exporter.requests)
    assert arrived == expected, f"missing: {expected - arrived}; not expected: {arrived - expected}"


@pytest.mark.parametrize("token, result", [(TOKEN, SpanExportResult.SUCCESS), ("wrong", SpanExportResult.FAILURE)])
@pytest.mark.parametrize("protocol", EXPORTERS)
def test_an_exporter_that_the_environment_configures_sends_its_token(start_collector, monkeypatch, protocol, token, result):
    """As a worker in a container has it: no argument, everything in variables."""
    collector = start_collector(options={"otlp.bearer-token": TOKEN})
    for name, value in {
        "ENDPOINT": f"http://127.0.0.1:{collector.otlp_port}", "INSECURE": "true", "COMPRESSION": "gzip", "TIMEOUT": "5",
        "HEADERS": f"authorization=Bearer%20{token.replace(' ', '%20')}",
    }.items():
        monkeypatch.setenv(f"OTEL_EXPORTER_OTLP_{name}", value)
    exporter = Encoding(HTTPSpanExporter() if protocol == "http" else GRPCSpanExporter())
    make_spans(exporter)
    assert set(exporter.results) == {result}, exporter.results
    assert collector.count("accepted_spans_total") == (SPANS if result is SpanExportResult.SUCCESS else 0)
