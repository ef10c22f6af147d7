"""The user that docs/REDIS.md describes is enough, and INFO is optional."""

import re
from pathlib import Path

import pytest

from support import golden
from support.collector import run_once
from support.metrics_page import MetricsPage
from support.redis_server import RedisServer

DOCUMENT = Path(__file__).parents[2] / "docs" / "REDIS.md"


@pytest.fixture
def server(tmp_path):
    with RedisServer(tmp_path, dump=golden.load("0.26.0").dump) as started:
        yield started


def scrape(server, *more_rules: str) -> MetricsPage:
    rules = re.search(r"^ACL SETUSER asynq-collector on >PASSWORD (.*)$", DOCUMENT.read_text(), re.MULTILINE)[1].split()
    with server.client() as client:
        client.execute_command("ACL", "SETUSER", "asynq-collector", "on", ">secret", *rules, *more_rules)
        client.execute_command("ACL", "LOG", "RESET")
        ran = run_once("scrape", "--redis-url", server.url, "--redis-username", "asynq-collector",
                       env={"ASYNQ_COLLECTOR_REDIS_PASSWORD": "secret"})
        assert ran.returncode == 0, ran
        denied = client.execute_command("ACL", "LOG")
    page = MetricsPage(ran.stdout)
    assert page.sum("asynq_redis_scrape_errors_total") == 0
    return page, denied


def test_the_documented_user_is_enough(server):
    page, denied = scrape(server)
    assert denied == [], f"expected nothing to be denied, got {denied}"
    assert page.has("asynq_servers") and page.has("asynq_redis_used_memory_bytes")
    assert len(page.by("asynq_queue_paused", "queue")) == 16


def test_without_info_only_its_own_metrics_are_absent(server):
    page, _ = scrape(server, "-info")
    assert not page.has("asynq_redis_used_memory_bytes")
    assert page.has("asynq_servers") and page.value("asynq_redis_up") == 1
