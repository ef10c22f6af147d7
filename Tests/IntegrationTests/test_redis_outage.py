"""`run` while Redis comes, goes and changes."""

import pytest

from support import golden
from support.deadline import eventually, holds_for
from support.ports import free_port
from support.redis_cluster import RedisCluster
from support.redis_proxy import RedisProxy
from support.redis_server import RedisServer
from support.scrapes import ANSWERS_AGAIN, FAILED, AtOnce, after_scrapes, errors, logged

FAMILIES_FROM_REDIS = ("asynq_queue_size", "asynq_queue_latency_seconds", "asynq_queue_paused", "asynq_queue_groups",
                       "asynq_tasks_processed_total")


@pytest.fixture
def golden_server(tmp_path):
    with RedisServer(tmp_path / "redis", dump=golden.load("0.26.0").dump) as server:
        yield server


@pytest.fixture
def collector(golden_server, start_collector):
    return start_collector(options={"redis.url": golden_server.tcp_url, "redis.interval": "100ms",
                                    "redis.timeout": "1s"})


def sizes_are(collector, expected) -> bool:
    assert collector.metrics().by("asynq_queue_size", "queue", "state") == expected
    return True


def test_the_families_read_from_redis_vanish_with_redis_and_come_back(collector, golden_server):
    expected = golden.load("0.26.0").sizes()
    eventually("the sizes", lambda: sizes_are(collector, expected))
    golden_server.stop()
    page = eventually("asynq_redis_up 0", lambda: (p := collector.metrics()).value("asynq_redis_up") == 0 and p)
    assert [name for name in FAMILIES_FROM_REDIS if page.has(name)] == []
    assert page.sum("asynq_redis_scrape_errors_total") >= 1
    assert collector.get("/-/healthy").status == 200
    golden_server.start()
    eventually("the sizes again", lambda: sizes_are(collector, expected))
    assert collector.metrics().value("asynq_redis_up") == 1


def test_a_redis_that_hangs_costs_the_timeout_each_time_and_nothing_else(start_collector, golden_server):
    collector = start_collector(options={"redis.url": golden_server.tcp_url, "redis.interval": "100ms",
                                         "redis.timeout": "400ms", "redis.look-interval": "0"})
    eventually("the sizes", lambda: collector.metrics().has("asynq_queue_size"))
    threads = collector.threads()
    golden_server.pause()
    page = eventually("asynq_redis_up 0", lambda: (p := collector.metrics()).value("asynq_redis_up") == 0 and p)
    assert [name for name in FAMILIES_FROM_REDIS if page.has(name)] == []
    at_once = AtOnce()
    took: set[float] = set()

    def four_timed_out() -> bool:
        page = at_once.time(collector.metrics)
        assert at_once.time(lambda: collector.get("/-/healthy")).status == 200
        took.add(page.value("asynq_redis_scrape_duration_seconds"))
        assert collector.threads() == threads, "expected a hung Redis to cost no thread"
        return errors(page).get("timeout", 0) >= 4

    eventually("four scrapes that time out", four_timed_out)
    at_once.check()
    # One may have waited for the machine as well.
    assert 0.35 < min(took) < 0.75, f"expected a scrape to take redis.timeout (0.4 s), got {took}"
    assert errors(collector.metrics()).keys() == {"timeout"}
    assert len(logged(collector, FAILED)) == 1, logged(collector, FAILED)
    golden_server.resume()
    eventually("the sizes again", lambda: sizes_are(collector, golden.load("0.26.0").sizes()))
    assert collector.threads() == threads
    assert len(logged(collector, ANSWERS_AGAIN)) == 1


def test_a_redis_that_throws_everybody_out_is_tried_less_and_less_often(start_collector, golden_server):
    """At an interval of 0.1 s, 3 s would be 30 attempts; at pauses of 0.25, 0.5, 1 and 2 s they are four or five."""
    with RedisProxy(golden_server) as proxy:
        proxy.closes_at_once = True
        collector = start_collector(options={"redis.url": proxy.url, "redis.interval": "100ms", "redis.look-interval": "0"})
        holds_for("few connections", lambda: proxy.connections <= 8, seconds=3)
        eventually("it is tried again", lambda: proxy.connections >= 3)
        assert len(logged(collector, FAILED)) == 1, logged(collector, FAILED)
        proxy.closes_at_once = False
        eventually("the sizes", lambda: collector.metrics().has("asynq_queue_size"))
        connections = proxy.connections
        after_scrapes(collector, 5)
        assert proxy.connections == connections, "expected one connection to last"


@pytest.mark.parametrize("deployment", ["one Redis", "a Cluster"])
def test_a_connection_that_redis_closes_between_two_scrapes_costs_nothing(start_collector, tmp_path, deployment):
    """Redis' `timeout`, a proxy's, or CLIENT KILL."""
    flags = ["--cluster-enabled", "yes", "--cluster-port", str(free_port())] if deployment == "a Cluster" else []
    with RedisServer(tmp_path / "redis", flags=flags) as server, server.client() as client:
        if flags:
            client.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
            eventually("a Cluster of one", lambda: b"cluster_state:ok" in client.execute_command("CLUSTER", "INFO"))
        client.sadd("asynq:queues", "q")
        url = RedisCluster.url_of(server) if flags else server.tcp_url
        collector = start_collector(options={"redis.url": url, "redis.interval": "1s", "redis.look-interval": "0"})
        for _ in range(3):
            after_scrapes(collector, 1)
            assert client.client_kill_filter(_type="normal", skipme=True) > 0, "expected a connection to kill"
        page = after_scrapes(collector, 1)
    assert page.by("asynq_queue_paused", "queue") == {"q": 0}
    assert errors(page) == {} and logged(collector, FAILED) == [], f"expected nothing to fail, got {errors(page)}"


def test_a_queue_that_vanishes_from_redis_vanishes_from_the_page(collector, golden_server):
    eventually("the queue", lambda: "rerun" in collector.metrics().by("asynq_queue_paused", "queue"))
    with golden_server.client() as client:
        client.srem("asynq:queues", "rerun")
    eventually("the queue is gone", lambda: "rerun" not in collector.metrics().by("asynq_queue_paused", "queue"))
    assert 'queue="rerun"' not in collector.metrics().text


def test_changes_in_redis_show_after_the_next_scrape(collector, golden_server):
    with golden_server.client() as client:
        client.lpush("asynq:{low}:pending", "one", "two")
        client.set("asynq:{low}:paused", "1795197881")
        eventually("paused", lambda: collector.metrics().by("asynq_queue_paused", "queue").get("low") == 1)
        size = collector.metrics().by("asynq_queue_size", "queue", "state")["low", "pending"]
        assert size == golden.load("0.26.0").sizes()["low", "pending"] + 2
        client.delete("asynq:{low}:paused")
    eventually("unpaused", lambda: collector.metrics().by("asynq_queue_paused", "queue").get("low") == 0)


def test_starts_and_gets_ready_while_redis_is_down(start_collector):
    collector = start_collector(options={"redis.url": f"redis://127.0.0.1:{free_port()}/0", "redis.interval": "100ms"})
    assert collector.get("/-/healthy").status == 200
    page = collector.metrics()
    assert page.value("asynq_redis_up") == 0
    assert page.names("asynq_queue_") == set()


def test_without_redis_there_is_no_word_of_redis_on_the_page(start_collector):
    collector = start_collector(options={"redis.url": "none"})
    assert [name for name in FAMILIES_FROM_REDIS if collector.metrics().has(name)] == []
