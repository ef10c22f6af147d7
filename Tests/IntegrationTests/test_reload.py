"""SIGHUP: a changed file takes effect, or is refused, and nothing that was counted is lost."""

import signal
import time

import pytest

from support import otlp
from support.deadline import eventually
from support.http_client import post_traces
from support.redis_server import RedisServer
from support.scrapes import after_scrapes

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
    after_scrapes(collector)
    assert queues(collector) == {"mail"}


def test_labels_and_limits_change_and_nothing_counted_is_lost(start_collector, tempo, tmp_path):
    file = tmp_path / "collector.yaml"

    def configure(types: int, queues: int, body: str, spool: str, full: str) -> None:
        file.write_text(f"metrics:\n  task-types: {types}\n  queues-max: {queues}\notlp:\n  max-body: {body}\n"
                        f"spool:\n  max-bytes: {spool}\n  when-full: {full}\n")

    def spans(number: int) -> bytes:
        return otlp.request(*(otlp.process_span(1000 * number + kind, f"q{queue}", f"t{kind}")
                              for queue in range(2) for kind in range(queue * 4, queue * 4 + 4)))

    def attempts() -> dict:
        samples = collector.metrics().by("asynq_task_attempts_total", "queue", "task_type", "status", "attempt")
        return {key[:2]: count for key, count in samples.items() if count}

    configure(2, 1, "4KiB", "1MiB", "refuse")
    tempo.go_down()
    collector = start_collector(options={"config": file, "redis.url": "none", "tempo.endpoint": tempo.endpoint})
    assert post_traces(collector.unix, spans(0)).status == 200
    first = attempts()
    assert first == {("q0", "t0"): 1, ("q0", "t1"): 1, ("q0", "_other"): 2, ("_other", "t4"): 1, ("_other", "t5"): 1,
                     ("_other", "_other"): 2}
    large = otlp.numbered_request(range(100))
    assert len(large) > 4096 and post_traces(collector.unix, large).status == 413

    configure(3, 2, "64KiB", "2MiB", "drop-oldest")
    collector.process.send_signal(signal.SIGHUP)
    eventually("the larger spool", lambda: collector.count("spool_capacity_bytes") == 2 << 20)
    assert post_traces(collector.unix, large).status == 200
    assert post_traces(collector.unix, spans(1)).status == 200
    assert attempts() == first | {("q0", "t0"): 2, ("q0", "t1"): 2, ("q0", "t2"): 1, ("q0", "_other"): 3, ("q1", "t4"): 1,
                                  ("q1", "t5"): 1, ("q1", "t6"): 1, ("q1", "_other"): 1}
    # Full, the oldest go now.
    for number in range(100):
        assert post_traces(collector.unix, otlp.request(otlp.numbered_span(10_000 + number, name="x" * 50_000))).status == 200
    page = collector.balanced_metrics()
    assert page.value("asynq_collector_dropped_spans_total", {"reason": "evicted"}) > 0

    # Less than there is: nothing more until it was sent, and nothing is lost.
    configure(3, 2, "64KiB", "1MiB", "refuse")
    collector.process.send_signal(signal.SIGHUP)
    eventually("the smaller spool", lambda: collector.count("spool_capacity_bytes") == 1 << 20)
    assert post_traces(collector.unix, spans(2)).status == 429
    held = collector.count("spool_spans")
    tempo.come_up()
    eventually("all was sent", lambda: collector.count("spool_spans") == 0)
    assert len(tempo.times_stored()) >= held * 0.9
    eventually("room again", lambda: post_traces(collector.unix, spans(3)).status == 200)
    collector.balanced_metrics()


def test_a_change_that_needs_a_restart_is_named_in_the_log(start_collector, tmp_path):
    file = tmp_path / "collector.yaml"
    file.write_text("redis: {url: none}\n")
    collector = start_collector(options={"config": file})
    file.write_text("redis: {url: none}\nmetrics: {task-types: 7, asynqmon-names: true}\n")
    collector.process.send_signal(signal.SIGHUP)
    eventually("the warning", lambda: "takes effect at the next start" in collector.stderr())
    line = next(line for line in collector.stderr().splitlines() if "takes effect at the next start" in line)
    assert "metrics.asynqmon-names" in line and "metrics.task-types" not in line
