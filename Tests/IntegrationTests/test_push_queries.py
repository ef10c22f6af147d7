"""The shipped rules and dashboards where metrics are pushed: what each expression brings of scraped series, it brings of pushed ones.

Two servers of the same program, one scrapes the collector and the other one gets its pushes; what stands still has to be equal, what
moves by itself has to be there. The same selectors are compared one by one, because a quiet alert brings nothing."""

import itertools
import re
import time
from contextlib import ExitStack

import promql_parser
import pytest

from support.asynq_messages import scheduler_entry, scheduler_enqueue_event, server_info, worker_info
from support.collector import Collector
from support.deadline import eventually
from support.http_client import Endpoint
from support.otlp import attributes, process_span, request
from support.ports import free_port
from support.prometheus_server import (RECEIVER, WITH_RECEIVER, Prometheus, keeps_classic_histograms, takes_native_histograms,
                                       version)
from support.recorded import expressions
from support.redis_server import RedisServer
from support.stack import AsynqQueue
from support.tempo_stub import TempoStub
from support.victoria_metrics import PROGRAM as VICTORIA_METRICS, VictoriaMetrics

pytestmark = [pytest.mark.timeout(300)]
BACKENDS = [*WITH_RECEIVER, *filter(None, [VICTORIA_METRICS])]
JOB = "asynq-collector"
QUEUES = ("emails", 'a "quoted" one', "reports")
INTERVALS = {"$__rate_interval": "1m", "$__range": "5m", "$__from": "0"}
# Moves by itself, or with the reading of it: its series are compared, not its numbers. That bars begin with the range moves nothing.
RESTLESS = re.compile(r"process_(?!start)|asynq_collector_(push_|forward_|memory_bytes|spool_|received_conn|tempo_)|asynq_redis_(?!up)"
                      r"|_latency_seconds|_longest_running_|_age_|\btime\(\)(?!\) > )|\btimestamp\(")
# Only a scrape has them (docs/PUSHING.md), or VictoriaMetrics has no such function.
SCRAPES_ONLY = re.compile(r"\bup\b")
UNKNOWN_THERE = re.compile(r"\bhistogram_(count|sum|avg)\(")


@pytest.fixture
def redis(tmp_path):
    """Everything that a healthy and an unhealthy queue have, and none of it moves."""
    with RedisServer(tmp_path / "redis") as server, server.client() as client:
        now = time.time()
        for name in QUEUES:
            queue = AsynqQueue(client, name)
            for state, score in (("pending", 0), ("active", now + 3600), ("scheduled", now + 3600), ("retry", now - 60),
                                 ("archived", now - 60), ("completed", now + 3600)):
                queue.add(state, f"{name} {state}", score=score)
            queue.aggregate("nightly", "g1")
        server_key, scheduler_key = "asynq:servers:{h:1:s}", "asynq:schedulers:{x}"
        client.zadd("asynq:servers", {server_key: int(now) + 3600})
        client.set(server_key, server_info("h", 1, "s", 10, {name: 1 for name in QUEUES}, "active"))
        client.zadd("asynq:workers", {"asynq:workers:{h:1:s}": int(now) + 3600})
        client.hset("asynq:workers:{h:1:s}", "emails active", worker_info("emails active", now - 5))
        client.zadd("asynq:schedulers", {scheduler_key: int(now) + 3600})
        client.lpush(scheduler_key, scheduler_entry("e", "@hourly", "report:build", int(now) + 600, int(now) - 3000))
        client.zadd("asynq:scheduler_history:e", {scheduler_enqueue_event("t", int(now) - 3000): int(now) - 3000})
        yield server


@pytest.fixture
def tempo():
    with TempoStub() as stub:
        yield stub


def start_servers(backend: str, directory, port: int, stack: ExitStack):
    """One that scrapes, one that gets pushes, and its endpoint."""
    if backend == VICTORIA_METRICS:
        scraping = stack.enter_context(VictoriaMetrics(directory / "scraping", {JOB: port}))
        pushed = stack.enter_context(VictoriaMetrics(directory / "pushed", {}))
        return scraping, pushed, pushed.otlp
    per_job = keeps_classic_histograms(version(backend)) | takes_native_histograms(version(backend))
    scraping = stack.enter_context(Prometheus(directory / "scraping", {JOB: port}, backend, per_job))
    pushed = stack.enter_context(Prometheus(directory / "pushed", {}, backend, flags=(RECEIVER,)))
    return scraping, pushed, f"http://127.0.0.1:{pushed.endpoint.port}/api/v1/otlp"


def work(collector: Collector, first: int) -> None:
    """Waits, run times, failures of each queue; the same series each time."""
    waits = itertools.cycle([0.003, 0.4, 0.4, 7.0, 250.0])
    spans = []
    for number, queue in enumerate(itertools.islice(itertools.cycle(QUEUES), 60), first):
        failure = {"status": {"code": 2}} if number % 5 == 0 else {}
        span = process_span(number, queue, f"type {number % 2}", flags=1, **failure)
        span.attributes.extend(attributes(asynq__task__wait_seconds=next(waits)))
        spans.append(span)
    collector.post(request(*spans))


def numbers(server, expression: str) -> dict[frozenset, object]:
    """Numbers, or the counts of native histograms, by their labels."""
    def value(series: dict) -> object:
        return float(series["value"][1]) if "value" in series else float(series["histogram"][1]["count"])

    # Prometheus 3 writes `1.0` of what it scrapes, and `1` of what is pushed.
    return {frozenset((name, repr(float(text)) if name == "le" else text) for name, text in series["metric"].items()): value(series)
            for series in server.query(expression) if isinstance(series, dict)}


def differences(scraping, pushed, found: dict[str, str]) -> tuple[list[str], int]:
    """What is not alike, and how many expressions bring anything."""
    problems, with_data = [], 0
    for where, expression in found.items():
        one, other = numbers(scraping, expression), numbers(pushed, expression)
        with_data += bool(one)
        if set(one) != set(other):
            problems.append(f"{where}: {len(one)} and {len(other)} series of {expression}: {set(one) ^ set(other)}")
        elif not RESTLESS.search(expression):
            # Samples are a second apart, and so are the ends of what a rate sees.
            tolerance = 0.15 if "[" in expression else 1e-9
            problems += [f"{where}: {one[key]} and {other[key]} of {dict(key)}: {expression}" for key in one
                         if other[key] != pytest.approx(one[key], rel=tolerance, nan_ok=True)]
    return problems, with_data


def selectors(found: dict[str, str]) -> dict[str, str]:
    """Each selector of the expressions by itself."""
    result: dict[str, str] = {}

    def walk(node) -> None:
        kind = type(node).__name__
        if kind == "VectorSelector":
            text = re.sub(r"\s+offset\s+\S+$", "", node.prettify())
            result[f"selector {text}"] = text
        for part in ("vector_selector", "lhs", "rhs", "expr"):
            if hasattr(node, part):
                walk(getattr(node, part))
        for argument in getattr(node, "args", []):
            walk(argument)

    for expression in found.values():
        walk(promql_parser.parse(expression))
    return result


@pytest.mark.skipif(not BACKENDS, reason="ASYNQ_COLLECTOR_TEST_PROMETHEUS names no Prometheus with an OTLP receiver, and "
                                         "ASYNQ_COLLECTOR_TEST_VICTORIA_METRICS no VictoriaMetrics")
@pytest.mark.parametrize("backend", BACKENDS or ["none"], ids=lambda backend: backend.replace("/", "_"))
def test_rules_and_dashboards_bring_of_pushed_series_what_they_bring_of_scraped_ones(backend, tempo, redis, tmp_path):
    found = {where: expression for where, expression in expressions(INTERVALS).items() if not SCRAPES_ONLY.search(expression)}
    if backend == VICTORIA_METRICS:
        found = {where: expression for where, expression in found.items() if not UNKNOWN_THERE.search(expression)}
    assert len(found) > 150
    port = free_port()
    with ExitStack() as stack:
        scraping, pushed, endpoint = start_servers(backend, tmp_path, port, stack)
        collector = Collector(tmp_path / "collector", {
            "metrics.listen": f"127.0.0.1:{port}", "metrics.push.endpoint": endpoint, "metrics.push.interval": "1s",
            "metrics.push.histograms": "explicit" if backend == VICTORIA_METRICS else "both", "tempo.endpoint": tempo.endpoint,
            "redis.url": redis.url, "redis.interval": "1s",
            # Of the first one Prometheus makes the label instance, of the others VictoriaMetrics makes its labels.
            "metrics.push.resource": f"service.instance.id=127.0.0.1:{port},job={JOB},instance=127.0.0.1:{port}",
        }, web=Endpoint(port=port)).start()
        try:
            # Twice, so that counters rise which both have seen before.
            for round in range(2):
                work(collector, first=60 * round)
                collector.until_forwarded(60 * (round + 1))
                for server in (scraping, pushed):
                    eventually("what was worked is there", lambda: numbers(server, "sum(asynq_collector_forwarded_spans_total)") ==
                               {frozenset(): 60 * (round + 1)})

            def alike() -> bool:
                problems, with_data = differences(scraping, pushed, selectors(found))
                assert problems == [] and with_data > 60, with_data
                problems, with_data = differences(scraping, pushed, found)
                assert problems == [] and with_data > 80, with_data
                return True

            eventually("the same results", alike, seconds=120, every=1)
        finally:
            problem = collector.close()
        assert not problem, problem
