"""The user that docs/REDIS.md describes is enough, and INFO is optional."""

import pytest

from support import acl, golden
from support.collector import run_once
from support.metrics_page import MetricsPage
from support.redis_server import RedisServer


@pytest.fixture
def server(tmp_path):
    with RedisServer(tmp_path, dump=golden.load("0.26.0").dump) as started:
        yield started


def scrape(server, client, *more_rules: str) -> MetricsPage:
    acl.make_user(client, *more_rules)
    ran = run_once("scrape", "--redis-url", server.url, "--redis-username", acl.USER,
                   env={"ASYNQ_COLLECTOR_REDIS_PASSWORD": acl.PASSWORD})
    assert ran.returncode == 0, ran
    page = MetricsPage(ran.stdout)
    assert page.sum("asynq_redis_scrape_errors_total") == 0
    return page


def test_the_documented_user_is_enough(server):
    with server.client() as client:
        page = scrape(server, client)
        acl.assert_nothing_denied(client)
    assert page.has("asynq_servers") and page.has("asynq_redis_used_memory_bytes")
    assert len(page.by("asynq_queue_paused", "queue")) == 16


def test_without_info_only_its_own_metrics_are_absent(server):
    with server.client() as client:
        page = scrape(server, client, "-info")
    assert not page.has("asynq_redis_used_memory_bytes")
    assert page.has("asynq_servers") and page.value("asynq_redis_up") == 1
