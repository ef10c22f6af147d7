"""First attempts and those that come again, waits of scheduled tasks, and what attempts failed with, by their spans alone."""

import json

import pytest

from support import otlp
from support.http_client import post_traces
from support.otlp import NOW, Span, Status

SECOND = 1_000_000_000


def attempt(number: int, task: str, start: float, *, stamp: float | None = None, failed: bool = False, events=(), **attributes) -> Span:
    """Seconds after NOW."""
    begin = NOW + round(start * SECOND)
    span = otlp.process_span(number, "q", "t", start_time_unix_nano=begin, end_time_unix_nano=begin + SECOND // 10,
                             status=Status(code=Status.STATUS_CODE_ERROR if failed else Status.STATUS_CODE_UNSET), events=events)
    span.attributes.extend(otlp.attributes(messaging__message__id=task, asynq__task__retry_count=0, **attributes))
    if stamp is not None:
        span.attributes.extend(otlp.attributes(asynq__task__enqueued_at=str(NOW + round(stamp * SECOND))))
    return span


def send(collector, *spans: Span) -> None:
    assert post_traces(collector.unix, otlp.request(*spans)).status == 200


def counts(collector) -> tuple[int, int]:
    page = collector.metrics()
    first, retry = (page.sum("asynq_task_attempts_total", {"attempt": wanted}) for wanted in ("first", "retry"))
    return first, retry


def waits(collector) -> tuple[float, float]:
    page = collector.metrics()
    labels = {"queue": "q", "task_type": "t"}
    return (page.value("asynq_task_wait_duration_seconds_count", labels),
            pytest.approx(page.value("asynq_task_wait_duration_seconds_sum", labels)))


@pytest.fixture
def collector(start_collector):
    return start_collector(options={"redis.url": "none"})


def test_an_attempt_after_one_that_is_failure_did_not_count_is_a_retry_and_an_id_with_another_stamp_is_not(collector):
    send(collector, attempt(1, "a", 0, stamp=-2, failed=True))
    send(collector, attempt(2, "a", 30, stamp=-2, failed=True), attempt(1, "a", 0, stamp=-2, failed=True))
    send(collector, attempt(3, "a", 60, stamp=-2), attempt(4, "daily", 61, stamp=60))
    assert counts(collector) == (2, 2) and waits(collector) == (2, 3)
    send(collector, attempt(5, "daily", 90, stamp=86))
    assert counts(collector) == (3, 2) and waits(collector) == (3, 7)
    assert collector.metrics().value("asynq_task_wait_unknown_total", {"queue": "q", "reason": "retry"}) == 2
    assert collector.metrics().value("asynq_collector_started_evicted_attempts_total") == 0


def test_in_one_request_the_order_does_not_matter_and_a_late_first_attempt_keeps_its_wait(collector):
    send(collector, attempt(1, "a", 30, stamp=-2), attempt(2, "a", 0, stamp=-2, failed=True))
    assert counts(collector) == (1, 1) and waits(collector) == (1, 2)
    send(collector, attempt(3, "b", 30, stamp=-2))
    send(collector, attempt(4, "b", 0, stamp=-2, failed=True))
    assert counts(collector) == (2, 2) and waits(collector) == (3, 2 + 32 + 2)


def test_a_wait_that_a_later_attempt_measured_from_the_stamp_is_left_out_and_a_stamp_of_0_names_no_task(collector):
    send(collector, attempt(1, "a", 0, stamp=-2, failed=True, asynq__task__wait_seconds=2.0))
    send(collector, attempt(2, "a", 30, stamp=-2, asynq__task__wait_seconds=32.0))
    assert counts(collector) == (1, 1) and waits(collector) == (1, 2)
    assert collector.metrics().value("asynq_task_wait_unknown_total", {"queue": "q", "reason": "retry"}) == 1
    for number in (3, 4):
        send(collector, attempt(number, "daily", number, asynq__task__enqueued_at=0, asynq__task__wait_seconds=1.0))
    assert counts(collector) == (3, 1) and waits(collector) == (3, 4)


@pytest.mark.parametrize("counted", [True, False])
def test_waits_from_process_at_are_counted_apart_and_can_be_left_out(start_collector, counted):
    collector = start_collector(options={"redis.url": "none", "wait.process-at": json.dumps(counted)})
    due = NOW // SECOND - 3
    send(collector, attempt(1, "scheduled", 0, stamp=-60, asynq__task__process_at=due), attempt(2, "plain", 0, stamp=-1))
    assert collector.metrics().value("asynq_collector_process_at_waits_total") == 1
    assert waits(collector) == ((2, 4) if counted else (1, 1))


def exception(name: str, event: str = "exception") -> Span.Event:
    return Span.Event(name=event, attributes=otlp.attributes(exception__type=name, exception__message="no route to host"))


def test_failures_are_counted_by_error_type_or_the_last_exception(start_collector):
    collector = start_collector(options={"redis.url": "none", "metrics.error-types": "2"})
    send(collector,
         attempt(1, "1", 0, failed=True, error__type="timeout", events=[exception("ignored")]),
         attempt(2, "2", 0, failed=True, events=[exception("first"), exception("*net.OpError"), exception("other", "log")]),
         attempt(3, "3", 0, failed=True), attempt(4, "4", 0, error__type="timeout", events=[exception("no failure")]),
         attempt(5, "5", 0, failed=True, error__type="third"), attempt(6, "6", 0, failed=True, error__type="x" * 300))
    found = collector.metrics().by("asynq_task_failures_total", "queue", "task_type", "error_type")
    assert found == {("q", "t", error): count for error, count in
                     (("timeout", 1), ("*net.OpError", 1), ("_unknown", 1), ("_other", 2))}
    assert collector.metrics().by("asynq_collector_label_overflows_total", "label")["error_type"] == 2


def test_without_error_types_there_is_no_such_family(start_collector):
    collector = start_collector(options={"redis.url": "none", "metrics.error-types": "0"})
    send(collector, attempt(1, "1", 0, failed=True, error__type="timeout"))
    assert "asynq_task_failures_total" not in collector.get("/metrics").body.decode()
