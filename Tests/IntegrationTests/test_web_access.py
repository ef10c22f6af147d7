"""Who may read the web endpoints: credentials, the names under which they answer, and what is served at all."""

import base64
import json

import pytest

from support import http_client
from support.configuration import refused

HEALTH = ("/-/healthy", "/-/ready", "/healthz", "/readyz")
PAGES = ("/", "/api/v1/overview", "/api/v1/queues", "/api/v1/dead-letters")


def basic(user: str, password: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


def status(collector, path: str, headers: dict[str, str] = {}) -> int:
    return collector.get(path, headers=headers).status


def test_with_a_password_everything_but_health_wants_it(start_collector, tmp_path):
    (tmp_path / "password").write_text("hüsh:1\n")
    collector = start_collector(options={"metrics.username": "joe", "metrics.password-file": tmp_path / "password"})
    for path in HEALTH:
        assert status(collector, path) == 200
    for path in (*PAGES, "/metrics"):
        answer = collector.get(path)
        assert answer.status == 401 and answer.headers["WWW-Authenticate"].startswith("Basic realm="), path
        assert "hüsh" not in answer.body.decode()
        for wrong in (basic("joe", "hush"), basic("jo", "hüsh:1"), basic("joe", "hüsh:1x"), {"Authorization": "Bearer x"},
                      {"Authorization": "Basic %%%"}):
            assert status(collector, path, wrong) == 401
        assert status(collector, path, basic("joe", "hüsh:1")) == 200
    (tmp_path / "password").write_text("new")
    assert status(collector, "/metrics", basic("joe", "new")) == 200
    assert status(collector, "/metrics", basic("joe", "hüsh:1")) == 401


def test_a_token_will_do_as_well_where_both_are_set(start_collector):
    collector = start_collector(options={
        "metrics.username": "joe", "metrics.password": "hush", "metrics.bearer-token": "--token"})
    assert status(collector, "/metrics", {"Authorization": "Bearer --token"}) == 200
    assert status(collector, "/metrics", basic("joe", "hush")) == 200
    assert len(collector.get("/metrics").headers.get_all("WWW-Authenticate")) == 2


def test_half_of_the_credentials_is_a_mistake():
    assert "metrics.username" in refused("--metrics-username=joe")
    assert "metrics.password" in refused("--metrics-password=hush")


def test_without_pages_there_are_metrics_and_health_only(start_collector):
    collector = start_collector(options={"metrics.pages": "false"})
    for path in (*HEALTH, "/metrics"):
        assert status(collector, path) == 200
    for path in PAGES:
        assert status(collector, path) == 404
    assert "/api/v1" not in collector.get("/").body.decode()


@pytest.mark.parametrize("host, expected", [
    ("127.0.0.1", 200), ("127.0.0.1:9876", 200), ("[::1]:9876", 200), ("localhost:1", 200), ("LocalHost", 200), ("10.1.2.3", 200),
    ("evil.example", 403), ("localhost.evil.example", 403), ("127.0.0.1.evil.example", 403), ("[evil]", 403), ("a:b:c", 403),
    ("collector.example:9876", 200), ("Collector.Example.", 200), ("a.svc", 200), ("a.b.svc:80", 200), ("svc", 403),
])
def test_pages_answer_to_names_that_are_allowed(start_collector, host, expected):
    """Under a name of its own, a page of the web could read what its visitor may read."""
    collector = start_collector(options={"metrics.allowed-hosts": "collector.example,*.svc"})
    for path in ("/", "/api/v1/overview"):
        assert status(collector, path, {"Host": host}) == expected, path
    # Prometheus and probes may use any.
    assert status(collector, "/metrics", {"Host": host}) == 200
    assert status(collector, "/-/ready", {"Host": host}) == 200


def test_a_star_allows_all_names(start_collector):
    collector = start_collector(options={"metrics.allowed-hosts": "*"})
    assert status(collector, "/", {"Host": "anything.example"}) == 200


def test_every_answer_tells_browsers_what_they_may_do_with_it(start_collector):
    collector = start_collector()
    for path in (*PAGES, *HEALTH, "/metrics", "/nothing"):
        headers = collector.get(path).headers
        assert headers["X-Content-Type-Options"] == "nosniff" and headers["X-Frame-Options"] == "DENY", path
        assert headers["Referrer-Policy"] == "no-referrer" and "default-src 'none'" in headers["Content-Security-Policy"]
    assert http_client.ask(collector.web, "POST", "/").headers["X-Frame-Options"] == "DENY"


def test_each_reason_of_a_refusal_is_told_in_the_log(start_collector):
    collector = start_collector(options={"metrics.username": "joe", "metrics.password": "hush"})
    joe = basic("joe", "hush")
    assert status(collector, "/metrics", basic("joe", "h")) == 401
    assert status(collector, "/", joe | {"Host": "evil.example"}) == 403
    assert status(collector, "/nothing", joe) == 404
    assert http_client.ask(collector.web, "POST", "/metrics", headers=joe).status == 405
    told = [json.loads(line) for line in collector.stderr().splitlines() if line.startswith("{")]
    lines = [line for line in told if line["message"] == "request refused"]
    assert [line["reason"] for line in lines] == ["unauthorized", "host", "not_found", "method"]
    assert all(line["component"] == "web" and line["peer"].startswith("127.0.0.1:") and line["text"] for line in lines)
    assert "hush" not in collector.stderr()
