"""metrics.asynqmon-names: dashboards that were built for Asynq's own exporter go on working."""

import pytest

from support import golden
from support.collector import flags, run_once
from support.deadline import eventually
from support.metrics_page import MetricsPage
from support.openmetrics_page import OpenMetricsPage
from support.programs import FIXTURES
from support.redis_server import RedisServer

VERSION = golden.VERSIONS[-1]
OTHERS = ("asynq_tasks_enqueued_total", "asynq_queue_paused_total", "asynq_tasks_failed_total")
OPEN_METRICS = {"Accept": "application/openmetrics-text;version=1.0.0"}


@pytest.fixture(scope="module")
def theirs() -> MetricsPage:
    """What Asynq's exporter said of the same data."""
    return MetricsPage((FIXTURES / "asynq" / f"{VERSION}.xmetrics.prom").read_text(encoding="utf-8"))


@pytest.fixture
def redis(tmp_path):
    with RedisServer(tmp_path / "redis", golden.load(VERSION).dump) as server:
        yield server


def test_their_names_have_their_labels_and_values(start_collector, redis, theirs):
    collector = start_collector(options={"redis.url": redis.url, "metrics.asynqmon-names": "true"})
    ours = eventually("a page with queues", lambda: (page := collector.metrics()).has("asynq_queue_size") and page)
    for name in OTHERS:
        assert ours.samples[name] == theirs.samples[name], name
        assert ours.families[name.removesuffix("_total") if "failed" in name else name].type == (
            "counter" if "failed" in name else "gauge")


def test_the_names_that_both_have_add_up_to_theirs(start_collector, redis, theirs):
    collector = start_collector(options={"redis.url": redis.url, "metrics.asynqmon-names": "true"})
    ours = eventually("a page with queues", lambda: (page := collector.metrics()).has("asynq_queue_size") and page)
    for name in ("asynq_queue_size", "asynq_tasks_processed_total"):
        for queue, value in theirs.by(name, "queue").items():
            assert ours.sum(name, {"queue": queue}) == value, (name, queue)
    assert ours.by("asynq_queue_latency_seconds", "queue").keys() == theirs.by("asynq_queue_latency_seconds", "queue").keys()


def test_they_are_on_the_text_page_only(start_collector, redis):
    collector = start_collector(options={"redis.url": redis.url, "metrics.asynqmon-names": "true"})
    eventually("a page with queues", lambda: collector.metrics().has("asynq_queue_size"))
    page = OpenMetricsPage(collector.get("/metrics", OPEN_METRICS).body.decode())
    assert "asynq_queue_size" in page.samples
    assert not set(OTHERS) & set(page.samples)


def test_without_the_setting_they_are_not_there(start_collector, redis):
    collector = start_collector(options={"redis.url": redis.url})
    page = eventually("a page with queues", lambda: (page := collector.metrics()).has("asynq_queue_size") and page)
    assert not set(OTHERS) & set(page.samples)


def test_the_scrape_command_has_them_too(redis):
    options = {"redis.url": redis.url, "metrics.asynqmon-names": "true"}
    page = MetricsPage(run_once("scrape", *flags(options)).stdout)
    assert set(OTHERS) <= set(page.samples)
