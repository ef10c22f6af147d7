"""`redis.memory-sampling`: the estimate of Asynq's own Inspector, without its script."""

import pytest

from support import faked_clock, golden
from support.collector import run_once
from support.deadline import eventually
from support.metrics_page import MetricsPage
from support.redis_server import RedisServer

MEMORY = "asynq_queue_memory_usage_approx_bytes"


@pytest.fixture(scope="module", params=golden.VERSIONS)
def expected(request):
    return golden.load(request.param)


def scrape(server: RedisServer, *flags: str, env: dict[str, str] = {}):
    ran = run_once("scrape", "--redis-url", server.url, *flags, env=env)
    assert ran.returncode == 0, ran
    return MetricsPage(ran.stdout)


def test_each_queue_takes_what_the_inspector_says(expected, tmp_path):
    with RedisServer(tmp_path / "redis", dump=expected.dump) as server:
        page = scrape(server, "--redis-memory-sampling", "60s", env=faked_clock.frozen_at(expected.unix_nanoseconds))
    assert page.by(MEMORY, "queue") == {queue["queue"]: queue["memory_usage"] for queue in expected.queues}
    assert sum(page.by("asynq_redis_scrape_errors_total", "reason").values()) == 0


def test_it_is_off_by_default(tmp_path):
    with RedisServer(tmp_path / "redis") as server, server.client() as client:
        client.sadd("asynq:queues", "q")
        assert not scrape(server).has(MEMORY)
        assert scrape(server, "--redis-memory-sampling", "1s").by(MEMORY, "queue") == {"q": 0}


def test_a_task_whose_hash_is_gone_is_left_out_of_the_mean(tmp_path):
    with RedisServer(tmp_path / "redis") as server, server.client() as client:
        client.sadd("asynq:queues", "q")
        client.lpush("asynq:{q}:pending", "a", "gone", "b")
        client.hset("asynq:{q}:t:a", "msg", "x" * 1000)
        client.hset("asynq:{q}:t:b", "msg", "x" * 1000)
        one = client.memory_usage("asynq:{q}:t:a")
        whole = client.memory_usage("asynq:{q}:pending") + 3 * one
        page = scrape(server, "--redis-memory-sampling", "60s")
        assert page.by(MEMORY, "queue") == {"q": whole}


def test_where_it_is_forbidden_one_error_a_sampling_is_counted_and_nothing_else_is_missing(tmp_path, start_collector):
    with RedisServer(tmp_path / "redis") as server, server.client() as client:
        client.sadd("asynq:queues", "a", "b")
        client.execute_command("ACL", "SETUSER", "poor", "on", ">p", "~asynq:*", "+@read", "+info", "-memory")
        collector = start_collector(options={
            "redis.url": server.url, "redis.username": "poor", "redis.password": "p", "redis.interval": "100ms",
            "redis.memory-sampling": "1s"})

        def refusals() -> float:
            return collector.metrics().value("asynq_redis_scrape_errors_total", {"reason": "permission"})

        eventually("two samplings", lambda: refusals() >= 2)
        page = collector.metrics()
        assert page.by("asynq_queue_paused", "queue") == {"a": 0, "b": 0}
        assert page.value("asynq_redis_up") == 1 and not page.has(MEMORY)
        assert collector.stderr().count("NOPERM") == 1, collector.stderr()


def test_while_it_runs_the_estimate_follows(tmp_path, start_collector):
    with RedisServer(tmp_path / "redis") as server, server.client() as client:
        client.sadd("asynq:queues", "q")
        collector = start_collector(options={
            "redis.url": server.url, "redis.interval": "100ms", "redis.memory-sampling": "1s"})
        eventually("an empty queue", lambda: collector.metrics().by(MEMORY, "queue") == {"q": 0})
        client.lpush("asynq:{q}:pending", "a")
        client.hset("asynq:{q}:t:a", "msg", "x" * 100_000)
        eventually("a big task", lambda: collector.metrics().value(MEMORY, {"queue": "q"}) > 100_000)
