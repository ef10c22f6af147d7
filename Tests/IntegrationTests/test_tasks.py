"""/api/v1/tasks/{queue}/{id}: where a task is, compared with what Asynq's own Inspector says of the tasks that real Asynq wrote."""

import json
import time
import urllib.parse
from datetime import datetime

import pytest

from support import acl, faked_clock, golden
from support.asynq_messages import task_message
from support.cluster_queues import ClusterQueues
from support.collector import Collector
from support.deadline import eventually
from support.programs import FIXTURES
from support.redis_cluster import RedisCluster
from support.redis_server import RedisServer

PER_STATE = 8


def ask(collector, queue: str, identifier: str):
    """Asks again where it was too often."""
    path = "/api/v1/tasks/" + "/".join(urllib.parse.quote(part, safe="") for part in (queue, identifier))
    while (answer := collector.get(path)).status == 429:
        assert answer.headers["Retry-After"] == "1"
        time.sleep(0.2)
    assert answer.media_type == "application/json", answer
    return answer.status, json.loads(answer.body)


def seconds(stamp: str | None) -> int | None:
    return stamp and int(datetime.fromisoformat(stamp).timestamp())


def inspected(time_: dict | None) -> int | None:
    return time_ and int(time_["unix_ns"]) // 1_000_000_000


def scraped(collector) -> bool:
    return collector.metrics().has("asynq_queue_size")


@pytest.fixture
def redis(tmp_path):
    with RedisServer(tmp_path / "redis") as server, server.client() as client:
        client.sadd("asynq:queues", "q")
        yield server, client


def start(start_collector, url, **options):
    collector = start_collector(options={"redis.url": url, "redis.interval": "100ms", "redis.look-ahead": 0} | options)
    eventually("a first scrape", lambda: scraped(collector))
    return collector


@pytest.mark.parametrize("version", golden.VERSIONS)
def test_a_task_is_told_as_the_inspector_tells_it(tmp_path, version):
    state = golden.load(version)
    content = json.loads((FIXTURES / "asynq" / f"{version}.json").read_text(encoding="utf-8"))
    running = {(worker["queue"], worker["task_id"]): (server, worker)
               for server in content["servers"] for worker in server["active_workers"]}
    with RedisServer(tmp_path / "redis", dump=state.dump) as server:
        options = {"redis.url": server.url, "redis.interval": "100ms", "redis.look-ahead": 0}
        collector = Collector(tmp_path, options, faked_clock.frozen_at(state.unix_nanoseconds)).start()
        eventually("a first scrape", lambda: scraped(collector))
        for state_name in golden.STATES:
            tasks = [(queue["queue"], task) for queue in content["queues"] for task in queue["tasks"][state_name]]
            assert tasks, state_name
            for queue, task in tasks[:PER_STATE]:
                status, found = ask(collector, queue, task["id"])
                assert status == 200, found
                assert (found["queue"], found["id"], found["state"]) == (queue, task["id"], state_name)
                assert (found["type"], found["retried"], found["max_retry"]) == (task["type"], task["retried"], task["max_retry"])
                assert (found["last_error"] or "") == task["last_err"]
                assert seconds(found["last_failed_at"]) == inspected(task["last_failed_at"])
                assert seconds(found["completed_at"]) == inspected(task["completed_at"])
                assert found["payload_bytes"] == task["payload_len"]
                if state_name in ("scheduled", "retry"):
                    assert seconds(found["next_run_at"]) == inspected(task["next_process_at"])
                else:
                    assert found["next_run_at"] is None
                if (queue, task["id"]) in running:
                    host, worker = running[queue, task["id"]]
                    assert found["worker"]["host"] == host["host"] and found["worker"]["server_id"] == host["id"]
                    assert seconds(found["worker"]["started_at"]) == inspected(worker["started"])
                    assert seconds(found["deadline_at"]) == inspected(worker["deadline"])
                    assert found["lease_expires_at"]
                else:
                    assert found["worker"] is None and seconds(found["deadline_at"]) == inspected(task["deadline"])
                # No byte of the payload.
                assert task["payload_len"] < 4 or task["payload_b64"] not in json.dumps(found)
        problem = collector.close()
        assert not problem, problem


def test_what_is_not_there_is_not_found(start_collector, redis):
    server, client = redis
    client.hset("asynq:{hidden}:t:i", mapping={"msg": task_message("t", "i", "hidden"), "state": "pending"})
    collector = start(start_collector, server.url, **{"redis.queues.exclude": "^hidden$"})
    assert ask(collector, "q", "none") == (404, {"error": "no such task"})
    assert ask(collector, "hidden", "i") == (404, {"error": "no such task"})
    assert collector.get("/api/v1/tasks/q").status == 404


@pytest.mark.parametrize("queue, identifier", [("a/b", "i"), ("ü\n\"x", "1/2"), ("50%", "%zz"), ("a:b", "{}")])
def test_names_may_hold_anything(start_collector, redis, queue, identifier):
    server, client = redis
    client.sadd("asynq:queues", queue)
    client.hset(f"asynq:{{{queue}}}:t:{identifier}",
                mapping={"msg": task_message("t", identifier, queue, payload=b"secret"), "state": "pending"})
    status, found = ask(start(start_collector, server.url), queue, identifier)
    assert status == 200 and (found["queue"], found["id"], found["payload_bytes"]) == (queue, identifier, 6)


def test_a_large_message_is_not_read(start_collector, redis):
    server, client = redis
    client.hset("asynq:{q}:t:i", mapping={"msg": task_message("t", "i", "q", payload=bytes(5 << 20)), "state": "retry"})
    client.zadd("asynq:{q}:retry", {"i": 1_800_000_000})
    collector = start(start_collector, server.url)
    status, found = ask(collector, "q", "i")
    assert status == 200 and found["state"] == "retry" and found["type"] is None and found["payload_bytes"] is None
    assert seconds(found["next_run_at"]) == 1_800_000_000


def test_too_many_questions_are_refused(start_collector, redis):
    collector = start(start_collector, redis[0].url)
    statuses = [collector.get("/api/v1/tasks/q/i").status for _ in range(100)]
    assert set(statuses) == {404, 429}, statuses


def test_while_redis_is_down_the_reason_is_told(start_collector, tmp_path):
    with RedisServer(tmp_path / "redis") as server:
        with server.client() as client:
            client.sadd("asynq:queues", "q")
        collector = start(start_collector, server.url)
        assert ask(collector, "q", "i")[0] == 404
    eventually("the outage", lambda: collector.metrics().value("asynq_redis_up") == 0)
    status, found = ask(collector, "q", "i")
    assert status == 503 and found["error"].startswith("Redis can't be read: ")
    collector.stop()
    assert ask(start_collector(), "q", "i")[0] == 503


def test_the_documented_user_may_ask(start_collector, redis):
    server, client = redis
    client.hset("asynq:{q}:t:i", mapping={"msg": task_message("t", "i", "q"), "state": "pending"})
    acl.make_user(client)
    collector = start(start_collector, server.url, **{"redis.username": acl.USER, "redis.password": acl.PASSWORD})
    assert ask(collector, "q", "i")[0] == 200
    acl.assert_nothing_denied(client)
    acl.make_user(client, "-hstrlen")
    status, found = ask(collector, "q", "i")
    assert status == 503 and "NOPERM" in found["error"]


def test_in_a_cluster_the_node_of_the_queue_is_asked(start_collector, tmp_path):
    with RedisCluster(tmp_path / "cluster") as cluster:
        queues = ClusterQueues(cluster)
        queues.write()
        collector = start(start_collector, cluster.url)
        for name in queues.names:
            with cluster.holder_of(f"asynq:{{{name}}}:pending").client() as client:
                client.hset(f"asynq:{{{name}}}:t:task-0", "msg", task_message("t", "task-0", name))
            status, found = ask(collector, name, "task-0")
            assert status == 200 and (found["state"], found["type"]) == ("pending", "t")
            assert ask(collector, name, "none")[0] == 404
