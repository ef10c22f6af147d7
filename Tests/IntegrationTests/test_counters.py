"""Counters read from Redis only rise, but for a reset: Prometheus takes each fall for one."""

import json

import pytest

from support.deadline import eventually
from support.redis_proxy import RedisProxy
from support.redis_server import RedisServer, save
from support.scrapes import after_scrapes

COMPLETED, FAILED = {"queue": "q", "status": "completed"}, {"queue": "q", "status": "failed"}
TOTAL = "asynq_tasks_processed_total"
OPTIONS = {"redis.interval": "100ms", "redis.look-ahead": 0, "metrics.asynqmon-names": "true"}


def count(client, processed: int, failed: int) -> None:
    client.sadd("asynq:queues", "q")
    client.mset({"asynq:{q}:processed": processed, "asynq:{q}:failed": failed})


def shown(collector) -> tuple[float, float]:
    """Completed and failed attempts: the same on the page, under asynqmon's name, and in JSON."""
    page = after_scrapes(collector)
    queue = json.loads(collector.get("/api/v1/queues").body)[0]
    found = page.value(TOTAL, COMPLETED), page.value(TOTAL, FAILED)
    assert found[1] == page.value("asynq_tasks_failed_total", {"queue": "q"})
    assert found == (queue["completed_total"], queue["failed_total"])
    return found


@pytest.fixture
def master(tmp_path):
    with RedisServer(tmp_path / "master") as server:
        yield server


def test_a_replica_that_lagged_makes_them_stand_still_until_it_has_caught_up(tmp_path, master, start_collector):
    with RedisServer(tmp_path / "replica") as replica, RedisProxy(master) as proxy, master.client() as client, \
            replica.client() as promoted:
        count(client, 1_000_343, 5_006)
        promoted.replicaof("127.0.0.1", master.port)
        eventually("the replica has it", lambda: promoted.get("asynq:{q}:processed") == b"1000343")
        # It hears no more of its master, which counts on.
        promoted.replicaof("NO", "ONE")
        count(client, 1_000_388, 5_007)
        collector = start_collector(options=OPTIONS | {"redis.url": proxy.url})
        eventually("a first scrape", lambda: collector.metrics().has(TOTAL))
        assert shown(collector) == (995_381, 5_007)
        proxy.server = replica
        master.stop()
        eventually("the replica answers", lambda: collector.metrics().value("asynq_redis_up") == 1)
        for processed, failed, expected in [
                (1_000_343, 5_006, (995_381, 5_007)), (1_000_387, 5_006, (995_381, 5_007)),
                (1_000_388, 5_007, (995_381, 5_007)), (1_000_390, 5_008, (995_382, 5_008))]:
            count(promoted, processed, failed)
            assert shown(collector) == expected


def test_a_restored_snapshot_makes_them_stand_still_and_a_reset_is_passed_on(master, start_collector):
    with master.client() as client:
        count(client, 4_000, 40)
        save(client)
        count(client, 10_000, 100)
        collector = start_collector(options=OPTIONS | {"redis.url": master.tcp_url})
        eventually("a first scrape", lambda: collector.metrics().has(TOTAL))
        assert shown(collector) == (9_900, 100)
    master.stop()
    master.start()
    with master.client() as client:
        eventually("Redis is back", lambda: collector.metrics().value("asynq_redis_up") == 1)
        assert client.get("asynq:{q}:processed") == b"4000"
        assert shown(collector) == (9_900, 100)
        count(client, 10_001, 100)
        assert shown(collector) == (9_901, 100)
        client.delete("asynq:{q}:processed", "asynq:{q}:failed")
        assert shown(collector) == (0, 0)
        count(client, 30, 2)
        assert shown(collector) == (28, 2)
        client.flushall()
        count(client, 5, 1)
        assert shown(collector) == (4, 1)


def test_a_queue_that_was_deleted_and_is_there_again_begins_anew(master, start_collector):
    with master.client() as client:
        count(client, 1_000, 10)
        collector = start_collector(options=OPTIONS | {"redis.url": master.tcp_url})
        eventually("a first scrape", lambda: collector.metrics().has(TOTAL))
        assert shown(collector) == (990, 10)
        client.srem("asynq:queues", "q")
        eventually("it has gone", lambda: not (page := collector.metrics()).has(TOTAL) and page.value("asynq_redis_up") == 1)
        count(client, 700, 7)
        eventually("it is back", lambda: collector.metrics().has(TOTAL))
        assert shown(collector) == (693, 7)


def test_evicted_keys_are_those_of_redis_and_begin_anew_with_it(master, start_collector):
    with master.client() as client:
        client.sadd("asynq:queues", "q")
        collector = start_collector(options=OPTIONS | {"redis.url": master.tcp_url})
        client.config_set("maxmemory-policy", "volatile-ttl")
        for number in range(200):
            client.set(f"filler:{number}", b"x" * 10_000, ex=1000)
        client.config_set("maxmemory", client.info("memory")["used_memory"] - 500_000)
        client.set("one-more", "x")
        client.config_set("maxmemory", 0)
        evicted = client.info("stats")["evicted_keys"]
        assert evicted > 0
        assert after_scrapes(collector).value("asynq_redis_evicted_keys_total") == evicted
        client.config_resetstat()
        assert after_scrapes(collector).value("asynq_redis_evicted_keys_total") == 0
