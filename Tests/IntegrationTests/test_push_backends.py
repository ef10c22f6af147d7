"""Real backends beside a scrape of the same collector: what is pushed comes to the same series and the same values.

`ASYNQ_COLLECTOR_TEST_PROMETHEUS` names Prometheus servers; those that have the OTLP receiver are tried (Debian's are built without it).
`ASYNQ_COLLECTOR_TEST_VICTORIA_METRICS` names a VictoriaMetrics; sid's package is one.
"""

import itertools
import re
import time

import pytest

from support.collector import Collector
from support.deadline import eventually
from support.http_client import Endpoint
from support.otlp import attributes, process_span, request
from support.ports import free_port
from support.prometheus_server import (RECEIVER, WITH_RECEIVER, Prometheus, keeps_classic_histograms, takes_native_histograms,
                                       version)
from support.redis_server import RedisServer
from support.tempo_stub import TempoStub
from support.victoria_metrics import PROGRAM as VICTORIA_METRICS, VictoriaMetrics

SCRAPED, PUSHED = "scraped", "asynq-collector"
# What moves by itself, or with the reading of it.
RESTLESS = re.compile(r"process_(?!start)|asynq_collector_(push_|forward_|memory_bytes)|asynq_redis_(?!up)|asynq_collector_spool_")
QUEUES = ("emails", 'a "quoted" one', "reports")


@pytest.fixture(scope="module")
def tempo():
    with TempoStub() as stub:
        yield stub


@pytest.fixture(scope="module")
def redis(tmp_path_factory):
    with RedisServer(tmp_path_factory.mktemp("redis")) as server:
        yield server


def start(directory, port: int, endpoint: str, histograms: str, tempo, redis) -> Collector:
    options = {
        "metrics.listen": f"127.0.0.1:{port}", "metrics.push.endpoint": endpoint, "metrics.push.interval": "1s",
        "metrics.push.histograms": histograms, "metrics.push.resource": "service.instance.id=i", "tempo.endpoint": tempo.endpoint,
        "redis.url": redis.url}
    return Collector(directory, options, web=Endpoint(port=port)).start()


def work(collector: Collector) -> None:
    spans = []
    waits = itertools.cycle([0.003, 0.4, 0.4, 7.0, 250.0])
    for number, queue in enumerate(itertools.islice(itertools.cycle(QUEUES), 60)):
        span = process_span(number, queue, f"type {number % 2}", flags=1)
        span.attributes.extend(attributes(asynq__task__wait_seconds=next(waits)))
        spans.append(span)
    collector.post(request(*spans))
    collector.until_forwarded(60)


def edge(text: str) -> str:
    """An upper bound in one form: Prometheus 3 writes `1.0` of what it scrapes, and `1` of what is pushed."""
    return repr(float(text))


def series(server, job: str, value: str) -> dict[frozenset, object]:
    """Values, or native histograms, by the labels that a series has of the collector."""
    found = server.query(f'{{job="{job}", __name__=~"asynq_.+|process_.+"}}')
    return {frozenset((name, edge(text) if name == "le" else text) for name, text in one["metric"].items()
                      if name not in ("job", "instance")): one[value] for one in found if value in one}


def unequal(scraped: dict, pushed: dict, is_same) -> list[str]:
    return [f"{dict(labels)}: {scraped[labels]} and {pushed[labels]}" for labels in scraped
            if not RESTLESS.match(dict(labels)["__name__"]) and not is_same(scraped[labels], pushed[labels])]


def same_number(one: list, other: list) -> bool:
    return float(one[1]) == pytest.approx(float(other[1]))


def same_histogram(one: list, other: list) -> bool:
    """All but the width of the zero bucket: 3.5 takes none from OTLP."""
    def shown(histogram: dict) -> tuple:
        buckets = [bucket for bucket in histogram.get("buckets", []) if float(bucket[1]) > 0]
        return float(histogram["count"]), round(float(histogram["sum"]), 9), buckets

    return shown(one[1]) == shown(other[1])


@pytest.mark.skipif(not WITH_RECEIVER, reason="ASYNQ_COLLECTOR_TEST_PROMETHEUS names no Prometheus with an OTLP receiver")
@pytest.mark.parametrize("program", WITH_RECEIVER or ["none"])
def test_prometheus_stores_what_is_pushed_as_what_is_scraped(program, tempo, redis, tmp_path):
    port = free_port()
    per_job = keeps_classic_histograms(version(program)) | takes_native_histograms(version(program))
    with Prometheus(tmp_path / "p", {SCRAPED: port}, program, per_job, flags=(RECEIVER,)) as server:
        endpoint = f"http://127.0.0.1:{server.endpoint.port}/api/v1/otlp"
        collector = start(tmp_path / "c", port, endpoint, "both", tempo, redis)
        try:
            work(collector)
            began = time.time()

            def agree() -> bool:
                scraped, pushed = series(server, SCRAPED, "value"), series(server, PUSHED, "value")
                assert set(scraped) == set(pushed) and len(scraped) > 200
                assert unequal(scraped, pushed, same_number) == []
                scraped, pushed = series(server, SCRAPED, "histogram"), series(server, PUSHED, "histogram")
                assert set(scraped) == set(pushed) and len(scraped) > 6
                assert unequal(scraped, pushed, same_histogram) == []
                return True

            eventually("the same series and values", agree)

            def exemplars(job: str) -> set:
                found = server.exemplars(f'asynq_task_wait_duration_seconds_bucket{{job="{job}"}}', began - 600, began + 600)
                return {(one["seriesLabels"]["queue"], edge(one["seriesLabels"]["le"]), e["labels"]["trace_id"], e["labels"]["span_id"],
                         e["value"]) for one in found for e in one["exemplars"]}

            assert eventually("exemplars", lambda: exemplars(PUSHED) == exemplars(SCRAPED) != set())
        finally:
            problem = collector.close()
        assert not problem, problem


@pytest.mark.skipif(not VICTORIA_METRICS, reason="ASYNQ_COLLECTOR_TEST_VICTORIA_METRICS names no VictoriaMetrics")
def test_victoria_metrics_stores_what_is_pushed_as_what_is_scraped(tempo, redis, tmp_path):
    port = free_port()
    with VictoriaMetrics(tmp_path / "v", {SCRAPED: port}) as server:
        collector = start(tmp_path / "c", port, server.otlp, "explicit", tempo, redis)
        try:
            work(collector)

            def agree() -> bool:
                # It makes no label job of service.name.
                scraped, pushed = series(server, SCRAPED, "value"), series(server, "", "value")
                assert set(scraped) == set(pushed) and len(scraped) > 200
                assert unequal(scraped, pushed, same_number) == []
                return True

            eventually("the same series and values", agree)
        finally:
            problem = collector.close()
        assert not problem, problem


@pytest.mark.skipif(not VICTORIA_METRICS, reason="ASYNQ_COLLECTOR_TEST_VICTORIA_METRICS names no VictoriaMetrics")
def test_exponential_histograms_keep_counts_sums_and_quantiles(tempo, redis, tmp_path):
    port = free_port()
    with VictoriaMetrics(tmp_path / "v", {}) as server:
        collector = start(tmp_path / "c", port, server.otlp, "exponential", tempo, redis)
        try:
            work(collector)
            name = "asynq_task_wait_duration_seconds"

            def agree() -> bool:
                def value(expression: str) -> float:
                    found = server.query(expression)
                    assert found, f"no series of {expression}"
                    return float(found[0]["value"][1])

                assert value(f"sum({name}_count)") == value(f"sum({name}_bucket)") == 60
                assert value(f"sum({name}_sum)") == pytest.approx(12 * (0.003 + 0.4 + 0.4 + 7.0 + 250.0))
                for share, wait in ((0.1, 0.003), (0.5, 0.4), (0.7, 7.0), (0.95, 250.0)):
                    found = value(f"histogram_quantile({share}, sum by (vmrange) ({name}_bucket))")
                    assert found == pytest.approx(wait, rel=0.05), share
                return True

            eventually("the histogram is there", agree)
        finally:
            problem = collector.close()
        assert not problem, problem
