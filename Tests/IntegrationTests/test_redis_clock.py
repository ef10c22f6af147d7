"""A collector whose clock is wrong: what lies in Redis is judged by Redis' own clock."""

import time

import pytest

from support import acl, asynq_messages, faked_clock
from support.collector import run_once
from support.deadline import eventually, holds_for
from support.metrics_page import MetricsPage
from support.redis_server import RedisServer
from support.scrapes import logged

Q = {"queue": "q"}
OFF = "the clocks of Redis and of this machine differ: set them (NTP); servers and tasks are judged by Redis' clock"


@pytest.fixture
def redis(tmp_path):
    with RedisServer(tmp_path / "redis") as server, server.client() as client:
        client.sadd("asynq:queues", "q")
        yield server, client


def write(client) -> None:
    """A healthy queue as it is now: a server that has just beaten, a task that runs, one that waits, some that are not due."""
    now = int(time.time())
    client.zadd("asynq:servers", {"asynq:servers:{h:1:s}": now + 10, "asynq:servers:{h:2:s}": now - 1})
    for number in (1, 2):
        client.set(f"asynq:servers:{{h:{number}:s}}", asynq_messages.server_info("h", number, f"s{number}", 10, {"q": 1}, "active"))
    client.zadd("asynq:schedulers", {"asynq:schedulers:{x}": now - 1})
    client.delete("asynq:{q}:active", "asynq:{q}:pending")
    client.lpush("asynq:{q}:active", "runs", "orphan")
    client.zadd("asynq:{q}:lease", {"runs": now + 10, "orphan": now - 1})
    client.hset("asynq:{q}:t:waits", mapping={"state": "pending", "pending_since": (now - 30) * 10**9})
    client.lpush("asynq:{q}:pending", "waits")
    client.zadd("asynq:{q}:scheduled", {"due": now - 1, "later": now + 10})
    client.zadd("asynq:{q}:retry", {"later": now + 10})


def assert_right(page: MetricsPage) -> None:
    assert page.value("asynq_queue_consumers", Q) == 1 and page.value("asynq_servers", {"status": "active"}) == 1
    assert page.value("asynq_scheduler_entries") == 0
    assert page.value("asynq_queue_orphaned_tasks", Q) == 1
    assert page.value("asynq_queue_overdue_tasks", Q | {"state": "scheduled"}) == 1
    assert page.value("asynq_queue_overdue_tasks", Q | {"state": "retry"}) == 0
    assert 29 <= page.value("asynq_queue_latency_seconds", Q) < 40
    assert page.sum("asynq_redis_scrape_errors_total") == 0


@pytest.mark.parametrize("rules", [[], ["-time"], ["-info"]], ids=["both", "INFO", "TIME"])
@pytest.mark.parametrize("seconds", [0, 15, 40, -15, 3600, -3600])
def test_a_scrape_judges_by_the_clock_of_redis(redis, seconds, rules):
    server, client = redis
    acl.make_user(client, *rules)
    write(client)
    ran = run_once("scrape", "--redis-url", server.url, "--redis-username", acl.USER,
                   env={"ASYNQ_COLLECTOR_REDIS_PASSWORD": acl.PASSWORD} | faked_clock.ahead_by(seconds))
    assert ran.returncode == 0, ran
    page = MetricsPage(ran.stdout)
    assert_right(page)
    assert page.value("asynq_redis_clock_offset_seconds") == pytest.approx(-seconds, abs=0.5)


def test_without_info_and_time_the_offset_is_absent_and_ours_is_used(redis):
    server, client = redis
    acl.make_user(client, "-info", "-time")
    write(client)
    ran = run_once("scrape", "--redis-url", server.url, "--redis-username", acl.USER,
                   env={"ASYNQ_COLLECTOR_REDIS_PASSWORD": acl.PASSWORD})
    page = MetricsPage(ran.stdout)
    assert_right(page)
    assert not page.has("asynq_redis_clock_offset_seconds")


def test_the_log_says_once_that_the_clocks_differ(redis, start_collector):
    server, client = redis
    write(client)
    collector = start_collector(options={"redis.url": server.url, "redis.interval": "100ms"}, env=faked_clock.ahead_by(15))
    eventually("the servers", lambda: collector.metrics().has("asynq_queue_consumers"))
    holds_for("they stay", lambda: assert_right(collector.metrics()) or True, seconds=1)
    lines = logged(collector, OFF)
    assert len(lines) == 1 and float(lines[0]["redis_minus_ours_seconds"]) == pytest.approx(-15, abs=0.5), lines


@pytest.mark.parametrize("seconds", [15, -15])
def test_waits_sampled_from_redis_are_right_whatever_our_clock_says(redis, start_collector, seconds):
    server, client = redis
    collector = start_collector(options={"redis.url": server.url, "redis.interval": "100ms", "redis.look-interval": "200ms"},
                                env=faked_clock.ahead_by(seconds))
    eventually("a first scrape", lambda: collector.metrics().has("asynq_queue_wait_sampled_seconds_count"))
    since = time.time() - 20
    client.hset("asynq:{q}:t:a", mapping={"state": "pending", "pending_since": int(since * 1e9)})
    client.lpush("asynq:{q}:pending", "a")
    eventually("it is seen", lambda: collector.metrics().value("asynq_collector_look_ahead_tasks") == 1)
    client.delete("asynq:{q}:pending", "asynq:{q}:t:a")
    gone = time.time()
    eventually("its wait", lambda: collector.metrics().value("asynq_queue_wait_sampled_seconds_count", Q) == 1)
    assert collector.metrics().value("asynq_queue_wait_sampled_seconds_sum", Q) == pytest.approx(gone - since, abs=1)
