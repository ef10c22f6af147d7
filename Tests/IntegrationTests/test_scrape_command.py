"""The command `scrape`: how it reaches Redis, what it asks, and what it says when it can't."""

import socket

import pytest

from support import golden
from support.collector import run_once
from support.metrics_page import MetricsPage
from support.ports import free_port
from support.redis_server import RedisServer


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with RedisServer(tmp_path_factory.mktemp("redis"), dump=golden.load("0.26.0").dump) as started:
        yield started


def scrape(server: RedisServer, *flags: str) -> MetricsPage:
    ran = run_once("scrape", "--redis-url", server.url, *flags)
    assert ran.returncode == 0, f"expected exit code 0, got {ran}"
    return MetricsPage(ran.stdout)


@pytest.mark.parametrize("url", ["url", "tcp_url"], ids=["unix socket", "TCP"])
def test_prints_the_page_over_either_transport(server, url):
    ran = run_once("scrape", f"--redis-url={getattr(server, url)}")
    assert ran.returncode == 0, ran
    assert len(MetricsPage(ran.stdout).by("asynq_queue_paused", "queue")) == 16


def assert_one_clear_line(ran) -> None:
    assert ran.returncode == 1, f"expected exit code 1, got {ran}"
    assert ran.stdout == "", f"expected nothing on stdout, got {ran.stdout!r}"
    lines = ran.stderr.splitlines()
    assert len(lines) == 1 and lines[0].strip(), f"expected exactly one line on stderr, got {lines}"


def test_fails_with_one_line_when_nothing_listens_on_the_port():
    port = free_port()
    ran = run_once("scrape", "--redis-url", f"redis://127.0.0.1:{port}/0")
    assert_one_clear_line(ran)
    assert str(port) in ran.stderr, f"expected the address in {ran.stderr!r}"


def test_fails_with_one_line_when_the_socket_is_not_there(tmp_path):
    ran = run_once("scrape", "--redis-url", f"unix://{tmp_path}/absent.sock?db=0")
    assert_one_clear_line(ran)
    assert "absent.sock" in ran.stderr, f"expected the path in {ran.stderr!r}"


def test_fails_with_one_line_when_redis_does_not_answer_in_time():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"redis://127.0.0.1:{silent.getsockname()[1]}/0"
        assert_one_clear_line(run_once("scrape", "--redis-url", url, "--redis-timeout", "300ms"))


def test_fails_with_one_line_when_the_password_is_wrong_and_does_not_print_it(tmp_path):
    with RedisServer(tmp_path, password="correct") as guarded:
        ran = run_once("scrape", "--redis-url", guarded.url, env={"ASYNQ_COLLECTOR_REDIS_PASSWORD": "mistaken"})
    assert_one_clear_line(ran)
    assert "mistaken" not in ran.stderr


def commands(server: RedisServer, flags: tuple[str, ...] = ()) -> dict[str, int]:
    """How often one scrape sent each command."""
    with server.client() as client:
        client.config_resetstat()
        scrape(server, *flags)
        stats = client.info("commandstats")
    own = {"config|resetstat", "info"}
    return {name.removeprefix("cmdstat_"): stat["calls"] for name, stat in stats.items()
            if name.removeprefix("cmdstat_") not in own}


def test_sends_only_commands_that_read_and_never_walk_the_key_space(server):
    sent = commands(server)
    assert sent, "expected some commands"
    with server.client() as client:
        known = client.command()
    connection = {"hello", "auth", "select", "ping", "client", "client|setname", "client|setinfo", "quit", "info", "time"}
    for name in set(sent) - connection:
        flags = known[name.split("|")[0]]["flags"]
        assert "readonly" in flags and "blocking" not in flags, f"expected only reading commands, got {name}: {flags}"
    forbidden = {"eval", "evalsha", "eval_ro", "evalsha_ro", "fcall", "fcall_ro", "scan", "keys", "sscan", "hscan", "zscan"}
    assert not forbidden & set(sent), f"expected none of {forbidden}, got {sent}"


def test_changes_nothing_in_redis(server):
    with server.client() as client:
        before = _contents(client)
        scrape(server)
        assert _contents(client) == before


def _contents(client) -> dict[bytes, bytes]:
    keys = sorted(client.keys())
    return dict(zip(keys, (client.dump(key) for key in keys)))


def test_the_number_of_commands_does_not_grow_with_the_number_of_tasks(server):
    before = sum(commands(server).values())
    queue = b"process-document"
    with server.client() as client:
        added = [f"added-{n}" for n in range(5000)]
        client.lpush(b"asynq:{%b}:pending" % queue, *added)
        client.zadd(b"asynq:{%b}:scheduled" % queue, {name: 4_000_000_000 for name in added})
        try:
            after = sum(commands(server).values())
        finally:
            client.ltrim(b"asynq:{%b}:pending" % queue, len(added), -1)
            client.zrem(b"asynq:{%b}:scheduled" % queue, *added)
    assert after == before


def test_round_trips_do_not_grow_with_the_number_of_queues(tmp_path):
    queues = 300
    with RedisServer(tmp_path) as server, server.client() as client:
        client.sadd("asynq:queues", *(f"queue-{n}" for n in range(queues)))
        reads_before = client.info("stats")["total_reads_processed"]
        page = scrape(server)
        # One read is this INFO. A pipeline that is larger than the server's buffer takes a few reads more.
        reads = client.info("stats")["total_reads_processed"] - reads_before - 1
    assert len(page.by("asynq_queue_paused", "queue")) == queues
    assert reads < queues / 2, f"expected the commands of {queues} queues in a few pipelines, Redis read {reads} times"


def test_a_queue_of_the_wrong_type_costs_only_its_own_samples(tmp_path):
    with RedisServer(tmp_path, dump=golden.load("0.26.0").dump) as server, server.client() as client:
        client.sadd("asynq:queues", "broken")
        client.set("asynq:{broken}:pending", "not a list")
        page = scrape(server)
    others = {key: size for key, size in page.by("asynq_queue_size", "queue", "state").items() if key[0] != "broken"}
    assert others == golden.load("0.26.0").sizes()
    assert page.value("asynq_redis_up") == 1
    assert page.sum("asynq_redis_scrape_errors_total") >= 1


def test_a_redis_without_asynq_has_no_queues(tmp_path):
    with RedisServer(tmp_path) as server:
        page = scrape(server)
    assert page.names("asynq_queue_") == set()
    assert page.value("asynq_redis_up") == 1
