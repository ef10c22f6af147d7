"""A backend of OTLP metrics on `/v1/metrics`: reads what comes with the messages of opentelemetry-proto, and fails in every way that
the stub of Tempo does.

What it accepts is in `pushes`, what it refuses in `requests` alone.
"""

from dataclasses import dataclass
from email.message import Message

from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric

from support.deadline import SECONDS, eventually
from support.tempo_stub import Received, Refusal, TempoStub, decompressed

UNITS = {"s": "seconds", "By": "bytes"}


def page_name(metric: Metric) -> str:
    """The name that Prometheus gives a metric (`UnderscoreEscapingWithSuffixes`)."""
    words = metric.name.split("_")
    if (unit := UNITS.get(metric.unit)) and unit not in words:
        words.append(unit)
    if metric.WhichOneof("data") == "sum" and metric.sum.is_monotonic:
        words = [word for word in words if word != "total"] + ["total"]
    if metric.unit == "1" and metric.WhichOneof("data") == "gauge":
        words = [word for word in words if word != "ratio"] + ["ratio"]
    return "_".join(words)


def labels(point) -> frozenset:
    return frozenset((attribute.key, attribute.value.string_value) for attribute in point.attributes)


@dataclass(eq=False)
class Push:
    request: ExportMetricsServiceRequest
    headers: Message
    byte_count: int

    @property
    def resource(self) -> dict[str, str]:
        resource, = (one.resource for one in self.request.resource_metrics)
        return {attribute.key: attribute.value.string_value for attribute in resource.attributes}

    @property
    def metrics(self) -> list[Metric]:
        return [metric for resource in self.request.resource_metrics for scope in resource.scope_metrics
                for metric in scope.metrics]

    def points(self, name: str, kind: str | None = None) -> dict[frozenset, object]:
        """The data points of a metric, named as on the page, by their labels."""
        found = [metric for metric in self.metrics if page_name(metric) == name and kind in (None, metric.WhichOneof("data"))]
        return {labels(point): point for metric in found for point in getattr(metric, metric.WhichOneof("data")).data_points}

    def value(self, name: str, **wanted: str) -> float | None:
        """The sum over the points that have these labels; None without any."""
        found = [point.as_double for have, point in self.points(name).items() if wanted.items() <= dict(have).items()]
        return sum(found) if found else None

    @property
    def time(self) -> int:
        time, = {point.time_unix_nano for metric in self.metrics
                 for point in getattr(metric, metric.WhichOneof("data")).data_points}
        return time


class MetricsStub(TempoStub):
    def __init__(self, **how):
        super().__init__(**how)
        self._pushes: list[Push] = []
        self._is_refused = lambda push: False

    def refuse(self, by) -> None:
        """Answers 413 to each push of which `by` says so."""
        with self._lock:
            self._is_refused = by

    @property
    def pushes(self) -> list[Push]:
        with self._lock:
            return list(self._pushes)

    def next_push(self, seconds: float = SECONDS) -> Push:
        """One whose snapshot is newer than this call."""
        return self.until(lambda push: True, seconds)

    def until(self, is_wanted, seconds: float = SECONDS) -> Push:
        """The first push that is wanted, of those after the next one, which may be on its way already."""
        before = len(self.pushes)
        return eventually("a push", lambda: next((push for push in self.pushes[before + 1:] if is_wanted(push)), None), seconds)

    def _store(self, path: str, method: str, received: Received):
        try:
            push = self._accepted(path, method, received)
            if self._is_refused(push):
                raise Refusal(413, "too much")
        except Refusal as refusal:
            return refusal.status, ({}, str(refusal).encode())
        with self._lock:
            self._pushes.append(push)
        return 200, ({"Content-Type": "application/x-protobuf"}, b"")

    @staticmethod
    def _accepted(path: str, method: str, received: Received) -> Push:
        if path != "/v1/metrics":
            raise Refusal(404, "404 page not found")
        if method != "POST":
            raise Refusal(405, "405 method not allowed")
        if received.headers.get_content_type() != "application/x-protobuf":
            raise Refusal(415, "415 unsupported media type")
        body = decompressed(received.headers.get("content-encoding"), received.body)
        try:
            return Push(ExportMetricsServiceRequest.FromString(body), received.headers, len(body))
        except DecodeError as error:
            raise Refusal(400, f"unexpected EOF: {error}") from error
