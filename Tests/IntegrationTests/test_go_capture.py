"""What the real Go SDK sent, posted as it is; then the metrics hold what was worked out from it by other means."""

from bisect import bisect_left

import pytest

from support import otlp_json, promtool
from support.go_capture import GoCapture
from support.http_client import ask, post_traces
from support.metrics_page import MetricsPage, assert_histograms_agree

CAPTURE = GoCapture()
WAIT = "asynq_task_wait_duration_seconds"
PROCESSING = "asynq_task_processing_duration_seconds"
HISTOGRAMS = {WAIT: CAPTURE.waits(), PROCESSING: CAPTURE.processing()}
LABELS = {WAIT: ("queue", "task_type"), PROCESSING: ("queue", "task_type", "status")}
DEFAULT_BOUNDS = {
    WAIT: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800, 3600],
    PROCESSING: [0.005, 0.025, 0.1, 0.5, 2.5, 10, 60, 300, 1800],
}


def post_all(collector, transport: str = "tcp", bodies: list[bytes] = CAPTURE.bodies, **how) -> MetricsPage:
    for body in bodies:
        answer = post_traces(getattr(collector, transport), body, **how)
        assert answer.status == 200, answer
    # No waiting: 200 means that the metrics have seen the spans.
    return collector.balanced_metrics()


def assert_task_metrics(page: MetricsPage) -> None:
    assert page.by("asynq_task_attempts_total", "queue", "task_type", "status", "attempt") == CAPTURE.attempts()
    for name, expected in HISTOGRAMS.items():
        counts = {key: len(seconds) for key, seconds in expected.items()}
        sums = {key: sum(seconds) for key, seconds in expected.items()}
        assert page.by(f"{name}_count", *LABELS[name]) == counts
        assert page.by(f"{name}_sum", *LABELS[name]) == pytest.approx(sums, rel=1e-6)
        assert_histograms_agree(page, name)
    unknown = {key: value for key, value in page.by("asynq_task_wait_unknown_total", "queue", "reason").items() if value}
    assert unknown == CAPTURE.unknown_waits()


@pytest.mark.parametrize("transport", ["tcp", "unix"])
@pytest.mark.parametrize("chunked", [False, True], ids=["whole", "chunked"])
@pytest.mark.parametrize("compress", [False, True], ids=["plain", "gzip"])
def test_the_task_metrics_are_those_of_the_capture(start_collector, transport, compress, chunked):
    page = post_all(start_collector(), transport, compress=compress, chunked=chunked)
    assert_task_metrics(page)
    assert page.sum("asynq_collector_received_spans_total") == CAPTURE.span_count
    assert page.sum("asynq_collector_accepted_spans_total") == CAPTURE.span_count
    assert page.sum("asynq_collector_refused_spans_total") == 0
    assert page.sum("asynq_collector_duplicate_spans_total") == 0


def test_the_task_metrics_are_the_same_when_the_spans_come_as_json(start_collector):
    collector = start_collector()
    for body in CAPTURE.bodies:
        answer = ask(collector.tcp, "POST", "/v1/traces", otlp_json.from_protobuf(body), otlp_json.JSON)
        assert (answer.status, answer.body) == (200, b"{}"), answer
    page = collector.balanced_metrics()
    assert_task_metrics(page)
    assert page.sum("asynq_collector_received_spans_total", {"encoding": "json"}) == CAPTURE.span_count


def test_the_order_of_the_requests_does_not_matter(start_collector):
    """Now producers that came first come last, and the other way round."""
    assert_task_metrics(post_all(start_collector(), bodies=CAPTURE.bodies[::-1]))


def test_a_process_span_that_comes_again_is_counted_as_a_duplicate_and_observed_once(start_collector):
    page = post_all(start_collector(), bodies=CAPTURE.bodies * 2)
    assert_task_metrics(page)
    assert page.sum("asynq_collector_accepted_spans_total") == 2 * CAPTURE.span_count
    assert page.sum("asynq_collector_duplicate_spans_total") == len(CAPTURE.process_spans)


@pytest.mark.parametrize("name", HISTOGRAMS)
def test_every_observation_is_in_its_bucket(start_collector, name):
    page = post_all(start_collector())
    for key, seconds in HISTOGRAMS[name].items():
        expected = [0] * (len(DEFAULT_BOUNDS[name]) + 1)
        for value in seconds:
            for at in range(bisect_left(DEFAULT_BOUNDS[name], value), len(expected)):
                expected[at] += 1
        bounds = DEFAULT_BOUNDS[name] + [float("inf")]
        labels = dict(zip(LABELS[name], key))
        found = {float(dict(labeled)["le"]): value for labeled, value in page.samples[f"{name}_bucket"].items()
                 if labels.items() <= set(labeled)}
        assert found == dict(zip(bounds, expected)), labels


def test_promtool_finds_nothing_to_complain_about(start_collector, tempo):
    collector = start_collector(options={"tempo.endpoint": tempo.endpoint})
    post_all(collector)
    collector.until_forwarded(CAPTURE.span_count)
    promtool.assert_clean(collector.metrics().text)


def test_without_a_destination_there_are_no_forward_and_spool_families(start_collector):
    page = post_all(start_collector(), bodies=CAPTURE.bodies[:1])
    absent = [name for name in page.samples if name.startswith(("asynq_collector_forward", "asynq_collector_spool"))]
    assert absent == []
    assert page.sum("asynq_collector_dropped_spans_total") == 0
