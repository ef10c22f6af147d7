"""The configuration in docs/PRODUCTION.md, as it stands there and at work: sentinels and Redis by TLS with client certificates, the
documented ACL users, a Tempo by TLS that wants a tenant, tokens for spans and pages."""

import re
import ssl

import pytest
import yaml

from support import acl
from support.collector import Collector, run_once
from support.deadline import eventually
from support.http_client import Endpoint, ask, post_traces
from support.otlp import numbered_keys, numbered_request
from support.ports import free_port
from support.programs import REPOSITORY
from support.redis_server import RedisServer
from support.sentinel import MASTER, Sentinel
from support.tempo_stub import TempoStub

PAGE = (REPOSITORY / "docs" / "PRODUCTION.md").read_text(encoding="utf-8")
CONFIGURATION = re.search(r"```yaml\n(redis:.*?)```", PAGE, re.S)[1]
SECRETS = {"redis-password": acl.PASSWORD, "sentinel-password": acl.PASSWORD, "otlp-token": "for spans", "web-token": "for pages",
           "tempo-headers": re.search(r"^ *# One line: (\S+)$", CONFIGURATION, re.M)[1]}


@pytest.fixture
def configuration(tmp_path, certificates) -> str:
    """With files that are there in place of those below /etc."""
    for name, secret in SECRETS.items():
        (tmp_path / name).write_text(secret + "\n", encoding="utf-8")
    files = {"redis-ca.pem": "ca.pem", "tempo-ca.pem": "ca.pem", "client.pem": "client.pem", "client.key": "client.key"}

    def file(found: re.Match) -> str:
        return certificates[files[found[1]]] if found[1] in files else str(tmp_path / found[1])

    return re.sub(r"/etc/asynq-collector/(?:secrets|tls)/(\S+)", file, CONFIGURATION)


def test_it_is_a_good_one(tmp_path, configuration):
    assert "/etc/" not in configuration
    (tmp_path / "config.yaml").write_text(configuration, encoding="utf-8")
    checked = run_once("check-config", "--config", tmp_path / "config.yaml")
    assert checked.returncode == 0, checked.stderr
    effective = yaml.safe_load(checked.stdout)
    assert effective["redis"]["username"] == acl.USER and effective["tempo"]["drain"]["max-spans-per-second"] == 10_000
    assert not [secret for secret in SECRETS.values() if secret in checked.stdout]


@pytest.fixture
def redis(tmp_path, certificates):
    port = free_port()
    flags = ["--tls-port", str(port), *certificates.server_flags(client_certificates="yes")]
    with RedisServer(tmp_path / "redis", flags=flags) as server:
        server.tls_port = port
        with server.client() as client:
            acl.make_user(client)
            client.sadd("asynq:queues", "emails")
            client.lpush("asynq:{emails}:pending", "1", "2")
        yield server


@pytest.fixture
def sentinel(redis, tmp_path, certificates):
    port = free_port()
    flags = certificates.server_flags(client_certificates="yes")
    lines = ["tls-replication yes", f"tls-port {port}", "user default off",
             f"user {acl.USER} on >{acl.PASSWORD} resetchannels -@all " + " ".join(acl.documented_rules(of_sentinels=True)),
             *(f"{name.removeprefix('--')} {value}" for name, value in zip(flags[::2], flags[1::2]))]
    sentinel = Sentinel(tmp_path / "sentinel", redis.tls_port, lines=lines)
    sentinel.tls_port = port
    eventually("the sentinel watches", lambda: f"+monitor master {MASTER}" in sentinel.log())
    yield sentinel
    sentinel.stop()


@pytest.fixture
def tempo(certificates):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates["server.pem"], certificates["server.key"])
    with TempoStub(context) as stub:
        yield stub


def test_it_works(tmp_path, configuration, redis, sentinel, tempo):
    ports = {"4317": free_port(), "4318": free_port(), "9876": free_port()}
    placed = configuration
    for there, here in (("sentinel-1.example:26379,sentinel-2.example:26379,sentinel-3.example:26379", f"localhost:{sentinel.tls_port}"),
                        ("https://tempo.example:4318", f"https://localhost:{tempo.port}"),
                        ('":4317,:4318"', f'"127.0.0.1:{ports["4317"]},127.0.0.1:{ports["4318"]}"'),
                        ('listen: ":9876"', f'listen: "127.0.0.1:{ports["9876"]}"'),
                        ("/run/asynq-collector/otlp.sock", str(tmp_path / "otlp.sock")), ("/var/lib/asynq-collector", str(tmp_path / "spool"))):
        assert there in placed
        placed = placed.replace(there, here)
    (tmp_path / "config.yaml").write_text(placed, encoding="utf-8")
    web = Endpoint(port=ports["9876"])
    collector = Collector(tmp_path / "collector", web=web)
    collector.options = {"config": tmp_path / "config.yaml"}
    collector.start()
    try:
        body, content_type = numbered_request(range(10)), {"Content-Type": "application/x-protobuf"}
        spans = Endpoint(port=ports["4318"])
        assert post_traces(spans, body).status == 401
        assert ask(spans, "POST", "/v1/traces", body, content_type | {"Authorization": "Bearer for spans"}).status == 200
        tempo.until_stored(numbered_keys(range(10)))
        assert {request.headers["X-Scope-OrgID"] for request in tempo.requests} == {"team-a"}

        token = {"Authorization": "Bearer for pages"}
        assert ask(web, "GET", "/metrics").status == 401

        def is_read() -> bool:
            return b'asynq_queue_size{queue="emails",state="pending"} 2' in ask(web, "GET", "/metrics", headers=token).body

        eventually("the queue on the page", is_read)
        named = token | {"Host": "asynq-collector.example"}
        assert ask(web, "GET", "/api/v1/scale/emails", headers=named).status == 200
        assert ask(web, "GET", "/api/v1/scale/emails", headers=token | {"Host": "other.example"}).status == 403
        with redis.client() as client:
            acl.assert_nothing_denied(client)
            assert [one for one in client.client_list() if one["user"] == acl.USER]
    finally:
        problem = collector.close()
    assert problem is None, problem
