"""Metrics pushed by OTLP: what a push says, and what becomes of it, whatever the backend does."""

import itertools
import json
import re
import signal
import ssl
import time

import pytest

from support.collector import Collector, run_once
from support.deadline import eventually, holds_for
from support.metrics_protobuf import CONTENT_TYPE as PROTOBUF, families
from support.metrics_stub import MetricsStub, page_name
from support.otlp import attributes, process_span, request
from support.redis_server import RedisServer
from support.tempo_stub import TempoStub

FAST = {"metrics.push.interval": "200ms", "log.format": "json"}
# What moves by itself, or with the reading of it.
RESTLESS = re.compile(r"process_|asynq_collector_(push|forward|memory_bytes)|asynq_redis_|asynq_collector_(spool_oldest|received_conn)")
WAITS = itertools.cycle([0.004, 0.3, 0.3, 2.5, 40.0])
NUMBERS = itertools.count()
TASK = frozenset({("queue", 'emails "a"'), ("task_type", "t")})


@pytest.fixture
def stub():
    with MetricsStub() as stub:
        yield stub


@pytest.fixture
def start(start_collector, stub):
    def start(**options) -> Collector:
        given = {"metrics.push.endpoint": stub.endpoint} | FAST | {key.replace("__", "."): value for key, value in options.items()}
        return start_collector(options=given)
    return start


def work(collector: Collector, tasks: int = 5) -> None:
    spans = []
    for _ in range(tasks):
        span = process_span(next(NUMBERS), 'emails "a"', "t", flags=1)
        span.attributes.extend(attributes(asynq__task__wait_seconds=next(WAITS)))
        spans.append(span)
    collector.post(request(*spans))


def log(collector: Collector) -> list[dict]:
    return [json.loads(line) for line in collector.stderr().splitlines() if line.startswith("{")]


def lines(collector: Collector, *words: str) -> list[dict]:
    return [line for line in log(collector) if all(word in line["message"] for word in words)]


def codes(collector: Collector) -> dict[str, float]:
    return collector.metrics().by("asynq_collector_push_requests_total", "code")


# --- What a push says -------------------------------------------------------------------------------------------------


def test_a_push_says_what_the_page_says(start_collector, stub, tmp_path):
    with TempoStub() as tempo, RedisServer(tmp_path / "redis") as redis:
        collector = start_collector(options={
            "metrics.push.endpoint": stub.endpoint, "metrics.push.histograms": "both", "tempo.endpoint": tempo.endpoint,
            "metrics.push.resource": "redis=shop,k8s/pod=\"a,b\"", "redis.url": redis.url} | FAST)
        work(collector)
        collector.until_forwarded(5)
        first = collector.get("/metrics", {"Accept": PROTOBUF}).body
        push = stub.next_push()
        page = {family.name: family for family in families(first)}
        pushed = {page_name(metric) for metric in push.metrics}
        assert pushed == set(page)
        compared = 0
        for name, family in page.items():
            metric = next(metric for metric in push.metrics if page_name(metric) == name)
            assert metric.description == family.help
            data = metric.WhichOneof("data")
            assert data == {"counter": "sum", "gauge": "gauge", "histogram": "histogram"}[family.kind], name
            if data != "gauge":
                assert getattr(metric, data).aggregation_temporality == 2
            if RESTLESS.match(name):
                continue
            points = push.points(name, data)
            assert set(points) == {frozenset(series.labels.items()) for series in family.series}, name
            for series in family.series:
                point = points[frozenset(series.labels.items())]
                compared += 1
                if series.value is not None:
                    assert point.as_double == pytest.approx(series.value), name
                else:
                    assert (point.count, point.sum) == (series.count, series.sum), name
                    assert list(itertools.accumulate(point.bucket_counts)) == [count for _, count, _ in series.buckets]
                    assert list(point.explicit_bounds) == [bound for bound, _, _ in series.buckets[:-1]]
        assert compared > 60
        # Native buckets and exemplars of the first push that has the waits.
        native = next(series.native for series in page["asynq_task_wait_duration_seconds"].series)
        point = push.points("asynq_task_wait_duration_seconds", "exponential_histogram")[TASK]
        assert (point.scale, point.zero_count, point.zero_threshold) == (native.schema, native.zero_count, native.zero_threshold)
        found = {point.positive.offset + 1 + index: count for index, count in enumerate(point.positive.bucket_counts) if count}
        assert found == native.buckets
        exemplars = {e.as_double: e for other in stub.pushes for p in
                     [other.points("asynq_task_wait_duration_seconds", "exponential_histogram").get(TASK)] if p for e in p.exemplars}
        on_page = [exemplar for series in page["asynq_task_wait_duration_seconds"].series
                   for _, _, exemplar in series.buckets if exemplar]
        assert len(on_page) == 4
        for exemplar in on_page:
            other = exemplars[exemplar["value"]]
            assert (other.trace_id.hex(), other.span_id.hex()) == (exemplar["labels"]["trace_id"], exemplar["labels"]["span_id"])
        # Who measures, and since when.
        resource = push.resource
        assert resource["service.name"] == "asynq-collector" and resource["redis"] == "shop" and resource["k8s/pod"] == "a,b"
        assert resource["service.instance.id"] == f"{resource['host.name']}:{collector.metrics_port}"
        starts = {point.start_time_unix_nano for metric in push.metrics if page_name(metric) in (
            "asynq_task_attempts_total", "asynq_task_wait_duration_seconds", "asynq_collector_accepted_spans_total")
            for point in getattr(metric, metric.WhichOneof("data")).data_points}
        assert len(starts) == 1 and 0 < push.time - starts.pop() < 120e9
        assert push.headers["User-Agent"].startswith("asynq-collector/") and push.headers["Content-Encoding"] == "gzip"


@pytest.mark.parametrize("compression", ["gzip", "zstd", "none"])
def test_every_compression_is_read_by_others(compression, start, stub):
    start(metrics__push__compression=compression)
    push = stub.next_push()
    assert push.headers["Content-Encoding"] == (None if compression == "none" else compression)
    assert push.value("asynq_collector_build_info") == 1


def test_histograms_have_the_buckets_that_were_asked_for(start, stub):
    collector = start(metrics__push__histograms="explicit")
    work(collector)
    push = stub.until(lambda push: TASK in push.points("asynq_task_wait_duration_seconds"))
    assert {metric.WhichOneof("data") for metric in push.metrics} == {"gauge", "sum", "histogram"}


def test_without_a_page_metrics_are_pushed(start_collector, stub):
    options = {"metrics.push.endpoint": stub.endpoint, "metrics.listen": "none"} | FAST
    collector = start_collector(options=options, is_ready=lambda: bool(stub.pushes))
    work(collector)
    push = stub.until(lambda push: push.value("asynq_task_attempts_total") == 5)
    assert push.resource["service.instance.id"].startswith(push.resource["host.name"] + "-")
    asked = run_once("healthcheck", "--metrics-listen", "none")
    assert asked.returncode == 2 and "no web endpoints" in asked.stderr


def test_collectors_of_one_host_without_a_page_are_told_apart_also_after_a_restart(start_collector, stub):
    options = {"metrics.push.endpoint": stub.endpoint, "metrics.listen": "none"} | FAST
    ids = []
    for _ in range(2):
        before = len(stub.pushes)
        collector = start_collector(options=options, is_ready=lambda: len(stub.pushes) > before)
        instance = stub.pushes[before].resource["service.instance.id"]
        collector.kill()
        collector.start()
        assert stub.next_push().resource["service.instance.id"] == instance
        collector.stop()
        ids.append(instance)
    assert ids[0] != ids[1]


def with_250_queues(start, temporality):
    """A collector whose push is larger than its memory: it takes several requests."""
    collector = start(metrics__push__temporality=temporality, metrics__push__compression="none", metrics__push__histograms="both",
                      memory__limit="48MiB")
    for first in range(0, 250, 50):
        spans = [process_span(number, f"queue {number}", "t", flags=1) for number in range(first, first + 50)]
        for span in spans:
            span.attributes.extend(attributes(asynq__task__wait_seconds=0.25))
        collector.post(request(*spans))
    return collector


@pytest.mark.parametrize("temporality", ["cumulative", "delta"])
def test_a_push_that_is_larger_than_its_memory_is_several_requests(temporality, start, stub):
    collector = with_250_queues(start, temporality)

    def waits() -> dict[frozenset, int]:
        """What a backend has in the end: the newest number of each series, or the sum of the differences."""
        found: dict[frozenset, int] = {}
        for push in stub.pushes:
            for key, point in push.points("asynq_task_wait_duration_seconds", "exponential_histogram").items():
                found[key] = point.count + (found.get(key, 0) if temporality == "delta" else 0)
        return found

    found = eventually("every queue", lambda: len(all := waits()) == 250 and all)
    assert {dict(key)["queue"] for key in found} == {f"queue {number}" for number in range(250)}
    holds_for("each wait once", lambda: set(waits().values()) == {1}, seconds=1)
    share = collector.metrics().value("asynq_collector_memory_limit_bytes", {"part": "pushes"})
    assert max(len(received.body) for received in stub.requests) < share / 2
    # Each push has this number once.
    whole = [push for push in stub.pushes if push.points("asynq_collector_page_series")]
    assert len(whole) > 3 and len(stub.pushes) >= 2 * (len(whole) - 1)
    assert set(codes(collector)) == {"200"}


# --- What becomes of it -----------------------------------------------------------------------------------------------


def test_a_part_that_is_refused_for_good_is_told_as_a_part(start, stub):
    collector = with_250_queues(start, "delta")
    stub.refuse(by=lambda push: bool(push.points("asynq_collector_page_series")))
    eventually("a part is refused", lambda: codes(collector).get("413", 0) >= 2)

    def said() -> list[str]:
        found = json.loads(collector.get("/api/v1/overview").body)["attention"]
        return [item["sentence"] for item in found if item["alert"] == "AsynqMetricsNotPushed"]

    eventually("attention", lambda: any(sentence.startswith("A part of the metrics could not be pushed for ") for sentence in said()))
    # Exemplars of what was accepted are not sent again.
    stub.next_push()
    before = len(stub.pushes)
    eventually("more pushes", lambda: len(stub.pushes) > before + 6)
    exemplars = [e for push in stub.pushes[before + 1:] for point in push.points("asynq_task_wait_duration_seconds").values()
                 for e in point.exemplars]
    assert exemplars == []
    stub.refuse(by=lambda push: True)
    eventually("all is refused", lambda: any(sentence.startswith("No metrics could be pushed for ") for sentence in said()))
    stub.refuse(by=lambda push: False)
    eventually("no trouble", lambda: not said())


@pytest.mark.parametrize("status, word, message", [
    (503, "could not be pushed", ""), (500, "could not be pushed", ""), (429, "could not be pushed", ""),
    (401, "misconfigured", "metrics.push.headers"), (404, "misconfigured", "path of metrics.push.endpoint"),
    (302, "misconfigured", "redirects"), (400, "does not take", ""), (413, "does not take", "limit")])
def test_a_push_that_fails_is_not_repeated_and_costs_one_line(status, word, message, start, stub):
    stub.answer(status)
    collector = start()
    eventually("some pushes have failed", lambda: codes(collector).get(str(status), 0) >= 4)
    assert stub.pushes == [] and not collector.metrics().has("asynq_collector_push_last_success_timestamp_seconds")
    told = lines(collector, word)
    assert len(told) == 1 and str(status) in told[0]["reason"] and message in told[0].get("advice", "")
    # Each has been a snapshot of its own.
    assert len({received.body for received in stub.requests}) == len(stub.requests)
    stub.answer_normally()
    began = time.time()
    stub.next_push()
    assert eventually("the success is known", lambda: collector.metrics().value(
        "asynq_collector_push_last_success_timestamp_seconds")) == pytest.approx(began, abs=30)
    eventually("it is told", lambda: lines(collector, "pushed again"))
    assert len(lines(collector, word)) == 1


def test_a_failure_that_comes_back_after_one_good_push_is_told_again(start, stub):
    stub.answer(503)
    collector = start()
    eventually("it fails", lambda: len(lines(collector, "could not be pushed")) == 1)
    stub.answer_normally()
    eventually("it works", lambda: len(lines(collector, "pushed again")) == 1)
    stub.answer(503)
    eventually("it is told a minute later", lambda: len(lines(collector, "could not be pushed")) == 2, seconds=75)
    stub.answer_normally()
    eventually("it works", lambda: len(lines(collector, "pushed again")) == 2)


def test_a_cause_whose_words_vary_costs_one_line(start, stub):
    collector = start()
    for number in range(5):
        stub.answer(400, body=f'err in "{"abcde"[number] * 5}" from pod-{"fghij"[number] * 5}'.encode())
        before = codes(collector).get("400", 0)
        eventually("it was told so", lambda: codes(collector).get("400", 0) >= before + 2)
    assert len(lines(collector, "does not take")) == 1


def test_retry_after_is_heeded(start, stub):
    stub.answer(429, {"Retry-After": "3"}, times=1)
    start()
    eventually("the push after the pause", lambda: stub.pushes)
    first, second = stub.requests[:2]
    assert second.arrived - first.answered >= 2.9


@pytest.mark.parametrize("status, body", [
    (200, b"<p>busy</p>"), (307, b""), (400, b"bad"), (401, b""), (403, b""), (404, b""), (413, b""), (500, b""), (503, b""),
    (429, b"request too large for the current window")])
def test_retry_after_of_any_refusal_is_heeded_and_told(status, body, start, stub):
    stub.answer(status, {"Retry-After": "3", "Content-Type": "text/html"}, times=1, body=body)
    collector = start()
    eventually("the push after the pause", lambda: stub.pushes)
    first, second = stub.requests[:2]
    assert second.arrived - first.answered >= 2.9
    told, = [line for line in log(collector) if "pause_seconds" in line]
    assert float(told["pause_seconds"]) == 3


@pytest.mark.parametrize("status", [429, 500, 503])
@pytest.mark.parametrize("ends", [{"Connection": "close"}, {}])
def test_the_status_and_the_pause_of_an_answer_that_breaks_off_or_hangs_count(status, ends, start, stub):
    stub.answer(status, {"Retry-After": "3", "Content-Length": "500"} | ends, times=1, body=b"quo")
    collector = start(metrics__push__timeout="500ms")
    eventually("the push after the pause", lambda: stub.pushes)
    first, second = stub.requests[:2]
    assert second.arrived - first.arrived >= 2.9
    assert codes(collector)[str(status)] == 1


@pytest.mark.parametrize("ends", [{"Connection": "close"}, {}])
def test_an_answer_of_success_that_breaks_off_or_hangs_is_none(ends, start, stub):
    stub.answer(200, {"Content-Length": "500"} | ends, body=b"")
    collector = start(metrics__push__timeout="500ms")
    eventually("it fails", lambda: codes(collector).get("broken" if ends else "timeout"))
    assert "200" not in codes(collector)


def test_a_backend_that_rejects_every_point_has_accepted_nothing(start, stub):
    # ExportMetricsPartialSuccess { 1 rejected_data_points: 1,000,000, 2 error_message }
    stub.answer(200, body=b"\x0a\x0d\x08\xc0\x84\x3d\x12\x07too old")
    collector = start()
    told = eventually("it is told", lambda: lines(collector, "does not take"))
    assert "rejects every data point" in told[0]["reason"]
    page = collector.metrics()
    assert set(codes(collector)) == {"rejected"} and page.sum("asynq_collector_push_rejected_points_total") > 20
    assert not page.has("asynq_collector_push_last_success_timestamp_seconds")


@pytest.mark.parametrize("seconds", ["1800", "9223372036854775807", "9223372036854775808", "99999999999999999999999"])
def test_a_long_pause_is_told_and_heeded(seconds, start, stub):
    stub.answer(429, {"Retry-After": seconds})
    collector = start()
    told = eventually("it is told", lambda: lines(collector, "could not be pushed"))
    assert float(told[0]["pause_seconds"]) == min(int(seconds), 3600)
    holds_for("no other push", lambda: len(stub.requests) == 1, seconds=2)


def test_a_pause_ends_a_push_of_several_requests(start, stub):
    stub.answer(413, {"Retry-After": "2"})
    start(metrics__push__compression="none", metrics__push__histograms="both", memory__limit="48MiB")
    eventually("two pushes", lambda: len(stub.requests) >= 2)
    first, second = stub.requests[:2]
    assert second.arrived - first.answered >= 1.9


def test_more_rejected_points_than_were_sent_end_nothing(start, stub):
    # 2^63 - 1 of them, and an empty message.
    stub.answer(200, body=bytes.fromhex("0a0c08ffffffffffffffff7f1200"))
    collector = start()
    eventually("many answers", lambda: codes(collector).get("rejected", 0) >= 5)
    rejected = collector.metrics().sum("asynq_collector_push_rejected_points_total")
    assert 100 < rejected < 100_000
    told = lines(collector, "does not take")
    assert len(told) == 1 and "rejects every data point" in told[0]["reason"]


def test_partial_success_is_counted_and_told_once(start, stub):
    # ExportMetricsPartialSuccess { 1 rejected_data_points, 2 error_message }
    stub.answer(200, body=b"\x0a\x0b\x08\x07\x12\x07too old")
    collector = start()
    eventually("some points are rejected", lambda: collector.metrics().sum("asynq_collector_push_rejected_points_total") >= 21)
    told = lines(collector, "but for some data points")
    assert len(told) == 1 and told[0]["reason"] == "too old" and told[0]["points"] == "7"
    assert set(codes(collector)) == {"200"}


def test_a_page_in_place_of_an_answer_is_no_success(start, stub):
    stub.answer(200, {"Content-Type": "text/html"}, body=b"<html>welcome</html>")
    collector = start()
    told = eventually("it is told", lambda: lines(collector, "misconfigured"))
    assert "metrics.push.endpoint" in told[0]["advice"]
    assert not collector.metrics().has("asynq_collector_push_last_success_timestamp_seconds")
    assert set(codes(collector)) == {"page"}


@pytest.mark.parametrize("body", [b"\n", b" \r\n", b"\xef\xbb\xbf{}", b"\xef\xbb\xbf {\"partialSuccess\":{}}\n"])
def test_a_blank_answer_and_json_behind_a_byte_order_mark_are_successes(body, start, stub):
    stub.answer(200, {"Content-Type": "application/json"}, body=body)
    collector = start(metrics__push__temporality="delta")
    eventually("it is a success", lambda: collector.metrics().has("asynq_collector_push_last_success_timestamp_seconds"))
    assert set(codes(collector)) == {"200"}


@pytest.mark.parametrize("status, body, options, advice", [
    (400, b"unsupported compression: zstd", {"metrics__push__compression": "zstd"}, "set metrics.push.compression"),
    (415, b"", {"metrics__push__compression": "zstd"}, "metrics.push.compression"),
    (401, b"no", {"metrics__push__headers": "Authorization=Basic%20abc%3D"}, "write %20 as a blank"),
    (500, b"invalid temporality and type combination", {"metrics__push__temporality": "delta"}, "to cumulative"),
    (500, b"native histograms are disabled", {}, "metrics.push.histograms")])
def test_what_a_key_mends_is_told_as_such(status, body, options, advice, start, stub):
    stub.answer(status, body=body)
    collector = start(**options)
    told = eventually("it is told", lambda: lines(collector, "misconfigured"))
    assert advice in told[0]["advice"] and lines(collector, "the next push has them") == []


def test_a_backend_that_is_away_or_hangs_is_pushed_to_again(start, stub):
    stub.go_down()
    collector = start(metrics__push__timeout="500ms")
    eventually("it is away", lambda: codes(collector).get("connect", 0) >= 3)
    assert len(lines(collector, "could not be pushed")) == 1
    stub.come_up()
    stub.next_push()
    stub.hold()
    eventually("it hangs", lambda: codes(collector).get("timeout", 0) >= 2)
    stub.release()
    stub.next_push()


def test_attention_says_that_nothing_is_pushed(start, stub):
    stub.answer(401)
    collector = start()

    def said() -> list[dict]:
        found = json.loads(collector.get("/api/v1/overview").body)["attention"]
        return [item for item in found if item["alert"] == "AsynqMetricsNotPushed"]

    item = eventually("attention", said)[0]
    assert item["subject"] == "collector" and item["runbook"] == "asynqmetricsnotpushed"
    assert item["sentence"].startswith("No metrics could be pushed for ") and "401" in item["sentence"]


# --- Delta ------------------------------------------------------------------------------------------------------------


def test_differences_lose_nothing_while_pushes_fail(start, stub):
    collector = start(metrics__push__temporality="delta")

    def told(name: str = "asynq_task_attempts_total") -> float:
        return sum(push.value(name) or 0 for push in stub.pushes)

    for _ in range(5):
        work(collector)
        stub.next_push()
        stub.answer(503, times=2)
        work(collector)
    eventually("all attempts", lambda: told() == 50)
    holds_for("none twice", lambda: told() == 50, seconds=1)
    counts = sum(push.points("asynq_task_wait_duration_seconds")[TASK].count for push in stub.pushes
                 if TASK in push.points("asynq_task_wait_duration_seconds"))
    assert counts == 50
    pushes = stub.pushes
    assert {metric.sum.aggregation_temporality for push in pushes for metric in push.metrics if metric.HasField("sum")} == {1}
    # Each begins where the one before that was accepted has ended.
    for before, after in zip(pushes, pushes[1:]):
        starts = {p.start_time_unix_nano for p in after.points("asynq_collector_accepted_spans_total").values()}
        assert starts == {before.time}


def test_after_a_kill_counters_begin_anew_with_another_start_time(start_collector, stub):
    options = {"metrics.push.endpoint": stub.endpoint} | FAST

    def start_time(push) -> int:
        return {p.start_time_unix_nano for p in push.points("asynq_collector_accepted_spans_total").values()}.pop()

    collector = start_collector(options=options)
    work(collector)
    before = stub.until(lambda push: push.value("asynq_collector_accepted_spans_total") == 5)
    collector.kill()
    collector.start()
    after = stub.next_push()
    assert after.value("asynq_collector_accepted_spans_total") == 0
    assert start_time(after) > before.time > start_time(before)
    assert after.resource == before.resource


# --- The end of the process -------------------------------------------------------------------------------------------


def test_the_last_numbers_are_pushed_at_the_end(start, stub):
    collector = start(metrics__push__interval="1h")
    work(collector)
    collector.stop()
    assert stub.pushes[-1].value("asynq_task_attempts_total") == 5


def test_a_backend_that_hangs_does_not_hold_up_the_end(start, stub):
    collector = start()
    stub.next_push()
    stub.hold()
    work(collector)
    began = time.monotonic()
    collector.stop(signal.SIGTERM)
    assert time.monotonic() - began < 12
    assert any("the last numbers" in line for line in collector.stderr().splitlines())
    stub.release()


# --- How it gets there ------------------------------------------------------------------------------------------------


def test_headers_come_from_a_file_that_is_read_again(start, stub, tmp_path):
    secret = tmp_path / "headers"
    secret.write_text("Authorization=Bearer one\n")
    start(**{"metrics__push__headers-file": str(secret)})
    assert stub.next_push().headers["Authorization"] == "Bearer one"
    secret.write_text("Authorization=Bearer two,X-Scope-OrgID=b\n")
    push = stub.until(lambda push: push.headers["Authorization"] == "Bearer two")
    assert push.headers["X-Scope-OrgID"] == "b"


def test_an_endpoint_from_a_file_goes_on_where_the_file_says_none(start_collector, stub, tmp_path):
    file = tmp_path / "endpoint"
    file.write_text(stub.endpoint)
    with MetricsStub() as other:
        collector = start_collector(options={"metrics.push.endpoint-file": str(file)} | FAST)
        stub.next_push()
        file.write_text(other.endpoint)
        other.next_push()
        for text in ("none", "none\n", "", "not a url"):
            file.write_text(text)
            other.next_push()
            before = len(stub.requests)
            other.next_push()
            assert len(stub.requests) == before
        told = [line["problem"] for line in log(collector) if "secret" in line["message"]]
        assert any("none takes effect at a restart only" in problem for problem in told)
        file.write_text(stub.endpoint)
        stub.next_push()


def test_an_endpoint_from_a_file_may_turn_into_one_with_tls(start_collector, stub, certificates, tmp_path):
    file = tmp_path / "endpoint"
    file.write_text(stub.endpoint)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates["server.pem"], certificates["server.key"])
    with MetricsStub(tls=context) as secure:
        options = {"metrics.push.endpoint-file": str(file), "metrics.push.tls.ca-file": certificates["ca.pem"]}
        start_collector(options=options | FAST)
        stub.next_push()
        file.write_text(f"https://localhost:{secure.port}")
        secure.next_push()


@pytest.mark.parametrize("is_trusted", [True, False])
def test_tls_and_its_mistakes(is_trusted, start_collector, certificates):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates["server.pem"], certificates["server.key"])
    with MetricsStub(tls=context) as stub:
        trust = {"metrics.push.tls.ca-file": certificates["ca.pem"]} if is_trusted else {}
        collector = start_collector(options={"metrics.push.endpoint": f"https://localhost:{stub.port}/v1/metrics"} | trust | FAST)
        if is_trusted:
            stub.next_push()
        else:
            told = eventually("it is told", lambda: lines(collector, "misconfigured"))
            assert "metrics.push.tls.ca-file" in told[0]["advice"] and codes(collector)["tls"] >= 1
        collector.stop()


@pytest.mark.parametrize("form", ["{k8s.io/pod: a, b: ''}", "[k8s.io/pod=a, 'b=']", "k8s.io/pod=a,b="])
def test_attributes_are_the_same_in_every_form(form, tmp_path, start_collector, stub):
    file = tmp_path / "c.yaml"
    file.write_text(f"metrics: {{push: {{resource: {form}}}}}" if form[0] in "{[" else f"metrics: {{push: {{resource: '{form}'}}}}")
    start_collector(options={"metrics.push.endpoint": stub.endpoint, "config": str(file)} | FAST)
    resource = stub.next_push().resource
    assert resource["k8s.io/pod"] == "a" and resource["b"] == ""


def test_wrong_values_are_refused_by_their_keys():
    asked = run_once("check-config", "--metrics-push-endpoint", "prometheus:9090", "--metrics-push-temporality", "gauge",
                     "--metrics-push-interval", "1ms", "--metrics-push-resource", "a", "--metrics-push-tls-key-file", "/k",
                     "--metrics-push-headers", "Authorization=hush,x")
    assert asked.returncode == 2 and "hush" not in asked.stderr
    for key in ("endpoint", "temporality", "interval", "resource", "tls.key-file", "headers"):
        assert f"metrics.push.{key}" in asked.stderr
    shown = run_once("check-config", "--metrics-push-endpoint", "https://u:hush@h/otlp", "--metrics-push-headers", "A=hush",
                     "--metrics-push-resource", "redis=shop")
    assert shown.returncode == 0 and "hush" not in shown.stdout and "redis=shop" in shown.stdout
