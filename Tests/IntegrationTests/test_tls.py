"""Redis by TLS: verified by default, with an authority of one's own, a client certificate, another name."""

import os
import pty

import pytest

from support.collector import run_once
from support.metrics_page import MetricsPage
from support.ports import free_port
from support.programs import COLLECTOR
from support.redis_cluster import RedisCluster
from support.redis_server import RedisServer
from support.scrapes import FAILED, after_scrapes, errors, logged


@pytest.fixture(scope="module", params=["no", "yes"], ids=["any client", "certified clients"])
def server(request, certificates, tmp_path_factory):
    """Its url by TLS, and whether it asks for a client certificate."""
    port = free_port()
    flags = ["--tls-port", str(port), *certificates.server_flags(request.param)]
    with RedisServer(tmp_path_factory.mktemp("redis"), flags=flags) as started, started.client() as client:
        # More than fits into one TLS record, one way and the other.
        client.sadd("asynq:queues", *(f"queue-{n}" for n in range(2000)))
        yield port, request.param == "yes"


def scrape(server, *flags: str, host: str = "localhost"):
    return run_once("scrape", "--redis-url", f"rediss://{host}:{server[0]}/0", *flags)


def client_flags(certificates) -> list[str]:
    return ["--redis-tls-cert-file", certificates["client.pem"], "--redis-tls-key-file", certificates["client.key"]]


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_the_right_authority_is_accepted(server, certificates, host):
    ran = scrape(server, "--redis-tls-ca-file", certificates["ca.pem"], *client_flags(certificates), host=host)
    assert ran.returncode == 0, ran
    assert len(MetricsPage(ran.stdout).by("asynq_queue_paused", "queue")) == 2000


def test_a_server_that_asks_for_a_certificate_refuses_one_without(server, certificates):
    ran = scrape(server, "--redis-tls-ca-file", certificates["ca.pem"])
    assert ran.returncode == (1 if server[1] else 0), ran


@pytest.mark.parametrize("authority", [None, "stranger.pem"])
def test_verification_is_on_by_default(server, certificates, authority):
    flags = ["--redis-tls-ca-file", certificates[authority]] if authority else []
    ran = scrape(server, *flags, *client_flags(certificates))
    assert ran.returncode == 1 and "certificate" in ran.stderr, ran


def test_the_name_has_to_be_the_certificate_s(server, certificates):
    flags = ["--redis-tls-ca-file", certificates["ca.pem"], *client_flags(certificates)]
    wrong = scrape(server, *flags, "--redis-tls-server-name", "other.example")
    assert wrong.returncode == 1 and "ostname mismatch" in wrong.stderr, wrong
    assert scrape(server, *flags, "--redis-tls-server-name", "redis.example").returncode == 0


def test_verification_can_be_switched_off(server, certificates):
    ran = scrape(server, "--redis-tls-insecure-skip-verify", "true", *client_flags(certificates))
    assert ran.returncode == 0, ran


@pytest.mark.parametrize("version", ["TLSv1.2", "TLSv1.3"])
def test_each_version_verifies_and_can_do_without(certificates, tmp_path, version):
    """Under 1.2 the client waits for the server's last word after it has looked at the certificate, under 1.3 it does not."""
    port = free_port()
    flags = ["--tls-port", str(port), "--tls-protocols", version, *certificates.server_flags()]
    with RedisServer(tmp_path, flags=flags):
        server = port, False
        unverified = scrape(server, "--redis-tls-insecure-skip-verify", "true")
        assert unverified.returncode == 0, unverified
        assert scrape(server, "--redis-tls-ca-file", certificates["ca.pem"]).returncode == 0
        stranger = scrape(server, "--redis-tls-ca-file", certificates["stranger.pem"])
        assert stranger.returncode == 1 and "certificate is not accepted" in stranger.stderr, stranger


@pytest.mark.parametrize("version", ["TLSv1.2", "TLSv1.3"])
def test_an_idle_connection_that_redis_closes_costs_nothing(start_collector, certificates, tmp_path, version):
    """Under TLS a connection may end without the end of the session."""
    port = free_port()
    flags = ["--tls-port", str(port), "--tls-protocols", version, *certificates.server_flags()]
    with RedisServer(tmp_path / "redis", flags=flags) as redis, redis.client() as client:
        client.sadd("asynq:queues", "q")
        collector = start_collector(options={
            "redis.url": f"rediss://localhost:{port}/0", "redis.tls.ca-file": certificates["ca.pem"],
            "redis.interval": "1s", "redis.look-interval": "0"})
        for _ in range(3):
            after_scrapes(collector, 1)
            assert client.client_kill_filter(_type="normal", skipme=True) > 0, "expected a connection to kill"
        page = after_scrapes(collector, 1)
    assert errors(page) == {} and logged(collector, FAILED) == [], f"expected nothing to fail, got {errors(page)}"


def test_a_plain_port_is_no_tls_port(certificates, tmp_path):
    with RedisServer(tmp_path) as plain:
        ran = run_once("scrape", "--redis-url", f"rediss://127.0.0.1:{plain.port}/0", "--redis-timeout", "2s")
    assert ran.returncode == 1 and len(ran.stderr.splitlines()) == 1, ran


@pytest.mark.parametrize("key", ["ca-file", "cert-file"])
def test_a_file_that_is_no_certificate_is_told_at_the_start(tmp_path, key):
    (tmp_path / "nonsense.pem").write_text("nonsense\n")
    ran = run_once("check-config", "--redis-url", "rediss://localhost/0", f"--redis-tls-{key}", str(tmp_path / "nonsense.pem"))
    assert ran.returncode == 2 and f"redis.tls.{key}" in ran.stderr, ran


def test_an_intermediate_authority_is_enough(certificates, tmp_path):
    """As for Go and curl: what stands in the ca-file is trusted, whoever has signed it."""
    chain = certificates.chained("chained", "subjectAltName=DNS:localhost,IP:127.0.0.1")
    port = free_port()
    flags = ["--tls-port", str(port), "--tls-cert-file", chain.bundle, "--tls-key-file", chain.key, "--tls-ca-cert-file",
             certificates["ca.pem"], "--tls-auth-clients", "no"]
    with RedisServer(tmp_path, flags=flags):
        for authority in (chain.intermediate, certificates["ca.pem"]):
            ran = scrape((port, False), "--redis-tls-ca-file", authority)
            assert ran.returncode == 0, ran
        stranger = scrape((port, False), "--redis-tls-ca-file", certificates["stranger.pem"])
        assert stranger.returncode == 1 and f"localhost:{port}" in stranger.stderr, stranger
        assert "redis.tls.server-name" in stranger.stderr and "redis.tls.ca-file" in stranger.stderr, stranger


def test_a_common_name_alone_is_no_name(certificates, tmp_path):
    certificates.signed("localhost", "keyUsage=digitalSignature")
    port = free_port()
    flags = ["--tls-port", str(port), "--tls-cert-file", certificates["localhost.pem"], "--tls-key-file",
             certificates["localhost.key"], "--tls-ca-cert-file", certificates["ca.pem"], "--tls-auth-clients", "no"]
    with RedisServer(tmp_path, flags=flags):
        ran = scrape((port, False), "--redis-tls-ca-file", certificates["ca.pem"])
    assert ran.returncode == 1 and "subjectAltName" in ran.stderr, ran
    assert f"localhost:{port}" in ran.stderr and "redis.tls.server-name" in ran.stderr, ran


def test_nodes_that_are_announced_by_addresses_need_the_name_of_their_certificate(certificates, tmp_path):
    certificates.signed("named", "subjectAltName=DNS:shop.redis.test")
    named = NamedCertificates(certificates)
    with RedisCluster(tmp_path, certificates=named) as cluster:
        flags = ["--redis-url", cluster.tls_url, "--redis-tls-ca-file", certificates["ca.pem"]]
        refused = run_once("scrape", *flags)
        assert refused.returncode == 1 and "IP address mismatch" in refused.stderr, refused
        assert f"127.0.0.1:{cluster.tls_ports[-1]}" in refused.stderr and "redis.tls.server-name" in refused.stderr, refused
        assert run_once("scrape", *flags, "--redis-tls-server-name", "shop.redis.test").returncode == 0


class NamedCertificates:
    """Of servers whose certificate bears a name only."""

    def __init__(self, certificates):
        self._certificates = certificates

    def server_flags(self) -> list[str]:
        return ["--tls-cert-file", self._certificates["named.pem"], "--tls-key-file", self._certificates["named.key"],
                "--tls-ca-cert-file", self._certificates["ca.pem"], "--tls-auth-clients", "no"]


@pytest.mark.parametrize("section", ["redis", "tempo"])
def test_an_encrypted_key_is_refused_and_no_terminal_asked(certificates, section):
    """With a terminal, OpenSSL would ask it and wait."""
    encrypted = certificates.encrypted("client.key")
    url = {"redis": ("--redis-url", "rediss://localhost/0"), "tempo": ("--tempo-endpoint", "https://localhost")}[section]
    command = [str(COLLECTOR), "check-config", *url, f"--{section}-tls-cert-file", certificates["client.pem"],
               f"--{section}-tls-key-file", encrypted]
    child, terminal = pty.fork()
    if child == 0:
        os.execv(command[0], command)
    said = b""
    while True:
        try:
            said += os.read(terminal, 4096)
        except OSError:  # the end of a terminal
            break
        assert b"pass phrase" not in said, said
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 2, said
    assert f"{section}.tls.key-file".encode() in said and b"is encrypted" in said and b"openssl pkey" in said, said
