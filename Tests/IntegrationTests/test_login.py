"""Getting in: optional commands that are refused, secrets that are rotated, ports that are something else."""

import os
import signal

import pytest

from support import golden
from support.collector import run_once
from support.deadline import eventually
from support.http_client import PROTOBUF, ask
from support.metrics_page import MetricsPage
from support.ports import free_port
from support.redis_server import RedisServer
from support.refusing_proxy import HANGS_UP, RefusingProxy
from support.scrapes import FAILED, after_scrapes, errors, logged
from support.sentinel import MASTER, Sentinel

QUICK = {"redis.interval": "200ms", "redis.look-interval": "0"}


@pytest.fixture(scope="module")
def state():
    return golden.load("0.26.0")


@pytest.fixture(scope="module")
def server(state, tmp_path_factory):
    with RedisServer(tmp_path_factory.mktemp("redis"), dump=state.dump) as started:
        yield started


REFUSALS = {
    "unknown": b"-ERR unknown command 'CLIENT'",
    "forbidden": b"-ERR command 'CLIENT' is not allowed",
    "disabled": b"-ERR This command is disabled",
    "other user": b"-ERR not support for normal user",
    "syntax": b"-ERR Syntax error, try CLIENT (LIST | KILL ip:port)",
    "arguments": b"-ERR wrong number of arguments for 'client' command",
    "no words": b"-",
    "hangs up": HANGS_UP,
}


@pytest.mark.parametrize("command", ["CLIENT", "INFO"])
@pytest.mark.parametrize("how", REFUSALS)
def test_an_optional_command_may_be_refused_in_any_words(server, state, command, how):
    answer = REFUSALS[how] and REFUSALS[how].replace(b"CLIENT", command.encode())
    with RefusingProxy(server, {command.encode(): answer}) as proxy:
        ran = run_once("scrape", "--redis-url", proxy.url)
    assert ran.returncode == 0, ran
    page = MetricsPage(ran.stdout)
    assert page.value("asynq_redis_up") == 1 and page.sum("asynq_redis_scrape_errors_total") == 0
    assert len(page.by("asynq_queue_paused", "queue")) == len(state.queues)
    assert page.has("asynq_redis_used_memory_bytes") == (command == "CLIENT")


def test_a_collector_does_not_ask_for_what_a_proxy_hangs_up_at(start_collector, server):
    with RefusingProxy(server, {b"INFO": HANGS_UP, b"CLIENT": HANGS_UP}) as proxy:
        collector = start_collector(options=QUICK | {"redis.url": proxy.url})
        page = after_scrapes(collector, 5)
        assert errors(page) == {} and proxy.seen.count(b"INFO") == 1, proxy.seen


@pytest.mark.parametrize("answer, reason", [(b"-NOAUTH Authentication required.", "NOAUTH"),
                                            (b"-LOADING Redis is loading the dataset in memory", "LOADING"),
                                            (b"-ERR max number of clients reached", "max number of clients")])
def test_what_concerns_the_connection_ends_the_login(server, answer, reason):
    with RefusingProxy(server, {b"CLIENT": answer}) as proxy:
        ran = run_once("scrape", "--redis-url", proxy.url)
    assert ran.returncode == 1 and reason in ran.stderr, ran


# --- Secrets in files ---


def test_a_rotated_password_counts_for_the_next_connection(start_collector, tmp_path):
    with RedisServer(tmp_path / "redis", password="one") as redis, redis.client() as client:
        client.sadd("asynq:queues", "q")
        secret = tmp_path / "password"
        secret.write_text("one\n")
        collector = start_collector(options=QUICK | {"redis.url": redis.tcp_url, "redis.password-file": secret})
        after_scrapes(collector)
        client.config_set("requirepass", "two")
        secret.write_text("two\n")
        killed = client.client_kill_filter(_type="normal", skipme=True)
        assert killed > 0, "expected a connection of the collector"
        after_scrapes(collector, 3)
        assert logged(collector, FAILED) == []
        # A file that is gone takes nothing away.
        secret.unlink()
        client.client_kill_filter(_type="normal", skipme=True)
        after_scrapes(collector, 3)
        told = logged(collector, "a secret can't be read again; the one that was read last stays in use")
        assert len(told) == 1 and str(secret) in told[0]["problem"], told
        secret.write_text("two\n")


def test_a_rotated_token_counts_for_the_next_request_and_sighup_names_nothing(start_collector, tmp_path):
    token = tmp_path / "token"
    token.write_text("first\n")
    collector = start_collector(options={"otlp.bearer-token-file": token})

    def status(word: str) -> int:
        headers = PROTOBUF | {"Authorization": f"Bearer {word}"}
        return ask(collector.tcp, "POST", "/v1/traces", b"", headers).status

    assert (status("first"), status("second")) == (200, 401)
    replacement = tmp_path / "token.new"
    replacement.write_text("second\n")
    os.replace(replacement, token)
    assert (status("first"), status("second")) == (401, 200)
    collector.process.send_signal(signal.SIGHUP)
    eventually("a line of the reload", lambda: "configuration read again" in collector.stderr())
    assert (status("first"), status("second")) == (401, 200)
    assert logged(collector, "the change of these keys takes effect at the next start") == []


# --- Ports that are something else ---


@pytest.fixture(scope="module")
def tls_server(certificates, tmp_path_factory):
    port = free_port()
    flags = ["--tls-port", str(port), *certificates.server_flags()]
    with RedisServer(tmp_path_factory.mktemp("tls"), flags=flags) as started:
        yield started, port


def failed(url: str, *flags: str) -> str:
    ran = run_once("scrape", "--redis-url", url, "--redis-timeout", "1s", *flags)
    assert ran.returncode == 1 and len(ran.stderr.splitlines()) == 1, ran
    return ran.stderr


def test_a_tls_port_and_a_plain_one_are_told_apart(tls_server):
    redis, port = tls_server
    assert "write rediss for redis" in failed(f"redis://127.0.0.1:{port}/0")
    assert "write redis for rediss" in failed(f"rediss://127.0.0.1:{redis.port}/0")
    assert "write rediss for redis" in failed(f"redis-sentinel://127.0.0.1:{port}/0?master=m")
    assert "write redis for rediss" in failed(f"rediss-cluster://127.0.0.1:{redis.port}")


def test_the_port_of_a_web_server_is_told(start_collector):
    collector = start_collector()
    said = failed(f"redis://127.0.0.1:{collector.metrics_port}/0")
    assert "web server" in said or "closed the connection" in said, said


def test_a_sentinel_and_a_redis_are_told_apart(server, tmp_path):
    sentinel = Sentinel(tmp_path / "sentinel", server.port)
    try:
        eventually("the sentinel watches", lambda: "+monitor" in sentinel.log())
        said = failed(f"redis://127.0.0.1:{sentinel.port}/3")
        assert f"redis-sentinel://127.0.0.1:{sentinel.port}/3?master={MASTER}" in said, said
        assert "redis-sentinel://" in failed(f"redis-cluster://127.0.0.1:{sentinel.port}")
        said = failed(f"redis-sentinel://127.0.0.1:{server.port}/0?master=m")
        assert f"redis://127.0.0.1:{server.port}" in said, said
    finally:
        sentinel.stop()


def test_the_log_and_the_page_say_what_is_read(start_collector, server):
    collector = start_collector(options={"redis.url": f"redis://default:@127.0.0.1:{server.port}/5"})
    url = f"redis://127.0.0.1:{server.port}/5"
    assert [line["redis"] for line in logged(collector, "started")] == [url]
    page = collector.get("/").body.decode()
    assert url in page and f"No queues yet in {url}." in page
