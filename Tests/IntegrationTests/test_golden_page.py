"""The whole metrics page, line by line, of a known Redis, known spans and a clock that stands still.

    python -m pytest Tests/IntegrationTests/test_golden_page.py --update-golden    writes it anew: then read the diff
"""

import difflib
import re

import pytest

from support import faked_clock, golden, metrics_protobuf
from support.collector import Collector
from support.deadline import eventually
from support.go_capture import GoCapture
from support.metrics_stub import MetricsStub
from support.programs import FIXTURES, REPOSITORY
from support.redis_server import RedisServer
from support.tempo_stub import TempoStub

EXPECTED = golden.load(golden.VERSIONS[-1])
CAPTURE = GoCapture()
FORMATS = {"text": "text/plain;version=0.0.4", "openmetrics": "application/openmetrics-text;version=1.0.0"}
# What depends on the machine, on the version, or on how fast things went.
RESTLESS = re.compile(
    r"^(process_\w+|asynq_redis_(scrape_duration_seconds|used_memory_bytes|connected_clients|clock_offset_seconds)|asynq_collector_spool_bytes"
    r"|asynq_collector_memory_(limit_)?bytes"
    r"|asynq_collector_(forward|push)_(requests_total|duration_seconds_\w+)|asynq_queue_memory_usage_approx_bytes)(?=[{ ])")
VERSION = re.compile(r'(?<=asynq_collector_build_info\{version=")[^"]+')


@pytest.fixture(scope="module")
def collector(tmp_path_factory):
    directory = tmp_path_factory.mktemp("golden")
    with TempoStub() as tempo, MetricsStub() as backend, RedisServer(directory / "redis", EXPECTED.dump) as redis:
        options = {"redis.url": redis.url, "redis.interval": "1h", "redis.look-interval": "1h", "tempo.endpoint": tempo.endpoint,
                   "redis.memory-sampling": "1h", "metrics.wait-buckets": "0.01,0.1,1,10,1000000",
                   "metrics.asynqmon-names": "true", "traces.dead-letter-span": "true", "metrics.push.endpoint": backend.endpoint,
                   "metrics.push.interval": "500ms"}
        collector = Collector(directory / "c", options, faked_clock.frozen_at(EXPECTED.unix_nanoseconds)).start()
        for body in CAPTURE.bodies:
            collector.post(body)
        collector.until_forwarded(CAPTURE.span_count)
        eventually("the last answer of Tempo is counted", lambda: collector.count("tempo_up") == 1)
        eventually("memory was sampled", lambda: collector.metrics().has("asynq_queue_memory_usage_approx_bytes"))
        eventually("metrics were pushed", lambda: collector.metrics().has("asynq_collector_push_last_success_timestamp_seconds"))
        yield collector
        problem = collector.close()
    assert not problem, problem


def masked(page: str) -> str:
    lines = []
    for line in page.splitlines():
        line = VERSION.sub("…", line)
        if RESTLESS.match(line):
            line = line.rsplit(" ", 1)[0] + " …"
        lines.append(line)
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize("name", FORMATS)
def test_the_page_is_the_golden_one(collector, name, request):
    answer = collector.get("/metrics", {"Accept": FORMATS[name]})
    page = masked(answer.body.decode())
    path = FIXTURES / "metrics-page" / f"{name}.txt"
    if request.config.getoption("--update-golden"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(page, encoding="utf-8")
    expected = path.read_text(encoding="utf-8")
    difference = list(difflib.unified_diff(expected.splitlines(), page.splitlines(), "golden", "this page", lineterm="", n=1))
    assert not difference, "the page is another one; if that is meant, --update-golden:\n" + "\n".join(difference[:80])


# --- docs/METRICS.md is made from the declarations: they are those of the page -----------------------------------------

_ROW = re.compile(r"^\| `(?P<name>(asynq|process)_\w+)` \| (?P<kind>gauge|counter|histogram)( \(info\))? \| (?P<labels>[^|]*)\|")


@pytest.fixture(scope="module")
def documented() -> dict[str, tuple[str, frozenset]]:
    found = {}
    for line in (REPOSITORY / "docs" / "METRICS.md").read_text(encoding="utf-8").splitlines():
        if row := _ROW.match(line):
            labels = frozenset(label.strip() for label in row["labels"].split(",") if label.strip())
            assert row["name"] not in found, f"{row['name']} is documented twice"
            found[row["name"]] = (row["kind"], labels)
    return found


@pytest.fixture(scope="module")
def exposed(collector, tmp_path_factory) -> dict[str, tuple[str, frozenset]]:
    """All families of the page, and those of live servers and schedulers, by name with their kind and labels."""
    found = {}
    for family in metrics_protobuf.families(collector.get("/metrics", {"Accept": metrics_protobuf.CONTENT_TYPE}).body):
        labels = {frozenset(series.labels) for series in family.series}
        assert len(labels) == 1, f"{family.name} has series with different labels: {labels}"
        found[family.name] = (family.kind, labels.pop())
    text = collector.metrics()
    for name in ("asynq_tasks_enqueued_total", "asynq_queue_paused_total", "asynq_tasks_failed_total"):
        kind = text.families.get(name, text.families.get(name.removesuffix("_total"))).type
        found[name] = (kind, frozenset(key for key, _ in next(iter(text.samples[name]))))
    return found


def test_every_family_of_the_page_is_documented_with_its_type_and_labels(documented, exposed):
    assert {name: documented.get(name) for name in exposed} == exposed


def test_every_documented_family_is_on_the_page(documented, exposed):
    assert set(documented) - set(exposed) == set()
