"""The health endpoints and the metrics page of `run`."""

import pytest

from support.http_client import ask, post_traces
from support.metrics_page import MetricsPage
from support.otlp import numbered_request
from support.ports import free_port

HEALTH = ("/-/healthy", "/healthz")
READINESS = ("/-/ready", "/readyz")


@pytest.mark.parametrize("path", [*HEALTH, *READINESS])
def test_a_running_collector_is_healthy_and_ready(start_collector, path):
    assert start_collector().get(path).status == 200


def test_health_and_readiness_do_not_depend_on_redis_or_tempo(start_collector, tempo):
    tempo.go_down()
    collector = start_collector(options={"redis.url": f"redis://127.0.0.1:{free_port()}/0", "redis.interval": "100ms",
                                         "tempo.endpoint": tempo.endpoint})
    collector.post(numbered_request(range(10)))
    assert {path: collector.get(path).status for path in HEALTH + READINESS} == dict.fromkeys(HEALTH + READINESS, 200)


def test_the_metrics_page_is_the_text_format_with_the_collectors_own_families(start_collector, tempo):
    collector = start_collector(options={"tempo.endpoint": tempo.endpoint})
    answer = collector.get("/metrics")
    assert answer.media_type == "text/plain"
    assert answer.headers.get_param("version") == "0.0.4"
    page = MetricsPage(answer.body.decode())
    assert page.sum("asynq_collector_build_info") == 1
    assert page.value("asynq_collector_spool_capacity_bytes") == 2**30
    assert page.value("asynq_collector_spool_spans") == 0
    assert page.value("process_resident_memory_bytes") > 0
    assert page.value("process_open_fds") > 0
    assert page.value("process_start_time_seconds") > 0
    assert page.has("process_cpu_seconds_total")
    assert [family.name for family in page.families.values() if not family.documentation] == []


def test_an_unknown_path_is_not_found(start_collector):
    assert start_collector().get("/nothing-here").status == 404


def test_the_receiver_does_not_serve_the_web_endpoints_nor_the_other_way_round(start_collector):
    collector = start_collector()
    assert ask(collector.tcp, "GET", "/metrics").status == 404
    assert post_traces(collector.web, numbered_request(range(1))).status in (404, 405)
