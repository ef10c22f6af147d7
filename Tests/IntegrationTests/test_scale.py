"""What autoscalers and scripts read: /api/v1/scale/{queue} and /api/v1/queues."""

import json
import time
import urllib.parse

import pytest

from support import golden
from support.deadline import eventually, fast_enough, holds_for, seconds_of
from support.http_client import ask as ask_any
from support.otlp import NOW, attributes, process_span, request
from support.redis_server import RedisServer
from support.scrapes import after_scrapes

ZEROS = {"pending": 0, "oldest_wait_seconds": 0, "wait_p95_seconds": 0, "desired_workers": 0}
WINDOW = "3s"


@pytest.fixture
def redis(tmp_path):
    with RedisServer(tmp_path / "redis") as server, server.client() as client:
        client.sadd("asynq:queues", "q")
        yield server, client


def start(start_collector, server, **options):
    collector = start_collector(options={"redis.url": server.url, "redis.interval": "100ms", "redis.look-ahead": 0,
                                         "metrics.quantile-window": WINDOW} | options)
    eventually("a first scrape", lambda: collector.metrics().has("asynq_queue_size"))
    return collector


def ask(collector, queue: str):
    return collector.get("/api/v1/scale/" + urllib.parse.quote(queue, safe=""))


def scale(collector, queue: str = "q") -> dict:
    answer = ask(collector, queue)
    assert answer.status == 200, answer
    assert answer.media_type == "application/json"
    document = json.loads(answer.body)
    assert set(document) == {"queue"} | set(ZEROS)
    assert document.pop("queue") == queue
    assert all(type(value) in (int, float) for value in document.values()), document
    return document


def push(client, count: int, age_seconds: float = 0, first: int = 0) -> None:
    since = time.time_ns() - int(age_seconds * 1e9)
    for number in range(first, first + count):
        client.hset(f"asynq:{{q}}:t:{number}", mapping={"msg": b"", "state": "pending", "pending_since": since})
        client.lpush("asynq:{q}:pending", str(number))


def test_a_known_empty_queue_is_zeros(start_collector, redis):
    collector = start(start_collector, redis[0])
    assert scale(collector) == ZEROS


def test_an_unknown_queue_is_not_found(start_collector, redis):
    collector = start(start_collector, redis[0])
    assert ask(collector, "other").status == 404
    assert collector.get("/api/v1/scale/").status == 404
    assert collector.get("/api/v1/scale").status == 404


def test_names_that_a_path_can_not_have_stand_in_the_query(start_collector, redis):
    for name in (".", "..", "", "a b"):
        redis[1].sadd("asynq:queues", name)
    collector = start(start_collector, redis[0])
    for name in (".", "..", "", "a b"):
        answer = collector.get("/api/v1/scale?" + urllib.parse.urlencode({"queue": name}))
        assert answer.status == 200 and json.loads(answer.body)["queue"] == name
    assert collector.get("/api/v1/scale?queue=other").status == 404


def test_a_queue_that_a_filter_leaves_out_is_unknown(start_collector, redis):
    redis[1].sadd("asynq:queues", "hidden")
    collector = start(start_collector, redis[0], **{"redis.queues.exclude": "^hidden$"})
    assert ask(collector, "hidden").status == 404


@pytest.mark.parametrize("name", ["a b", "a/b", "a%2Fb", "ü\n\"x", "a?b#c", "50%", "%zz"])
def test_a_queues_name_is_found_whatever_it_is(start_collector, redis, name):
    redis[1].sadd("asynq:queues", name)
    collector = start(start_collector, redis[0])
    assert scale(collector, name) == ZEROS


def test_pending_tasks_and_the_age_of_the_oldest_are_told(start_collector, redis):
    server, client = redis
    push(client, 7, age_seconds=100)
    collector = start(start_collector, server)
    found = scale(collector)
    assert found["pending"] == 7
    assert 100 <= found["oldest_wait_seconds"] < 130
    # Nothing is known of arrivals and run times; but a worker has to do them.
    assert found["desired_workers"] == 1


def send_runs(collector, seconds: float, count: int = 20, wait: float = 3) -> None:
    spans = []
    for number in range(count):
        span = process_span(int(time.time_ns() + number), "q", "t", start_time_unix_nano=NOW,
                            end_time_unix_nano=NOW + int(seconds * 1e9))
        span.attributes.extend(attributes(asynq__task__wait_seconds=wait))
        spans.append(span)
    collector.post(request(*spans))


@pytest.mark.parametrize("utilization", [0.8, 0.5])
def test_desired_workers_are_arrivals_times_run_time_by_utilization(start_collector, redis, utilization):
    """Tasks come at a steady pace and are done at half of it: 20 a second come, each takes two seconds."""
    server, client = redis
    collector = start(start_collector, server, **{"scale.target-utilization": utilization})
    begin, rate, done, sent = time.monotonic(), 20, 0, 0

    def wanted() -> bool:
        nonlocal done, sent
        passed = time.monotonic() - begin
        due = int(passed * rate)
        push(client, due - done, first=done)
        client.set("asynq:{q}:processed", due // 2)
        if due // 2 > done // 2:
            client.ltrim("asynq:{q}:pending", 0, due - due // 2 - 1)
        done = due
        if passed > sent:  # once a second, so that the window is never without them
            send_runs(collector, seconds=2)
            sent += 1
        found = scale(collector)
        # p95 of the run time is off by at most 4.4 %, the pace by what a loaded machine makes of it.
        assert passed > 3 and found["desired_workers"] == pytest.approx(rate * 2 / utilization, rel=0.1), found
        assert found["wait_p95_seconds"] == pytest.approx(3, rel=0.05)
        return True

    eventually("the workers for this pace", wanted)
    after_scrapes(collector, 1)
    assert scale(collector)["pending"] == done - done // 2


def test_without_spans_the_run_time_is_what_ran_by_what_ended(start_collector, redis):
    """Ten at a time, ten a second end: a second each, so that ten a second want 12.5 workers."""
    server, client = redis
    client.rpush("asynq:{q}:active", *[f"a{n}" for n in range(10)])
    collector = start(start_collector, server)
    begin = time.monotonic()

    def wanted() -> bool:
        passed = time.monotonic() - begin
        client.set("asynq:{q}:processed", int(passed * 10))
        found = scale(collector)["desired_workers"]
        assert passed > 3 and 11 <= found <= 14, f"{found} after {passed:.1f} s"
        return True

    eventually("the workers for what ran by what ended", wanted)


def test_there_is_no_answer_while_redis_is_away(start_collector, redis):
    server, _ = redis
    collector = start(start_collector, server)
    assert ask(collector, "q").status == 200
    server.stop()
    stale = eventually("503", lambda: (answer := ask(collector, "q")).status == 503 and answer)
    assert b"Redis" in stale.body
    server.start()
    with server.client() as client:
        client.sadd("asynq:queues", "q")
    eventually("an answer again", lambda: ask(collector, "q").status == 200)


def test_a_number_is_as_old_as_the_interval_and_the_timeout_at_most(start_collector, redis):
    """As docs/SCALING.md says."""
    server, _ = redis
    collector = start(start_collector, server, **{"redis.interval": "1s", "redis.timeout": "500ms"})

    def answers_go_on() -> float:
        eventually("an answer", lambda: ask(collector, "q").status == 200)
        server.pause()
        took = seconds_of(lambda: eventually("503", lambda: ask(collector, "q").status == 503, every=0.02))
        server.resume()
        return took

    fast_enough("the end of old numbers", 1.5 + 0.2, answers_go_on)


def test_there_is_no_answer_before_redis_was_read_nor_without_redis(start_collector):
    collector = start_collector(options={"redis.url": "redis://127.0.0.1:1/0"})
    assert ask(collector, "q").status == 503
    collector.stop()
    collector = start_collector()
    answer = ask(collector, "q")
    assert answer.status == 503
    assert b"redis.url" in answer.body


def test_no_queues_are_told_from_queues_that_are_not_known(start_collector, redis):
    collector = start_collector(options={"redis.url": "redis://127.0.0.1:1/0"})
    unknown = eventually("the reason", lambda: (answer := collector.get("/api/v1/queues")).status == 503 and answer)
    assert b"Redis" in unknown.body
    span = process_span(1, "only from spans", "t")
    span.attributes.extend(attributes(asynq__task__wait_seconds=2.0))
    collector.post(request(span))
    named = collector.get("/api/v1/queues")
    assert named.status == 200 and [queue["pending"] for queue in json.loads(named.body)] == [None]
    collector.stop()
    without = start_collector()
    assert json.loads(without.get("/api/v1/queues").body) == []
    without.stop()
    redis[1].srem("asynq:queues", "q")
    empty = start_collector(options={"redis.url": redis[0].url})
    eventually("Redis was read", lambda: empty.get("/api/v1/queues").status == 200)
    assert json.loads(empty.get("/api/v1/queues").body) == []


def document(collector, queue: str) -> dict:
    answer = ask(collector, queue)
    assert answer.status == 200, answer
    return json.loads(answer.body)


def test_a_next_task_without_a_hash_has_waited_for_nothing_as_asynq_says(start_collector, redis):
    server, client = redis
    push(client, 2, age_seconds=100)
    client.delete("asynq:{q}:t:0")
    # Whether workers take tasks of the queue is known from the second scrape on.
    for active in ([], ["busy"]):
        if active:
            client.lpush("asynq:{q}:active", *active)
        collector = start(start_collector, server)
        holds_for("it waits for nothing", lambda: scale(collector)["oldest_wait_seconds"] == 0, seconds=1)
        assert scale(collector)["pending"] == 2
        page = collector.metrics()
        assert page.value("asynq_queue_latency_seconds", {"queue": "q"}) == 0
        assert page.sum("asynq_redis_scrape_errors_total") == 0
        collector.stop()


def test_a_number_that_cannot_be_read_is_left_out_and_the_others_stay(start_collector, redis):
    server, client = redis
    push(client, 2)
    client.set("asynq:{q}:active", "no list")
    client.hset("asynq:{q}:t:0", "pending_since", "yesterday")
    client.sadd("asynq:queues", "forbidden")
    collector = start(start_collector, server)
    assert document(collector, "q") == {"queue": "q", "pending": 2, "wait_p95_seconds": 0}
    client.delete("asynq:{q}:active")
    eventually("the workers", lambda: document(collector, "q") == {
        "queue": "q", "pending": 2, "wait_p95_seconds": 0, "desired_workers": 1})
    client.delete("asynq:{q}:pending")
    client.set("asynq:{q}:pending", "no list")
    eventually("the age is not known either", lambda: set(document(collector, "q")) == {"queue", "wait_p95_seconds"}
               or ask(collector, "q").status == 503)
    assert scale(collector, "forbidden") == ZEROS


def test_no_answer_is_given_once_a_look_finds_redis_gone(start_collector, redis):
    """The next scrape is an hour away; a look every 0.2 s finds out."""
    server, _ = redis
    collector = start(start_collector, server, **{"redis.interval": "1h", "redis.look-ahead": 100, "redis.look-interval": "200ms"})
    assert scale(collector) == ZEROS
    server.stop()
    stopped = time.monotonic()
    stale = eventually("503", lambda: (answer := ask(collector, "q")).status == 503 and answer, every=0.01)
    assert time.monotonic() - stopped < 2 and b"Redis" in stale.body
    assert not collector.metrics().has("asynq_queue_size")
    server.start()
    with server.client() as client:
        client.sadd("asynq:queues", "q")
    eventually("an answer again", lambda: ask(collector, "q").status == 200)


def test_workers_with_long_tasks_are_kept(start_collector, redis):
    """None has ended, so nothing is known of their run time."""
    server, client = redis
    client.rpush("asynq:{q}:active", *[f"a{n}" for n in range(20)])
    push(client, 50)
    collector = start(start_collector, server)
    holds_for("20 workers", lambda: scale(collector)["desired_workers"] == 20, seconds=2)


def test_only_get_and_head_are_allowed(start_collector, redis):
    collector = start(start_collector, redis[0])
    answer = ask_any(collector.web, "POST", "/api/v1/scale/q", b"")
    assert (answer.status, answer.headers["Allow"]) == (405, "GET, HEAD")
    assert ask_any(collector.web, "HEAD", "/api/v1/scale/q").status == 200


def test_all_queues_are_one_list_from_redis_and_spans(start_collector, tmp_path):
    expected = golden.load(golden.VERSIONS[-1])
    with RedisServer(tmp_path / "redis", expected.dump) as server:
        collector = start(start_collector, server, **{"redis.interval": "1h"})
        span = process_span(1, "only from spans", "t")
        span.attributes.extend(attributes(asynq__task__wait_seconds=2.0))
        collector.post(request(span))
        answer = collector.get("/api/v1/queues", {"Accept-Encoding": "identity"})
        assert (answer.status, answer.media_type) == (200, "application/json")
        queues = {queue["queue"]: queue for queue in json.loads(answer.body)}
        sizes = expected.sizes()
        assert set(queues) == {queue for queue, _ in sizes} | {"only from spans"}
        for (queue, state), size in sizes.items():
            assert queues[queue][state] == size
        page = collector.metrics()
        assert {name: queue["paused"] for name, queue in queues.items() if queue["paused"] is not None} == {
            name: bool(value) for name, value in page.by("asynq_queue_paused", "queue").items()}
        latencies = page.by("asynq_queue_latency_seconds", "queue")
        assert {name: queue["oldest_wait_seconds"] for name, queue in queues.items() if name in latencies} == latencies
        other = queues["only from spans"]
        assert other["pending"] is None
        assert other["wait_p95_seconds"] == pytest.approx(2, rel=0.05)
        assert set(other) == set(queues["default"])
