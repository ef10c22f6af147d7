"""The way to Tempo: proxies of the environment, IPv6, names that move, and what stands in the request's head."""

import re
import socket
import ssl
import subprocess

import pytest

from support.collector import run_once
from support.deadline import eventually
from support.http_proxy import HTTPProxy
from support.otlp import numbered_keys, numbered_request
from support.ports import free_port
from support.tempo_stub import TempoStub

SPANS = range(3)
FAST = {"tempo.retry.initial": "50ms", "tempo.retry.max": "300ms"}


@pytest.fixture
def proxy():
    with HTTPProxy() as started:
        yield started


@pytest.fixture
def tls_tempo(certificates):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates["server.pem"], certificates["server.key"])
    with TempoStub(context) as stub:
        yield stub


def by_name(tempo, scheme: str = "http") -> str:
    """The endpoint under a name of its certificate that only the proxy knows."""
    return f"{scheme}://redis.example:{tempo.port}"


def without_proxies(**of_ours: str) -> dict[str, str]:
    """An environment in which no other proxy is named."""
    names = ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY", "no_proxy", "NO_PROXY")
    return {name: "" for name in names} | of_ours


def assert_arrived(tempo, spans=SPANS) -> None:
    tempo.until_stored(numbered_keys(spans))
    tempo.assert_each_once(numbered_keys(spans))


def test_the_user_agent_names_program_and_version(start_collector, tempo):
    start_collector(options={"tempo.endpoint": tempo.endpoint}).post(numbered_request(SPANS))
    assert_arrived(tempo)
    version = run_once("--version").stdout.split()[-1]
    assert {request.headers["User-Agent"] for request in tempo.requests} == {f"asynq-collector/{version}"}


def test_a_header_of_the_configuration_replaces_our_own(start_collector, tempo):
    options = {"tempo.endpoint": tempo.endpoint, "tempo.headers": "User-Agent=other/1"}
    start_collector(options=options).post(numbered_request(SPANS))
    assert_arrived(tempo)
    assert {request.headers["User-Agent"] for request in tempo.requests} == {"other/1"}


def test_a_query_stays_where_it_is_and_its_secrets_are_not_shown(start_collector, tempo, proxy):
    """The proxy sees the whole URL."""
    collector = start_collector(options={"tempo.endpoint": f"{by_name(tempo)}/?api_token=hush&x=%2F1"} | FAST,
                                env=without_proxies(http_proxy=proxy.url))
    collector.post(numbered_request(SPANS))
    eventually("a request", lambda: proxy.asked)
    assert proxy.asked[0] == f"POST {by_name(tempo)}/v1/traces?api_token=hush&x=%2F1"
    assert "hush" not in collector.stderr() and "x=%2F1" in collector.stderr()


@pytest.mark.parametrize("variable", ["http_proxy", "HTTP_PROXY", "all_proxy"])
def test_the_environment_s_proxy_is_used_for_http(start_collector, tempo, proxy, variable):
    start_collector(options={"tempo.endpoint": by_name(tempo)}, env=without_proxies(**{variable: proxy.url})).post(
        numbered_request(SPANS))
    assert_arrived(tempo)
    assert set(proxy.asked) == {f"POST {by_name(tempo)}/v1/traces"}


@pytest.mark.parametrize("variable", ["https_proxy", "HTTPS_PROXY"])
def test_https_goes_through_a_tunnel_and_our_headers_are_not_for_the_proxy(start_collector, tls_tempo, proxy, certificates,
                                                                           variable):
    start_collector(env=without_proxies(**{variable: proxy.url.replace("//", "//user:password@")}), options={
        "tempo.endpoint": by_name(tls_tempo, "https"), "tempo.tls.ca-file": certificates["ca.pem"],
        "tempo.headers": "X-Scope-OrgID=team-a"}).post(numbered_request(SPANS))
    assert_arrived(tls_tempo)
    assert set(proxy.asked) == {f"CONNECT redis.example:{tls_tempo.port}"}
    for headers in proxy.headers:
        assert "X-Scope-OrgID" not in headers and headers["Proxy-Authorization"].startswith("Basic ")
    assert {request.headers["X-Scope-OrgID"] for request in tls_tempo.requests} == {"team-a"}


def test_another_server_name_leads_through_the_tunnel_to_the_endpoint(start_collector, tls_tempo, proxy, certificates):
    start_collector(env=without_proxies(https_proxy=proxy.url), options={
        "tempo.endpoint": by_name(tls_tempo, "https"), "tempo.tls.ca-file": certificates["ca.pem"],
        "tempo.tls.server-name": "redis.example"}).post(numbered_request(SPANS))
    assert_arrived(tls_tempo)
    assert set(proxy.asked) == {f"CONNECT redis.example:{tls_tempo.port}"}


@pytest.mark.parametrize("exception", ["redis.example", "*", "other,.example:{port}"])
def test_an_endpoint_that_no_proxy_names_is_not_reached_through_the_proxy(start_collector, tempo, proxy, exception):
    collector = start_collector(options={"tempo.endpoint": by_name(tempo)} | FAST, env=without_proxies(
        http_proxy=proxy.url, no_proxy=exception.format(port=tempo.port)))
    collector.post(numbered_request(SPANS))
    eventually("the name looked up in vain", lambda: collector.metrics().sum(
        "asynq_collector_forward_requests_total", {"code": "resolve"}) >= 1)
    assert not proxy.asked


def test_loopback_is_never_reached_through_a_proxy(start_collector, tempo, proxy):
    everything = {name: proxy.url for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "all_proxy")}
    start_collector(options={"tempo.endpoint": tempo.endpoint}, env=without_proxies(**everything)).post(
        numbered_request(SPANS))
    assert_arrived(tempo)
    assert not proxy.asked


@pytest.mark.parametrize("status", [403, 407, 502])
def test_a_proxy_that_refuses_costs_no_span(start_collector, tls_tempo, proxy, certificates, status):
    proxy.refuses = status
    collector = start_collector(env=without_proxies(https_proxy=proxy.url), options={
        "tempo.endpoint": by_name(tls_tempo, "https"), "tempo.tls.ca-file": certificates["ca.pem"]} | FAST)
    collector.post(numbered_request(SPANS))
    eventually("a second attempt", lambda: len(proxy.asked) >= 2)
    assert collector.count("spool_spans") == len(SPANS)
    assert collector.metrics().value("asynq_collector_tempo_up") == 0
    assert ("forwarding is misconfigured" in collector.stderr()) == (status < 500), "whom to blame"
    if status == 407:
        assert "the proxy of https_proxy wants a user and password" in collector.stderr()
    proxy.refuses = None
    assert_arrived(tls_tempo)


@pytest.mark.parametrize("url", ["hptt://u:{}@x:1", "http://u:{}@x:99999", "http://u:1#{}@x:1", "http://u:{} 1@x:1"])
def test_a_variable_without_the_url_of_a_proxy_is_a_mistake_and_its_password_stays_hidden(start_collector, url):
    collector = start_collector(env=without_proxies(HTTP_PROXY=url.format("hush")), options={
        "tempo.endpoint": "http://tempo.example:4318", "metrics.push.endpoint": "http://mimir.example:4318",
        "metrics.push.interval": "200ms"} | FAST)
    collector.post(numbered_request(SPANS))
    for word in ("forwarding is misconfigured", "pushing metrics is misconfigured"):
        line = eventually(word, lambda: next((line for line in collector.stderr().splitlines() if word in line), None))
        assert "HTTP_PROXY is not the URL of a proxy: " in line
    overview = collector.get("/api/v1/overview").body.decode()
    assert "HTTP_PROXY is not the URL of a proxy" in overview
    assert "hush" not in overview + collector.stderr() + collector.get("/metrics").body.decode()
    assert collector.count("spool_spans") == len(SPANS)


def test_a_proxy_that_fails_is_named(start_collector):
    collector = start_collector(env=without_proxies(http_proxy=f"http://u:hush@127.0.0.1:{free_port()}"), options={
        "tempo.endpoint": "http://tempo.example:4318"} | FAST)
    collector.post(numbered_request(SPANS))
    eventually("a failure", lambda: "(through the proxy of http_proxy)" in collector.stderr())
    assert "hush" not in collector.stderr()


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


@pytest.mark.skipif(not has_ipv6(), reason="no IPv6 here")
def test_tempo_may_listen_on_ipv6(start_collector):
    with TempoStub(host="::1") as stub:
        start_collector(options={"tempo.endpoint": stub.endpoint}).post(numbered_request(SPANS))
        assert_arrived(stub)
        assert stub.requests[0].headers["Host"] == f"[::1]:{stub.port}"


@pytest.mark.slow
@pytest.mark.parametrize("old_stays", [False, True], ids=["the old one ends", "the old one goes on answering"])
def test_a_name_that_moves_to_another_address_is_followed(start_collector, tmp_path, old_stays):
    """With an /etc/hosts of the collector's own."""
    hosts = tmp_path / "hosts"
    in_own_space = ["unshare", "-rm", "sh", "-c", f'mount --bind {hosts} /etc/hosts && exec "$@"', "sh"]
    hosts.write_text("127.0.0.1 tempo.test\n")
    if subprocess.run([*in_own_space, "true"], capture_output=True).returncode != 0:
        pytest.skip("no mount namespaces here")
    with TempoStub() as old, TempoStub(host="127.0.0.2", port=old.port) as new:
        collector = start_collector(options={"tempo.endpoint": f"http://tempo.test:{old.port}"} | FAST,
                                    launcher=tuple(in_own_space))
        collector.post(numbered_request([0]))
        assert_arrived(old, [0])
        hosts.write_text("127.0.0.2 tempo.test\n")
        if not old_stays:
            old.go_down()
        number = 0

        def has_arrived() -> bool:
            nonlocal number
            number += 1
            collector.post(numbered_request([number]))
            return bool(new.stored)

        eventually("the new address", has_arrived, seconds=90, every=0.3)
        eventually("an empty spool", lambda: collector.count("spool_spans") == 0)
        assert set(old.times_stored()) | set(new.times_stored()) == numbered_keys(range(number + 1))
        found = re.findall(r"tempo=(\S+)", collector.stderr())
        assert not found or "tempo.test" in found[0]
