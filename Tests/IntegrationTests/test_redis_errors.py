"""A Redis that answers with errors: each cause is told once and not per scrape, counted by its reason, and its end told.

The causes are real ones, brought about in a redis-server, but for two that a Redis does not give to a reader: READONLY and
OOM come from a proxy, which stands for a proxy of somebody else's.
"""

import threading
from contextlib import contextmanager

import pytest
import redis as redis_client

from support import acl, golden
from support.deadline import eventually
from support.ports import free_port
from support.redis_proxy import RedisProxy
from support.redis_server import RedisServer
from support.scrapes import ANSWERS_AGAIN, FAILED, PART_FAILED, WHOLE_AGAIN, after_scrapes, errors, logged

QUICK = {"redis.interval": "100ms", "redis.timeout": "1s", "redis.look-interval": "0"}
SCRAPES = 3  # that fail; each is later than the one before, by the backoff


@pytest.fixture
def server(tmp_path):
    with RedisServer(tmp_path / "redis", dump=golden.load("0.26.0").dump) as started:
        yield started


def follow(start_collector, url: str, reason: str, words: str, **more):
    """A collector that can't scrape, watched until it has failed several times."""
    collector = start_collector(options=QUICK | {"redis.url": url} | more)
    page = eventually(f"{SCRAPES} scrapes that failed for {reason}", lambda: (
        errors(p := collector.metrics()).get(reason, 0) >= SCRAPES and p))
    assert set(errors(page)) == {reason}, f"expected errors for {reason} alone, got {errors(page)}"
    assert page.value("asynq_redis_up") == 0
    assert page.names("asynq_queue_") == set(), "expected no old or invented numbers of queues"
    assert collector.get("/-/healthy").status == 200
    assert_told_once(collector, reason, words)
    return collector


def assert_told_once(collector, reason: str, words: str) -> None:
    lines = logged(collector, FAILED)
    assert len(lines) == 1, f"expected one line for {errors(collector.metrics())}, got {lines}"
    assert lines[0]["reason"] == reason and words in lines[0]["error"], f"expected {reason} and {words!r} in {lines[0]}"


def assert_recovers(collector, reason: str, words: str, queues: int = 16) -> None:
    page = eventually("asynq_redis_up 1", lambda: (p := collector.metrics()).value("asynq_redis_up") == 1 and p)
    assert len(page.by("asynq_queue_paused", "queue")) == queues
    counted = errors(page)
    assert errors(after_scrapes(collector)) == counted, "expected no more errors"
    assert len(logged(collector, ANSWERS_AGAIN)) == 1, "expected the recovery to be told once"
    assert_told_once(collector, reason, words)


def test_loading(start_collector, tmp_path):
    """`key-load-delay` slows the load; for INFO, Redis answers while it loads."""
    flags = ["--key-load-delay", "20000", "--loading-process-events-interval-bytes", "1024"]
    server = RedisServer(tmp_path / "redis", dump=golden.load("0.26.0").dump, flags=flags)
    try:
        server.start(until_loaded=False)
        collector = follow(start_collector, server.tcp_url, "loading", "LOADING")
        with server.client() as client:
            client.config_set("key-load-delay", 0)
        assert_recovers(collector, "loading", "LOADING")
    finally:
        server.stop()


def test_a_replica_that_has_lost_its_master(start_collector, server):
    with server.client() as client:
        client.config_set("replica-serve-stale-data", "no")
        client.replicaof("127.0.0.1", free_port())
        collector = follow(start_collector, server.tcp_url, "master_down", "MASTERDOWN")
        client.replicaof("NO", "ONE")
    assert_recovers(collector, "master_down", "MASTERDOWN")


def test_no_password_where_one_is_wanted(start_collector, server):
    with server.client() as client:
        client.config_set("requirepass", "correct")
        collector = follow(start_collector, server.tcp_url, "authentication", "redis.password")
        client.config_set("requirepass", "")
    assert_recovers(collector, "authentication", "NOAUTH")


def test_a_wrong_password(start_collector, server):
    with server.client() as client:
        acl.make_user(client)
        collector = follow(start_collector, server.tcp_url, "authentication", "WRONGPASS",
                           **{"redis.username": acl.USER, "redis.password": "mistaken"})
        assert "mistaken" not in collector.stderr()
        client.execute_command("ACL", "SETUSER", acl.USER, ">mistaken")
    assert_recovers(collector, "authentication", "WRONGPASS")


def test_one_answer_of_loading_is_one_error_however_many_queues_a_look_asks(start_collector, server):
    """Each look asks sixteen queues, and the scrape is an hour away."""
    with RedisProxy(server) as proxy:
        collector = start_collector(options={
            "redis.url": proxy.url, "redis.interval": "1h", "redis.look-interval": "200ms", "redis.timeout": "1s"})
        eventually("looks", lambda: len(proxy.round_trips()) > 6)
        assert errors(collector.metrics()) == {}
        proxy.answer_once(b"LOADING Redis is loading the dataset in memory")
        page = eventually("an error", lambda: errors(p := collector.metrics()) and p)
        assert errors(page) == {"loading": 1}
        looked = len(proxy.round_trips())
        eventually("more looks", lambda: len(proxy.round_trips()) > looked + 5)
        page = collector.metrics()
        assert errors(page) == {"loading": 1} and page.value("asynq_redis_up") == 1


DOCUMENTED_USER = {"redis.username": acl.USER, "redis.password": acl.PASSWORD}


def test_a_user_who_may_not_read_the_list_of_queues(start_collector, server):
    with server.client() as client:
        acl.make_user(client, "-smembers")
        collector = follow(start_collector, server.tcp_url, "permission", "docs/REDIS.md", **DOCUMENTED_USER)
        client.execute_command("ACL", "SETUSER", acl.USER, "+smembers")
    assert_recovers(collector, "permission", "NOPERM")


def test_a_user_who_may_not_use_one_command_lacks_its_numbers_alone(start_collector, server):
    with server.client() as client:
        acl.make_user(client, "-llen")
        collector = start_collector(options=QUICK | {"redis.url": server.tcp_url} | DOCUMENTED_USER)
        page = after_scrapes(collector, 5)
        states = {state for _, state in page.by("asynq_queue_size", "queue", "state")}
        assert states == set(golden.STATES) - {"pending", "active"}, f"expected all but the lists, got {states}"
        assert set(errors(page)) == {"permission"} and page.value("asynq_redis_up") == 1
        assert errors(after_scrapes(collector))["permission"] > errors(page)["permission"]
        lines = logged(collector, PART_FAILED)
        assert len(lines) == 1 and "llen" in lines[0]["error"], f"expected one line that names LLEN, got {lines}"
        client.execute_command("ACL", "SETUSER", acl.USER, "+llen")
        eventually("the lists", lambda: collector.metrics().by("asynq_queue_size", "queue", "state")
                   == golden.load("0.26.0").sizes())
    assert len(logged(collector, PART_FAILED)) == 1 and len(logged(collector, WHOLE_AGAIN)) == 1


@contextmanager
def script_that_never_ends(server):
    """It has written nothing, so that it can be ended."""
    def run() -> None:
        with server.client() as client, pytest.raises(redis_client.RedisError):
            client.eval("while true do end", 0)

    with server.client() as client:
        client.config_set("busy-reply-threshold", 50)
        runner = threading.Thread(target=run, daemon=True)
        runner.start()
        try:
            yield
        finally:
            eventually("the script is ended", lambda: client.script_kill() or True)
            runner.join(40)


def test_a_script_that_blocks_redis(start_collector, server):
    collector = None
    with script_that_never_ends(server):
        eventually("Redis is busy", lambda: _is_busy(server))
        collector = follow(start_collector, server.tcp_url, "busy", "BUSY")
    assert_recovers(collector, "busy", "BUSY")


def _is_busy(server) -> bool:
    try:
        with server.client() as client:
            client.get("key")
    except redis_client.exceptions.ResponseError as error:
        return "BUSY" in str(error) or "busy" in str(error)
    return False


def test_too_many_clients(start_collector, server):
    """Redis says so to whoever connects, and closes; what the collector has sent is not read."""
    with server.client() as client:
        client.ping()
        client.config_set("maxclients", 1)
        collector = follow(start_collector, server.tcp_url, "server", "max number of clients reached")
        client.config_set("maxclients", 100)
    assert_recovers(collector, "server", "max number of clients reached")


def test_errors_that_a_redis_does_not_give_to_a_reader(start_collector, server):
    """One after the other, with no good scrape between: each is news."""
    readonly, oom = "READONLY You can't write against a read only replica.", "OOM command not allowed when used memory > 'maxmemory'."
    with RedisProxy(server) as proxy:
        proxy.error = readonly.encode()
        collector = follow(start_collector, proxy.url, "read_only", readonly)
        proxy.error = oom.encode()
        eventually("a second line", lambda: len(logged(collector, FAILED)) == 2)
        line = logged(collector, FAILED)[1]
        assert line["reason"] == "out_of_memory" and oom in line["error"], line
        assert errors(collector.metrics()).keys() == {"read_only", "out_of_memory"}
        proxy.error = None
        eventually("asynq_redis_up 1", lambda: collector.metrics().value("asynq_redis_up") == 1)
    assert len(logged(collector, ANSWERS_AGAIN)) == 1 and len(logged(collector, FAILED)) == 2


class WordedAnew(RedisProxy):
    """Words each error anew, as a proxy does that names the port of its own connection."""

    def __init__(self, words: str):
        self._words, self._count = words, 0
        super().__init__()

    @property
    def error(self) -> bytes:
        self._count += 1
        return self._words.format(port=40000 + self._count, id=f"{self._count * 7919:08x}").encode()

    @error.setter
    def error(self, _) -> None:
        pass


@pytest.mark.parametrize("words", ["ERR proxy: read tcp 10.0.0.1:{port}->10.0.0.2:6379: i/o timeout", "ERR request {id} failed",
                                   "LOADING {port} of 90000 keys"])
def test_an_error_that_is_worded_anew_each_time_is_told_once(start_collector, words):
    with WordedAnew(words) as proxy:
        collector = start_collector(options=QUICK | {"redis.url": proxy.url})
        eventually("several failures", lambda: sum(errors(collector.metrics()).values()) >= 4)
        assert len(logged(collector, FAILED)) == 1, logged(collector, FAILED)


def test_a_redis_that_comes_and_goes_is_told_once_a_minute(start_collector, server):
    with RedisProxy(server) as proxy:
        collector = start_collector(options=QUICK | {"redis.url": proxy.url})
        for _ in range(4):
            proxy.error = b"ERR it is gone"
            eventually("asynq_redis_up 0", lambda: collector.metrics().value("asynq_redis_up") == 0)
            proxy.error = None
            eventually("asynq_redis_up 1", lambda: collector.metrics().value("asynq_redis_up") == 1)
        assert len(logged(collector, FAILED)) == 1 and len(logged(collector, ANSWERS_AGAIN)) == 1
