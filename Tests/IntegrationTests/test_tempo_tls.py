"""Tempo by TLS: verified by default, with an authority of one's own, a client certificate, another name."""

import ssl

import pytest

from support.configuration import refused
from support.deadline import eventually
from support.otlp import numbered_keys, numbered_request
from support.tempo_stub import TempoStub

SPANS = range(3)


def context(certificates, client_certificates: bool = False) -> ssl.SSLContext:
    """Of a server. It notes the name that each client asks for."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(certificates["server.pem"], certificates["server.key"])
    made.names_asked_for = []
    made.sni_callback = lambda connection, name, of: made.names_asked_for.append(name)
    if client_certificates:
        made.verify_mode = ssl.CERT_REQUIRED
        made.load_verify_locations(certificates["ca.pem"])
    return made


@pytest.fixture
def tempo(certificates):
    """Its certificate is for localhost, redis.example and 127.0.0.1."""
    with TempoStub(context(certificates)) as stub:
        yield stub


@pytest.fixture
def strict_tempo(certificates):
    """Asks for a client certificate."""
    with TempoStub(context(certificates, client_certificates=True)) as stub:
        yield stub


@pytest.fixture
def forward(start_collector):
    """A collector that has accepted a few spans for this endpoint."""
    def start(endpoint: str, **tls: str):
        flags = {f"tempo.tls.{name.replace('_', '-')}": value for name, value in tls.items()}
        collector = start_collector(options={
            "tempo.endpoint": endpoint, "tempo.retry.initial": "50ms", "tempo.retry.max": "300ms"} | flags)
        collector.post(numbered_request(SPANS))
        return collector
    return start


def assert_arrived(tempo) -> None:
    tempo.until_stored(numbered_keys(SPANS))
    tempo.assert_each_once(numbered_keys(SPANS))


def assert_refused_by_tls(collector, tempo, label: str = "tls") -> None:
    count = lambda: collector.metrics().sum("asynq_collector_forward_requests_total", {"code": label})
    eventually(f"a second attempt that ends as {label}", lambda: count() >= 2)
    assert collector.count("spool_spans") == len(SPANS), "expected what can't be sent to be kept"
    assert not tempo.requests


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_the_right_authority_is_accepted(forward, tempo, certificates, host):
    forward(f"https://{host}:{tempo.port}", ca_file=certificates["ca.pem"])
    assert_arrived(tempo)
    assert set(tempo.tls.names_asked_for) == {"localhost" if host == "localhost" else None}


@pytest.mark.parametrize("authority", [None, "stranger.pem"])
def test_verification_is_on_by_default(forward, tempo, certificates, authority):
    collector = forward(tempo.endpoint, **({"ca_file": certificates[authority]} if authority else {}))
    assert_refused_by_tls(collector, tempo)
    assert "certificate" in collector.stderr()


def test_verification_can_be_switched_off(forward, tempo):
    forward(tempo.endpoint, insecure_skip_verify="true")
    assert_arrived(tempo)


def test_another_name_is_asked_for_and_verified_and_the_rest_of_the_request_is_as_it_was(forward, tempo, certificates):
    forward(f"https://localhost:{tempo.port}", ca_file=certificates["ca.pem"], server_name="redis.example")
    assert_arrived(tempo)
    assert set(tempo.tls.names_asked_for) == {"redis.example"}
    assert {request.headers["Host"] for request in tempo.requests} == {f"localhost:{tempo.port}"}


@pytest.mark.parametrize("name", ["other.example", "127.0.0.2"])
def test_a_name_that_is_not_the_certificate_s_is_refused(forward, tempo, certificates, name):
    collector = forward(tempo.endpoint, ca_file=certificates["ca.pem"], server_name=name)
    assert_refused_by_tls(collector, tempo)


def test_a_server_that_asks_for_a_certificate_gets_it(forward, strict_tempo, certificates):
    forward(strict_tempo.endpoint, ca_file=certificates["ca.pem"], cert_file=certificates["client.pem"],
            key_file=certificates["client.key"])
    assert_arrived(strict_tempo)


def test_a_key_may_stand_in_the_certificate_s_file(forward, strict_tempo, certificates, tmp_path):
    both = tmp_path / "both.pem"
    both.write_bytes(b"".join(open(certificates[f"client.{end}"], "rb").read() for end in ("key", "pem")))
    forward(strict_tempo.endpoint, ca_file=certificates["ca.pem"], cert_file=str(both))
    assert_arrived(strict_tempo)


def test_a_server_that_asks_for_a_certificate_refuses_one_without(forward, strict_tempo, certificates):
    collector = forward(strict_tempo.endpoint, ca_file=certificates["ca.pem"])
    eventually("tempo_up 0", lambda: collector.metrics().value("asynq_collector_tempo_up") == 0)
    assert collector.count("spool_spans") == len(SPANS)
    assert not strict_tempo.requests


def test_a_renewed_client_certificate_takes_effect_by_itself(forward, strict_tempo, certificates, tmp_path):
    """The first one is signed by nobody whom the server knows."""
    certificate, key = tmp_path / "client.pem", tmp_path / "client.key"
    certificate.write_bytes(open(certificates["stranger.pem"], "rb").read())
    key.write_bytes(open(certificates["stranger.key"], "rb").read())
    collector = forward(strict_tempo.endpoint, ca_file=certificates["ca.pem"], cert_file=str(certificate), key_file=str(key))
    eventually("tempo_up 0", lambda: collector.metrics().value("asynq_collector_tempo_up") == 0)
    key.write_bytes(open(certificates["client.key"], "rb").read())
    certificate.write_bytes(open(certificates["client.pem"], "rb").read())
    assert_arrived(strict_tempo)


def test_spans_arrive_where_tempo_s_answer_comes_by_tls_after_an_outage(forward, tempo, certificates):
    collector = forward(tempo.endpoint, ca_file=certificates["ca.pem"])
    assert_arrived(tempo)
    tempo.go_down()
    collector.post(numbered_request(range(3, 2003)))
    tempo.come_up()
    tempo.until_stored(numbered_keys(range(2003)))


@pytest.mark.parametrize("key", ["ca-file", "cert-file", "key-file"])
@pytest.mark.parametrize("content", [None, "nonsense\n"], ids=["missing", "nonsense"])
def test_a_file_that_is_missing_or_no_certificate_is_told_at_the_start(certificates, tmp_path, key, content):
    path = tmp_path / "file.pem"
    if content:
        path.write_text(content)
    flags = ["--tempo-endpoint", "https://localhost", f"--tempo-tls-{key}", str(path)]
    if key == "key-file":
        flags += ["--tempo-tls-cert-file", certificates["client.pem"]]
    problem = refused(*flags)
    assert f"tempo.tls.{key} {path}" in problem


def test_a_key_of_another_certificate_or_without_one_is_told_at_the_start(certificates):
    flags = ["--tempo-endpoint", "https://localhost", "--tempo-tls-key-file", certificates["server.key"]]
    assert "needs tempo.tls.cert-file" in refused(*flags)
    assert "mismatch" in refused(*flags, "--tempo-tls-cert-file", certificates["client.pem"])
