"""Redis behind Sentinel: the master is found through any of the sentinels, and followed when it fails over."""

import socket

import pytest
import redis

from support import acl
from support.collector import run_once
from support.deadline import eventually
from support.metrics_page import MetricsPage
from support.ports import free_port
from support.redis_server import RedisServer
from support.scrapes import after_scrapes, errors
from support.sentinel import MASTER, Sentinel

@pytest.fixture
def pair(tmp_path):
    """A master and its replica."""
    with RedisServer(tmp_path / "one", flags=["--repl-diskless-sync-delay", "0"]) as master:
        with RedisServer(tmp_path / "two", flags=["--replicaof", "127.0.0.1", str(master.port)]) as replica:
            with replica.client() as client:
                eventually("a replica in sync", lambda: client.info("replication")["master_link_status"] == "up")
            yield master, replica


@pytest.fixture
def start_sentinel(tmp_path):
    started = []

    def start(master: RedisServer, **options) -> Sentinel:
        started.append(Sentinel(tmp_path / f"sentinel-{len(started)}", master.port, **options))
        sentinel = started[-1]
        eventually("the sentinel knows the replica", lambda: "+slave" in sentinel.log())
        return sentinel

    yield start
    for sentinel in started:
        sentinel.stop()


def scrape(*ports: int, flags: tuple[str, ...] = (), master: str = MASTER):
    hosts = ",".join(f"127.0.0.1:{port}" for port in ports)
    return run_once("scrape", "--redis-url", f"redis-sentinel://{hosts}/0?master={master}", *flags)


def test_the_master_is_found_through_any_sentinel_that_answers(pair, start_sentinel):
    with pair[0].client() as client:
        client.sadd("asynq:queues", "q")
    sentinel = start_sentinel(pair[0])
    ran = scrape(free_port(), sentinel.port)
    assert ran.returncode == 0, ran
    assert MetricsPage(ran.stdout).by("asynq_queue_paused", "queue") == {"q": 0}


def test_an_unknown_master_and_a_wrong_password_are_named(pair, start_sentinel):
    sentinel = start_sentinel(pair[0], password="correct")
    refused = scrape(sentinel.port)
    assert refused.returncode == 1 and "NOAUTH" in refused.stderr, refused
    password = ("--redis-sentinel-password", "correct")
    unknown = scrape(sentinel.port, flags=password, master="other")
    assert unknown.returncode == 1 and "knows no master other" in unknown.stderr, unknown
    assert scrape(sentinel.port, flags=password).returncode == 0


def test_a_failover_is_followed(pair, start_sentinel, start_collector):
    old, new = pair
    with old.client() as client:
        client.sadd("asynq:queues", "before")
        assert client.wait(1, 40_000) == 1, "expected the replica to have it"
    sentinel = start_sentinel(old)
    collector = start_collector(options={
        "redis.url": f"redis-sentinel://127.0.0.1:{sentinel.port}/0?master={MASTER}", "redis.interval": "100ms"})

    def queues() -> set[str]:
        return set(collector.metrics().by("asynq_queue_paused", "queue"))

    eventually("the old master's queue", lambda: queues() == {"before"})
    old.stop()
    with new.client() as client:
        eventually("a new master", lambda: client.info("replication")["role"] == "master")
        client.sadd("asynq:queues", "after")
    eventually("the new master's queue", lambda: queues() == {"before", "after"})
    assert collector.metrics().value("asynq_redis_up") == 1


def _begin_failover(sentinel: Sentinel) -> bool:
    """False while it has not heard enough of the replica yet."""
    with redis.Redis(port=sentinel.port) as client:
        try:
            return bool(client.execute_command("SENTINEL", "FAILOVER", MASTER))
        except redis.ResponseError:
            return False


def test_a_master_that_lost_its_office_is_left(pair, start_sentinel, start_collector):
    """It lives on as a replica, and its connections with it."""
    old, new = pair
    sentinel = start_sentinel(old)
    sentinel.hurry()
    collector = start_collector(options={
        "redis.url": f"redis-sentinel://127.0.0.1:{sentinel.port}/0?master={MASTER}", "redis.interval": "100ms"})
    eventually("the sentinel begins a failover", lambda: _begin_failover(sentinel))
    with new.client() as client:
        eventually("a new master", lambda: client.info("replication")["role"] == "master")
        client.sadd("asynq:queues", "after")
        eventually("the new master's queue", lambda: collector.metrics().has("asynq_queue_paused"))
        eventually("a scrape of the new master", lambda: any(
            entry["name"] == "asynq-collector" for entry in client.client_list()))


def test_one_sentinel_that_is_behind_does_not_hide_what_the_others_know(pair, start_collector, tmp_path):
    """It names an address that accepts and is silent, as a dead pod's may be; the two others name the live master."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        sentinels = [Sentinel(tmp_path / f"watch-{number}", port, down_after_milliseconds=600_000)
                     for number, port in enumerate([silent.getsockname()[1], pair[0].port, pair[0].port])]
        try:
            for sentinel in sentinels:
                eventually("the sentinel watches", lambda: "+monitor" in sentinel.log())
            hosts = ",".join(f"127.0.0.1:{sentinel.port}" for sentinel in sentinels)
            collector = start_collector(options={
                "redis.url": f"redis-sentinel://{hosts}/0?master={MASTER}", "redis.interval": "200ms"})
            page = after_scrapes(collector, 3)
            assert page.value("asynq_redis_up") == 1 and errors(page) == {}, errors(page)
        finally:
            for sentinel in sentinels:
                sentinel.stop()


USER_LINES = ["user default off", "user scout on >right allchannels -@all " + " ".join(acl.documented_rules(of_sentinels=True))]


def test_the_documented_user_of_a_sentinel_is_enough(pair, start_sentinel):
    sentinel = start_sentinel(pair[0], lines=USER_LINES)
    user = ("--redis-sentinel-username", "scout")
    assert scrape(sentinel.port, flags=(*user, "--redis-sentinel-password", "right")).returncode == 0
    wrong = scrape(sentinel.port, flags=(*user, "--redis-sentinel-password", "wrong"))
    assert wrong.returncode == 1 and "WRONGPASS" in wrong.stderr, wrong
    assert "redis.sentinel-username" in wrong.stderr and "redis.sentinel-password" in wrong.stderr, wrong
    assert "redis.password" not in wrong.stderr, wrong
    nobody = scrape(sentinel.port)
    assert nobody.returncode == 1 and "redis.sentinel-password" in nobody.stderr, nobody
