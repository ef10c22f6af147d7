"""Process spans that have lost their producer get it back from what their task carries in Redis."""

import base64
import copy
import json
import random
import re
import time

import pytest

from support import asynq_messages, golden, otlp, otlp_json
from support.deadline import eventually
from support.http_client import post_traces
from support.otlp import Span
from support.redis_server import RedisServer

TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = "b7ad6b7169203331"
TRACEPARENT = f"00-{TRACE}-{PARENT}-01"
SAMPLED, IS_REMOTE = 1, 0x300


@pytest.fixture
def collector(start_collector, redis, tempo):
    return started(start_collector, redis[0], tempo)


def started(start_collector, server, tempo, **options):
    """Without the look-ahead, unless a test asks for it: what is found is found by asking for it."""
    collector = start_collector(options={
        "redis.url": server.url, "redis.look-ahead": 0, "tempo.endpoint": tempo.endpoint, "tempo.batch.max-delay": "10ms",
        # A tenth of a second is too short for a test on a busy machine.
        "traces.lookup-timeout": "5s"} | options)
    eventually("Redis was asked", lambda: collector.metrics().has("asynq_queue_size") or asked(collector))
    return collector


def asked(collector) -> bool:
    return collector.metrics().value("asynq_redis_up") == 1


def store(client, task: str, queue: str = "q", state: str = "active", **message) -> None:
    client.sadd("asynq:queues", queue)
    client.hset(f"asynq:{{{queue}}}:t:{task}", mapping={
        "state": state, "msg": asynq_messages.task_message("type", task, queue, **message)})


def span_of(number: int, task: str, queue: str = "q", **overrides) -> Span:
    span = otlp.process_span(number, queue, "type", **overrides)
    span.attributes.extend(otlp.attributes(messaging__message__id=task))
    return span


def forwarded(tempo, collector, *spans: Span) -> list[Span]:
    """As the stub got them, in the order in which they were sent."""
    assert post_traces(collector.unix, otlp.request(*spans)).status == 200
    wanted = {span.span_id for span in spans}
    eventually("the spans at the stub", lambda: wanted <= {raw.key[1] for raw in tempo.stored})
    by_id = {raw.key[1]: Span.FromString(raw.span) for raw in tempo.stored}
    raw_by_id = {raw.key[1]: raw.span for raw in tempo.stored}
    for span in spans:
        if by_id[span.span_id].trace_id == span.trace_id:
            # What is added stands behind what was there.
            assert raw_by_id[span.span_id].startswith(span.SerializeToString())
    return [by_id[span.span_id] for span in spans]


def added_link(sent: Span, got: Span) -> tuple[str, str, str, int] | None:
    """Trace, span, state and flags of the one link; everything else has to be as it was sent."""
    rest = copy.deepcopy(got)
    if not got.links:
        assert got == sent
        return None
    assert len(got.links) == 1 and not sent.links
    link = rest.links.pop()
    assert rest == sent
    assert not link.attributes and not link.dropped_attributes_count
    return link.trace_id.hex(), link.span_id.hex(), link.trace_state, link.flags


# --- The three ways in which a task carries its context ---

def carried_by(task: dict) -> tuple[str, str] | None:
    """Trace and span that the golden data's conventions imply for a task, worked out without the collector."""
    headers = {name.lower(): value for name, value in (task.get("headers") or {}).items()}
    payload = base64.b64decode(task.get("payload_b64") or "")
    try:
        content = json.loads(payload)
    except (ValueError, RecursionError):
        content = None
    if not isinstance(content, dict):
        content = {}
    for parent in (headers.get("traceparent"), (content.get("header") or {}).get("traceparent")):
        if parent and re.fullmatch("00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}", parent):
            return tuple(parent.split("-")[1:3])
    trace, span = content.get("trace_id"), content.get("span_id")
    if not isinstance(trace, str) or not isinstance(span, str) or not int(trace, 16) or not int(span, 16):
        return None
    return trace.lower(), span.lower()


@pytest.mark.parametrize("version", golden.VERSIONS)
def test_every_golden_task_gets_the_context_that_it_carries(tmp_path, start_collector, tempo, version):
    state = golden.load(version)
    tasks = {}
    for queue in state.queues:
        for listed in queue["tasks"].values():
            for task in listed:
                tasks[queue["queue"], task["id"]] = task
    with RedisServer(tmp_path / "golden", dump=state.dump) as server:
        collector = started(start_collector, server, tempo)
        sent = [span_of(number, task, queue) for number, (queue, task) in enumerate(tasks)]
        found = {}
        for (name, task), span, got in zip(tasks.items(), sent, forwarded(tempo, collector, *sent)):
            link = added_link(span, got)
            found[name] = link and link[:2]
            if link:
                assert link[3] == SAMPLED | IS_REMOTE
    expected = {name: carried_by(task) for name, task in tasks.items()}
    assert found == expected
    assert sum(context is not None for context in expected.values()) > 60
    assert len(expected) > 100


@pytest.mark.parametrize("carried", [
    {"headers": {"traceparent": TRACEPARENT, "tracestate": "a=1,b=2"}},
    {"headers": {"Traceparent": TRACEPARENT, "TRACESTATE": "a=1,b=2"}, "payload": b'{"trace_id":"11","span_id":"22"}'},
    {"payload": json.dumps({"header": {"traceparent": TRACEPARENT, "tracestate": "a=1,b=2"}}).encode()},
    {"payload": json.dumps({"header": {"Traceparent": [TRACEPARENT], "Tracestate": ["a=1,b=2"]}}).encode()},
    {"headers": {"traceparent": "00-broken"},
     "payload": json.dumps({"traceparent": TRACEPARENT, "tracestate": "a=1,b=2"}).encode()},
], ids=["headers", "headers in capitals", "payload", "http.Header", "good payload behind bad headers"])
def test_the_state_of_the_trace_is_carried_too(collector, redis, tempo, carried):
    store(redis[1], "t", **carried)
    sent = span_of(1, "t")
    assert added_link(sent, *forwarded(tempo, collector, sent)) == (TRACE, PARENT, "a=1,b=2", SAMPLED | IS_REMOTE)


def test_an_unsampled_context_says_so_and_short_ids_are_padded(collector, redis, tempo):
    store(redis[1], "unsampled", headers={"traceparent": f"00-{TRACE}-{PARENT}-00"})
    store(redis[1], "short", payload=b'{"trace_id":"8448EB211C80319C","span_id":"F"}')
    sent = [span_of(1, "unsampled"), span_of(2, "short")]
    links = [added_link(span, got) for span, got in zip(sent, forwarded(tempo, collector, *sent))]
    assert links == [(TRACE, PARENT, "", IS_REMOTE),
                     ("0" * 16 + "8448eb211c80319c", "0" * 15 + "f", "", SAMPLED | IS_REMOTE)]


def test_the_names_are_the_teams(start_collector, redis, tempo):
    collector = started(start_collector, redis[0], tempo, **{
        "traces.context.trace-id": "meta.otel.trace", "traces.context.span-id": "meta.otel.span",
        "traces.context.traceparent": "x-parent"})
    store(redis[1], "a", payload=json.dumps({"meta": {"otel": {"trace": TRACE, "span": PARENT}}}).encode())
    store(redis[1], "b", headers={"X-Parent": TRACEPARENT})
    store(redis[1], "c", headers={"traceparent": TRACEPARENT})
    sent = [span_of(number, task) for number, task in enumerate("abc")]
    links = [added_link(span, got) for span, got in zip(sent, forwarded(tempo, collector, *sent))]
    assert [link and link[:2] for link in links] == [(TRACE, PARENT), (TRACE, PARENT), None]


# --- Which spans ---

OWN = dict(trace_id=b"\x77" * 16)


def test_only_process_spans_without_parent_and_link_are_touched(collector, redis, tempo):
    store(redis[1], "t", headers={"traceparent": TRACEPARENT})
    linked = Span.Link(trace_id=b"\x01" * 16, span_id=b"\x01" * 8)
    sent = [
        span_of(1, "t", parent_span_id=b"\x05" * 8), span_of(2, "t", links=[linked]),
        span_of(3, "t", kind=Span.SPAN_KIND_PRODUCER), span_of(4, "t", kind=Span.SPAN_KIND_INTERNAL, attributes=[]),
        span_of(5, "gone"), span_of(6, "t", queue="other"), otlp.process_span(7, "q", "type"),
        otlp.numbered_span(8),
    ]
    assert forwarded(tempo, collector, *sent) == sent
    page = collector.balanced_metrics()
    assert page.value("asynq_collector_relinked_spans_total", {"relation": "link"}) == 0
    assert page.value("asynq_collector_unlinked_spans_total") == 3
    assert page.value("asynq_collector_task_lookups_total", {"result": "gone"}) == 2


def test_relinking_can_be_switched_off(start_collector, redis, tempo):
    collector = started(start_collector, redis[0], tempo, **{"traces.relink": "false"})
    store(redis[1], "t", headers={"traceparent": TRACEPARENT})
    sent = span_of(1, "t")
    assert forwarded(tempo, collector, sent) == [sent]


def test_a_span_that_is_refused_in_the_same_request_goes_all_the_same(collector, redis, tempo):
    store(redis[1], "t", headers={"traceparent": TRACEPARENT})
    good, bad = span_of(1, "t"), span_of(2, "t", trace_id=bytes(16))
    answer = post_traces(collector.unix, otlp.request(bad, good, bad))
    assert otlp.rejected(answer.body)[0] == 2
    tempo.until_stored({(good.trace_id, good.span_id)})
    assert added_link(good, Span.FromString(tempo.stored[0].span))[:2] == (TRACE, PARENT)
    assert len(tempo.stored) == 1
    collector.balanced_metrics()


def test_as_the_parent_a_lone_root_span_moves_into_the_trace(start_collector, redis, tempo):
    collector = started(start_collector, redis[0], tempo, **{"traces.relink": "parent"})
    store(redis[1], "t", headers={"traceparent": TRACEPARENT, "tracestate": "a=1"})
    lone, busy = span_of(1, "t"), span_of(2, "t")
    child = otlp.numbered_span(3, trace_id=busy.trace_id, parent_span_id=busy.span_id)
    own_state = span_of(4, "t", trace_state="mine=1")
    got = forwarded(tempo, collector, lone, busy, child, own_state)
    for sent, moved, trace_state in ((lone, got[0], "a=1"), (own_state, got[3], "mine=1")):
        assert (moved.trace_id.hex(), moved.parent_span_id.hex(), moved.trace_state) == (TRACE, PARENT, trace_state)
        moved = copy.deepcopy(moved)
        moved.trace_id, moved.trace_state = sent.trace_id, sent.trace_state
        moved.ClearField("parent_span_id")
        assert moved == sent
    # Its own child would be left behind in another trace.
    assert added_link(busy, got[1])[:2] == (TRACE, PARENT)
    assert got[2] == child
    page = collector.balanced_metrics()
    assert page.value("asynq_collector_relinked_spans_total", {"relation": "parent"}) == 2
    assert page.value("asynq_collector_relinked_spans_total", {"relation": "link"}) == 1


# --- Tasks that Redis knows no more, and a Redis that does not answer ---

@pytest.mark.parametrize("state", ["pending", "active"])
def test_a_task_that_was_seen_is_known_when_asynq_has_deleted_it(start_collector, redis, tempo, state):
    server, client = redis
    collector = started(start_collector, server, tempo, **{
        "redis.look-ahead": 100, "redis.look-interval": "100ms", "redis.interval": "200ms"})
    store(client, "t", state=state, headers={"traceparent": TRACEPARENT})
    client.lpush(f"asynq:{{q}}:{state}", "t")
    eventually("the task was seen", lambda: collector.metrics().value("asynq_collector_look_ahead_tasks") == 1)
    client.delete("asynq:{q}:t:t", f"asynq:{{q}}:{state}")
    sent = span_of(1, "t")
    assert added_link(sent, *forwarded(tempo, collector, sent))[:2] == (TRACE, PARENT)
    assert collector.metrics().value("asynq_collector_task_lookups_total", {"result": "found"}) == 0


def test_a_redis_that_hangs_delays_one_answer_by_the_timeout_and_then_none(start_collector, redis, tempo):
    server, client = redis
    collector = started(start_collector, server, tempo, **{"traces.lookup-timeout": "400ms"})
    store(client, "t", headers={"traceparent": TRACEPARENT})
    server.pause()
    try:
        seconds = []
        for number in range(6):
            sent, start = span_of(number, "t"), time.monotonic()
            assert post_traces(collector.unix, otlp.request(sent)).status == 200
            seconds.append(time.monotonic() - start)
        # Without the bound it would be redis.timeout, 3 s, each time; some may wait for a busy machine.
        assert 0.35 < seconds[0] < 3 and sorted(seconds[1:])[2] < 0.3, seconds
        page = collector.balanced_metrics()
        assert page.value("asynq_collector_task_lookups_total", {"result": "failed"}) >= 1
        assert page.value("asynq_collector_task_lookups_total", {"result": "down"}) >= 1
    finally:
        server.resume()

    def linked() -> bool:
        linked.number += 1
        sent = span_of(linked.number, "t")
        return added_link(sent, *forwarded(tempo, collector, sent)) is not None

    linked.number = 100
    eventually("spans are linked again", linked)


def test_an_id_that_comes_again_does_not_get_the_trace_of_the_task_before(collector, redis, tempo):
    """`asynq.TaskID("daily")`"""
    client = redis[1]
    contexts = [f"00-{number:032x}-{number:016x}-01" for number in (101, 102)]
    for number, context in enumerate(contexts):
        store(client, "daily", headers={"traceparent": context}, payload=b'{"enqueued_at":%d}' % (otlp.NOW - 1_000_000_000))
        sent = span_of(number, "daily")
        assert added_link(sent, *forwarded(tempo, collector, sent))[0] == f"{number + 101:032x}"
    client.delete("asynq:{q}:t:daily")
    sent = span_of(9, "daily")
    assert added_link(sent, *forwarded(tempo, collector, sent)) is None
    labels = {"queue": "q", "task_type": "type"}
    assert collector.metrics().value("asynq_task_wait_duration_seconds_sum", labels) == pytest.approx(2)


def test_queues_that_are_left_out_are_not_asked_for(start_collector, redis, tempo):
    collector = started(start_collector, redis[0], tempo, **{"redis.queues.exclude": "^private"})
    for queue in ("private", "q"):
        store(redis[1], "t", queue, headers={"traceparent": TRACEPARENT})
    sent = [span_of(1, "t", "private"), span_of(2, "t")]
    links = [added_link(span, got) for span, got in zip(sent, forwarded(tempo, collector, *sent))]
    assert links[0] is None and links[1] is not None


def test_large_messages_are_read_few_at_a_time_and_each_task_once(collector, redis, tempo):
    server, client = redis
    for number in range(40):
        store(client, f"large {number}", headers={"traceparent": TRACEPARENT}, payload=bytes(1 << 20))
    client.config_resetstat()
    sent = [span_of(number, f"large {number % 40}", parent_span_id=b"" if number < 40 else b"\x05" * 8)
            for number in range(80)]
    links = [added_link(span, got) for span, got in zip(sent, forwarded(tempo, collector, *sent))]
    assert [link is not None for link in links] == [True] * 40 + [False] * 40
    assert client.info("commandstats")["cmdstat_hmget"]["calls"] == 40


def test_names_that_are_no_names_are_not_asked_for(collector, redis, tempo):
    sent = span_of(1, "x" * 2000)
    assert forwarded(tempo, collector, sent) == [sent]
    assert sum(collector.metrics().by("asynq_collector_task_lookups_total", "result").values()) == 0


def test_an_unsampled_trace_is_linked_but_no_sampled_span_moves_into_it(start_collector, redis, tempo):
    collector = started(start_collector, redis[0], tempo, **{"traces.relink": "parent"})
    store(redis[1], "t", headers={"traceparent": f"00-{TRACE}-{PARENT}-00"})
    sent = span_of(1, "t", flags=1)
    assert added_link(sent, *forwarded(tempo, collector, sent)) == (TRACE, PARENT, "", IS_REMOTE)


def test_a_redis_that_is_gone_costs_nothing(collector, redis, tempo):
    redis[0].stop()
    seconds = []
    for number in range(20):
        start = time.monotonic()
        assert post_traces(collector.unix, otlp.request(span_of(number, "t"))).status == 200
        seconds.append(time.monotonic() - start)
    assert sorted(seconds)[10] < 0.15, f"expected most answers at once, got {seconds}"
    page = collector.balanced_metrics()
    assert page.value("asynq_collector_task_lookups_total", {"result": "down"}) >= 18
    assert page.value("asynq_collector_unlinked_spans_total") == 20


def test_where_nothing_comes_of_it_redis_is_left_alone(collector, redis, tempo):
    """Workers whose tasks carry nothing: each span would cost Redis a look for nothing."""
    redis[1].sadd("asynq:queues", "q")
    for start in range(0, 3000, 100):
        request = otlp.request(*(span_of(number, f"none-{number}") for number in range(start, start + 100)))
        assert post_traces(collector.unix, request).status == 200
    page = collector.balanced_metrics()
    lookups = {result: page.value("asynq_collector_task_lookups_total", {"result": result})
               for result in ("gone", "skipped", "failed")}
    assert sum(lookups.values()) == 3000 and 1000 <= lookups["gone"] + lookups["failed"] <= 1200, lookups


# --- What the metrics gain ---

def test_the_stamp_in_a_task_tells_the_wait_of_a_first_attempt(collector, redis, tempo):
    start = otlp.NOW
    for task, at in (("rfc", '"2026-11-20T18:04:39Z"'), ("ms", str((start - 3_000_000_000) // 1_000_000))):
        store(redis[1], task, payload=f'{{"enqueued_at":{at}}}'.encode())
    retried = span_of(3, "ms")
    retried.attributes.extend(otlp.attributes(asynq__task__retry_count=1))
    # A parent whose producer span never comes: nothing is gained by waiting for it.
    with_parent = span_of(2, "ms", parent_span_id=b"\x05" * 8)
    store(redis[1], "ahead", payload=f'{{"enqueued_at":"2026-11-19T18:04:39Z","process_at":{start - 7_000_000_000}}}'.encode())
    # Its message has counted a failure, and the span does not say which attempt it was.
    store(redis[1], "failed before", retried=2, payload=b'{"enqueued_at":"2026-11-19T18:04:39Z"}')
    forwarded(tempo, collector, span_of(1, "rfc"), with_parent, retried, span_of(4, "none"), span_of(5, "ahead"),
              span_of(6, "failed before"))
    page = collector.balanced_metrics()
    labels = {"queue": "q", "task_type": "type"}
    assert page.value("asynq_task_wait_duration_seconds_count", labels) == 3
    assert page.value("asynq_task_wait_duration_seconds_sum", labels) == pytest.approx(start / 1e9 - 1795197879 + 3 + 7)
    unknown = {reason: page.value("asynq_task_wait_unknown_total", {"queue": "q", "reason": reason})
               for reason in ("retry", "no_source")}
    assert unknown == {"retry": 2, "no_source": 1}


def test_a_restored_link_pairs_the_span_with_its_producer(collector, redis, tempo):
    store(redis[1], "t", headers={"traceparent": TRACEPARENT})
    producer = otlp.numbered_span(
        9, trace_id=bytes.fromhex(TRACE), span_id=bytes.fromhex(PARENT), kind=Span.SPAN_KIND_PRODUCER,
        start_time_unix_nano=otlp.NOW - 5_000_000_000, end_time_unix_nano=otlp.NOW - 4_000_000_000)
    forwarded(tempo, collector, producer)
    forwarded(tempo, collector, span_of(1, "t"))
    labels = {"queue": "q", "task_type": "type"}
    assert collector.metrics().value("asynq_task_wait_duration_seconds_sum", labels) == pytest.approx(4)


# --- Random requests ---

def test_of_random_requests_only_what_is_restored_changes(collector, redis, tempo):
    """Requests of all of OTLP's fields with tasks mixed in; Google's protobuf says what has changed."""
    seed = random.randrange(1 << 32)
    chance = random.Random(seed)
    tasks = {}
    for number in range(40):
        if chance.random() < 0.6:
            tasks[f"t{number}"] = (chance.randbytes(16).hex(), chance.randbytes(8).hex())
            store(redis[1], f"t{number}", headers={"traceparent": "00-{}-{}-01".format(*tasks[f"t{number}"])})
    sent, number = {}, 0
    for _ in range(30):
        request = otlp_json.random_request(chance)
        for resource_spans in request.resource_spans:
            for scope_spans in resource_spans.scope_spans:
                for _ in range(chance.randrange(4)):
                    number += 1
                    task = f"t{chance.randrange(40)}"
                    added = span_of(number, task, links=[], parent_span_id=chance.choice([b"", b"", b"\x09" * 8]),
                                    flags=chance.choice([0, 1, 0x101]), trace_state=chance.choice(["", "x=1"]))
                    scope_spans.spans.insert(chance.randrange(len(scope_spans.spans) + 1), added)
                    sent[added.trace_id, added.span_id] = (added, task)
        answer = post_traces(collector.unix, request.SerializeToString())
        assert answer.status == 200, (seed, answer)
    tempo.until_stored(set(sent))
    got = {raw.key: Span.FromString(raw.span) for raw in tempo.stored}
    for key, (span, task) in sent.items():
        link = added_link(span, got[key])
        assert (link and link[:2]) == (None if span.parent_span_id else tasks.get(task)), (seed, task)
    collector.balanced_metrics()
