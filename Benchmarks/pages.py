#!/usr/bin/env python3
"""What a scrape of the collector costs it: CPU for each page, in each format, with many queues.

    swift build -c release --static-swift-stdlib --product asynq-collector
    .build/test-venv/bin/python Benchmarks/pages.py .build/release/asynq-collector [--pages 50]

Queues are in a redis-server of its own (ten pending tasks each); spans of some task types each are sent before. The CPU is
what the kernel says of the collector's threads, less what it takes while nobody asks for a page; it includes reading the
request, making the page, compressing and sending it. At the end pages are asked for without a pause while spans are sent,
and the longest time to an acknowledgement is told, beside the same without pages.
"""

import argparse
import gzip
import os
import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "Tests" / "IntegrationTests"))
ARGUMENTS = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
ARGUMENTS.add_argument("collector")
ARGUMENTS.add_argument("--pages", type=int, default=50)
OPTIONS = ARGUMENTS.parse_args()
os.environ["ASYNQ_COLLECTOR"] = OPTIONS.collector

from support import otlp  # noqa: E402
from support.collector import Collector  # noqa: E402
from support.deadline import eventually  # noqa: E402
from support.http_client import Connection  # noqa: E402
from support.metrics_protobuf import CONTENT_TYPE as PROTOBUF  # noqa: E402
from support.redis_server import RedisServer  # noqa: E402

ACCEPT = {"text 0.0.4": "text/plain;version=0.0.4", "OpenMetrics": "application/openmetrics-text;version=1.0.0",
          "protobuf": PROTOBUF}
_TICKS = os.sysconf("SC_CLK_TCK")


def cpu_seconds(process_id: int) -> float:
    """Nanoseconds from schedstat of each thread: the ticks of stat are too coarse for a page."""
    return sum(int((thread / "schedstat").read_text().split()[0])
               for thread in Path(f"/proc/{process_id}/task").iterdir()) / 1e9


def fill(redis: RedisServer, queues: int) -> None:
    with redis.client() as client, client.pipeline() as pipeline:
        pipeline.flushall()
        for queue in range(queues):
            pipeline.sadd("asynq:queues", f"queue-{queue}")
            for task in range(10):
                pipeline.hset(f"asynq:{{queue-{queue}}}:t:{task}", mapping={"state": "pending", "pending_since": time.time_ns()})
                pipeline.lpush(f"asynq:{{queue-{queue}}}:pending", str(task))
        pipeline.execute()


def spans(queues: int, types: int, start: int):
    made = []
    for number in range(queues * types):
        queue, kind = number % queues, number // queues
        span = otlp.process_span(start + number, f"queue-{queue}", f"type-{kind}", flags=1)
        span.attributes.extend(otlp.attributes(asynq__task__wait_seconds=0.003 * 1.5 ** (number % 20)))
        made.append(span)
    return [otlp.request(*made[i:i + 500]) for i in range(0, len(made), 500)]


def measure(collector: Collector, title: str) -> None:
    process = collector.process.pid
    for name, accept in ACCEPT.items():
        for coding in ("identity", "gzip"):
            connection = Connection(collector.web)
            headers = {"Accept": accept, "Accept-Encoding": coding}
            size = len(connection.ask("GET", "/metrics", headers=headers).body)
            begin, before = time.monotonic(), cpu_seconds(process)
            for _ in range(OPTIONS.pages):
                answer = connection.ask("GET", "/metrics", headers=headers)
            used, passed = cpu_seconds(process) - before, time.monotonic() - begin
            before = cpu_seconds(process)
            time.sleep(passed)
            idle = cpu_seconds(process) - before
            body = gzip.decompress(answer.body) if coding == "gzip" else answer.body
            print(f"{title:28}{name:12}{coding:9}{size / 1000:10.0f} kB{(used - idle) / OPTIONS.pages * 1000:9.2f} ms"
                  f"{len(body) / 1000:10.0f} kB plain", flush=True)
            connection.close()


def longest_acknowledgement(collector: Collector, with_pages: bool) -> list[float]:
    """Milliseconds of each request of 100 spans, for five seconds."""
    stop = threading.Event()

    def scrape():
        connection = Connection(collector.web)
        while not stop.is_set():
            connection.ask("GET", "/metrics", headers={"Accept": PROTOBUF, "Accept-Encoding": "gzip"})

    scraper = threading.Thread(target=scrape)
    if with_pages:
        scraper.start()
    connection, times = Connection(collector.tcp), []
    bodies = [otlp.request(*(otlp.process_span(time.time_ns() + n, f"queue-{n % 10}", "type-0") for n in range(i, i + 100)))
              for i in range(0, 20_000, 100)]
    end = time.monotonic() + 5
    while time.monotonic() < end:
        start = time.monotonic()
        connection.ask("POST", "/v1/traces", bodies[len(times) % len(bodies)], {"Content-Type": "application/x-protobuf"})
        times.append((time.monotonic() - start) * 1000)
    stop.set()
    if with_pages:
        scraper.join()
    return times


def main() -> None:
    with tempfile.TemporaryDirectory() as directory, RedisServer(Path(directory) / "redis") as redis:
        for queues, types in [(10, 5), (1000, 0), (1000, 5), (100, 50)]:
            fill(redis, queues)
            # The sockets' paths have to be short; the backend is away, but spans that wait for it may be exemplars.
            options = {"redis.url": redis.url, "redis.interval": "10s", "redis.look-interval": "0",
                       "tempo.endpoint": "http://127.0.0.1:9"}
            collector = Collector(Path(directory) / f"c{queues}-{types}", options).start()
            try:
                eventually("a first scrape", lambda: collector.metrics().has("asynq_queue_size"))
                connection = Connection(collector.tcp)
                for round_ in range(3):
                    for body in spans(queues, types, start=round_ * 1_000_000):
                        connection.ask("POST", "/v1/traces", body, {"Content-Type": "application/x-protobuf"})
                measure(collector, f"{queues} queues × {types} types")
                if types == 50:
                    for with_pages in (False, True):
                        times = sorted(longest_acknowledgement(collector, with_pages))
                        print(f"acknowledgement of 100 spans, {'while pages are made' if with_pages else 'without pages'}: "
                              f"median {statistics.median(times):.2f}, 99 % {times[len(times) * 99 // 100]:.2f}, "
                              f"longest {times[-1]:.2f} ms")
            finally:
                collector.kill()


main()
