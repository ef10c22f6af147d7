"""What clients together may hold: connections, bodies that are not complete, time."""

import os
import signal
import socket
import threading
from contextlib import ExitStack, contextmanager
from typing import BinaryIO, Iterator

from support import http_client, otlp
from support.collector import flags, run_once
from support.deadline import SECONDS, eventually
from support.http_client import Endpoint

# So that pages are large.
ALL_BUCKETS = {"metrics.histogram-series-max": "1000000"}
HEAD = (b"POST /v1/traces HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-protobuf\r\nContent-Length: %d\r\n\r\n")


def test_of_more_connections_than_allowed_the_one_that_idles_longest_is_closed_and_counted(start_collector):
    collector = start_collector()
    with ExitStack() as stack:
        kept = []
        for _ in range(1024):
            kept.append(stack.enter_context(collector.unix.connect()))
            if len(kept) % 256 == 0:  # Less than the backlog at a time.
                eventually("they are accepted", lambda: len(os.listdir(f"/proc/{collector.process.pid}/fd")) > len(kept))
        body = otlp.numbered_request([1])
        newest = stack.enter_context(collector.unix.connect())
        newest.sendall(HEAD % len(body) + body)
        assert http_client.raw_answer(newest).status == 200
        kept[0].settimeout(SECONDS)
        assert kept[0].recv(1) == b""
        assert collector.count("refused_connections_total") == 1
        assert collector.post(otlp.numbered_request([1])).status == 200
    eventually("all are closed", lambda: collector.post(otlp.numbered_request([2])).status == 200)


def test_bodies_in_flight_have_one_bound_for_all_connections(start_collector):
    """Of 256 MiB for all parts, bodies of one listener get 40: the fifth of 9 MiB finds no room, and is told to come again."""
    collector = start_collector(options={"memory.limit": "256MiB"})
    size = 9 << 20
    with ExitStack() as stack:
        for _ in range(4):
            connection = stack.enter_context(collector.unix.connect())
            connection.sendall(HEAD % size + bytes(size - 1))
        eventually("the bodies are here",
                   lambda: collector.metrics().value("asynq_collector_memory_bytes", {"part": "bodies"}) == 4 * (size - 1))
        last = stack.enter_context(collector.unix.connect())
        last.sendall(HEAD % size + bytes(size))
        answer = http_client.raw_answer(last)
        assert answer.status == 503 and answer.headers["Retry-After"] == "1", answer
        assert collector.count("refused_requests_total", {"reason": "overloaded"}) == 1
        # A small one finds room still.
        assert collector.post(otlp.numbered_request([1])).status == 200
    eventually("room again", lambda: _take(collector.unix, size) == 400)


def _take(endpoint: Endpoint, size: int) -> int:
    with endpoint.connect() as connection:
        connection.sendall(HEAD % size + bytes(size))
        return http_client.raw_answer(connection).status


def test_an_abstract_socket_takes_spans_and_leaves_no_file(start_collector, tmp_path):
    name = f"@asynq-collector-{tmp_path.name}"
    collector = start_collector(options={"otlp.socket": name})
    with socket.socket(socket.AF_UNIX) as client:
        client.connect("\0" + name[1:])
        body = otlp.numbered_request([1])
        client.sendall(HEAD % len(body) + body)
        assert http_client.raw_answer(client).status == 200
    assert f"unix:{name}" in collector.stderr()
    assert not (tmp_path / name).exists()
    second = run_once("run", *flags(collector.options | {
        "otlp.listen": "none", "metrics.listen": "127.0.0.1:0", "spool.directory": tmp_path / "other"}))
    assert second.returncode == 1 and "another process listens" in second.stderr, second


# --- Answers without a reader ----------------------------------------------------------------------------------------

PAGE = b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"


def _make_the_page_large(collector) -> int:
    """Six queues of 200 task types: histograms enough for megabytes."""
    number = 0
    for queue in range(6):
        spans = []
        for kind in range(200):
            number += 1
            span = otlp.process_span(number, f"queue-{queue}", f"type-{kind}")
            span.attributes.extend(otlp.attributes(asynq__task__wait_seconds=0.01 * (kind + 1)))
            spans.append(span)
        assert collector.post(otlp.request(*spans)).status == 200
    size = len(collector.get("/metrics").body)
    assert size > 3 << 20
    return size


def _resident(collector) -> int:
    """Without asking the collector for it."""
    with open(f"/proc/{collector.process.pid}/statm", encoding="ascii") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGESIZE")


def _client(collector) -> socket.socket:
    client = socket.socket(socket.AF_INET)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.settimeout(SECONDS)
    client.connect(("127.0.0.1", collector.metrics_port))
    return client


def _next_status(stream: BinaryIO, has_body: bool = True) -> int:
    """Of an answer that has to be whole."""
    status = int(stream.readline().split()[1])
    length = 0
    is_chunked = False
    while (line := stream.readline()) != b"\r\n":
        name, value = line.split(b":", 1)
        length = int(value) if name.lower() == b"content-length" else length
        is_chunked = is_chunked or name.lower() == b"transfer-encoding"
    while is_chunked and (length := int(stream.readline(), 16)) > 0:
        assert len(stream.read(length + 2)) == length + 2
    if is_chunked:
        assert stream.readline() == b"\r\n"
    assert not has_body or len(stream.read(length)) == length
    return status


def test_requests_in_one_packet_are_answered_one_by_one_as_the_client_reads(start_collector):
    collector = start_collector(options=ALL_BUCKETS)
    size = _make_the_page_large(collector)
    before = _resident(collector)
    with _client(collector) as client:
        client.sendall(PAGE * 60)
        eventually("the first answer is on its way", lambda: client.recv(1, socket.MSG_PEEK))
        # Another client is served meanwhile.
        assert all(collector.get("/metrics").status == 200 for _ in range(5))
        assert _resident(collector) - before < 8 * size
        with client.makefile("rb") as stream:
            assert [_next_status(stream) for _ in range(60)] == [200] * 60


def test_what_all_clients_leave_unread_has_a_bound(start_collector):
    """A piece of a page each: the page is served all the same, for those that have not read for a second are cut off."""
    collector = start_collector(options=ALL_BUCKETS)
    _make_the_page_large(collector)
    before = _resident(collector)
    with ExitStack() as stack:
        clients = [stack.enter_context(_client(collector)) for _ in range(240)]
        for client in clients:
            client.sendall(PAGE)
        assert collector.get("/-/healthy").status == 200
        eventually("the page is served", lambda: collector.get("/metrics").status == 200)
        assert _resident(collector) - before < 160 << 20
    metrics = eventually("room again", lambda: collector.metrics())
    assert metrics.value("asynq_collector_refused_requests_total", {"reason": "unread"}) >= 10


# --- Many requests in few packets ------------------------------------------------------------------------------------


@contextmanager
def _sent(client: socket.socket, requests: bytes) -> Iterator[BinaryIO]:
    """The answers to them, which may have to be read before all is sent."""
    sender = threading.Thread(target=client.sendall, args=[requests])
    sender.start()
    sender.join(timeout=0.3)
    with client.makefile("rb") as stream:
        yield stream
    sender.join()


HEALTH = b"HEAD /healthz HTTP/1.1\r\nHost:x\r\n\r\n"
NOTHING = b"GET /x HTTP/1.1\r\nHost:x\r\n\r\n"


def _warm_up(client: socket.socket, request: bytes) -> None:
    """Until the collector reads as much at a time as it ever does: then thousands of requests wait behind one answer."""
    with _sent(client, request * 20_000) as stream:
        for _ in range(20_000):
            _next_status(stream, has_body=not request.startswith(b"HEAD"))


@contextmanager
def _sent_at_once(collector, client: socket.socket, requests: bytes) -> Iterator[BinaryIO]:
    """All of it is there when the collector looks."""
    collector.process.send_signal(signal.SIGSTOP)
    try:
        with _sent(client, requests) as stream:
            collector.process.send_signal(signal.SIGCONT)
            yield stream
    finally:
        collector.process.send_signal(signal.SIGCONT)


def test_small_requests_behind_an_answer_that_takes_its_time_are_answered_in_order(start_collector):
    """The answer to the spans comes once they are on disk; all that came meanwhile is answered then, one by one."""
    collector = start_collector(options={"spool.sync": "always"})
    body = otlp.numbered_request([1])
    with socket.create_connection(("127.0.0.1", collector.otlp_port), timeout=SECONDS) as client:
        spans = HEAD % len(body) + body
        _warm_up(client, NOTHING)
        with _sent_at_once(collector, client, spans + NOTHING * 10_000 + spans) as stream:
            assert _next_status(stream) == 200
            assert [_next_status(stream) for _ in range(10_000)] == [404] * 10_000
            assert _next_status(stream) == 200
    assert collector.get("/-/healthy").status == 200


def test_small_requests_behind_a_page_are_answered_in_order(start_collector):
    collector = start_collector(options=ALL_BUCKETS)
    _make_the_page_large(collector)
    with _client(collector) as client:
        _warm_up(client, HEALTH)
        with _sent_at_once(collector, client, PAGE + HEALTH * 7_000 + PAGE) as stream:
            assert _next_status(stream) == 200
            assert [_next_status(stream, has_body=False) for _ in range(7_000)] == [200] * 7_000
            assert _next_status(stream) == 200
    assert collector.get("/-/healthy").status == 200


def test_a_page_is_whole_although_garbage_follows_it(start_collector):
    collector = start_collector(options=ALL_BUCKETS)
    _make_the_page_large(collector)
    for _ in range(5):
        with _client(collector) as client:
            client.sendall(PAGE + b"garbage\r\n\r\n")
            eventually("the page is on its way", lambda: client.recv(1, socket.MSG_PEEK))
            with client.makefile("rb") as stream:
                assert _next_status(stream) == 200
                assert _next_status(stream) == 400
                assert stream.read() == b""
