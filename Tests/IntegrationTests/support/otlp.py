"""OTLP trace requests: made, taken apart into spans with their raw bytes, and the answers read."""

from collections.abc import Iterable
from dataclasses import dataclass

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest, ExportTraceServiceResponse
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, InstrumentationScope, KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span, Status

from support import wire

SpanKey = tuple[bytes, bytes]  # trace id, span id

NOW = 1_795_197_881_000_000_000  # any instant will do: nothing compares it with the clock


@dataclass(frozen=True)
class RawSpan:
    """One span as it stood in a request, with what surrounded it."""
    key: SpanKey
    span: bytes
    resource: bytes | None
    resource_schema_url: bytes | None
    scope: bytes | None
    scope_schema_url: bytes | None


def spans_in(request: bytes) -> list[RawSpan]:
    found = []
    for _, resource_spans in _each(request, 1):
        outer = dict(wire.fields(resource_spans))
        for _, scope_spans in _each(resource_spans, 2):
            inner = dict(wire.fields(scope_spans))
            for _, span in _each(scope_spans, 2):
                ids = dict(wire.fields(span))
                found.append(RawSpan((ids.get(1, b""), ids.get(2, b"")), span, outer.get(1), outer.get(3),
                                     inner.get(1), inner.get(3)))
    return found


def _each(message: bytes, wanted: int):
    return [(number, value) for number, value in wire.fields(message) if number == wanted]


def attributes(**values) -> list[KeyValue]:
    """Python's keyword cannot hold a dot: `messaging__system` stands for `messaging.system`."""
    return [KeyValue(key=key.replace("__", "."), value=_any_value(value)) for key, value in values.items()]


def _any_value(value) -> AnyValue:
    if isinstance(value, bool):
        return AnyValue(bool_value=value)
    if isinstance(value, int):
        return AnyValue(int_value=value)
    if isinstance(value, float):
        return AnyValue(double_value=value)
    if isinstance(value, bytes):
        return AnyValue(bytes_value=value)
    return AnyValue(string_value=value)


def numbered_span(number: int, **overrides) -> Span:
    """A plain span that is no task's; its ids tell its number."""
    content = dict(trace_id=(number + 1).to_bytes(16, "big"), span_id=(number + 1).to_bytes(8, "big"),
                   name=f"span {number}", kind=Span.SPAN_KIND_INTERNAL,
                   start_time_unix_nano=NOW, end_time_unix_nano=NOW + 1_000_000)
    return Span(**(content | overrides))


def process_span(number: int, queue: str, task_type: str, **overrides) -> Span:
    content = dict(kind=Span.SPAN_KIND_CONSUMER, name=f"process {queue}",
                   attributes=attributes(messaging__system="asynq", messaging__destination__name=queue,
                                         asynq__task__type=task_type, messaging__operation__type="process"))
    return numbered_span(number, **(content | overrides))


def request(*spans: Span, service: str = "worker") -> bytes:
    resource = Resource(attributes=attributes(service__name=service))
    scope = InstrumentationScope(name="integration-tests", version="1")
    return ExportTraceServiceRequest(resource_spans=[
        ResourceSpans(resource=resource, scope_spans=[ScopeSpans(scope=scope, spans=spans)])]).SerializeToString()


def numbered_request(numbers: Iterable[int]) -> bytes:
    return request(*(numbered_span(number) for number in numbers))


def numbered_keys(numbers: Iterable[int]) -> set[SpanKey]:
    return {((n + 1).to_bytes(16, "big"), (n + 1).to_bytes(8, "big")) for n in numbers}


def rejected(answer: bytes) -> tuple[int, str]:
    """Rejected spans and message of an ExportTraceServiceResponse."""
    partial = ExportTraceServiceResponse.FromString(answer).partial_success
    return partial.rejected_spans, partial.error_message


def status(answer: bytes) -> tuple[int, str]:
    """Code and message of a google.rpc.Status."""
    found = dict(wire.fields(answer))
    return found.get(1, 0), found.get(2, b"").decode("utf-8")


__all__ = ["ExportTraceServiceRequest", "InstrumentationScope", "NOW", "RawSpan", "Resource", "ResourceSpans",
           "ScopeSpans", "Span", "SpanKey", "Status", "attributes", "numbered_keys", "numbered_request",
           "numbered_span", "process_span", "rejected", "request", "spans_in", "status"]
