"""How many commands a collector sends, by what Redis counts: where each is billed, idle queues should cost next to nothing."""

import time

import pytest

from support.deadline import eventually

# Ten samples of the look-ahead and two scrapes, at the defaults, and what a loaded machine adds.
SETTLED_SECONDS = 16
MEASURED_SECONDS = 10


def commands_per_second(client, seconds: float = MEASURED_SECONDS) -> float:
    client.config_resetstat()
    time.sleep(seconds)
    calls = {name: statistics["calls"] for name, statistics in client.info("commandstats").items()}
    return (sum(calls.values()) - calls["cmdstat_config|resetstat"]) / seconds


def rests(client) -> bool:
    """Whether several scrapes ask no queue for the length of its lists."""
    before = client.info("commandstats")["cmdstat_llen"]["calls"]
    time.sleep(0.5)
    return client.info("commandstats")["cmdstat_llen"]["calls"] == before


def exchange(client, old: str, new: str) -> None:
    """One dead letter is deleted by hand, and another comes."""
    with client.pipeline(transaction=True) as pipeline:
        pipeline.zrem("asynq:{q}:archived", old)
        pipeline.zadd("asynq:{q}:archived", {new: int(time.time())})
        pipeline.execute()


@pytest.mark.parametrize("queues, limit", [(10, 3.5), (50, 9)])
def test_idle_queues_cost_next_to_nothing_at_the_defaults(redis, start_collector, queues, limit):
    server, client = redis
    for number in range(queues):
        client.sadd("asynq:queues", f"q{number}")
        client.set(f"asynq:{{q{number}}}:processed", 5)
    collector = start_collector(options={"redis.url": server.url})
    eventually("a first scrape", lambda: len(collector.metrics().by("asynq_queue_paused", "queue")) == queues)
    time.sleep(SETTLED_SECONDS)
    assert commands_per_second(client) < limit
    # One wakes: seen by the next sample, a second later at most.
    client.hset("asynq:{q7}:t:a", mapping={"state": "pending", "pending_since": time.time_ns()})
    client.lpush("asynq:{q7}:pending", "a")
    pushed = time.monotonic()
    eventually("it is seen", lambda: collector.metrics().value("asynq_collector_look_ahead_tasks") == 1, every=0.02)
    assert time.monotonic() - pushed < 2
    labels = {"queue": "q7", "state": "pending"}
    eventually("it is counted", lambda: collector.metrics().value("asynq_queue_size", labels) == 1)
    assert time.monotonic() - pushed < 7


def test_what_moves_is_seen_in_the_next_scrape_wherever_it_moves(redis, start_collector):
    """Each kind of change, of a queue that has rested for long."""
    server, client = redis
    client.sadd("asynq:queues", "q", *[f"other{n}" for n in range(12)])
    client.zadd("asynq:{q}:archived", {"dead": 1})
    collector = start_collector(options={"redis.url": server.url, "redis.interval": "100ms", "redis.look-ahead": 0})
    q = {"queue": "q"}
    size, total = "asynq_queue_size", "asynq_tasks_processed_total"
    changes = [
        (lambda: client.lpush("asynq:{q}:pending", "a"), size, {"state": "pending"}, 1),
        (lambda: client.delete("asynq:{q}:pending"), size, {"state": "pending"}, 0),
        (lambda: client.lpush("asynq:{q}:active", "a"), size, {"state": "active"}, 1),
        (lambda: client.delete("asynq:{q}:active"), size, {"state": "active"}, 0),
        (lambda: client.zadd("asynq:{q}:scheduled", {"a": 1}), "asynq_queue_overdue_tasks", {"state": "scheduled"}, 1),
        (lambda: client.delete("asynq:{q}:scheduled"), size, {"state": "scheduled"}, 0),
        (lambda: client.zadd("asynq:{q}:retry", {"a": 1}), size, {"state": "retry"}, 1),
        (lambda: client.delete("asynq:{q}:retry"), size, {"state": "retry"}, 0),
        (lambda: client.zadd("asynq:{q}:archived", {"b": int(time.time())}), "asynq_tasks_dead_lettered_total", {}, 1),
        (lambda: client.zrem("asynq:{q}:archived", "dead"), size, {"state": "archived"}, 1),
        (lambda: exchange(client, "b", "c"), "asynq_tasks_dead_lettered_total", {}, 2),
        (lambda: client.zadd("asynq:{q}:completed", {"a": 1}), size, {"state": "completed"}, 1),
        (lambda: client.zrem("asynq:{q}:completed", "a"), size, {"state": "completed"}, 0),
        (lambda: client.set("asynq:{q}:paused", 1), "asynq_queue_paused", {}, 1),
        (lambda: client.delete("asynq:{q}:paused"), "asynq_queue_paused", {}, 0),
        (lambda: (client.zadd("asynq:{q}:g:g", {"a": 1}), client.sadd("asynq:{q}:groups", "g")), size, {"state": "aggregating"}, 1),
        (lambda: client.delete("asynq:{q}:groups"), "asynq_queue_groups", {}, 0),
        (lambda: client.incr("asynq:{q}:processed"), total, {"status": "completed"}, 1),
        (lambda: client.incr("asynq:{q}:failed"), total, {"status": "failed"}, 1),
    ]
    eventually("a first scrape", lambda: collector.metrics().has(size))
    for change, family, labels, expected in changes:
        if client.exists(*[f"asynq:{{q}}:{key}" for key in ("pending", "active", "scheduled", "retry", "groups", "paused")]) == 0:
            eventually(f"rest before {family}{labels}", lambda: rests(client))
        change()
        eventually(f"{family}{labels} {expected}", lambda: collector.metrics().value(family, q | labels) == expected)
    assert collector.metrics().sum("asynq_redis_scrape_errors_total") == 0
