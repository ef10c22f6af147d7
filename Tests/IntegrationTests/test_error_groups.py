"""/api/v1/errors: failed attempts and dead letters, grouped by what they failed with."""

import json
import time
from datetime import datetime

from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from support.asynq_messages import task_message
from support.deadline import eventually
from support.otlp import attributes, process_span, request
from support.redis_server import RedisServer

TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def failed(number: int, queue: str, task_type: str, message: str, exception: str | None = None) -> Span:
    """An attempt that failed; with an exception event where there is one."""
    events = [Span.Event(name="exception", attributes=attributes(exception__type="*errors.errorString",
                                                                 exception__message=exception))] if exception else []
    named = attributes(messaging__system="asynq", messaging__destination__name=queue, asynq__task__type=task_type,
                       messaging__message__id=f"task-{number}")
    return process_span(number, queue, task_type, attributes=named, events=events,
                        status=Status(code=Status.STATUS_CODE_ERROR, message=message))


def errors(collector) -> list[dict]:
    answer = collector.get("/api/v1/errors")
    assert answer.status == 200 and answer.media_type == "application/json", answer
    return json.loads(answer.body)


def age_of(stamp: str) -> float:
    return time.time() - datetime.fromisoformat(stamp).timestamp()


def test_failing_attempts_are_grouped_by_queue_type_and_error(start_collector):
    collector = start_collector()
    assert errors(collector) == []
    sent = request(*(failed(n, "mail", "send", f"dial tcp 10.0.0.{n}:25: i/o timeout") for n in range(5)),
                   failed(5, "mail", "send", "failed", exception="550 mailbox 7f9c24e5-2b6e-4c1a-9d0e-8a1b2c3d4e5f is full"),
                   failed(6, "mail", "send", "failed", exception="550 mailbox 00000000-2b6e-4c1a-9d0e-8a1b2c3d4e5f is full"),
                   failed(7, "pdf", "render", ""),
                   process_span(8, "mail", "send"))
    collector.post(sent)
    # One that comes again is the same attempt.
    collector.post(sent)
    found = errors(collector)
    assert [(group["queue"], group["task_type"], group["error"], group["attempts"], group["dead_letters"]) for group in found] == [
        ("mail", "send", "dial tcp <address>: i/o timeout", 5, 0), ("mail", "send", "<n> mailbox <id> is full", 2, 0),
        ("pdf", "render", "_unknown", 1, 0)]
    example = found[0]["example"]
    number = int(example["task_id"].removeprefix("task-"))
    assert example["error"] == f"dial tcp 10.0.0.{number}:25: i/o timeout"
    assert example["trace_id"] == f"{number + 1:032x}" and example["span_id"] == f"{number + 1:016x}"
    assert all(0 <= age_of(group[stamp]) < 60 for group in found for stamp in ("first_seen_at", "last_seen_at"))


def test_dead_letters_count_in_the_group_of_their_attempts(start_collector, tmp_path):
    with RedisServer(tmp_path / "redis") as server, server.client() as client:
        client.sadd("asynq:queues", "mail")

        def die(number: int, died: int) -> None:
            message = task_message("send", f"task-{number}", "mail", error=f"order {number} not found",
                                   headers={"traceparent": TRACEPARENT})
            client.hset(f"asynq:{{mail}}:t:task-{number}", mapping={"msg": message, "state": "archived"})
            client.zadd("asynq:{mail}:archived", {f"task-{number}": died})

        now = int(time.time())
        die(1, now - 7200)  # longer ago than what is shown
        die(2, now - 60)
        collector = start_collector(options={"redis.url": server.url, "redis.interval": "100ms"})
        collector.post(request(failed(3, "mail", "send", "order 3 not found")))
        eventually("the dead letter of the last hour", lambda: errors(collector)[0]["dead_letters"] == 1)
        die(4, now)
        eventually("the new dead letter", lambda: errors(collector)[0]["dead_letters"] == 2)
        [group] = errors(collector)
    assert (group["queue"], group["task_type"], group["error"], group["attempts"]) == ("mail", "send", "order <n> not found", 1)
    assert group["example"]["task_id"] == "task-4" and group["example"]["trace_id"] == TRACEPARENT.split("-")[1]
    assert 55 < age_of(group["first_seen_at"]) < 120


def test_a_dead_letter_leads_to_the_trace_that_it_carries_or_else_to_that_of_its_attempt(start_collector, redis):
    server, client = redis
    client.sadd("asynq:queues", "mail")
    collector = start_collector(options={"redis.url": server.url, "redis.interval": "100ms"})
    eventually("a first scrape", lambda: collector.metrics().has("asynq_tasks_dead_lettered_total"))
    collector.post(request(failed(1, "mail", "send", "no"), failed(2, "mail", "send", "no")))
    for number, headers in ((1, {}), (2, {"traceparent": TRACEPARENT}), (3, {})):
        client.hset(f"asynq:{{mail}}:t:task-{number}", mapping={
            "msg": task_message("send", f"task-{number}", "mail", error="no", headers=headers), "state": "archived"})
        client.zadd("asynq:{mail}:archived", {f"task-{number}": int(time.time())})
    expected = {"task-1": f"{2:032x}", "task-2": TRACEPARENT.split("-")[1], "task-3": None}

    def listed(path: str) -> dict:
        return {letter["id"]: letter["trace_id"] for letter in json.loads(collector.get(path).body)}

    eventually("all letters", lambda: listed("/api/v1/dead-letters") == expected)
    for task, trace in expected.items():
        assert json.loads(collector.get(f"/api/v1/tasks/mail/{task}").body)["trace_id"] == trace


def test_errors_that_are_all_different_stay_within_limits(start_collector):
    collector = start_collector()
    words = ["".join(chr(ord("a") + (n // 26**k) % 26) for k in range(4)) for n in range(500)]
    collector.post(request(*(failed(n, "mail", "send", f"no {word}") for n, word in enumerate(words))))
    collector.post(request(failed(1000, "pdf", "render", "no paper")))
    found = errors(collector)
    assert len(found) == 52 and found[0]["error"] == "_other" and found[0]["attempts"] == 450
    assert {"pdf"} == {group["queue"] for group in found if group["error"] == "no paper"}
    assert collector.metrics().by("asynq_collector_label_overflows_total", "label")["error"] == 450
