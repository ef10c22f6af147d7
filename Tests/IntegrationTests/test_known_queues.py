"""A queue is known by asynq:queues, by a live server that names it, or by both."""

import json
import time

import pytest

from support import asynq_messages
from support.collector import run_once
from support.deadline import eventually, holds_for
from support.redis_proxy import RedisProxy
from support.scrapes import after_scrapes, errors

ZEROS = {"pending": 0, "oldest_wait_seconds": 0, "wait_p95_seconds": 0, "desired_workers": 0}
SERVER = "asynq:servers:{h:1:s}"


def beat(client, *queues: str, server: str = SERVER, seconds: int = 60) -> None:
    """As a server does it every five seconds; here it lives for a minute."""
    client.zadd("asynq:servers", {server: int(time.time()) + seconds})
    client.set(server, asynq_messages.server_info("h", 1, server, 10, {queue: 1 for queue in queues}, "active"))


def start(start_collector, server, **options):
    return start_collector(options={"redis.url": server.url, "redis.interval": "100ms"} | options)


def registered(collector) -> dict[str, float]:
    return collector.metrics().by("asynq_queue_registered", "queue")


def scale(collector, queue: str):
    answer = collector.get(f"/api/v1/scale/{queue}")
    return json.loads(answer.body) if answer.status == 200 else answer.status


def test_a_queue_that_only_a_server_names_is_known_and_empty(start_collector, redis):
    server, client = redis
    beat(client, "emails", "default")
    client.sadd("asynq:queues", "default")
    collector = start(start_collector, server)
    eventually("both", lambda: registered(collector) == {"emails": 0, "default": 1})
    assert scale(collector, "emails") == {"queue": "emails"} | ZEROS
    assert scale(collector, "other") == 404
    page = collector.metrics()
    assert page.value("asynq_queue_consumers", {"queue": "emails"}) == 1
    assert page.value("asynq_queue_concurrency", {"queue": "emails"}) == 10
    assert page.value("asynq_queue_size", {"queue": "emails", "state": "pending"}) == 0
    assert page.value("asynq_tasks_dead_lettered_total", {"queue": "emails"}) == 0
    listed = json.loads(collector.get("/api/v1/queues").body)
    assert {queue["queue"]: queue["pending"] for queue in listed} == {"emails": 0, "default": 0}
    client.sadd("asynq:queues", "emails")
    eventually("it is registered", lambda: registered(collector) == {"emails": 1, "default": 1})
    client.delete(SERVER, "asynq:queues")
    eventually("none is known", lambda: registered(collector) == {} and scale(collector, "emails") == 404)


def test_what_died_before_the_queue_was_known_is_no_arrival(start_collector, redis):
    server, client = redis
    collector = start(start_collector, server)
    eventually("a first scrape", lambda: collector.metrics().value("asynq_redis_up") == 1)
    client.zadd("asynq:{old}:archived", {"a": int(time.time()) - 50})
    beat(client, "old")
    labels = {"queue": "old"}
    eventually("it is known", lambda: registered(collector) == {"old": 0})
    assert collector.metrics().value("asynq_tasks_dead_lettered_total", labels) == 0
    client.zadd("asynq:{old}:archived", {"b": int(time.time())})
    eventually("one died", lambda: collector.metrics().value("asynq_tasks_dead_lettered_total", labels) == 1)


@pytest.mark.parametrize("loss", ["FLUSHALL", "eviction", "deletion by another process"])
def test_tasks_are_seen_although_the_set_of_queues_has_lost_their_queue(start_collector, redis, loss):
    """A client of Asynq 0.25 or later adds its queue once."""
    server, client = redis
    client.sadd("asynq:queues", "q")
    client.set("asynq:{q}:processed", 900)
    beat(client, "q")
    collector = start(start_collector, server)
    eventually("it is known", lambda: registered(collector) == {"q": 1})
    if loss == "FLUSHALL":
        client.flushall()
        beat(client, "q")
    elif loss == "eviction":
        client.delete("asynq:queues")
    else:
        client.srem("asynq:queues", "q")
    expected = 0 if loss == "FLUSHALL" else 900
    for number in range(1, 6):
        client.lpush("asynq:{q}:pending", f"t{number}")
        client.incr("asynq:{q}:processed")
        page = after_scrapes(collector, 2)
        assert page.value("asynq_queue_registered", {"queue": "q"}) == 0
        assert page.value("asynq_queue_size", {"queue": "q", "state": "pending"}) == number
        labels = {"queue": "q", "status": "completed"}
        assert page.value("asynq_tasks_processed_total", labels) == expected + number
        assert scale(collector, "q")["pending"] == number


def test_where_the_set_of_queues_is_no_set_the_queues_are_those_of_the_servers(start_collector, redis):
    server, client = redis
    client.sadd("asynq:queues", "q", "unserved")
    beat(client, "q")
    collector = start(start_collector, server)
    eventually("both are known", lambda: registered(collector) == {"q": 1, "unserved": 1})
    client.set("asynq:queues", "q")
    eventually("that of the server", lambda: registered(collector) == {"q": 0})
    page = after_scrapes(collector)
    assert page.value("asynq_redis_up") == 1 and set(errors(page)) == {"wrong_type"}
    client.delete(SERVER)
    eventually("none is known", lambda: collector.metrics().value("asynq_redis_up") == 0)
    assert scale(collector, "q") == 503


def test_a_filter_holds_for_the_queues_of_servers_as_well(start_collector, redis):
    server, client = redis
    beat(client, "shown", "hidden")
    collector = start(start_collector, server, **{"redis.queues.exclude": "^hidden$"})
    eventually("the one", lambda: registered(collector) == {"shown": 0})
    holds_for("the other stays hidden", lambda: scale(collector, "hidden") == 404, seconds=0.5)


def test_a_new_queue_of_a_server_costs_one_round_trip_and_only_once(redis, start_collector):
    server, client = redis
    beat(client, "emails")
    client.lpush("asynq:{emails}:pending", "t")
    with RedisProxy(server) as proxy:
        ran = run_once("scrape", "--redis-url", proxy.url)
        assert ran.returncode == 0 and 'asynq_queue_size{queue="emails",state="pending"} 1' in ran.stdout, ran
        assert len(proxy.round_trips()) == 4
        collector = start(start_collector, server, **{"redis.url": proxy.url, "redis.look-interval": "0"})
        eventually("some scrapes", lambda: len(proxy.round_trips()) > 20)
        collector.close()
        found = [[b"SMEMBERS", b"asynq:queues"] in burst for burst in proxy.round_trips()[8:]]
    starts = [index for index, is_first in enumerate(found) if is_first]
    assert {after - before for before, after in zip(starts, starts[1:])} == {3}, found
