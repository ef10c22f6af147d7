"""The metrics page in each of its formats: the same numbers, as each format's own readers see them."""

import gzip
import math
import threading
import time

import pytest

from support import golden, metrics_protobuf, promtool
from support.collector import Collector
from support.deadline import eventually
from support.go_capture import GoCapture
from support.http_client import Connection, post_traces
from support.metrics_page import MetricsPage
from support.openmetrics_page import OpenMetricsPage
from support.otlp import Span, attributes, process_span, request
from support.redis_server import RedisServer
from support.tempo_stub import TempoStub

TEXT = "text/plain;version=0.0.4"
OPEN_METRICS = "application/openmetrics-text;version=1.0.0"
PROTOBUF = metrics_protobuf.CONTENT_TYPE
CAPTURE = GoCapture()
NATIVE = ("asynq_task_wait_duration_seconds", "asynq_task_processing_duration_seconds", "asynq_queue_wait_sampled_seconds")
# What changes from page to page though nothing happens.
RESTLESS = ("process_", "asynq_collector_memory_bytes", "asynq_collector_spool_oldest_age_seconds")


@pytest.fixture(scope="module")
def collector(tmp_path_factory):
    """With queues of a real Redis, the spans of a real SDK, and nothing more to do."""
    directory = tmp_path_factory.mktemp("formats")
    with TempoStub() as tempo, RedisServer(directory / "redis", golden.load(golden.VERSIONS[-1]).dump) as redis:
        collector = Collector(directory / "c", {"redis.url": redis.url, "redis.interval": "1h", "redis.look-interval": "1h",
                                                "tempo.endpoint": tempo.endpoint, "metrics.quantile-window": "1h"})
        collector.start()
        for body in CAPTURE.bodies:
            collector.post(body)
        collector.until_forwarded(CAPTURE.span_count)
        eventually("the last answer of Tempo is counted", lambda: collector.count("tempo_up") == 1)
        yield collector
        problem = collector.close()
    assert not problem, problem


def text_page(collector) -> MetricsPage:
    return MetricsPage(fetch(collector, TEXT).body.decode())


def open_metrics_page(collector) -> OpenMetricsPage:
    return OpenMetricsPage(fetch(collector, OPEN_METRICS).body.decode())


def protobuf_page(collector) -> list[metrics_protobuf.Family]:
    return metrics_protobuf.families(fetch(collector, PROTOBUF).body)


def fetch(collector, accept: str | None, **headers):
    answer = collector.get("/metrics", headers | ({"Accept": accept} if accept else {}))
    assert answer.status == 200, answer
    return answer


def comparable(samples: dict) -> dict:
    """`le` as a number: each format writes it its own way."""
    result = {}
    for name, series in samples.items():
        if not name.startswith(RESTLESS):
            result[name] = {
                frozenset((key, float(value) if key == "le" else value) for key, value in labels): value
                for labels, value in series.items()}
    return result


def test_all_formats_have_the_same_series_and_values(collector):
    text = comparable(text_page(collector).samples)
    open_metrics = comparable(open_metrics_page(collector).samples)
    protobuf = comparable(metrics_protobuf.samples(protobuf_page(collector)))
    assert len(text) > 50
    assert open_metrics == text
    assert protobuf == text


def test_the_families_have_the_same_kind_and_help_in_all_formats(collector):
    text = text_page(collector).families
    for family in protobuf_page(collector):
        name = family.name.removesuffix("_total") if family.kind == "counter" else family.name
        assert text[name].documentation == family.help
        kind = "summary" if name == "asynq_task_wait_quantile_seconds" else family.kind
        assert text[name].type == kind, name
    for family in open_metrics_page(collector).families:
        name = family.name + "_info" if family.type == "info" else family.name
        assert text[name].documentation == family.documentation
        other_names = {"info": "gauge"} | ({"gauge": "summary"} if name == "asynq_task_wait_quantile_seconds" else {})
        assert text[name].type == other_names.get(family.type, family.type), name


def test_units_are_what_the_names_end_in(collector):
    units = {family.name: family.unit for family in open_metrics_page(collector).families}
    assert units["asynq_task_wait_duration_seconds"] == "seconds"
    assert units["asynq_collector_spool_bytes"] == "bytes"
    assert units["asynq_queue_archive_fill_ratio"] == "ratio"
    assert units["process_cpu_seconds"] == "seconds"
    assert units["asynq_queue_size"] == ""
    in_protobuf = {family.name.removesuffix("_total"): family.unit for family in protobuf_page(collector)}
    assert {name: unit for name, unit in in_protobuf.items() if unit} == {name: unit for name, unit in units.items() if unit}


def test_task_histograms_are_native_too_and_their_counts_agree(collector):
    native = [family for family in protobuf_page(collector) if family.name in NATIVE]
    assert {family.name for family in native} == set(NATIVE)
    for family in native:
        assert family.series
        for series in family.series:
            assert series.buckets[-1][:2] == (math.inf, series.count), series
            assert series.native.count == series.count, series
            assert series.native.schema == 4
            assert series.native.zero_threshold == 2**-20
            assert len(series.native.buckets) <= 160


def test_the_native_buckets_of_the_capture_are_exact(collector):
    """Each wait of the capture, by logarithms."""
    family = next(family for family in protobuf_page(collector) if family.name == "asynq_task_wait_duration_seconds")
    found = {(series.labels["queue"], series.labels["task_type"]): series.native for series in family.series}
    for key, waits in CAPTURE.waits().items():
        expected: dict[int, int] = {}
        for wait in waits:
            if wait > 2**-20:
                index = math.ceil(math.log2(wait) * 16)
                expected[index] = expected.get(index, 0) + 1
        assert found[key].buckets == expected, key


def test_exemplars_are_in_their_buckets_and_name_spans_that_were_sent(collector):
    now = time.time()
    sent = {(span["trace_id"], span["span_id"]) for span in CAPTURE.process_spans if "trace_id" in span}
    exemplars = open_metrics_page(collector).exemplars
    assert {name for name, _, _ in exemplars} == {f"{name}_bucket" for name in NATIVE[:2]}
    bounds = sorted({float(labels["le"]) for _, labels, _ in exemplars})
    assert len(bounds) > 3
    for name, labels, exemplar in exemplars:
        assert set(exemplar.labels) == {"trace_id", "span_id"}
        assert exemplar.value <= float(labels["le"])
        assert now - 600 < float(exemplar.timestamp) <= now
        if sent:
            assert (exemplar.labels["trace_id"], exemplar.labels["span_id"]) in sent
    in_protobuf = [
        (family.name, bound, exemplar["labels"], exemplar["value"])
        for family in protobuf_page(collector) for series in family.series
        for bound, _, exemplar in series.buckets if exemplar]
    assert len(in_protobuf) == len(exemplars)


def test_promtool_finds_nothing_to_complain_about(collector):
    promtool.assert_clean(text_page(collector).text)


@pytest.mark.parametrize("accept, media_type, parameters", [
    (None, "text/plain", {"version": "0.0.4", "charset": "utf-8"}),
    ("text/html,*/*;q=0.8", "text/plain", {"version": "0.0.4", "charset": "utf-8"}),
    ("application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
     "application/openmetrics-text", {"version": "1.0.0", "charset": "utf-8", "escaping": "allow-utf-8"}),
    (PROTOBUF + ",application/openmetrics-text;version=1.0.0;q=0.8,*/*;q=0.1", "application/vnd.google.protobuf",
     {"proto": "io.prometheus.client.MetricFamily", "encoding": "delimited"}),
])
def test_the_content_type_says_which_format_it_is(collector, accept, media_type, parameters):
    answer = fetch(collector, accept)
    assert answer.media_type == media_type
    assert dict(answer.headers.get_params()[1:]) == parameters
    assert "Accept" in answer.headers.get_all("Vary")


@pytest.mark.parametrize("accept", [TEXT, OPEN_METRICS, PROTOBUF])
def test_each_format_is_compressed_when_asked(collector, accept):
    packed = fetch(collector, accept, **{"Accept-Encoding": "gzip"})
    assert packed.headers["Content-Encoding"] == "gzip"
    plain = fetch(collector, accept, **{"Accept-Encoding": "gzip;q=0.0, identity"})
    assert plain.headers["Content-Encoding"] is None
    names = [line.split(b" ")[0] for line in plain.body.split(b"\n")] if accept != PROTOBUF else []
    unpacked = gzip.decompress(packed.body)
    assert [line.split(b" ")[0] for line in unpacked.split(b"\n")] == names or accept == PROTOBUF
    assert abs(len(unpacked) - len(plain.body)) < 100
    assert len(packed.body) < len(plain.body) / 3


def waiting(number: int, seconds: float, **overrides) -> Span:
    span = process_span(number, "q", "t", **overrides)
    span.attributes.extend(attributes(asynq__task__wait_seconds=seconds))
    return span


def test_a_span_that_was_exported_is_an_exemplar_whatever_its_flags(start_collector, tempo):
    collector = start_collector(options={"tempo.endpoint": tempo.endpoint})
    collector.post(request(waiting(1, 0.7, flags=0x100), waiting(2, 7, flags=0x101), waiting(3, 70, flags=1), waiting(4, 700)))
    found = {exemplar.value for name, _, exemplar in open_metrics_page(collector).exemplars if "wait" in name}
    assert found == {0.7, 7, 70, 700}


def test_without_a_trace_backend_there_are_no_exemplars(start_collector):
    collector = start_collector()
    collector.post(request(waiting(1, 0.7, flags=1)))
    assert text_page(collector).sum("asynq_task_wait_duration_seconds_count") == 1
    assert open_metrics_page(collector).exemplars == []


def test_what_was_refused_is_no_exemplar(start_collector, tempo):
    tempo.go_down()
    collector = start_collector(options={"tempo.endpoint": tempo.endpoint, "spool.max-bytes": "1MiB"})
    filler = waiting(1, 1)
    filler.attributes.extend(attributes(filler="x" * 700_000))
    collector.post(request(filler))
    second = waiting(2, 70)
    second.attributes.extend(attributes(filler="x" * 700_000))
    assert post_traces(collector.tcp, request(second)).status in (429, 503)
    assert {exemplar.value for name, _, exemplar in open_metrics_page(collector).exemplars if "wait" in name} == {1}


def test_pages_made_while_spans_come_are_consistent(start_collector):
    collector = start_collector()
    stop = threading.Event()
    posted = [0]

    def send():
        with_connection = Connection(collector.tcp)
        while not stop.is_set():
            spans = [waiting(posted[0] + n, 0.001 * 1.1 ** (n % 130)) for n in range(100)]
            answer = with_connection.ask("POST", "/v1/traces", request(*spans), {"Content-Type": "application/x-protobuf"})
            assert answer.status == 200
            posted[0] += 100

    sender = threading.Thread(target=send)
    sender.start()
    try:
        counts = []
        for _ in range(40):
            family = [f for f in protobuf_page(collector) if f.name in NATIVE]
            for series in (series for f in family for series in f.series):
                assert series.buckets[-1][1] == series.count == series.native.count
                counts.append(series.count)
            for name in ("wait", "processing"):
                page = text_page(collector)
                for labels, count in page.samples.get(f"asynq_task_{name}_duration_seconds_count", {}).items():
                    assert page.samples[f"asynq_task_{name}_duration_seconds_bucket"][labels | {("le", "+Inf")}] == count
    finally:
        stop.set()
        sender.join()
    assert len(set(counts)) > 10, "expected the pages to be made while spans came"
    assert text_page(collector).sum("asynq_task_wait_duration_seconds_count") == posted[0]
