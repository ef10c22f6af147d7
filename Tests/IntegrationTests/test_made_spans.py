"""Spans that the collector makes itself: for the time in the queue, and for tasks that die."""

import json
import time

import pytest

from support import asynq_messages, http_client, otlp
from support.deadline import eventually, holds_for
from support.http_client import post_traces
from support.otlp import Span, Status
from support.redis_server import RedisServer

TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = "b7ad6b7169203331"
NOW = otlp.NOW
SECOND = 1_000_000_000


def producer(number: int, end: int = NOW) -> Span:
    return otlp.numbered_span(number, kind=Span.SPAN_KIND_PRODUCER, start_time_unix_nano=end - 1000,
                              end_time_unix_nano=end)


def process(number: int, of: Span, link: bool = False, wait: int = 3 * SECOND, **overrides) -> Span:
    context = dict(links=[Span.Link(trace_id=of.trace_id, span_id=of.span_id)]) if link else \
        dict(trace_id=of.trace_id, parent_span_id=of.span_id)
    start = of.end_time_unix_nano + wait
    span = otlp.process_span(number, "q", "type", start_time_unix_nano=start, end_time_unix_nano=start + SECOND,
                             **(context | overrides))
    span.attributes.extend(otlp.attributes(messaging__message__id=f"task {number}"))
    return span


def send(collector, *spans: Span) -> None:
    assert post_traces(collector.unix, otlp.request(*spans)).status == 200


def made(tempo, name: str) -> list[Span]:
    found = [Span.FromString(raw.span) for raw in tempo.stored]
    return [span for span in found if span.name == name]


def attributes(span: Span) -> dict:
    return {item.key: getattr(item.value, item.value.WhichOneof("value")) for item in span.attributes}


def span_count(page, transport: str) -> float:
    return page.value("asynq_collector_received_spans_total", {"transport": transport, "encoding": "protobuf"})


@pytest.fixture
def waiting(start_collector, tempo):
    return start_collector(options={
        "redis.url": "none", "tempo.endpoint": tempo.endpoint, "traces.wait-span": "true", "tempo.batch.max-delay": "10ms"})


@pytest.mark.parametrize("link", [False, True], ids=["child", "linked"])
@pytest.mark.parametrize("order", ["together", "producer first", "consumer first"])
def test_the_time_in_the_queue_is_a_span_between_its_two_ends(waiting, tempo, order, link):
    enqueued = producer(1)
    attempt = process(2, enqueued, link)
    for spans in {"together": [(attempt, enqueued)], "producer first": [(enqueued,), (attempt,)],
                  "consumer first": [(attempt,), (enqueued,)]}[order]:
        send(waiting, *spans)
    [wait] = eventually("a span of the wait", lambda: made(tempo, "q wait"))
    assert (wait.trace_id, wait.parent_span_id, wait.kind) == (enqueued.trace_id, enqueued.span_id, Span.SPAN_KIND_INTERNAL)
    assert (wait.start_time_unix_nano, wait.end_time_unix_nano) == (NOW, NOW + 3 * SECOND)
    assert attributes(wait) == {
        "messaging.system": "asynq", "messaging.operation.type": "wait", "messaging.destination.name": "q",
        "messaging.message.id": "task 2", "asynq.task.type": "type", "asynq.task.wait_seconds": 3.0,
        "asynq.task.retry_count": 0}
    assert wait.status == Status() and wait.flags & 1
    assert [(found.trace_id, found.span_id) for found in wait.links] == (
        [(attempt.trace_id, attempt.span_id)] if link else [])
    # Both ends are forwarded as they came.
    found = {Span.FromString(raw.span).span_id: raw.span for raw in tempo.stored}
    assert found[attempt.span_id] == attempt.SerializeToString()
    page = waiting.balanced_metrics()
    assert span_count(page, "http") == 2 and span_count(page, "internal") == 1


def test_measured_waits_and_retries_have_a_span_too(waiting, tempo):
    enqueued = producer(1)
    retried = process(2, enqueued)
    retried.attributes.extend(otlp.attributes(asynq__task__retry_count=2, asynq__task__wait_seconds=0.25))
    send(waiting, retried)
    [wait] = eventually("a span of the wait", lambda: made(tempo, "q wait"))
    assert wait.end_time_unix_nano == retried.start_time_unix_nano
    assert wait.start_time_unix_nano == retried.start_time_unix_nano - SECOND // 4
    assert attributes(wait)["asynq.task.retry_count"] == 2


def test_there_is_none_without_a_producer_or_a_known_wait_and_one_of_each_span_that_was_exported(waiting, tempo):
    """Whatever its flags say: the Python SDK writes them without the sampled bit."""
    enqueued = producer(1)
    alone = otlp.process_span(2, "q", "type")
    alone.attributes.extend(otlp.attributes(asynq__task__wait_seconds=1))
    send(waiting, enqueued, alone, process(3, enqueued, flags=0x100), process(4, producer(9)),
         process(5, enqueued, wait=-5 * SECOND))
    last = process(6, enqueued)
    send(waiting, last)
    eventually("the waits", lambda: len(made(tempo, "q wait")) > 1)
    assert sorted(attributes(span)["messaging.message.id"] for span in made(tempo, "q wait")) == ["task 3", "task 6"]


@pytest.mark.parametrize("order", ["producer first", "consumer first"])
def test_of_a_parent_around_and_a_linked_producer_the_producer_counts(waiting, tempo, order):
    enqueued, around = producer(1), otlp.numbered_span(7)
    attempt = process(2, enqueued, link=True, trace_id=around.trace_id, parent_span_id=around.span_id)
    first, second = (enqueued, attempt) if order == "producer first" else (attempt, enqueued)
    send(waiting, around, first)
    send(waiting, second)
    [wait] = eventually("a span of the wait", lambda: made(tempo, "q wait"))
    assert (wait.trace_id, wait.parent_span_id) == (enqueued.trace_id, enqueued.span_id)


@pytest.mark.parametrize("order", ["producer first", "consumer first"])
def test_a_producer_that_was_exported_has_a_wait_span_and_one_whose_link_says_that_it_was_not_has_none(waiting, tempo, order):
    exported, sampled = producer(1), producer(5)
    exported.flags = 0x100
    spans = [exported, process(2, exported, link=True)]
    for span in spans if order == "producer first" else reversed(spans):
        send(waiting, span)
    link = Span.Link(trace_id=b"\x01" * 16, span_id=b"\x01" * 8, flags=0x300)
    measured = otlp.process_span(8, "q", "type", links=[link])
    measured.attributes.extend(otlp.attributes(asynq__task__wait_seconds=1))
    send(waiting, measured)
    send(waiting, sampled, process(6, sampled))
    eventually("the waits", lambda: len(made(tempo, "q wait")) > 1)
    assert sorted(attributes(span)["messaging.message.id"] for span in made(tempo, "q wait")) == ["task 2", "task 6"]


def test_a_repeated_request_repeats_no_wait_and_another_process_the_same_id(start_collector, tempo):
    options = {"redis.url": "none", "tempo.endpoint": tempo.endpoint, "traces.wait-span": "true",
               "tempo.batch.max-delay": "10ms"}
    enqueued = producer(1)
    first = start_collector(options=options)
    for _ in range(2):
        send(first, enqueued, process(2, enqueued))
    eventually("a span of the wait", lambda: made(tempo, "q wait"))
    first.stop()
    second = start_collector(options=options)
    send(second, enqueued, process(2, enqueued))
    waits = eventually("the wait again", lambda: len(found := made(tempo, "q wait")) > 1 and found)
    assert len(waits) == 2 and waits[0] == waits[1]


def test_it_is_off_unless_asked_for(start_collector, tempo):
    collector = start_collector(options={"redis.url": "none", "tempo.endpoint": tempo.endpoint})
    enqueued = producer(1)
    spans = [enqueued, process(2, enqueued)]
    send(collector, *spans)
    tempo.until_stored({(span.trace_id, span.span_id) for span in spans})
    assert not made(tempo, "q wait")


# --- Dead letters ---

@pytest.fixture
def redis(tmp_path):
    with RedisServer(tmp_path / "redis") as server, server.client() as client:
        client.sadd("asynq:queues", "q")
        yield server, client


def die(client, task: str, at: int | None = None, queue: str = "q", error: str = "no such user", **message) -> int:
    """As Asynq archives a task."""
    at = at or int(time.time())
    client.sadd("asynq:queues", queue)
    client.hset(f"asynq:{{{queue}}}:t:{task}", mapping={
        "state": "archived",
        "msg": asynq_messages.task_message("email:send", task, queue, retried=25, error=error, last_failed_at=at - 1, **message)})
    client.zadd(f"asynq:{{{queue}}}:archived", {task: at})
    return at


def watching(start_collector, server, tempo, **options):
    collector = start_collector(options={
        "redis.url": server.url, "redis.interval": "200ms", "tempo.endpoint": tempo.endpoint,
        "tempo.batch.max-delay": "10ms"} | options)
    eventually("a scrape", lambda: collector.metrics().value("asynq_redis_up") == 1)
    return collector


def listed(collector) -> list[dict]:
    answer = http_client.ask(collector.web, "GET", "/api/v1/dead-letters")
    assert answer.status == 200 and answer.headers["Content-Type"] == "application/json"
    return json.loads(answer.body)


CONTEXT = {"headers": {"traceparent": f"00-{TRACE}-{PARENT}-01"}}


def test_a_task_that_dies_is_a_failed_span_in_its_trace(start_collector, redis, tempo):
    server, client = redis
    die(client, "before", payload=b'{"trace_id":"1","span_id":"2"}')
    collector = watching(start_collector, server, tempo, **{"traces.dead-letter-span": "true"})
    at = die(client, "t", **CONTEXT)
    die(client, "unsampled", headers={"traceparent": f"00-{TRACE}-{PARENT}-00"})
    die(client, "nowhere")
    [span] = eventually("a span", lambda: made(tempo, "q dead letter"))
    assert (span.trace_id.hex(), span.parent_span_id.hex(), span.kind) == (TRACE, PARENT, Span.SPAN_KIND_INTERNAL)
    assert (span.start_time_unix_nano, span.end_time_unix_nano) == (at * SECOND, at * SECOND)
    assert span.status == Status(code=Status.STATUS_CODE_ERROR, message="no such user")
    assert attributes(span) == {
        "messaging.system": "asynq", "messaging.operation.type": "dead-letter", "messaging.destination.name": "q",
        "messaging.message.id": "t", "asynq.task.type": "email:send", "asynq.task.retry_count": 25,
        "asynq.task.last_failed_at": at - 1}
    eventually("all are listed", lambda: len(listed(collector)) == 4)
    # The one from before the start, the one that is not sampled and the one without a context have none.
    holds_for("one span", lambda: len(made(tempo, "q dead letter")) == 1, seconds=0.6)
    assert span_count(collector.balanced_metrics(), "internal") == 1


def test_without_the_option_the_list_tells_and_no_span(start_collector, redis, tempo):
    server, client = redis
    collector = watching(start_collector, server, tempo)
    at = die(client, "t", error="é" * 2000, **CONTEXT)
    [letter] = eventually("a dead letter", lambda: listed(collector))
    assert letter["error"] == "é" * 512
    del letter["error"]
    assert letter == {
        "queue": "q", "id": "t", "type": "email:send", "retried": 25, "trace_id": TRACE,
        "archived_at": time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(at)),
        "last_failed_at": time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(at - 1))}
    assert not made(tempo, "q dead letter")


def test_the_newest_of_each_queue_are_listed_newest_first(start_collector, redis, tempo):
    server, client = redis
    now = int(time.time())
    for number in range(30):
        die(client, f"old {number}", now - 1000 + number)
    die(client, "else", now - 500, queue='we"ird\n')
    collector = watching(start_collector, server, tempo)
    eventually("the newest of both queues", lambda: [letter["id"] for letter in listed(collector)] == [
        "else", *(f"old {number}" for number in range(29, 9, -1))])
    die(client, "new", now)
    client.delete("asynq:{q}:t:gone")
    client.zadd("asynq:{q}:archived", {"gone": now})
    # It was run again, and has died again.
    die(client, "old 29", now)
    eventually("the new ones", lambda: {letter["id"] for letter in listed(collector)[:2]} == {"new", "old 29"})
    letters = listed(collector)
    assert len(letters) == 21 and len({letter["id"] for letter in letters}) == 21
    assert all(letter["trace_id"] is None for letter in letters)


def test_of_many_that_die_at_once_the_newest_are_read_and_the_others_counted(start_collector, redis, tempo):
    server, client = redis
    collector = watching(start_collector, server, tempo)
    now = int(time.time())
    with client.pipeline() as commands:
        for number in range(1500):
            commands.hset(f"asynq:{{q}}:t:{number}", mapping={
                "state": "archived", "msg": asynq_messages.task_message("t", str(number), "q")})
            commands.zadd("asynq:{q}:archived", {str(number): now - 5 + number // 500})
        commands.execute()
    labels = {"queue": "q"}
    eventually("all are counted", lambda: collector.metrics().value("asynq_tasks_dead_lettered_total", labels) == 1500)
    eventually("some are read", lambda: len(listed(collector)) == 20)
    assert all(int(letter["id"]) >= 1000 for letter in listed(collector))
    assert collector.metrics().value("asynq_collector_unread_dead_letters_total") == 1480


def test_large_messages_and_hostile_scores_cost_no_scrape(start_collector, redis, tempo):
    server, client = redis
    collector = watching(start_collector, server, tempo, **{"traces.dead-letter-span": "true"})
    now = int(time.time())
    for number in range(20):
        die(client, f"large {number}", now, payload=bytes(14 << 20))
    for number, score in enumerate([2197108676271213, 1e20, -5, 9e18, float("inf"), 0.5]):
        client.hset(f"asynq:{{q}}:t:odd {number}", "msg", asynq_messages.task_message("t", "odd", "q", **CONTEXT))
        client.zadd("asynq:{q}:archived", {f"odd {number}": score})
    # Messages of more than 4 MiB are counted, and never fetched.
    eventually("they are passed over", lambda: collector.metrics().value("asynq_collector_unread_dead_letters_total") >= 20)
    assert not any(letter["id"].startswith("large") for letter in listed(collector))
    archived = {"queue": "q", "state": "archived"}
    eventually("a scrape after all", lambda: collector.metrics().value("asynq_queue_size", archived) == 26)
    assert collector.balanced_metrics().value("asynq_redis_up") == 1
    assert not made(tempo, "q dead letter")


def test_an_id_of_the_business_is_no_context(start_collector, redis, tempo):
    server, client = redis
    collector = watching(start_collector, server, tempo, **{"traces.dead-letter-span": "true"})
    die(client, "t", payload=b'{"trace_id":"1001"}')
    eventually("it is listed", lambda: listed(collector))
    holds_for("no span", lambda: not made(tempo, "q dead letter"), seconds=0.3)


def test_without_redis_there_are_none(start_collector):
    collector = start_collector(options={"redis.url": "none"})
    assert listed(collector) == []


def test_one_trace_from_the_request_to_the_dead_letter(start_collector, redis, tempo):
    """Browser, server, producer, wait, attempt without context, dead letter."""
    server, client = redis
    collector = watching(start_collector, server, tempo, **{
        "traces.dead-letter-span": "true", "traces.wait-span": "true", "traces.relink": "parent"})
    trace = bytes.fromhex(TRACE)
    page = otlp.numbered_span(1, trace_id=trace, name="click", kind=Span.SPAN_KIND_CLIENT)
    handler = otlp.numbered_span(2, trace_id=trace, parent_span_id=page.span_id, name="POST /mail",
                                 kind=Span.SPAN_KIND_SERVER)
    enqueue = otlp.numbered_span(3, trace_id=trace, span_id=bytes.fromhex(PARENT), parent_span_id=handler.span_id,
                                 kind=Span.SPAN_KIND_PRODUCER, name="send q")
    die(client, "task 4", **CONTEXT)
    attempt = otlp.process_span(4, "q", "email:send", start_time_unix_nano=NOW + SECOND,
                                end_time_unix_nano=NOW + 2 * SECOND, status=Status(code=2, message="no such user"))
    attempt.attributes.extend(otlp.attributes(messaging__message__id="task 4"))
    send(collector, page, handler, enqueue)
    send(collector, attempt)

    def tree() -> dict[str, str]:
        spans = {raw.key[1]: Span.FromString(raw.span) for raw in tempo.stored}
        assert all(span.trace_id == trace for span in spans.values())
        return {span.name: spans[span.parent_span_id].name if span.parent_span_id else "" for span in spans.values()}

    expected = {"click": "", "POST /mail": "click", "send q": "POST /mail", "process q": "send q", "q wait": "send q",
                "q dead letter": "send q"}
    eventually("the whole trace", lambda: tree() == expected)
