"""How many series a page has, what its labels are, and how it is read: in pieces, also by those who do not read."""

import gzip
import random
import socket
import threading
import time
from contextlib import ExitStack

import pytest

from support import http_client, metrics_protobuf
from support.deadline import eventually, fast_enough
from support.metrics_page import MetricsPage, assert_histograms_agree
from support.otlp import attributes, process_span, request
from support.prometheus_server import NEWER, Prometheus, version

WAIT = "asynq_task_wait_duration_seconds"
RUN = "asynq_task_processing_duration_seconds"
OWN = "asynq_collector_"
PROTOBUF = metrics_protobuf.CONTENT_TYPE
EDGES = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800, 3600]
RUN_EDGES = [0.005, 0.025, 0.1, 0.5, 2.5, 10, 60, 300, 1800]
INF = float("inf")


def post_types(collector, queues: int, types: int, name=lambda number: f"type-{number}") -> None:
    """One task of each type in each queue, with waits from milliseconds to minutes."""
    chance = random.Random(1)
    for queue in range(queues):
        spans = []
        for task_type in range(types):
            span = process_span(queue * types + task_type, f"queue-{queue}", name(task_type))
            span.attributes.extend(attributes(asynq__task__wait_seconds=10 ** chance.uniform(-2, 2.5)))
            spans.append(span)
        collector.post(request(*spans))


def lines(collector) -> list[str]:
    return [line for line in collector.get("/metrics").body.decode().splitlines() if not line.startswith("#")]


def edges(page: MetricsPage, name: str) -> set[float]:
    return {float(dict(labels)["le"]) for labels in page.samples[f"{name}_bucket"]}


def test_forty_queues_of_sixty_types_have_a_third_of_the_series_that_they_had(start_collector):
    collector = start_collector(options={"redis.url": "none"})
    post_types(collector, 40, 60)
    assert len(lines(collector)) <= 103_598 / 3
    page = collector.metrics()
    assert page.value(OWN + "page_series") == len(lines(collector))
    assert page.value(OWN + "bucket_step") == 4
    assert edges(page, WAIT) == {0.025, 0.5, 10, 300, INF}
    assert edges(page, RUN) == {0.025, 10, INF}
    for name in (WAIT, RUN):
        assert_histograms_agree(page, name)
        assert page.sum(f"{name}_count") == len(page.samples[f"{name}_count"]) == 2400


def test_a_small_sidecar_has_all_buckets_of_waits_and_fewer_of_run_times(start_collector):
    collector = start_collector(options={"redis.url": "none"})
    post_types(collector, 3, 4)
    page = collector.metrics()
    assert page.value(OWN + "bucket_step") == 1
    assert edges(page, WAIT) == {*EDGES, INF}
    assert edges(page, RUN) == {*RUN_EDGES, INF}
    assert page.value(OWN + "page_series") == len(lines(collector)) < 520


def test_all_buckets_come_back_by_the_settings(start_collector):
    collector = start_collector(options={"redis.url": "none", "metrics.histogram-series-max": "1000000",
                                         "metrics.run-time-buckets": ",".join(map(str, EDGES))})
    post_types(collector, 40, 60)
    page = collector.metrics()
    assert edges(page, WAIT) == edges(page, RUN) == {*EDGES, INF}
    assert page.value(OWN + "page_series") > 100_000


def test_a_bucket_that_stays_counts_what_it_did(start_collector, tmp_path):
    """The same tasks with each number of buckets: the numbers of the buckets that both have are the same."""
    pages = []
    for most in ("1000", "100000"):
        collector = start_collector(options={"redis.url": "none", "metrics.histogram-series-max": most, "otlp.socket": "none",
                                             "spool.directory": str(tmp_path / most)})
        post_types(collector, 5, 20)
        pages.append(collector.metrics())
    few, many = (page.samples[f"{WAIT}_bucket"] for page in pages)
    assert len(few) < len(many) / 3
    assert few.items() <= many.items()


def test_names_are_cut_to_256_bytes_and_bytes_that_are_no_text_are_escaped_once(start_collector):
    collector = start_collector(options={"redis.url": "none"})
    long = "n" * 1000
    raw = b"\xff" * 1000
    spans = [process_span(1, long, long), process_span(2, long + "!", "t")]
    third = process_span(3, "q", "t")
    for attribute in third.attributes:
        if attribute.key == "messaging.destination.name":
            attribute.value.string_value = "PLACE" + "x" * 995
    body = request(*spans, third).replace(b"PLACE" + b"x" * 995, raw)
    collector.post(body)
    page = collector.metrics()
    queues = {dict(labels)["queue"] for labels in page.samples["asynq_task_attempts_total"]}
    assert queues == {"n" * 253 + "…", "\\xFF" * 63 + "…"}
    assert all(len(queue.encode()) <= 256 for queue in queues)
    assert page.by(OWN + "cut_labels_total", "label") == {"queue": 2, "task_type": 1}


def stalled_reader(collector, stack: ExitStack, accept: bytes = b"") -> socket.socket:
    reader = stack.enter_context(socket.socket())
    reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
    reader.connect(("127.0.0.1", collector.metrics_port))
    reader.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n" + accept + b"\r\n")
    return reader


def test_readers_that_do_not_read_hold_a_piece_each_and_keep_nobody_out(start_collector):
    collector = start_collector(options={"redis.url": "none", "metrics.histogram-series-max": "1000000"})
    post_types(collector, 40, 200)
    whole = collector.get("/metrics").body
    assert len(whole) > 20 << 20
    before = collector.metrics().value("process_resident_memory_bytes")
    with ExitStack() as stack:
        for number in range(100):
            stalled_reader(collector, stack, b"Accept-Encoding: gzip\r\n" if number % 2 else b"")
        # A reader that took a piece within the last second is not cut off for another one, which is told to come again then.
        eventually("a page", lambda: collector.get("/metrics").status == 200)
        for _ in range(10):
            answer = collector.get("/metrics")
            assert answer.status == 200 and answer.body.endswith(b"\n"), answer.status
        after = collector.metrics().value("process_resident_memory_bytes")
        # A page each would be two gigabytes.
        assert after - before < 100 << 20
    eventually("their memory is returned", lambda: collector.get("/metrics").status == 200)


def test_health_is_told_while_a_page_of_a_hundred_megabytes_is_read_slowly(start_collector):
    name = "x" * 180
    collector = start_collector(options={"redis.url": "none", "metrics.histogram-series-max": "10000000", "memory.limit": "1GiB"})
    post_types(collector, 60, 200, lambda number: f"{name}-{number}")
    done = threading.Event()
    read = 0

    def read_slowly() -> None:
        nonlocal read
        connection = http_client.Connection(collector.web)
        connection.request("GET", "/metrics")
        answer = connection.getresponse()
        while piece := answer.read(1 << 20):
            read += len(piece)
            if not done.is_set():
                time.sleep(0.05)
        connection.close()

    reader = threading.Thread(target=read_slowly)
    reader.start()

    def p99() -> float:
        took = []
        for _ in range(200):
            start = time.monotonic()
            assert collector.get("/-/healthy").status == 200
            took.append(time.monotonic() - start)
        return sorted(took)[197]

    fast_enough("health while a page is read", 0.05, p99)
    done.set()
    reader.join()
    assert read > 100 << 20


def test_a_compressed_page_in_pieces_is_the_page(start_collector):
    collector = start_collector(options={"redis.url": "none", "metrics.histogram-series-max": "1000000"})
    post_types(collector, 10, 100)
    plain = collector.get("/metrics")
    packed = collector.get("/metrics", {"Accept-Encoding": "gzip"})
    assert packed.headers["Transfer-Encoding"] == "chunked" and packed.headers["Content-Encoding"] == "gzip"
    unpacked = gzip.decompress(packed.body)

    def steady(page: bytes) -> list[bytes]:
        return [line for line in page.splitlines() if not line.startswith((b"process_", b"asynq_collector_memory_bytes"))]

    assert steady(unpacked) == steady(plain.body)


@pytest.mark.parametrize("program", ["prometheus", *NEWER], ids=lambda value: value.replace("/", "_"))
def test_prometheus_takes_all_series_of_a_family_that_comes_in_several_messages(program, start_collector, tmp_path):
    collector = start_collector(options={"redis.url": "none", "metrics.histogram-series-max": "1000000"})
    post_types(collector, 10, 100)
    names = [family.name for family in metrics_protobuf.families(collector.get("/metrics", {"Accept": PROTOBUF}).body)]
    assert names.count(WAIT) > 1 and names.count(OWN + "page_series") == 1
    per_job = {"scrape_native_histograms": True} if version(program) >= (3, 8) else {}
    features = "exemplar-storage" if per_job else "native-histograms,exemplar-storage"
    with Prometheus(tmp_path / "prometheus", {"asynq-collector": collector.metrics_port}, program, per_job, features) as server:
        server.until_scraped_again()
        assert server.scalar(f"count(histogram_count({WAIT}))") == 1000
        assert server.scalar(f"sum(histogram_count({RUN}))") == 1000
        assert server.scalar("count(asynq_task_attempts_total)") == 1000
