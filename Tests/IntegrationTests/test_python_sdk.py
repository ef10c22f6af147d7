"""The real OpenTelemetry Python SDK as the sender, over TCP and over the unix socket."""

import grpc
import pytest
import requests
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GRPCSpanExporter
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.trace import SpanKind, Status, StatusCode

from support import otlp, unix_adapter
from support.metrics_page import assert_histograms_agree

TASKS = 300
QUEUES = {"emails": "email:send", "images": "image:resize"}


class Keeping(SpanExporter):
    """Remembers every span it was given, then exports it."""

    def __init__(self, exporter: SpanExporter):
        self.exporter = exporter
        self.spans = []

    def export(self, spans):
        self.spans += spans
        result = self.exporter.export(spans)
        assert result is SpanExportResult.SUCCESS
        return result

    def shutdown(self):
        self.exporter.shutdown()


def make_provider(exporter: SpanExporter, service: str) -> TracerProvider:
    provider = TracerProvider(resource=Resource({"service.name": service}))
    provider.add_span_processor(BatchSpanProcessor(exporter, max_export_batch_size=64))
    return provider


def task_attributes(queue: str, number: int, operation: str) -> dict:
    return {"messaging.system": "asynq", "messaging.operation.type": operation, "messaging.destination.name": queue,
            "messaging.message.id": f"task-{number}", "asynq.task.type": QUEUES[queue], "asynq.task.retry_count": 0}


def run_workload(producer: trace.Tracer, worker: trace.Tracer) -> None:
    """Every task is produced in one process and processed in another; each seventh fails."""
    for number in range(TASKS):
        queue = list(QUEUES)[number % 2]
        with producer.start_as_current_span("handle request", kind=SpanKind.SERVER):
            with producer.start_as_current_span(f"send {queue}", kind=SpanKind.PRODUCER,
                                                attributes=task_attributes(queue, number, "send")) as sent:
                context = trace.set_span_in_context(trace.NonRecordingSpan(sent.get_span_context()))
        with worker.start_as_current_span(f"process {queue}", context, kind=SpanKind.CONSUMER,
                                          attributes=task_attributes(queue, number, "process")) as span:
            with worker.start_as_current_span("query", kind=SpanKind.CLIENT):
                pass
            if number % 7 == 0:
                span.set_status(Status(StatusCode.ERROR, "as every seventh"))


def http_exporter(collector, transport: str, compress: bool) -> SpanExporter:
    session = requests.Session() if transport == "tcp" else unix_adapter.session(collector.unix)
    session.trust_env = False
    return OTLPSpanExporter(f"http://127.0.0.1:{collector.otlp_port}/v1/traces", session=session,
                            compression=Compression.Gzip if compress else Compression.NoCompression)


def grpc_exporter(collector, transport: str, compress: bool) -> SpanExporter:
    """As the SDK's users configure it."""
    endpoint = f"http://127.0.0.1:{collector.otlp_port}" if transport == "tcp" else f"unix://{collector.socket}"
    return GRPCSpanExporter(endpoint=endpoint, insecure=True,
                            compression=grpc.Compression.Gzip if compress else grpc.Compression.NoCompression)


@pytest.mark.parametrize("compress", [True, False], ids=["gzip", "none"])
@pytest.mark.parametrize("transport", ["tcp", "unix"])
@pytest.mark.parametrize("make_exporter, protocol", [(http_exporter, "http"), (grpc_exporter, "grpc")], ids=["http", "grpc"])
def test_every_span_of_a_workload_arrives_once_and_every_wait_is_counted(
        start_collector, tempo, make_exporter, protocol, transport, compress):
    collector = start_collector(options={"tempo.endpoint": tempo.endpoint})
    exporters = [Keeping(make_exporter(collector, transport, compress)) for _ in range(2)]
    providers = [make_provider(exporter, name) for exporter, name in zip(exporters, ("producer", "worker"))]
    run_workload(*(provider.get_tracer("integration-tests") for provider in providers))
    for provider in providers:
        provider.shutdown()

    sent = {(s.context.trace_id.to_bytes(16, "big"), s.context.span_id.to_bytes(8, "big")): s
            for exporter in exporters for s in exporter.spans}
    assert len(sent) == 4 * TASKS
    collector.until_forwarded(len(sent))
    tempo.assert_each_once(set(sent))
    for raw in tempo.stored:
        arrived = otlp.Span.FromString(raw.span)
        assert (arrived.name, arrived.start_time_unix_nano) == (sent[raw.key].name, sent[raw.key].start_time)
        attributes = {a.key: getattr(a.value, a.value.WhichOneof("value")) for a in arrived.attributes}
        assert attributes == dict(sent[raw.key].attributes)
    page = collector.balanced_metrics()
    assert page.sum("asynq_collector_received_spans_total", {"transport": protocol}) == len(sent)
    assert_task_metrics(page)


def assert_task_metrics(page) -> None:
    each = TASKS / 2
    expected = {(queue, task_type): each for queue, task_type in QUEUES.items()}
    assert page.by("asynq_task_wait_duration_seconds_count", "queue", "task_type") == expected
    assert_histograms_agree(page, "asynq_task_wait_duration_seconds")
    failed = sum(1 for number in range(TASKS) if number % 7 == 0)
    assert page.sum("asynq_task_attempts_total", {"attempt": "first"}) == TASKS
    assert page.sum("asynq_task_attempts_total", {"status": "failed"}) == failed
    assert page.sum("asynq_task_processing_duration_seconds_count", {"status": "failed"}) == failed
    assert page.sum("asynq_task_wait_unknown_total") == 0
