"""What clients do to a connection. Each case once cost an answer, a connection, or another process its socket."""

import os
import resource
import socket
from pathlib import Path

import pytest

from support import http_client
from support.collector import Collector
from support.deadline import SECONDS, eventually
from support.otlp import numbered_request
from support.ports import free_port

BODY = numbered_request(range(3))


def request(path: str = "/v1/traces", *headers: str, body: bytes = BODY) -> bytes:
    lines = [f"POST {path} HTTP/1.1", "Host: localhost", "Content-Type: application/x-protobuf",
             f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


def read_answer(connection: socket.socket) -> bytes:
    """Head and body of one answer; nothing where the connection is closed."""
    data = b""
    while b"\r\n\r\n" not in data:
        part = connection.recv(65536)
        if not part:
            return data
        data += part
    head, body = data.split(b"\r\n\r\n", 1)
    length = next(int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length"))
    while len(body) < length:
        body += connection.recv(65536)
    return head + b"\r\n\r\n" + body


def status_of(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])


def test_a_client_that_offers_to_upgrade_is_not_left_without_its_next_answer(start_collector):
    collector = start_collector()
    with collector.tcp.connect() as connection:
        connection.sendall(request("/v1/traces", "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c",
                                   "HTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA"))
        answer = read_answer(connection)
        assert status_of(answer) == 200, answer
        # The parser can't go on behind such a request, so the connection is closed, which tells the client to open
        # another one.
        assert b"connection: close" in answer.lower(), answer
        assert connection.recv(1) == b""


@pytest.mark.parametrize("path, length, status", [("/nowhere", 5, 404), ("/v1/traces", 1 << 21, 413)])
def test_a_client_that_asks_before_it_sends_gets_the_refusal_at_once(start_collector, path, length, status):
    collector = start_collector(options={"otlp.max-body": "1MiB"})
    head = request(path, "Expect: 100-continue", body=b"").replace(b"Content-Length: 0", b"Content-Length: %d" % length)
    with collector.tcp.connect() as connection:
        connection.settimeout(SECONDS)
        connection.sendall(head)
        assert status_of(read_answer(connection)) == status


def test_a_client_that_asks_before_it_sends_may_send(start_collector):
    collector = start_collector()
    head, body = request("/v1/traces", "Expect: 100-continue").split(b"\r\n\r\n", 1)
    with collector.tcp.connect() as connection:
        connection.settimeout(SECONDS)
        connection.sendall(head + b"\r\n\r\n")
        assert connection.recv(65536).startswith(b"HTTP/1.1 100 ")
        connection.sendall(body)
        assert status_of(read_answer(connection)) == 200


@pytest.mark.parametrize("sync", ["always", "200ms"])
def test_a_client_that_shuts_its_side_after_the_request_gets_its_answer(start_collector, tempo, sync):
    collector = start_collector(options={"tempo.endpoint": tempo.endpoint, "spool.sync": sync})
    with collector.tcp.connect() as connection:
        connection.sendall(request())
        connection.shutdown(socket.SHUT_WR)
        assert status_of(read_answer(connection)) == 200
        assert connection.recv(1) == b"", "expected the connection to be closed after the last answer"


def test_a_client_that_never_reads_its_answers_costs_no_memory(start_collector):
    collector = start_collector()
    collector.post(BODY)
    before = collector.metrics().value("process_resident_memory_bytes")
    with collector.web.connect() as connection:
        connection.settimeout(1)
        ask = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n" * 500
        sent = 0
        try:
            while sent < 200 << 20:
                sent += connection.send(ask)
        except TimeoutError:
            pass  # The collector reads no more.
        after = collector.metrics().value("process_resident_memory_bytes")
    assert after - before < 60 << 20, f"expected less than 60 MiB for {sent} bytes of requests, got {after - before}"


def test_the_end_leaves_a_socket_alone_that_another_process_has_put_in_its_place(start_collector, tmp_path):
    first = start_collector()
    first.socket.unlink()
    second = Collector(tmp_path, options={"otlp.listen": f"127.0.0.1:{free_port()}"})
    second.start()
    try:
        first.stop()
        assert second.socket.is_socket(), "the first one's end removed the second one's socket"
        with second.unix.connect() as connection:
            connection.sendall(request())
            assert status_of(read_answer(connection)) == 200
    finally:
        assert second.close() is None
    assert not second.socket.exists()


def test_a_name_server_or_a_redis_that_hangs_does_not_hold_up_the_end(start_collector):
    with socket.socket() as hung:
        # A full backlog: the next connect() gets no answer at all.
        hung.bind(("127.0.0.1", 0))
        hung.listen(0)
        waiting = [socket.socket() for _ in range(3)]
        for client in waiting:
            client.setblocking(False)
            client.connect_ex(hung.getsockname())
        url = f"redis://127.0.0.1:{hung.getsockname()[1]}/0"
        # Not ready before the first scrape was tried, which here takes a minute.
        collector = start_collector(options={"redis.url": url, "redis.timeout": "60s"}, ready_path="/-/healthy")
        collector.stop()
        for client in waiting:
            client.close()


def test_a_limit_on_the_size_of_files_is_answered_and_survived(start_collector, tempo):
    tempo.go_down()
    collector = start_collector(options={"tempo.endpoint": tempo.endpoint})
    resource.prlimit(collector.process.pid, resource.RLIMIT_FSIZE, (20_000, resource.RLIM_INFINITY))
    statuses = set()
    for number in range(400):
        statuses.add(http_client.post_traces(collector.tcp, numbered_request([number])).status)
    assert 503 in statuses and statuses <= {200, 503}, statuses
    assert collector.get("/-/ready").status == 503
    assert collector.get("/-/healthy").status == 200
    resource.prlimit(collector.process.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    # Without another span: the collector finds out by itself.
    eventually("ready again", lambda: collector.get("/-/ready").status == 200)
    tempo.come_up()
    eventually("an empty spool", lambda: collector.count("spool_spans") == 0)


def test_segments_that_wait_take_no_descriptors(start_collector, tempo):
    tempo.go_down()
    options = {"tempo.endpoint": tempo.endpoint, "tempo.retry.initial": "50ms", "tempo.retry.max": "300ms"}
    collector = start_collector(options=options)
    for first in range(0, 60, 10):
        collector.post(numbered_request(range(first, first + 10)))
        collector.kill()
        collector = start_collector(options=options)
    segments = len(list(collector.spool.glob("segment-*.log")))
    assert segments >= 6, f"expected a segment of each process, found {segments}"

    def open_segments() -> list[str]:
        links = [os.readlink(link) for link in Path(f"/proc/{collector.process.pid}/fd").iterdir()]
        return [path for path in links if "segment-" in path]

    # All are open until the sync of what the last process left.
    eventually("two open segments at most", lambda: len(open_segments()) <= 2)
    tempo.come_up()
    collector.until_forwarded(60)
