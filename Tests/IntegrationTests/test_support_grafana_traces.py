"""The support code that stands in for Tempo and Loki where dashboards are drawn."""

import json

import pytest
import requests

from support.grafana.logs import Logs
from support.grafana.span_metrics import SpanMetrics
from support.grafana.traces import NotUnderstood, Traces
from support.otlp import Span, attributes, process_span, request, spans_in

SECOND = 1_000_000_000


def _spans() -> list[Span]:
    """A task of `emails` that failed after 2 s, its producer and a database call; then one of `default` that was done at once."""
    producer = process_span(7, "emails", "email:send", kind=Span.SPAN_KIND_PRODUCER, name="send emails", span_id=bytes(7) + b"\1",
                            start_time_unix_nano=10 * SECOND, end_time_unix_nano=10 * SECOND)
    failed = process_span(7, "emails", "email:send", span_id=bytes(7) + b"\2", parent_span_id=producer.span_id,
                          start_time_unix_nano=11 * SECOND, end_time_unix_nano=13 * SECOND)
    failed.status.code, failed.status.message = 2, "mailbox full"
    call = Span(trace_id=failed.trace_id, span_id=bytes(7) + b"\3", parent_span_id=failed.span_id, name="SELECT", kind=3,
                start_time_unix_nano=11 * SECOND, end_time_unix_nano=12 * SECOND, attributes=attributes(db__system="postgresql"))
    done = process_span(8, "default", "order:fulfil", start_time_unix_nano=20 * SECOND, end_time_unix_nano=20 * SECOND + 1000)
    return [producer, failed, call, done]


TRACE = (8).to_bytes(16, "big").hex()
TASKS = '{ span.messaging.system = "asynq" && kind = consumer && span.messaging.destination.name =~ ".+"'


@pytest.fixture
def traces() -> Traces:
    stored = spans_in(request(*_spans()))
    return Traces(lambda: stored)


def test_a_search_finds_the_newest_attempts_with_the_attributes_of_its_conditions(traces):
    found = traces.search(TASKS + " } with (most_recent=true)", 0, 100, 20)["traces"]
    assert [one["rootTraceName"] for one in found] == ["process default", "send emails"]
    assert [one["spanSets"][0]["spans"][0]["durationNanos"] for one in found] == ["1000", str(2 * SECOND)]
    assert found[1]["traceID"] == "8" and found[1]["durationMs"] == 3000
    assert {"key": "messaging.destination.name", "value": {"stringValue": "emails"}} in found[1]["spanSets"][0]["spans"][0]["attributes"]


@pytest.mark.parametrize("condition, count", [("status = error", 1), ("duration > 1s", 1), ("duration > 5s", 0), ("status != error", 1),
                                              ('span.asynq.task.type =~ "order:.*"', 1), ("span.db.system = nil", 2)])
def test_conditions_hold_for_some(traces, condition, count):
    assert len(traces.search(f"{TASKS} && {condition} }}", 0, 100, 20)["traces"]) == count


def test_the_limit_and_the_time_range_are_kept(traces):
    assert len(traces.search(TASKS + " }", 0, 100, 1)["traces"]) == 1
    assert traces.search(TASKS + " }", 12, 19, 20)["traces"] == []


@pytest.mark.parametrize("query", ["{ a || b }", "{ a = 1 } | rate()", "status = error"])
def test_what_is_beyond_it_is_refused(traces, query):
    with pytest.raises(NotUnderstood):
        traces.search(query, 0, 100, 20)


def test_a_trace_is_found_by_its_id_with_or_without_zeros_and_no_id_is_no_trace(traces):
    for text in (TRACE, "8"):
        frame, = traces.ask({"refId": "A", "query": text}, 0, 100)["frames"]
        names = [one["name"] for one in frame["schema"]["fields"]]
        rows = list(zip(*frame["data"]["values"]))
        assert [row[names.index("operationName")] for row in rows] == ["send emails", "process emails", "SELECT"]
        assert rows[1][names.index("statusMessage")] == "mailbox full" and rows[1][names.index("duration")] == 2000
    assert traces.ask({"refId": "A", "query": ""}, 0, 100)["frames"] == []


def test_quantiles_over_time_are_of_each_group(traces):
    query = "{ span.db.system != nil } | quantile_over_time(duration, .95, .99) by (span.db.system)"
    frames = traces.ask({"refId": "A", "query": query}, 0, 100)["frames"]
    assert [frame["schema"]["name"] for frame in frames] == ["postgresql p0.95", "postgresql p0.99"]
    assert frames[0]["data"]["values"] == [[11_000], [1.0]]


def test_log_lines_are_of_the_tasks_and_chosen_by_labels(traces):
    logs = Logs(traces)

    def lines(query: str) -> list[dict]:
        frame, = logs.ask({"refId": "A", "expr": query}, 0, 100)["frames"]
        return [json.loads(line) for line in frame["data"]["values"][2]]

    assert [line["level"] for line in lines('{service_name=~".+"} | json | queue=~".+"')] == ["info", "error", "info"]
    assert [line["error"] for line in lines('{service_name=~".+"} | json | level=~"(?i)error|fatal"')] == ["mailbox full"]
    assert len(lines('{service_name=~".+"} | trace_id!="" | trace_id=~"0*8"')) == 2
    assert lines('{service_name=~".+"} | trace_id!="" | trace_id=~"0*"') == lines('{service_name=~"other"}') == []
    assert logs.services() == ["worker"]
    with pytest.raises(NotUnderstood):
        lines('{app="x"} |= "y"')


def test_log_lines_are_counted_by_level(traces):
    query = 'sum by (level) (count_over_time({service_name=~".+"} | json [$__auto]))'
    frames = Logs(traces).ask({"refId": "A", "expr": query, "maxDataPoints": 1}, 0, 120)["frames"]
    assert {frame["schema"]["fields"][1]["labels"]["level"]: sum(frame["data"]["values"][1]) for frame in frames} == {"error": 1, "info": 2}
    assert {frame["schema"]["fields"][0]["config"]["interval"] for frame in frames} == {120_000}
    least = Logs(traces).ask({"refId": "A", "expr": query, "intervalMs": 60_000, "maxDataPoints": 1000}, 0, 100)["frames"]
    assert {frame["schema"]["fields"][0]["config"]["interval"] for frame in least} == {60_000}
    # Before it, the column of a time range that begins in the minute would be out of sight.
    assert {time for frame in least for time in frame["data"]["values"][0]} == {60_000}
    assert Logs(traces).ask({"refId": "A", "expr": query, "intervalMs": 60_000, "maxDataPoints": 1000}, 0, 59)["frames"] == []


def test_metrics_of_spans_pair_producers_with_consumers(traces):
    metrics = SpanMetrics(traces)
    try:
        first, again = (requests.get(f"http://127.0.0.1:{metrics.port}/metrics", timeout=10).text for _ in range(2))
    finally:
        metrics.stop()
    edge = 'client="worker",server="worker",connection_type="messaging_system"'
    assert first == again and f"traces_service_graph_request_failed_total{{{edge}}} 1" in first
    assert f'traces_service_graph_request_messaging_system_seconds_bucket{{{edge},le="1.02"}} 1' in first
    assert f'traces_service_graph_request_messaging_system_seconds_bucket{{{edge},le="0.512"}} 0' in first
    assert 'span_kind="SPAN_KIND_CONSUMER",status_code="STATUS_CODE_ERROR"} 1' in first
