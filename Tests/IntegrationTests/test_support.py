"""The rest of the support code, against the fixtures. Needs no collector."""

import subprocess
import sys

import pytest
import redis

from support import faked_clock, golden, otlp
from support.deadline import fast_enough
from support.go_capture import GoCapture
from support.metrics_page import MetricsPage, assert_balanced, assert_histograms_agree
from support.programs import FIXTURES
from support.redis_proxy import RedisProxy
from support.redis_server import RedisServer


@pytest.mark.parametrize("version", golden.VERSIONS)
def test_the_golden_dump_holds_the_queues_of_the_golden_report(version, tmp_path):
    expected = golden.load(version)
    with RedisServer(tmp_path, dump=expected.dump) as server, server.client() as client:
        assert {name.decode() for name in client.smembers("asynq:queues")} == {q["queue"] for q in expected.queues}
        for (queue, state), size in expected.sizes().items():
            key = f"asynq:{{{queue}}}:{state}"
            if state in ("pending", "active"):
                assert client.llen(key) == size, key
            elif state != "aggregating":
                assert client.zcard(key) == size, key


def test_fast_enough_takes_the_fastest_attempt_and_fails_where_all_are_slow():
    durations = iter([1000.0, 0.5])
    fast_enough("a thing", 1, lambda: next(durations))
    with pytest.raises(AssertionError, match="expected a thing within 1 s, it took 1000.000 s while computing took"):
        fast_enough("a thing", 1, lambda: 1000.0)


@pytest.mark.parametrize("version", golden.VERSIONS)
def test_the_parser_reads_the_page_of_asynqs_own_exporter_odd_queue_names_included(version):
    page = MetricsPage((FIXTURES / "asynq" / f"{version}.xmetrics.prom").read_text(encoding="utf-8"))
    expected = golden.load(version)
    latencies = page.by("asynq_queue_latency_seconds", "queue")
    assert {queue: max(0, seconds) for queue, seconds in latencies.items()} == pytest.approx(expected.latencies())
    assert any('"' in queue and "\\" in queue and "\n" in queue for queue in latencies)


def test_the_capture_is_made_of_the_spans_it_says(tmp_path):
    capture = GoCapture()
    spans = [raw for body in capture.bodies for raw in otlp.spans_in(body)]
    assert len(spans) == len({raw.key for raw in spans}) == capture.span_count
    parsed = [span for body in capture.bodies
              for resource_spans in otlp.ExportTraceServiceRequest.FromString(body).resource_spans
              for scope_spans in resource_spans.scope_spans for span in scope_spans.spans]
    assert [otlp.Span.FromString(raw.span) for raw in spans] == parsed
    consumers = {raw.key for raw, span in zip(spans, parsed) if span.kind == otlp.Span.SPAN_KIND_CONSUMER}
    assert consumers == {(bytes.fromhex(s["trace_id"]), bytes.fromhex(s["span_id"])) for s in capture.process_spans}
    known, unknown = sum(map(len, capture.waits().values())), sum(capture.unknown_waits().values())
    assert sum(capture.attempts().values()) == len(capture.process_spans) == known + unknown


def test_the_clock_of_a_program_stands_still_at_the_nanosecond():
    # select: the only way to sleep that the library leaves alone in Python.
    code = "import select, time; print(time.time_ns()); select.select([], [], [], 0.05); print(time.time_ns())"
    instant = 1_795_197_948_041_776_424
    ran = subprocess.run([sys.executable, "-c", code], env=faked_clock.frozen_at(instant), capture_output=True, text=True)
    assert ran.stdout.split() == [str(instant)] * 2, ran


def test_an_unbalanced_page_is_seen():
    counts = ["received_spans_total 5", "accepted_spans_total 4", "forwarded_spans_total 3"]
    page = MetricsPage("".join(f"asynq_collector_{line}\n" for line in counts))
    with pytest.raises(AssertionError, match="received = accepted"):
        assert_balanced(page)
    page = MetricsPage("".join(f"asynq_collector_{line}\n" for line in counts[1:] + ["received_spans_total 4"]))
    with pytest.raises(AssertionError, match="in the spool"):
        assert_balanced(page)
    assert_balanced(page, with_spool=False)


def test_a_histogram_whose_last_bucket_is_not_its_count_is_seen():
    page = MetricsPage('# TYPE h histogram\nh_bucket{le="1"} 2\nh_bucket{le="+Inf"} 3\nh_count 4\nh_sum 1\n')
    with pytest.raises(AssertionError, match="count 4"):
        assert_histograms_agree(page, "h")


def test_the_proxy_counts_a_pipeline_as_one_round_trip_and_answers_where_told_to(tmp_path):
    with RedisServer(tmp_path) as server, RedisProxy(server) as proxy, redis.Redis(port=proxy.port) as client:
        pipeline = client.pipeline(transaction=False).set("key", "a\r\nb").get("key")
        # More than one read's worth, either way.
        pipeline.set("large", b"x" * 300_000).get("large")
        assert pipeline.execute() == [True, b"a\r\nb", True, b"x" * 300_000]
        assert client.get("key") == b"a\r\nb"
        sent = [[command[0] for command in burst] for burst in proxy.round_trips()]
        assert sent == [[b"SET", b"GET", b"SET", b"GET"], [b"GET"]]
        proxy.error = b"OOM as told"
        with pytest.raises(redis.exceptions.OutOfMemoryError, match="as told"):
            client.get("key")
        assert proxy.connections == 1
