"""In place of Loki, which is in no package that a test could install: what workers would log of the tasks whose spans came, and
no more of LogQL than the dashboards have. The shapes are those of Loki's answers as Grafana's server passes them on.
"""

import json
import math
import re
from collections import Counter
from dataclasses import dataclass

from support.grafana.data_frames import field, rounded
from support.grafana.traces import NotUnderstood, StoredSpan, Traces

COUNTED = re.compile(r"sum by \((?P<by>\w+)\) \(count_over_time\((?P<inner>.*) \[\$__auto\]\)\)")
SELECTOR = re.compile(r'\{service_name=~"(?P<service>[^"]*)"\}(?P<stages>.*)')
STAGE = re.compile(r'\s*\|\s*(?:(?P<json>json)|(?P<label>\w+)\s*(?P<how>=~|!=)\s*"(?P<value>[^"]*)")')


@dataclass(frozen=True)
class Line:
    nanoseconds: int
    text: str
    labels: dict[str, str]  # of the stream, and structured metadata


class Logs:
    """A line of JSON for each attempt at a task, at its end, with the trace's id as OTLP brings it: as structured metadata."""

    def __init__(self, traces: Traces):
        self._traces = traces

    def services(self) -> list[str]:
        return sorted({span.service for span in self._traces.spans()})

    def ask(self, query: dict, start: float, end: float) -> dict:
        """The answer to one query of `api/ds/query`: lines, or how many."""
        text = query["expr"]
        if counted := COUNTED.fullmatch(text):
            return {"status": 200, "frames": self._counted(query, counted["inner"], counted["by"], start, end)}
        lines = sorted(self._lines(text, start, end), key=lambda found: -found[0].nanoseconds)[:query.get("maxLines") or 1000]
        fields = [field(name, kind, {}) for name, kind in (("labels", "json"), ("Time", "time"), ("Line", "string"),
                                                           ("tsNs", "string"), ("id", "string"))]
        columns = [[labels for _, labels in lines], [line.nanoseconds // 1_000_000 for line, _ in lines],
                   [line.text for line, _ in lines], [str(line.nanoseconds) for line, _ in lines],
                   [f"{line.nanoseconds}_{number}" for number, (line, _) in enumerate(lines)]]
        return {"status": 200, "frames": [{
            "schema": {"refId": query["refId"], "fields": fields, "meta": {
                "typeVersion": [0, 0], "custom": {"frameType": "LabeledTimeValues"}, "executedQueryString": f"Expr: {text}"}},
            "data": {"values": columns}}]}

    def _counted(self, query: dict, inner: str, by: str, start: float, end: float) -> list[dict]:
        # The panel's least interval is in it.
        step = max(1, query.get("intervalMs", 0) / 1000, rounded((end - start) / max(1, query.get("maxDataPoints") or 1000)))
        counts: dict[str, Counter[float]] = {}
        for line, labels in self._lines(inner, start, end):
            # As Loki: what came in a step is counted at its end, and a step that is not over yet is left out.
            if (at := math.ceil(line.nanoseconds / 1e9 / step) * step) <= end:
                counts.setdefault(labels.get(by, ""), Counter())[at] += 1
        return [{"schema": {"refId": query["refId"], "meta": {"type": "timeseries-multi", "typeVersion": [0, 1]}, "fields": [
                    field("Time", "time", {"interval": step * 1000}),
                    field("Value", "number", {"displayNameFromDS": name}) | {"labels": {by: name}}]},
                 "data": {"values": [[at * 1000 for at in sorted(points)], [points[at] for at in sorted(points)]]}}
                for name, points in sorted(counts.items())]

    def _lines(self, text: str, start: float, end: float) -> list[tuple[Line, dict[str, str]]]:
        """The lines that a log query finds, with their labels and those that a stage `json` takes out of the text."""
        query = SELECTOR.fullmatch(text.strip())
        stages = list(STAGE.finditer(query["stages"])) if query else []
        if not query or "".join(stage[0] for stage in stages).strip() != query["stages"].strip():
            raise NotUnderstood(text)
        found = []
        for line in (_line(span) for span in self._traces.spans(start, end) if "asynq.task.type" in span.attributes):
            labels = dict(line.labels)
            if not re.fullmatch(query["service"], labels["service_name"]):
                continue
            for stage in stages:
                if stage["json"]:
                    labels |= json.loads(line.text)
                elif not _holds(labels.get(stage["label"], ""), stage["how"], stage["value"]):
                    break
            else:
                found.append((line, labels))
        return found


def _holds(label: str, how: str, value: str) -> bool:
    return label != value if how == "!=" else re.fullmatch(value, label) is not None


def _line(span: StoredSpan) -> Line:
    attributes = {name: str(value) for name, value in span.attributes.items()}
    failed = {"level": "error", "msg": "task failed", "error": span.span.status.message}
    content = (failed if span.is_error else {"level": "info", "msg": "task done" if span.value("kind") == "consumer" else "enqueued"}) | {
        "queue": attributes.get("messaging.destination.name", ""), "task_type": attributes["asynq.task.type"],
        "task_id": attributes.get("messaging.message.id", "")}
    return Line(span.span.end_time_unix_nano, json.dumps(content),
                {"service_name": span.service, "trace_id": span.trace_id, "span_id": span.span.span_id.hex()})
