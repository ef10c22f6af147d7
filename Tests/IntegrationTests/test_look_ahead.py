"""The look-ahead: waits seen in Redis alone, and exact waits of spans that carry no stamp."""

import time

import pytest

from support import asynq_messages, otlp
from support.deadline import eventually, holds_for
from support.redis_server import RedisServer

INTERVAL = 0.2
WAIT = "asynq_queue_wait_sampled_seconds"


@pytest.fixture
def redis(tmp_path):
    with RedisServer(tmp_path / "redis") as server, server.client() as client:
        client.sadd("asynq:queues", "q")
        yield server, client


@pytest.fixture
def collector(start_collector, redis):
    started = start_collector(options={
        "redis.url": redis[0].url, "redis.interval": "200ms", "redis.look-interval": f"{INTERVAL}s"})
    eventually("a first scrape", lambda: started.metrics().has(WAIT + "_count"))
    return started


def enqueue(client, task: str, ready: float | None = None) -> float:
    """As Asynq does it; returns since when it is pending."""
    ready = ready or time.time()
    with client.pipeline() as commands:
        commands.hset(f"asynq:{{q}}:t:{task}", mapping={
            "msg": b"", "state": "pending", "pending_since": int(ready * 1e9)})
        commands.lpush("asynq:{q}:pending", task)
        commands.execute()
    return ready


def dequeue(client) -> str:
    """The oldest task; as Asynq's script, in one step."""
    task = client.lindex("asynq:{q}:pending", -1).decode()
    with client.pipeline() as commands:
        commands.rpoplpush("asynq:{q}:pending", "asynq:{q}:active")
        commands.hset(f"asynq:{{q}}:t:{task}", "state", "active")
        commands.hdel(f"asynq:{{q}}:t:{task}", "pending_since")
        commands.zadd("asynq:{q}:lease", {task: int(time.time()) + 30})
        commands.execute()
    return task


def done(client, task: str) -> None:
    with client.pipeline() as commands:
        commands.lrem("asynq:{q}:active", 0, task)
        commands.zrem("asynq:{q}:lease", task)
        commands.delete(f"asynq:{{q}}:t:{task}")
        commands.execute()


def sampled(collector) -> tuple[float, float]:
    page = collector.metrics()
    return page.value(WAIT + "_count", {"queue": "q"}), page.value(WAIT + "_sum", {"queue": "q"})


def test_waits_of_tasks_without_spans_are_observed_within_the_interval(redis, collector):
    """Each began between the last look that saw the task pending, and the first that did not."""
    client = redis[1]
    shortest = longest = 0
    seen_pending = time.time()
    ready = [enqueue(client, f"t{n}", time.time() - n) for n in range(5)]
    eventually("five tasks are seen", lambda: collector.metrics().value("asynq_collector_look_ahead_tasks") == 5)
    for n in range(5):
        taken = time.time()
        done(client, dequeue(client))
        eventually(f"the wait of t{n}", lambda: sampled(collector)[0] == n + 1)
        shortest += seen_pending - ready[n]
        longest += time.time() - ready[n]
        seen_pending = taken
    assert shortest <= sampled(collector)[1] <= longest
    holds_for("no more waits", lambda: sampled(collector)[0] == 5, seconds=3 * INTERVAL)


def test_a_task_that_is_deleted_archived_or_put_back_is_no_wait(redis, collector):
    client = redis[1]
    for task in ("archived", "back", "pushed"):
        enqueue(client, task, time.time() - 10)
    eventually("all are seen", lambda: collector.metrics().value("asynq_collector_look_ahead_tasks") == 3)
    # By hand: the Inspector leaves pending_since in the hash.
    with client.pipeline() as commands:
        commands.lrem("asynq:{q}:pending", 0, "archived")
        commands.zadd("asynq:{q}:archived", {"archived": int(time.time())})
        commands.hset("asynq:{q}:t:archived", "state", "archived")
        commands.execute()
    holds_for("no wait", lambda: sampled(collector) == (0, 0), seconds=3 * INTERVAL)
    # A worker that stops puts its task back in front, without pending_since.
    client.hset("asynq:{q}:t:stopped", "state", "pending")
    client.rpush("asynq:{q}:pending", "stopped")
    holds_for("no wait", lambda: sampled(collector) == (0, 0), seconds=3 * INTERVAL)
    client.rpop("asynq:{q}:pending")
    client.delete("asynq:{q}:t:stopped")
    holds_for("no wait", lambda: sampled(collector) == (0, 0), seconds=3 * INTERVAL)


def test_the_exact_start_comes_from_the_workers_heartbeat(redis, collector):
    client = redis[1]
    server = "asynq:servers:{h:1:s}"
    start = time.time()
    enqueue(client, "long", start - 100)
    client.zadd("asynq:servers", {server: int(start) + 60})
    client.set(server, asynq_messages.server_info("h", 1, "s", concurrency=1, queues={"q": 1}, status="active"))
    eventually("it is seen", lambda: collector.metrics().value("asynq_collector_look_ahead_tasks") == 1)
    eventually("its server is seen", lambda: collector.metrics().value("asynq_queue_consumers", {"queue": "q"}) == 1)
    dequeue(client)
    exact = time.time()
    client.hset("asynq:workers:{h:1:s}", "long", asynq_messages.worker_info("long", exact))
    eventually("its wait", lambda: sampled(collector)[0] == 1)
    assert sampled(collector)[1] == pytest.approx(exact - (start - 100), abs=1e-3)


def test_a_span_without_a_stamp_has_the_wait_that_redis_tells(redis, collector):
    client = redis[1]
    ready = enqueue(client, "task-1", time.time() - 3)
    eventually("it is seen", lambda: collector.metrics().value("asynq_collector_look_ahead_tasks") == 1)
    done(client, dequeue(client))
    start = time.time()
    span = otlp.process_span(1, "q", "x", start_time_unix_nano=int(start * 1e9), end_time_unix_nano=int(start * 1e9) + 1000)
    span.attributes.extend(otlp.attributes(messaging__message__id="task-1"))
    assert collector.post(otlp.request(span)).status == 200
    page = collector.metrics()
    labels = {"queue": "q", "task_type": "x"}
    assert page.value("asynq_task_wait_duration_seconds_count", labels) == 1
    assert page.value("asynq_task_wait_duration_seconds_sum", labels) == pytest.approx(start - ready, abs=1e-3)


def test_it_can_be_switched_off(start_collector, redis):
    for off in ({"redis.look-interval": "0"}, {"redis.look-ahead": "0"}):
        collector = start_collector(options={"redis.url": redis[0].url, "redis.interval": "100ms"} | off)
        eventually("a scrape", lambda: collector.metrics().has("asynq_queue_paused"))
        assert not collector.metrics().has(WAIT + "_count")
        collector.close()
