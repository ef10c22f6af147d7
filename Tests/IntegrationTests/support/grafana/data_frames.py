"""PromQL asked of a real Prometheus, answered as Grafana's server does: data frames, intervals, names of series."""

import math
import re
import statistics
from dataclasses import dataclass

import requests

SECONDS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
# The steps that Grafana rounds an interval to, in seconds.
STEPS = (0.001, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 20, 30, 60, 120, 300, 600, 900, 1200, 1800, 3600, 7200,
         10800, 21600, 43200, 86400)


@dataclass
class Asked:
    """One query of a panel, and what came of it. `values` are those of each series."""
    reference: str
    expression: str
    series: list[tuple[dict, list[float]]]
    error: str = ""

    @property
    def has_numbers(self) -> bool:
        return any(not math.isnan(value) for _, values in self.series for value in values)


def seconds(text: str) -> float:
    return sum(float(number) * SECONDS[unit] for number, unit in re.findall(r"(\d+(?:\.\d+)?)(ms|[smhdw])", text or ""))


def duration(value: float) -> str:
    return f"{round(value)}s" if round(value) == value else f"{round(value * 1000)}ms"


def rounded(interval: float) -> float:
    """The step that is nearest to an interval: the middle between two of them is where the next begins."""
    for smaller, larger in zip(STEPS, STEPS[1:]):
        if interval < (smaller + larger) / 2:
            return smaller
    return STEPS[-1]


class PrometheusSource:
    def __init__(self, url: str, scrape_interval: float):
        self._url = url
        self._scrape_interval = scrape_interval

    def ask(self, query: dict, start: float, end: float) -> tuple[dict, Asked]:
        """The answer to one query of `api/ds/query`, and what it was."""
        least = seconds(query.get("interval", "")) or query.get("intervalMs", 0) / 1000 or self._scrape_interval
        step = max(least, rounded((end - start) / max(1, query.get("maxDataPoints") or 1000)))
        expression = self._filled_in(query.get("expr") or "", step, end - start)
        asked = Asked(query["refId"], expression, [])
        frames: list[dict] = []
        if expression:
            for kind in [kind for kind in ("range", "instant") if query.get(kind)] or ["range"]:
                answer = self._instant(expression, end) if kind == "instant" else self._range(expression, start, end, step)
                if answer["status"] != "success":
                    asked.error = answer.get("error", "Prometheus failed")
                    return {"status": 400, "error": asked.error, "frames": []}, asked
                self._add(frames, asked, query, answer["data"], kind, step)
            if query.get("exemplar") and query.get("range", True):
                frames += self._exemplars(query["refId"], expression, start, end, step)
        return {"status": 200, "frames": frames}, asked

    def _filled_in(self, expression: str, step: float, span: float) -> str:
        rate = max(step + self._scrape_interval, 4 * self._scrape_interval)
        values = {"__rate_interval_ms": str(round(rate * 1000)), "__rate_interval": duration(rate),
                  "__interval_ms": str(round(step * 1000)), "__interval": duration(step),
                  "__range_ms": str(round(span * 1000)), "__range_s": str(round(span)), "__range": duration(round(span))}
        for name, value in values.items():
            expression = re.sub(rf"\$(?:{name}\b|\{{{name}\}})", value, expression)
        return expression

    def _range(self, expression: str, start: float, end: float, step: float) -> dict:
        return self._post("query_range", query=expression, start=start // step * step, end=end // step * step, step=step)

    def _instant(self, expression: str, end: float) -> dict:
        return self._post("query", query=expression, time=end)

    def _post(self, path: str, **form: object) -> dict:
        return requests.post(f"{self._url}/api/v1/{path}", data=form, timeout=60).json()

    def _add(self, frames: list[dict], asked: Asked, query: dict, data: dict, kind: str, step: float) -> None:
        rows = data["result"] if data["resultType"] in ("matrix", "vector") else [{"metric": {}, "value": data["result"]}]
        for row in rows:
            points = row.get("values") or [row["value"]]
            numbers = [float(value) for _, value in points]
            asked.series.append((row["metric"], numbers))
            name = _name(query.get("legendFormat", ""), row["metric"], asked.expression)
            meta = {"type": "timeseries-multi" if kind == "range" else "numeric-multi", "typeVersion": [0, 1],
                    "custom": {"resultType": "matrix" if kind == "range" else "vector"},
                    "executedQueryString": f"Expr: {asked.expression}\nStep: {duration(step)}"}
            time_field = field("Time", "time", {"interval": step * 1000} if kind == "range" else {})
            value_field = field("Value", "number", {"displayNameFromDS": name} if name else {}) | {"labels": row["metric"]}
            frames.append({"schema": {"refId": asked.reference, "name": name, "meta": meta, "fields": [time_field, value_field]},
                           "data": _columns([round(float(time) * 1000) for time, _ in points], numbers)})

    def _exemplars(self, reference: str, expression: str, start: float, end: float, step: float) -> list[dict]:
        found = self._post("query_exemplars", query=expression, start=start, end=end).get("data") or []
        rows = sampled([(one["seriesLabels"] | exemplar["labels"], exemplar) for one in found for exemplar in one["exemplars"]], step)
        if not rows:
            return []
        labels = sorted({label for all_labels, _ in rows for label in all_labels})
        fields = [field("Time", "time", {}), field("Value", "number", {}), *(field(label, "string", {}) for label in labels)]
        columns = _columns([round(float(exemplar["timestamp"]) * 1000) for _, exemplar in rows],
                           [float(exemplar["value"]) for _, exemplar in rows])
        columns["values"] += [[all_labels.get(label, "") for all_labels, _ in rows] for label in labels]
        columns["entities"] += [None for _ in labels]
        return [{"schema": {"refId": reference, "name": "exemplar", "fields": fields,
                            "meta": {"dataTopic": "annotations", "custom": {"resultType": "exemplar"}}}, "data": columns}]


def sampled(rows: list[tuple[dict, dict]], step: float) -> list[tuple[dict, dict]]:
    """The exemplars that the server keeps: in each step, from the highest down, those that lie two standard deviations apart."""
    spread = statistics.pstdev(float(exemplar["value"]) for _, exemplar in rows) if rows else 0
    kept: dict[float, list] = {}
    for row in sorted(rows, key=lambda row: -float(row[1]["value"])):
        group = kept.setdefault(float(row[1]["timestamp"]) // step, [])
        if not group or float(group[-1][1]["value"]) - float(row[1]["value"]) >= 2 * spread:
            group.append(row)
    return [row for group in kept.values() for row in group]


def _name(legend: str, labels: dict, expression: str) -> str:
    """The name that the server gives to a series; without one, the front end makes it from the labels."""
    if legend == "__auto":
        return "" if labels else expression
    if legend:
        return re.sub(r"\{\{\s*(\w+)\s*\}\}", lambda match: labels.get(match[1], ""), legend)
    inner = ", ".join(f'{label}="{value}"' for label, value in sorted(labels.items()) if label != "__name__")
    return f"{labels.get('__name__', '')}{{{inner}}}" if labels else expression


def field(name: str, kind: str, config: dict) -> dict:
    frame = {"time": "time.Time", "number": "float64", "string": "string", "json": "json.RawMessage"}[kind]
    return {"name": name, "type": "other" if kind == "json" else kind, "typeInfo": {"frame": frame}, "config": config}


def _columns(times: list[int], numbers: list[float]) -> dict:
    """JSON has no NaN and no infinity: they are told beside the values."""
    special: dict[str, list[int]] = {}
    for place, number in enumerate(numbers):
        if math.isnan(number):
            special.setdefault("NaN", []).append(place)
        elif math.isinf(number):
            special.setdefault("Inf" if number > 0 else "NegInf", []).append(place)
    return {"values": [times, [number if math.isfinite(number) else None for number in numbers]],
            "entities": [None, special or None]}
