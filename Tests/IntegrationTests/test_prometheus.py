"""A real Prometheus scrapes the running program in all three formats."""

import random
import re
import shutil
import time

import pytest
import yaml

from support.accept_proxy import AcceptProxy
from support.collector import Collector
from support.metrics_protobuf import CONTENT_TYPE as PROTOBUF
from support.otlp import attributes, process_span, request
from support.programs import REPOSITORY
from support.prometheus_server import NEWER, Prometheus, keeps_classic_histograms, takes_native_histograms, version
from support.tempo_stub import TempoStub

ACCEPT = {"text": "text/plain;version=0.0.4", "openmetrics": "application/openmetrics-text;version=1.0.0", "protobuf": PROTOBUF}
BOUNDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800, 3600]
NATIVE_ERROR = 0.0443  # growth of schema 4, less one
RANDOM = random.Random(20261121)
WAITS = {"fast": [RANDOM.lognormvariate(-3, 0.8) for _ in range(4000)], "slow": [RANDOM.lognormvariate(2, 1) for _ in range(3000)]}


@pytest.fixture(scope="module", params=["prometheus", *NEWER])
def program(request):
    assert shutil.which(request.param), f"no program {request.param}"
    return request.param


@pytest.fixture(scope="module")
def collector(tmp_path_factory):
    with TempoStub() as tempo:
        collector = Collector(tmp_path_factory.mktemp("collector"), {"tempo.endpoint": tempo.endpoint}).start()
        spans = []
        for queue, waits in WAITS.items():
            for wait in waits:
                span = process_span(len(spans), queue, "t", flags=1)
                span.attributes.extend(attributes(asynq__task__wait_seconds=wait))
                spans.append(span)
        for first in range(0, len(spans), 500):
            collector.post(request(*spans[first:first + 500]))
        collector.until_forwarded(len(spans))
        yield collector
        problem = collector.close()
    assert not problem, problem


@pytest.fixture(scope="module")
def proxies(collector):
    made = {name: AcceptProxy(collector.web, accept) for name, accept in ACCEPT.items()}
    for proxy in made.values():
        proxy.__enter__()
    # And as this Prometheus asks by itself.
    yield {name: proxy.port for name, proxy in made.items()} | {"direct": collector.metrics_port}
    for proxy in made.values():
        proxy.__exit__()


@pytest.fixture(scope="module")
def prometheus(program, proxies, tmp_path_factory):
    # Without the setting 3.5 takes the exemplars of a family's first native histogram only.
    per_job = (keeps_classic_histograms(version(program)) if version(program) >= (3, 0) else {}) | takes_native_histograms(
        version(program))
    with Prometheus(tmp_path_factory.mktemp("prometheus"), proxies, program, per_job) as server:
        server.until_scraped_again()
        yield server


def truth(queue: str, share: float) -> float:
    ordered = sorted(WAITS[queue])
    return ordered[max(0, int(share * len(ordered) + 0.999999) - 1)]


@pytest.mark.skipif(not NEWER, reason="ASYNQ_COLLECTOR_TEST_PROMETHEUS names no newer Prometheus: README.md says how")
def test_the_other_prometheus_is_a_newer_one():
    assert all(version(program) > version("prometheus") for program in NEWER)


def test_every_job_is_up(prometheus, proxies):
    up = {series["metric"]["job"]: series["value"][1] for series in prometheus.query("up")}
    assert up == dict.fromkeys(proxies, "1"), prometheus.log()


@pytest.mark.parametrize("queue", WAITS)
@pytest.mark.parametrize("share", [0.5, 0.9, 0.95, 0.99])
@pytest.mark.parametrize("job", ["text", "openmetrics"])
def test_a_quantile_of_the_classic_buckets_is_in_the_bucket_of_the_true_one(prometheus, job, share, queue):
    found = prometheus.scalar(
        f'histogram_quantile({share}, asynq_task_wait_duration_seconds_bucket{{job="{job}", queue="{queue}"}})')
    bucket = next(i for i, bound in enumerate(BOUNDS) if truth(queue, share) <= bound)
    assert (BOUNDS[bucket - 1] if bucket else 0) <= found <= BOUNDS[bucket]


@pytest.mark.parametrize("queue", WAITS)
@pytest.mark.parametrize("share", [0.5, 0.9, 0.95, 0.99])
@pytest.mark.parametrize("job", ["protobuf", "direct"])
def test_a_quantile_of_the_native_buckets_is_within_five_per_cent_of_the_true_one(prometheus, job, share, queue):
    found = prometheus.scalar(f'histogram_quantile({share}, asynq_task_wait_duration_seconds{{job="{job}", queue="{queue}"}})')
    assert found == pytest.approx(truth(queue, share), rel=NATIVE_ERROR)


def test_counts_and_sums_are_exact_in_every_format(prometheus):
    for queue, waits in WAITS.items():
        for job in ("text", "openmetrics"):
            series = f'{{job="{job}", queue="{queue}"}}'
            assert prometheus.scalar(f"asynq_task_wait_duration_seconds_count{series}") == len(waits)
            assert prometheus.scalar(f"asynq_task_wait_duration_seconds_sum{series}") == pytest.approx(sum(waits), rel=1e-9)
        for job in ("protobuf", "direct"):
            series = f'asynq_task_wait_duration_seconds{{job="{job}", queue="{queue}"}}'
            assert prometheus.scalar(f"histogram_count({series})") == len(waits)
            assert prometheus.scalar(f"histogram_sum({series})") == pytest.approx(sum(waits), rel=1e-9)


@pytest.mark.parametrize("job, selector", [
    ("openmetrics", "asynq_task_wait_duration_seconds_bucket"), ("protobuf", "asynq_task_wait_duration_seconds"),
    ("direct", "asynq_task_wait_duration_seconds")])
def test_exemplars_come_back(prometheus, job, selector):
    now = time.time()
    found = prometheus.exemplars(f'{selector}{{job="{job}"}}', now - 3600, now + 60)
    exemplars = [(series["seriesLabels"]["queue"], exemplar) for series in found for exemplar in series["exemplars"]]
    assert {queue for queue, _ in exemplars} == set(WAITS)
    firsts = {queue: sum(map(len, list(WAITS.values())[:index])) for index, queue in enumerate(WAITS)}
    for queue, exemplar in exemplars:
        number = int(exemplar["labels"]["span_id"], 16) - 1
        assert exemplar["labels"]["trace_id"] == f"{number + 1:032x}"
        assert float(exemplar["value"]) == pytest.approx(WAITS[queue][number - firsts[queue]])
        assert now - 600 < exemplar["timestamp"] <= now + 1


def test_all_formats_make_the_same_series_of_what_is_no_histogram(prometheus):
    """Names and labels, as they are stored."""
    def series(job: str) -> set:
        result = prometheus.query(f'{{job="{job}", __name__=~"asynq_.+|process_.+", __name__!~".+_(bucket|sum|count)"}}')
        return {frozenset((k, v) for k, v in s["metric"].items() if k not in ("job", "instance")) for s in result
                if "histogram" not in s}

    text = series("text")
    assert len(text) > 40
    assert series("openmetrics") == text
    assert series("protobuf") == text
    assert series("direct") == text


def test_types_units_and_help_are_known_to_prometheus(prometheus):
    metadata = prometheus.get("metadata")
    assert {"type": "histogram"}.items() <= metadata["asynq_task_wait_duration_seconds"][0].items()
    assert "seconds" in {entry["unit"] for entry in metadata["asynq_task_wait_duration_seconds"]}
    undocumented = [name for name, entries in metadata.items() if name.startswith("asynq_") and not entries[0]["help"]]
    assert undocumented == []


def test_the_queries_of_the_scaling_guide_are_queries(prometheus):
    guide = (REPOSITORY / "docs" / "SCALING.md").read_text(encoding="utf-8")
    examples = [yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", guide, re.DOTALL)]
    triggers = [trigger for example in examples for trigger in example.get("spec", example)["triggers"]]
    queries = [trigger["metadata"]["query"] for trigger in triggers if trigger["type"] == "prometheus"]
    assert len(queries) == 2
    for query in queries:
        prometheus.query(query.replace("emails", "fast"))
