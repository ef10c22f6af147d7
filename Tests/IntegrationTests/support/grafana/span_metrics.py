"""What Tempo's metrics generator makes of spans (span-metrics and service-graphs, Tempo 3.0), for a Prometheus to scrape."""

from bisect import bisect_left
from collections import Counter, defaultdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

from support.grafana.traces import KINDS, STATUSES, StoredSpan, Traces
from support.ports import free_port

EDGES = (0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128, 0.256, 0.512, 1.02, 2.05, 4.1, 8.2, 16.4)
LABELS = tuple[tuple[str, str], ...]


class SpanMetrics:
    """A page at `port` until `stop`."""

    def __init__(self, traces: Traces):
        self._traces = traces
        self._seen = 0
        self._counts: dict[str, Counter[LABELS]] = defaultdict(Counter)
        self._histograms: dict[str, dict[LABELS, list[float]]] = defaultdict(dict)
        self._by_id: dict[bytes, StoredSpan] = {}
        self.port = free_port()
        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), _handler(self))
        self._thread = Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def page(self) -> str:
        spans = self._traces.spans()
        for span in spans[self._seen:]:
            self._by_id[span.span.span_id] = span
        for span in spans[self._seen:]:
            self._add(span)
        self._seen = len(spans)
        lines = []
        for name, counts in self._counts.items():
            lines += [f"# TYPE {name} counter", *(f"{name}{{{_text(labels)}}} {count}" for labels, count in counts.items())]
        for name, histograms in self._histograms.items():
            lines.append(f"# TYPE {name} histogram")
            for labels, counts in histograms.items():
                lines += [f'{name}_bucket{{{_text(labels)},le="{edge}"}} {sum(counts[:number + 1])}'
                          for number, edge in enumerate((*EDGES, "+Inf"))]
                lines += [f"{name}_count{{{_text(labels)}}} {sum(counts[:-1])}", f"{name}_sum{{{_text(labels)}}} {counts[-1]}"]
        return "\n".join(lines) + "\n"

    def _add(self, span: StoredSpan) -> None:
        labels = (("service", span.service), ("span_name", span.span.name), ("span_kind", f"SPAN_KIND_{KINDS[span.span.kind].upper()}"),
                  ("status_code", f"STATUS_CODE_{STATUSES[span.span.status.code].upper()}"))
        self._counts["traces_spanmetrics_calls_total"][labels] += 1
        self._observe("traces_spanmetrics_latency", labels, span.nanoseconds / 1e9)
        producer = self._by_id.get(span.span.parent_span_id)
        if span.value("kind") != "consumer" or not producer or producer.value("kind") != "producer":
            return
        edge = (("client", producer.service), ("server", span.service), ("connection_type", "messaging_system"))
        self._counts["traces_service_graph_request_total"][edge] += 1
        self._counts["traces_service_graph_request_failed_total"][edge] += span.is_error
        self._observe("traces_service_graph_request_server_seconds", edge, span.nanoseconds / 1e9)
        self._observe("traces_service_graph_request_client_seconds", edge, producer.nanoseconds / 1e9)
        between = max(0, span.span.start_time_unix_nano - producer.span.end_time_unix_nano)
        self._observe("traces_service_graph_request_messaging_system_seconds", edge, between / 1e9)

    def _observe(self, name: str, labels: LABELS, value: float) -> None:
        counts = self._histograms[name].setdefault(labels, [0] * (len(EDGES) + 2))
        counts[bisect_left(EDGES, value)] += 1
        counts[-1] += value


def _text(labels: LABELS) -> str:
    return ",".join(f'{name}="{value}"' for name, value in labels)


def _handler(metrics: SpanMetrics) -> type:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = metrics.page().encode()
            try:
                self.send_response(200)
                self.send_header("Content-Type", "text/plain; version=0.0.4")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)
            except ConnectionError:
                pass  # the scrape timed out

        def log_message(self, *_) -> None:
            pass

    return Handler
