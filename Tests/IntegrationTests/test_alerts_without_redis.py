"""The shipped rules on a real Prometheus: what they say of a Redis that can't be read, and of two that are taken for one."""

import threading
import time

import pytest
import yaml

from support.alert_rules import FOLDER
from support.collector import Collector
from support.deadline import eventually, holds_for
from support.prometheus_server import Prometheus
from support.redis_server import RedisServer
from support.stack import AsynqQueue, faster_rules

QUEUE = "billing"
KEPT = {"AsynqQueueWithoutConsumers", "AsynqOrphanedTasks", "AsynqOverdueTasks"}


@pytest.fixture(scope="module")
def rules(tmp_path_factory):
    folder = tmp_path_factory.mktemp("rules")
    for file in (FOLDER / "rules").glob("*.yml"):
        content = faster_rules(yaml.safe_load(file.read_text(encoding="utf-8")))
        (folder / file.name).write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
    return folder


def _collector(directory, server: RedisServer) -> Collector:
    return Collector(directory, {"redis.url": server.url, "redis.interval": "200ms", "redis.timeout": "500ms",
                                 "tempo.endpoint": "none"}).start()


def _alerts(prometheus: Prometheus, state: str, over: str = "") -> set[str]:
    found = prometheus.query(f'last_over_time(ALERTS{{alertstate="{state}"}}[{over}])' if over else f'ALERTS{{alertstate="{state}"}}')
    return {series["metric"]["alertname"] for series in found}


def test_an_outage_resolves_nothing_that_goes_on(tmp_path, rules):
    with RedisServer(tmp_path / "redis") as server:
        queue = AsynqQueue(server.client(), QUEUE)
        queue.add("pending", "p1")
        queue.add("active", "orphan", score=time.time() - 60)
        queue.add("scheduled", "overdue", score=time.time() - 60)
        collector = _collector(tmp_path / "c", server)
        try:
            with Prometheus(tmp_path / "p", {"asynq-collector": collector.metrics_port}, rules=rules) as prometheus:
                eventually("the alerts of the queue fire", lambda: KEPT <= _alerts(prometheus, "firing"), seconds=60)
                server.pause()
                eventually("Redis is unreachable", lambda: "AsynqRedisUnreachable" in _alerts(prometheus, "firing"), seconds=60)
                assert prometheus.query("asynq_queue_orphaned_tasks") == []
                # 20 s are twenty minutes of these rules.
                holds_for("they go on", lambda: KEPT <= _alerts(prometheus, "firing"), seconds=20, every=0.2)
                server.resume()
                eventually("Redis is read again", lambda: prometheus.query("asynq_queue_orphaned_tasks") != [])
                holds_for("they still go on", lambda: KEPT <= _alerts(prometheus, "firing"), seconds=5, every=0.2)
                # Never resolved and begun again, which would be pending first.
                assert _alerts(prometheus, "pending", over="25s") & KEPT == set()
                queue.clear("active")
                queue.clear("lease")
                eventually("what is over is resolved", lambda: "AsynqOrphanedTasks" not in _alerts(prometheus, "firing"))
                assert KEPT - {"AsynqOrphanedTasks"} <= _alerts(prometheus, "firing")
        finally:
            server.resume()
            problem = collector.close()
    assert not problem, problem


def test_two_collectors_that_read_different_redis_servers_under_one_label_are_found(tmp_path, rules):
    alarm = "AsynqCollectorsReadDifferentRedis"
    with RedisServer(tmp_path / "prod") as prod, RedisServer(tmp_path / "staging") as staging:
        for server, attempts in ((prod, 750_000), (staging, 120)):
            AsynqQueue(server.client(), QUEUE).add("pending", "p1")
            server.client().set(f"asynq:{{{QUEUE}}}:processed:total", attempts)
            server.client().set(f"asynq:{{{QUEUE}}}:processed", attempts)
        collectors = [_collector(tmp_path / name, server) for name, server in (("a", prod), ("b", prod), ("c", staging))]
        done = threading.Event()

        def work() -> None:
            client = prod.client()
            while not done.wait(0.05):
                client.incr(f"asynq:{{{QUEUE}}}:processed:total")
                client.incr(f"asynq:{{{QUEUE}}}:processed")

        worker = threading.Thread(target=work)
        worker.start()
        ports = {f"asynq-collector-{name}": collector.metrics_port for name, collector in zip("abc", collectors)}
        same = {name: ports[name] for name in ("asynq-collector-a", "asynq-collector-b")}
        try:
            with Prometheus(tmp_path / "one", ports, rules=rules) as one, Prometheus(tmp_path / "two", same, rules=rules) as two:
                eventually("the alert fires", lambda: alarm in _alerts(one, "firing"), seconds=60)
                # As long a time with two collectors of one Redis, whose counters rise between their scrapes.
                assert two.query("asynq_tasks_processed_total") != []
                assert alarm not in _alerts(two, "pending", over="10s") | _alerts(two, "firing")
        finally:
            done.set()
            worker.join()
            problems = [problem for collector in collectors if (problem := collector.close())]
    assert problems == []
