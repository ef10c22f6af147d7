#!/usr/bin/env python3
"""What receiving costs: CPU and allocations of the collector per request and per span.

    swift build -c release --static-swift-stdlib --product asynq-collector
    .build/test-venv/bin/python Benchmarks/receiver.py .build/release/asynq-collector [--seconds 2]

The load comes from this process and is not measured; the collector's CPU is what it says itself (process_cpu_seconds),
its allocations are counted by a preloaded library that is compiled for the run. Every request goes all the way: read,
inflated, converted, scanned, appended to the spool, observed, answered; the backend is away, so that nothing is
forwarded. Bodies are distinct, so that no span is a duplicate.
"""

import argparse
import gzip
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import grpc

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "Tests" / "IntegrationTests"))
from opentelemetry.proto.trace.v1.trace_pb2 import Span  # noqa: E402
from support import http_client, otlp, otlp_json  # noqa: E402
from support.deadline import eventually  # noqa: E402
from support.http_client import Endpoint  # noqa: E402
from support.metrics_page import MetricsPage  # noqa: E402
from support.ports import free_port  # noqa: E402

SIZES = (1, 10, 100, 1000)
METHOD = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
COUNTER = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>
static atomic_ulong *count;
static void *(*real)(size_t);
__attribute__((constructor)) static void begin(void) {
    real = dlsym(RTLD_NEXT, "malloc");
    int file = open(getenv("ALLOCATIONS"), O_RDWR);
    void *page = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (page != MAP_FAILED) count = page;
}
void *malloc(size_t size) {
    if (!real) real = dlsym(RTLD_NEXT, "malloc");
    if (count) atomic_fetch_add_explicit(count, 1, memory_order_relaxed);
    return real(size);
}
"""


def span(chance: random.Random) -> Span:
    """About 400 bytes; every third is a task's."""
    start = 1_795_197_881_000_000_000 + chance.randrange(10**9)
    values = dict(http__method="POST", http__route=f"/orders/{chance.randrange(50)}", http__status_code=200,
                  net__peer__name=f"shop-{chance.randrange(9)}.internal", thread__id=chance.randrange(10**6),
                  enduser__id=f"{chance.getrandbits(64):016x}", code__function="OrderService.place")
    kind = Span.SPAN_KIND_INTERNAL
    if chance.random() < 0.33:
        kind = Span.SPAN_KIND_CONSUMER
        values |= dict(messaging__system="asynq", messaging__destination__name=f"queue-{chance.randrange(5)}",
                       asynq__task__type=f"type-{chance.randrange(9)}", messaging__message__id=f"{chance.getrandbits(128):032x}",
                       asynq__task__enqueued_at=start - chance.randrange(10**9))
    return Span(trace_id=chance.randbytes(16), span_id=chance.randbytes(8), parent_span_id=chance.randbytes(8), kind=kind,
                name="process order", start_time_unix_nano=start, end_time_unix_nano=start + chance.randrange(10**8),
                attributes=otlp.attributes(**values))


class Collector:
    def __init__(self, binary: str, directory: Path):
        library = directory / "count.so"
        (directory / "count.c").write_text(COUNTER)
        subprocess.run(["cc", "-O2", "-shared", "-fPIC", "-o", library, directory / "count.c", "-ldl"], check=True)
        counter = directory / "allocations"
        counter.write_bytes(bytes(4096))
        self._counter = counter
        self.otlp_port, self.web_port = free_port(), free_port()
        self.unix = Endpoint(path=directory / "otlp.sock")
        self.tcp = Endpoint(port=self.otlp_port)
        self.process = subprocess.Popen(
            [binary, "run", "--redis-url", "none", "--otlp-socket", str(self.unix.path),
             "--otlp-listen", f"127.0.0.1:{self.otlp_port}", "--metrics-listen", f"127.0.0.1:{self.web_port}",
             "--spool-directory", str(directory / "spool"), "--spool-max-bytes", "256MiB", "--spool-when-full", "drop-oldest",
             "--tempo-endpoint", "http://127.0.0.1:1", "--log-level", "error"],
            env=os.environ | {"LD_PRELOAD": str(library), "ALLOCATIONS": str(counter)})
        eventually("the collector answers", self.page)

    def page(self) -> MetricsPage:
        return MetricsPage(http_client.ask(Endpoint(port=self.web_port), "GET", "/metrics").body.decode())

    def used(self) -> tuple[float, int, float]:
        """CPU seconds, allocations, spans accepted."""
        page = self.page()
        allocations = int.from_bytes(self._counter.read_bytes()[:8], "little")
        return (page.value("process_cpu_seconds_total"), allocations, page.value("asynq_collector_accepted_spans_total"))


def http_load(endpoint: Endpoint, bodies: list[bytes], headers: str, stop: threading.Event) -> int:
    requests = [f"POST /v1/traces HTTP/1.1\r\nHost: x\r\n{headers}Content-Length: {len(body)}\r\n\r\n".encode() + body
                for body in bodies]
    sent = 0
    with endpoint.connect() as connection:
        reader = connection.makefile("rb")
        while not stop.is_set():
            connection.sendall(requests[sent % len(requests)])
            sent += 1
            if not reader.readline().startswith(b"HTTP/1.1 200"):
                raise SystemExit("a request was refused")
            length = 0
            while (line := reader.readline()) != b"\r\n":
                if line.lower().startswith(b"content-length:"):
                    length = int(line.split(b":")[1])
            reader.read(length)
    return sent


def grpc_load(target: str, bodies: list[bytes], compression, stop: threading.Event) -> int:
    sent = 0
    with grpc.insecure_channel(target) as channel:
        call = channel.unary_unary(METHOD, request_serializer=None, response_deserializer=None)
        while not stop.is_set():
            call(bodies[sent % len(bodies)], compression=compression)
            sent += 1
    return sent


def measure(collector: Collector, load, seconds: float) -> tuple[float, float, float]:
    """CPU microseconds and allocations per request, CPU nanoseconds per span."""
    stop = threading.Event()
    counts: list[int] = []
    threads = [threading.Thread(target=lambda: counts.append(load(stop))) for _ in range(2)]
    before = collector.used()
    for thread in threads:
        thread.start()
    time.sleep(seconds)
    stop.set()
    for thread in threads:
        thread.join()
    after = collector.used()
    cpu, allocations, spans = (now - then for now, then in zip(after, before))
    return cpu / sum(counts) * 1e6, allocations / sum(counts), cpu / spans * 1e9


def cases(collector: Collector, plain: list[bytes], as_json: list[bytes]):
    protobuf, text, packed = "Content-Type: application/x-protobuf\r\n", "Content-Type: application/json\r\n", "Content-Encoding: gzip\r\n"
    zipped = [gzip.compress(body, 1) for body in plain]
    for name, endpoint, target in (("unix", collector.unix, f"unix://{collector.unix.path}"),
                                   ("TCP", collector.tcp, f"127.0.0.1:{collector.otlp_port}")):
        yield f"HTTP protobuf, {name}", lambda stop, e=endpoint: http_load(e, plain, protobuf, stop)
        yield f"HTTP protobuf gzip, {name}", lambda stop, e=endpoint: http_load(e, zipped, protobuf + packed, stop)
        yield f"HTTP JSON, {name}", lambda stop, e=endpoint: http_load(e, as_json, text, stop)
        yield f"gRPC, {name}", lambda stop, t=target: grpc_load(t, plain, None, stop)
        yield f"gRPC gzip, {name}", lambda stop, t=target: grpc_load(t, plain, grpc.Compression.Gzip, stop)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("binary")
    arguments.add_argument("--seconds", type=float, default=2)
    given = arguments.parse_args()
    chance = random.Random(1)
    print(f"{'':28}" + "".join(f"{f'{size} spans':>28}" for size in SIZES))
    print(f"{'':28}" + f"{'µs/req':>10}{'allocs/req':>10}{'ns/span':>8}" * len(SIZES))
    rows: dict[str, str] = {}
    for size in SIZES:
        # Many, so that what a run repeats is not remembered as a duplicate.
        plain = [otlp.request(*(span(chance) for _ in range(size))) for _ in range(max(8, 20_000 // size))]
        as_json = [otlp_json.from_protobuf(body) for body in plain]
        with tempfile.TemporaryDirectory() as directory:
            collector = Collector(given.binary, Path(directory))
            for name, load in cases(collector, plain, as_json):
                micro, allocations, nano = measure(collector, load, given.seconds)
                rows[name] = rows.get(name, f"{name:28}") + f"{micro:10.1f}{allocations:10.1f}{nano:8.0f}"
            resident = collector.page().value("process_resident_memory_bytes")
            collector.process.send_signal(signal.SIGKILL)
            collector.process.wait()
        print(f"# {size} spans a request: {len(plain[0])} bytes protobuf, {len(as_json[0])} JSON; "
              f"resident afterwards {resident / 2**20:.0f} MiB", file=sys.stderr)
    print("\n".join(rows.values()))


if __name__ == "__main__":
    main()
