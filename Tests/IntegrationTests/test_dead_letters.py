"""Tasks that die while the collector looks are counted, whatever becomes of the archive."""

import time

import pytest

from support.deadline import eventually
from support.redis_server import RedisServer

ARCHIVED = "asynq:{q}:archived"


@pytest.fixture
def redis(tmp_path):
    with RedisServer(tmp_path / "redis") as server, server.client() as client:
        client.sadd("asynq:queues", "q")
        yield server, client


def start(start_collector, server):
    collector = start_collector(options={"redis.url": server.url, "redis.interval": "100ms"})
    eventually("a first scrape", lambda: collector.metrics().has("asynq_tasks_dead_lettered_total"))
    return collector


def counted(collector) -> float:
    return collector.metrics().value("asynq_tasks_dead_lettered_total", {"queue": "q"})


def scraped_again(collector) -> None:
    def stamp() -> float:
        return collector.metrics().value("asynq_redis_last_scrape_timestamp_seconds")

    before = stamp()
    eventually("two more scrapes", lambda: stamp() >= before + 0.15)


def test_deaths_are_counted_across_trimming_and_deletion_by_hand(start_collector, redis):
    server, client = redis
    now = int(time.time())
    client.zadd(ARCHIVED, {f"old-{n}": now - 100 + n for n in range(50)})
    collector = start(start_collector, server)
    assert counted(collector) == 0
    client.zadd(ARCHIVED, {f"a-{n}": now for n in range(3000)})
    eventually("3000 deaths", lambda: counted(collector) == 3000)
    # Asynq trims the oldest; an operator deletes the rest.
    client.zremrangebyrank(ARCHIVED, 0, 1000)
    scraped_again(collector)
    client.delete(ARCHIVED)
    scraped_again(collector)
    client.zadd(ARCHIVED, {"b": int(time.time())})
    eventually("one more", lambda: counted(collector) == 3001)
    scraped_again(collector)
    assert counted(collector) == 3001


def test_a_restart_does_not_count_twice_and_a_lost_connection_loses_none(start_collector, redis):
    server, client = redis
    collector = start(start_collector, server)
    client.zadd(ARCHIVED, {"a": int(time.time())})
    eventually("one death", lambda: counted(collector) == 1)
    client.client_kill_filter(_type="normal", skipme=True)
    client.zadd(ARCHIVED, {"b": int(time.time())})
    eventually("two deaths", lambda: counted(collector) == 2)
    collector.stop()
    again = start(start_collector, server)
    scraped_again(again)
    assert counted(again) == 0
    client.zadd(ARCHIVED, {"c": int(time.time())})
    eventually("the third", lambda: counted(again) == 1)


def test_a_queue_that_appears_later_counts_all_its_dead(start_collector, redis):
    server, client = redis
    collector = start(start_collector, server)
    client.zadd("asynq:{new}:archived", {"x": int(time.time()), "y": int(time.time())})
    client.sadd("asynq:queues", "new")
    eventually("the new queue", lambda: collector.metrics().by("asynq_tasks_dead_lettered_total", "queue").get("new") == 2)
