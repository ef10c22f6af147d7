"""One budget of memory and of descriptors: what senders may make the collector hold, and who is served meanwhile."""

import json
import os
import random
import resource
import select
import socket
import socketserver
import struct
import time
from contextlib import ExitStack

import pytest

from support import http2_client, otlp
from support.cgroup import limited_to
from support.collector import Collector, run_once
from support.deadline import SECONDS, eventually
from support.hostile import statuses
from support.http_client import post_traces
from support.redis_proxy import ProxyListener
from support.redis_server import RedisServer

MIB = 1 << 20
HEAD = "POST /v1/traces HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-protobuf\r\nContent-Length: {}\r\n\r\n"


def resident_bytes(collector: Collector) -> int:
    with open(f"/proc/{collector.process.pid}/status", encoding="ascii") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS")) << 10


def parts(collector: Collector, family: str) -> dict[str, float]:
    page = collector.get("/metrics").body.decode()
    lines = [line for line in page.splitlines() if line.startswith(f"asynq_collector_{family}" + "{")]
    return {line.split('part="')[1].split('"')[0]: float(line.rsplit(" ", 1)[1]) for line in lines}


def used(collector: Collector) -> dict[str, float]:
    return parts(collector, "memory_bytes")


def shares(collector: Collector) -> dict[str, float]:
    return parts(collector, "memory_limit_bytes")


# --- The budget --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cgroup, limit", [(64, 48), (128, 96), (1024, 512)])
def test_auto_is_three_quarters_of_the_cgroup(tmp_path, cgroup, limit):
    with limited_to(cgroup * MIB) as group:
        collector = Collector(tmp_path, {"redis.url": "none"}, launcher=group.launcher).start()
        try:
            sum_of_shares = sum(shares(collector).values())
            assert limit * MIB - 4096 <= sum_of_shares <= limit * MIB, shares(collector)
            assert set(used(collector)) <= set(shares(collector))
            assert f'"limit":"{limit} MiB"' in collector.stderr().replace(": ", ":")
        finally:
            assert collector.close() is None


def test_no_part_takes_more_than_its_share_and_the_log_names_them(start_collector):
    collector = start_collector(options={"memory.limit": "64MiB"})
    limits = shares(collector)
    assert sum(limits.values()) <= 64 * MIB
    assert {"bodies", "requests", "streams", "pages", "labels", "pairing", "history", "failures"} <= set(limits)
    for part in limits:
        assert part in collector.stderr()
    assert all(value <= limits[part] for part, value in used(collector).items())
    memory = {part["part"]: part for part in json.loads(collector.get("/api/v1/overview").body)["memory"]}
    assert {part: memory[part]["limit_bytes"] for part in used(collector)} == {part: limits[part] for part in used(collector)}


def test_a_key_that_asks_for_more_than_the_limit_is_refused_with_both_names():
    said = run_once("check-config", "--memory-limit", "64MiB", "--otlp-max-body", "64MiB")
    assert said.returncode == 2
    assert "otlp.max-body" in said.stderr and "memory.limit" in said.stderr, said.stderr
    said = run_once("check-config", "--memory-limit", "47MiB")
    assert said.returncode == 2 and "memory.limit" in said.stderr


# --- Bodies ------------------------------------------------------------------------------------------------------------


def unfinished(stack: ExitStack, collector: Collector, count: int, size: int) -> None:
    for _ in range(count):
        client = stack.enter_context(collector.tcp.connect())
        client.settimeout(SECONDS)
        client.sendall(HEAD.format(size).encode() + bytes(size - 64))


def test_unfinished_bodies_lock_nobody_out(start_collector):
    collector = start_collector()
    size = 16 * MIB
    with ExitStack() as stack:
        unfinished(stack, collector, 4, size)
        eventually("the share is used up",
                   lambda: collector.count("refused_requests_total", {"reason": "overloaded"}) >= 1)
        assert used(collector)["bodies"] <= shares(collector)["bodies"]
        for endpoint in (collector.tcp, collector.unix):
            for number in range(50):
                assert post_traces(endpoint, otlp.numbered_request([number])).status == 200
            # One that comes in many reads, and one of no length that is known before.
            large = otlp.numbered_request(range(4000))
            assert len(large) > 200_000
            assert post_traces(endpoint, large).status == 200
            assert post_traces(endpoint, large, chunked=True).status == 200
        # What TCP holds leaves the unix socket its part.
        assert post_traces(collector.unix, otlp.numbered_request(range(60_000))).status == 200
    eventually("all is given back", lambda: used(collector)["bodies"] == 0)


# --- Heads, streams, connections ---------------------------------------------------------------------------------------


def literal(name: bytes, value: bytes) -> bytes:
    """A field of a header block that enters no table (RFC 7541, 6.2.2)."""
    def text(data: bytes) -> bytes:
        length, rest = (bytes([len(data)]), 0) if len(data) < 127 else (b"\x7f", len(data) - 127)
        while rest >= 128:
            length, rest = length + bytes([rest & 0x7F | 0x80]), rest >> 7
        return (length if len(data) < 127 else length + bytes([rest])) + data
    return b"\x00" + text(name) + text(value)


REQUEST = (literal(b":method", b"POST") + literal(b":scheme", b"http") + literal(b":path", b"/v1/traces")
           + literal(b"content-type", b"application/x-protobuf"))
PREFACE = http2_client.PREFACE + http2_client.EMPTY_SETTINGS


def streams(stack: ExitStack, collector: Collector, connections: int, block: bytes, flags: int, each: int = 100) -> None:
    """Streams that are begun and never end."""
    for _ in range(connections):
        client = stack.enter_context(collector.tcp.connect())
        client.settimeout(2)
        frames = [http2_client.frame(http2_client.HEADERS, flags, 2 * number + 1, block) for number in range(each)]
        try:
            client.sendall(PREFACE + b"".join(frames))
        except OSError:
            continue  # The connection had to go.


@pytest.mark.parametrize("token", [None, "secret"])
def test_heads_of_http2_are_counted_and_dropped_where_they_are_refused(start_collector, token):
    options = {"memory.limit": "96MiB"} | ({"otlp.bearer-token": token} if token else {})
    collector = start_collector(options=options)
    before = resident_bytes(collector)
    with ExitStack() as stack:
        streams(stack, collector, 120, REQUEST + literal(b"x-a", b"v" * 15_000), http2_client.END_HEADERS)
        time.sleep(1)
        assert used(collector)["streams"] <= shares(collector)["streams"]
        assert resident_bytes(collector) - before < 40 * MIB
        if token is None:
            assert post_traces(collector.unix, otlp.numbered_request([1])).status == 200
            assert post_traces(collector.tcp, otlp.numbered_request([2])).status == 200
    eventually("streams are forgotten", lambda: used(collector)["streams"] < MIB)


def test_header_blocks_that_never_end_are_counted(start_collector):
    collector = start_collector(options={"memory.limit": "48MiB"})
    before = resident_bytes(collector)
    with ExitStack() as stack:
        streams(stack, collector, 400, REQUEST + literal(b"x-a", b"v" * 15_000), 0, each=1)
        time.sleep(1)
        assert resident_bytes(collector) - before < 20 * MIB
        assert used(collector)["streams"] <= shares(collector)["streams"]
        assert post_traces(collector.unix, otlp.numbered_request([1])).status == 200
        assert post_traces(collector.tcp, otlp.numbered_request([2])).status == 200


def test_heads_of_http1_that_never_end_are_counted(start_collector):
    collector = start_collector(options={"memory.limit": "48MiB"})
    before = resident_bytes(collector)
    with ExitStack() as stack:
        for number in range(400):
            client = stack.enter_context(collector.tcp.connect())
            client.settimeout(2)
            fields = "".join(f"x-{index}: {'v' * 300}\r\n" for index in range(200))
            try:
                client.sendall(f"POST /v1/traces HTTP/1.1\r\nHost: x\r\n{fields}".encode())
            except OSError:
                continue
        time.sleep(1)
        assert resident_bytes(collector) - before < 20 * MIB
        assert post_traces(collector.unix, otlp.numbered_request([1])).status == 200
        assert post_traces(collector.tcp, otlp.numbered_request([2])).status == 200
        assert collector.count("refused_requests_total", {"reason": "overloaded"}) > 0


def test_connections_that_idle_make_room_for_new_ones_the_oldest_first(start_collector):
    collector = start_collector()
    with ExitStack() as stack:
        busy = stack.enter_context(collector.tcp.connect())
        busy.sendall(HEAD.format(1000).encode() + bytes(10))
        kept = []
        for number in range(1100):
            client = stack.enter_context(collector.tcp.connect())
            client.sendall(b"P")
            kept.append(client)
            if number % 100 == 99:
                time.sleep(0.2)
        eventually("the oldest ones had to go", lambda: collector.count("refused_connections_total") >= 77)
        kept[0].settimeout(SECONDS)
        assert kept[0].recv(1) == b""
        for endpoint in (collector.tcp, collector.unix):
            assert post_traces(endpoint, otlp.numbered_request([1])).status == 200
        # A request that is under way goes on.
        busy.settimeout(SECONDS)
        busy.sendall(bytes(990))
        assert statuses(busy.recv(4096)) == [400]


# --- Descriptors -------------------------------------------------------------------------------------------------------


def cpu_seconds(collector: Collector) -> float:
    with open(f"/proc/{collector.process.pid}/stat", encoding="ascii") as stat:
        fields = stat.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@pytest.mark.parametrize("limit", [128, 1024])
def test_connections_leave_descriptors_for_the_rest(tmp_path, tempo, limit):
    collector = Collector(tmp_path, {"tempo.endpoint": tempo.endpoint, "spool.sync": "always"},
                          launcher=("prlimit", f"--nofile={limit}:{limit}")).start()
    try:
        with ExitStack() as stack:
            for port in [collector.otlp_port, collector.metrics_port] * (limit + 100):
                client = stack.enter_context(socket.socket())
                client.settimeout(1)
                try:
                    client.connect(("127.0.0.1", port))
                    client.sendall(b"P")
                except OSError:
                    continue
            before = cpu_seconds(collector)
            time.sleep(3)
            assert cpu_seconds(collector) - before < 1, "an event loop spins"
            for path in ("/-/healthy", "/-/ready", "/metrics"):
                assert collector.get(path).status == 200, path
            for endpoint in (collector.tcp, collector.unix):
                assert post_traces(endpoint, otlp.numbered_request(range(3))).status == 200
            collector.until_forwarded(6)
            assert len(os.listdir(f"/proc/{collector.process.pid}/fd")) < limit
            assert collector.count("refused_connections_total") > 0
    finally:
        assert collector.close() is None


def test_accepting_rests_where_descriptors_run_out_all_the_same(start_collector):
    """Taken away from outside: no limit of the program's own can see to it."""
    collector = start_collector()
    eventually("nothing is connected", lambda: collector.client_connections() == 0)
    before_limit = resource.prlimit(collector.process.pid, resource.RLIMIT_NOFILE)
    with ExitStack() as stack:
        busy = []
        for _ in range(8):
            client = stack.enter_context(collector.tcp.connect())
            client.sendall(HEAD.format(1000).encode() + bytes(10))
            busy.append(client)
        eventually("they are accepted", lambda: used(collector)["bodies"] == 80)
        time.sleep(0.2)
        # All that are open, and none more.
        resource.prlimit(collector.process.pid, resource.RLIMIT_NOFILE, (8, before_limit[1]))
        late = [stack.enter_context(socket.create_connection(("127.0.0.1", collector.otlp_port))) for _ in range(5)]
        time.sleep(0.5)
        before = cpu_seconds(collector)
        time.sleep(3)
        assert cpu_seconds(collector) - before < 0.6, "the event loop spins"
        resource.prlimit(collector.process.pid, resource.RLIMIT_NOFILE, before_limit)
        late[0].settimeout(SECONDS)
        body = otlp.numbered_request([1])
        late[0].sendall(HEAD.format(len(body)).encode() + body)
        assert statuses(late[0].recv(4096)) == [200]
    assert collector.count("refused_connections_total") >= 1
    assert "accept" in collector.stderr()


# --- What Redis makes it hold ------------------------------------------------------------------------------------------


@pytest.fixture
def redis(tmp_path):
    with RedisServer(tmp_path / "redis") as server:
        yield server


def name_queues(redis: RedisServer, count: int) -> None:
    """Names of 240 letters."""
    with redis.client() as client:
        client.sadd("asynq:queues", *(f"{number:06}".ljust(240, "q") for number in range(count)))


def test_names_in_redis_are_counted_among_the_labels(start_collector, redis):
    collector = start_collector(options={"memory.limit": "48MiB", "redis.url": redis.url, "redis.interval": "500ms"})
    before = used(collector)["labels"]
    name_queues(redis, 100)
    eventually("what a hundred names take", lambda: used(collector)["labels"] >= before + 100 * 240)
    assert used(collector)["labels"] < before + 100 * 500 < shares(collector)["labels"]
    with redis.client() as client:
        client.delete("asynq:queues")
    eventually("they are gone", lambda: used(collector)["labels"] == before)


class Stalling(socketserver.BaseRequestHandler):
    """Passes on Redis' replies, and rests for a second each time when so many bytes have passed, as long as it is told to."""
    BYTES = 250_000
    rests = True

    def handle(self) -> None:
        with socket.create_connection(("127.0.0.1", self.server.proxy.port)) as redis:
            passed = 0
            while True:
                for ready in select.select([self.request, redis], [], [])[0]:
                    if not (data := ready.recv(65536)):
                        return
                    before, passed = passed, passed + len(data)
                    if self.rests and ready is redis and before // self.BYTES < passed // self.BYTES:
                        time.sleep(1)
                    (redis if ready is self.request else self.request).sendall(data)


def test_replies_of_redis_are_counted_while_they_come_and_refused_beyond_their_share(start_collector, redis):
    name_queues(redis, 1300)
    with ExitStack() as stack:
        proxy = ProxyListener(redis, Stalling)
        stack.callback(proxy.server_close)
        stack.callback(proxy.shutdown)
        collector = start_collector(options={
            "memory.limit": "48MiB", "redis.url": f"redis://127.0.0.1:{proxy.server_address[1]}/0", "redis.interval": "500ms",
            # The names are read, and none of them is on the page.
            "redis.queues.include": "^none$"})
        limit = shares(collector)["redis_replies"]
        eventually("a part of a reply is held", lambda: 150_000 < used(collector)["redis_replies"] <= limit)
        eventually("it is read", lambda: used(collector)["redis_replies"] == 0)
        eventually("a good scrape", lambda: collector.metrics().value("asynq_redis_up") == 1)
        errors = {"reason": "limit"}
        assert collector.metrics().value("asynq_redis_scrape_errors_total", errors) == 0
        Stalling.rests = False
        name_queues(redis, int(limit / 240) + 1000)
        eventually("a reply is too large", lambda: collector.metrics().value("asynq_redis_scrape_errors_total", errors) > 0)
        eventually("nothing of it is held", lambda: used(collector)["redis_replies"] == 0)


# --- After a peak ------------------------------------------------------------------------------------------------------


def test_memory_goes_back_after_a_peak(start_collector):
    collector = start_collector()
    for number in range(3):
        assert collector.post(otlp.numbered_request([number])).status == 200
    collector.get("/metrics")
    idle = resident_bytes(collector)
    spans = otlp.numbered_request(range(10, 70_010))
    for _ in range(3):
        assert post_traces(collector.tcp, spans, compress=True).status == 200
    with ExitStack() as stack:
        unfinished(stack, collector, 3, 8 * MIB)
    peak = resident_bytes(collector)

    def kept() -> float:
        return resident_bytes(collector) - idle - sum(used(collector).values())

    eventually(f"no more than 10 MiB above {idle >> 20} MiB and the tables, after {peak >> 20} MiB",
               lambda: kept() < 10 * MIB, seconds=60)


# --- All at once -------------------------------------------------------------------------------------------------------


def pairing_requests():
    """As many producers and consumers as are remembered, and none finds its other half."""
    number = 0
    for _ in range(10):
        spans = []
        for _ in range(6000):
            number += 1
            spans.append(otlp.numbered_span(number, kind=4, name="p"))
        yield otlp.request(*spans)
    for _ in range(20):
        spans = []
        for _ in range(3000):
            number += 1
            span = otlp.process_span(number, f"queue-{number % 40}", f"type-{number % 60}")
            for link in range(2):
                span.links.add(trace_id=struct.pack(">QQ", 9, number), span_id=struct.pack(">Q", link + 1))
            spans.append(span)
        yield otlp.request(*spans)


def failures(count: int) -> bytes:
    spans = []
    for number in range(count):
        span = otlp.process_span(10_000_000 + number, "failing", f"type-{number % 50}")
        span.status.code = 2
        span.status.message = "".join(random.choices("abcdefghijklmnopqrstuvwxyz ", k=200))
        spans.append(span)
    return otlp.request(*spans)


@pytest.mark.parametrize("cgroup", [64, 128])
@pytest.mark.parametrize("has_backend", [False, True])
def test_the_worst_of_all_parts_at_once_ends_nothing(tmp_path, tempo, cgroup, has_backend):
    options = {"traces.wait-span": "true", "traces.relink": "parent"}
    if has_backend:
        options |= {"tempo.endpoint": tempo.endpoint, "tempo.retry.initial": "50ms", "tempo.retry.max": "100ms"}
        tempo.go_down()
    with limited_to(cgroup * MIB) as group, ExitStack() as stack:
        collector = Collector(tmp_path, options | {"redis.url": "none"}, launcher=group.launcher).start()
        try:
            noise = random.Random(1)
            streams(stack, collector, 100, REQUEST + literal(b"x-a", b"v" * 15_000), http2_client.END_HEADERS)
            unfinished(stack, collector, 4, int(shares(collector)["bodies"] / 3))
            seen = set()
            for body in pairing_requests():
                seen.add(post_traces(collector.unix, body, compress=True).status)
            seen.add(post_traces(collector.unix, failures(5000), compress=True).status)
            for number in range(20):
                span = otlp.numbered_span(20_000_000 + number)
                span.attributes.extend(otlp.attributes(noise=noise.randbytes(700_000).hex()))
                seen.add(post_traces(collector.unix, otlp.request(span), compress=True).status)
            # What inflates to all that is allowed, and more.
            for size in (1 * MIB, 16 * MIB, 64 * MIB):
                seen.add(post_traces(collector.unix, bytes(size), compress=True).status)
            readers = [stack.enter_context(socket.create_connection(("127.0.0.1", collector.metrics_port)))
                       for _ in range(30)]
            for reader in readers:
                reader.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
            time.sleep(1)
            assert collector.process.poll() is None, "killed"
            assert collector.get("/-/healthy").status == 200
            assert 200 in seen and seen <= {200, 400, 413, 429, 503}, seen
            limits = shares(collector)
            over = {part: value for part, value in used(collector).items() if value > limits[part]}
            assert not over, over
            collector.balanced_metrics()
            if has_backend:
                tempo.come_up()
                eventually("the spool is sent", lambda: collector.count("spool_spans") == 0, seconds=120)
        finally:
            assert collector.close() is None
