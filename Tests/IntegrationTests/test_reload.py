"""SIGHUP: a changed file takes effect, or is refused, and nothing that was counted is lost."""

import signal
import time

import pytest

from support.deadline import eventually
from support.redis_server import RedisServer

DEAD = "asynq_tasks_dead_lettered_total"


@pytest.fixture
def redis(tmp_path):
    with RedisServer(tmp_path / "redis") as server, server.client() as client:
        client.sadd("asynq:queues", "mail", "image", "image:large")
        yield server, client


def queues(collector) -> set[str]:
    return set(collector.metrics().by("asynq_queue_paused", "queue"))


def archive(client, queue: str, *tasks: str) -> None:
    client.zadd(f"asynq:{{{queue}}}:archived", {task: int(time.time()) for task in tasks})


def test_new_queue_filters_count_on(start_collector, redis, tmp_path):
    server, client = redis
    file = tmp_path / "collector.yaml"
    file.write_text("redis:\n  queues:\n    include: ^mail$\n")
    # Died before anybody looked.
    archive(client, "image", "old-1", "old-2")
    collector = start_collector(options={"config": file, "redis.url": server.url, "redis.interval": "100ms"})
    eventually("one queue", lambda: queues(collector) == {"mail"})
    archive(client, "mail", "m-1", "m-2", "m-3")
    eventually("three deaths", lambda: collector.metrics().value(DEAD, {"queue": "mail"}) == 3)

    file.write_text("redis:\n  queues:\n    exclude: large\n")
    collector.process.send_signal(signal.SIGHUP)
    eventually("two queues", lambda: queues(collector) == {"mail", "image"})
    assert collector.metrics().by(DEAD, "queue") == {"mail": 3, "image": 0}
    archive(client, "image", "i-1")
    eventually("one more death", lambda: collector.metrics().by(DEAD, "queue") == {"mail": 3, "image": 1})

    file.write_text("redis:\n  queues:\n    include: image\n")
    collector.process.send_signal(signal.SIGHUP)
    eventually("the other two", lambda: queues(collector) == {"image", "image:large"})
    archive(client, "mail", "m-4")
    file.write_text("{}\n")
    collector.process.send_signal(signal.SIGHUP)
    eventually("all", lambda: len(queues(collector)) == 3)
    # Nobody looked when m-4 died, but a queue that comes back goes on where it was.
    assert collector.metrics().by(DEAD, "queue") == {"mail": 4, "image": 1, "image:large": 0}


def test_a_broken_file_is_refused_and_the_old_filter_stays(start_collector, redis, tmp_path):
    server, _ = redis
    file = tmp_path / "collector.yaml"
    file.write_text("redis:\n  queues:\n    include: ^mail$\n")
    collector = start_collector(options={"config": file, "redis.url": server.url, "redis.interval": "100ms"})
    file.write_text("redis:\n  queues:\n    include: '('\n")
    collector.process.send_signal(signal.SIGHUP)
    eventually("a refusal", lambda: "new configuration refused" in collector.stderr())
    assert "redis.queues.include" in collector.stderr()
    time.sleep(0.3)
    assert queues(collector) == {"mail"}
