"""In place of Tempo, which is in no package that a test could install: answers searches in the spans that the collector
forwarded, in the shapes of Tempo 3.0, and no more of TraceQL than the dashboards have.
"""

import math
import re
import threading
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass

from opentelemetry.proto.common.v1.common_pb2 import AnyValue, InstrumentationScope
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from support.grafana.data_frames import field, rounded, seconds
from support.otlp import RawSpan

# Columns of the frame that Grafana's server makes of a trace, and their types where they are no texts.
TRACE_FIELDS = ("traceID", "spanID", "parentSpanID", "operationName", "serviceName", "kind", "statusCode", "statusMessage",
                "instrumentationLibraryName", "instrumentationLibraryVersion", "traceState", "serviceTags", "startTime", "duration",
                "logs", "references", "warnings", "stackTraces", "tags")
TRACE_TYPES = {"startTime": "number", "duration": "number", "statusCode": "number"} | dict.fromkeys(
    ("serviceTags", "logs", "references", "warnings", "stackTraces", "tags"), "json")
KINDS = ("unspecified", "internal", "server", "client", "producer", "consumer")
STATUSES = ("unset", "ok", "error")

Value = str | int | float | bool | None
CONDITION = re.compile(r'([\w.]+)\s*(=~|!=|>=|<=|=|>|<)\s*("(?:[^"\\]|\\.)*"|[\w.]+)')
QUERY = re.compile(r"\{(?P<conditions>.*?)\}\s*(?:\|\s*quantile_over_time\(duration, (?P<shares>[\d., ]+)\) by \((?P<by>[\w.]+)\))?"
                   r"\s*(?P<newest>with \(most_recent=true\))?\s*", re.DOTALL)
COMPARISONS: dict[str, Callable] = {
    "=": lambda a, b: a == b, "!=": lambda a, b: a != b, ">": lambda a, b: a > b, "<": lambda a, b: a < b,
    ">=": lambda a, b: a >= b, "<=": lambda a, b: a <= b, "=~": lambda a, b: re.fullmatch(b, str(a)) is not None,
}


class NotUnderstood(Exception):
    """A query that is beyond this little of a language."""


@dataclass(frozen=True)
class StoredSpan:
    span: Span
    service: str
    resource: dict[str, Value]
    scope: InstrumentationScope
    attributes: dict[str, Value]

    @property
    def trace_id(self) -> str:
        return self.span.trace_id.hex()

    @property
    def start(self) -> float:
        return self.span.start_time_unix_nano / 1e9

    @property
    def nanoseconds(self) -> int:
        return self.span.end_time_unix_nano - self.span.start_time_unix_nano

    @property
    def is_error(self) -> bool:
        return self.span.status.code == 2

    def value(self, name: str) -> Value:
        """What a name of TraceQL stands for in this span."""
        intrinsic = {"kind": KINDS[self.span.kind], "status": STATUSES[self.span.status.code], "name": self.span.name,
                     "duration": self.nanoseconds}
        scope, _, rest = name.partition(".")
        return intrinsic[name] if name in intrinsic else (self.resource if scope == "resource" else self.attributes).get(rest)


class Traces:
    """`source` returns every span that came, in order; more of them each time."""

    def __init__(self, source: Callable[[], list[RawSpan]] = list):
        self._source = source
        self._spans: list[StoredSpan] = []
        self._lock = threading.Lock()

    def spans(self, start: float = 0, end: float = math.inf) -> list[StoredSpan]:
        with self._lock:
            self._spans += [_stored(raw) for raw in self._source()[len(self._spans):]]
            return [span for span in self._spans if start <= span.start <= end]

    def search(self, text: str, start: float, end: float, limit: int) -> dict:
        """The answer to `/api/search`: the attributes that a condition names come with each span."""
        names, matches = _parsed(text)
        found: dict[str, list[StoredSpan]] = defaultdict(list)
        for span in sorted(filter(matches, self.spans(start, end)), key=lambda one: -one.start):
            if span.trace_id in found or len(found) < limit:
                found[span.trace_id].append(span)
        roots = {span.trace_id: span for span in self.spans() if not span.span.parent_span_id}
        return {"traces": [self._summary(trace_id, spans, roots.get(trace_id), names) for trace_id, spans in found.items()],
                "metrics": {}}

    def _summary(self, trace_id: str, spans: list[StoredSpan], root: StoredSpan | None, names: list[str]) -> dict:
        whole = [span for span in self.spans() if span.trace_id == trace_id]
        start = min(span.span.start_time_unix_nano for span in whole)
        shown = [name for name in names if name not in ("name", "duration")]
        return {
            # Tempo drops leading zeros here.
            "traceID": trace_id.lstrip("0"), "rootServiceName": root.service if root else "<root span not yet received>",
            "rootTraceName": root.span.name if root else "", "startTimeUnixNano": str(start),
            "durationMs": (max(span.span.end_time_unix_nano for span in whole) - start) // 1_000_000,
            "spanSets": [{"matched": len(spans), "spans": [{
                "spanID": span.span.span_id.hex(), "startTimeUnixNano": str(span.span.start_time_unix_nano),
                "durationNanos": str(span.nanoseconds),
                "attributes": [{"key": name.removeprefix("span."), "value": {"stringValue": str(span.value(name))}} for name in shown],
            } for span in spans]}],
        }

    def ask(self, query: dict, start: float, end: float) -> dict:
        """The answer to one query of `api/ds/query`: a trace by its id, or quantiles over time."""
        text = query.get("query", "").strip()
        if re.fullmatch(r"[0-9a-fA-F]*", text):
            return {"status": 200, "frames": [self._trace(query["refId"], text.lower().zfill(32))] if text else []}
        return {"status": 200, "frames": self._quantiles(query, text, start, end)}

    def _trace(self, reference: str, trace_id: str) -> dict:
        rows = [_row(span) for span in self.spans() if span.trace_id == trace_id]
        fields = [field(name, TRACE_TYPES.get(name, "string"), {}) for name in TRACE_FIELDS]
        return {"schema": {"refId": reference, "name": "Trace", "fields": fields,
                           "meta": {"preferredVisualisationType": "trace"}},
                "data": {"values": [list(column) for column in zip(*rows)] or [[] for _ in fields]}}

    def _quantiles(self, query: dict, text: str, start: float, end: float) -> list[dict]:
        names, matches = _parsed(text)
        parts = QUERY.fullmatch(text)
        if not parts["shares"]:
            raise NotUnderstood(text)
        step = max(seconds(query.get("step", "")), rounded((end - start) / 300), 1)
        groups: dict[Value, dict[float, list[int]]] = defaultdict(lambda: defaultdict(list))
        for span in filter(matches, self.spans(start, end)):
            groups[span.value(parts["by"])][span.start // step * step].append(span.nanoseconds)
        frames = []
        for value, columns in groups.items():
            for share in map(float, parts["shares"].split(",")):
                labels = {parts["by"]: str(value), "p": str(share)}
                numbers = [sorted(of)[min(len(of) - 1, int(share * len(of)))] / 1e9 for _, of in sorted(columns.items())]
                fields = [field("time", "time", {}), field("value", "number", {"displayNameFromDS": f"{value} p{share}"})
                          | {"labels": labels}]
                frames.append({"schema": {"refId": query["refId"], "name": f"{value} p{share}", "fields": fields,
                                          "meta": {"preferredVisualisationType": "graph"}},
                               "data": {"values": [[at * 1000 for at in sorted(columns)], numbers]}})
        return frames


def _parsed(text: str) -> tuple[list[str], Callable[[StoredSpan], bool]]:
    """The names in the conditions of a query, and whether a span fulfils all of them."""
    query = QUERY.fullmatch(text)
    parts = [CONDITION.fullmatch(part.strip()) for part in query["conditions"].split("&&")] if query else [None]
    if not all(parts):
        raise NotUnderstood(text)

    def matches(span: StoredSpan) -> bool:
        return all(_holds(span.value(part[1]), part[2], part[3]) for part in parts)

    return [part[1] for part in parts], matches


def _holds(value: Value, comparison: str, text: str) -> bool:
    if text == "nil":
        return (value is not None) == (comparison == "!=")
    if value is None:
        return False
    other = re.sub(r"\\(.)", r"\1", text[1:-1]) if text.startswith('"') else text
    if isinstance(value, int) and not isinstance(value, bool):
        other = round(seconds(text) * 1e9) if re.search("[a-z]", text) else float(text)
    return COMPARISONS[comparison](value, other)


def _plain(value: AnyValue) -> Value:
    return getattr(value, kind) if (kind := value.WhichOneof("value")) in (
        "string_value", "int_value", "double_value", "bool_value") else None


def _named(attributes) -> dict[str, Value]:
    return {one.key: _plain(one.value) for one in attributes}


def _stored(raw: RawSpan) -> StoredSpan:
    span, resource = Span.FromString(raw.span), _named(Resource.FromString(raw.resource or b"").attributes)
    return StoredSpan(span, str(resource.get("service.name", "")), resource, InstrumentationScope.FromString(raw.scope or b""),
                      _named(span.attributes))


def _tags(values: dict[str, Value]) -> list[dict]:
    return [{"key": key, "value": value} for key, value in values.items()]


def _row(stored: StoredSpan) -> list:
    span = stored.span
    events = [{"timestamp": event.time_unix_nano / 1e6, "name": event.name, "fields": _tags(_named(event.attributes))}
              for event in span.events]
    links = [{"traceID": link.trace_id.hex(), "spanID": link.span_id.hex(), "tags": _tags(_named(link.attributes))}
             for link in span.links]
    return [stored.trace_id, span.span_id.hex(), span.parent_span_id.hex(), span.name, stored.service, KINDS[span.kind],
            span.status.code, span.status.message, stored.scope.name, stored.scope.version, span.trace_state,
            _tags(stored.resource), span.start_time_unix_nano / 1e6, stored.nanoseconds / 1e6, events, links, None, None,
            _tags(stored.attributes)]
