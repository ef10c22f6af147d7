#!/usr/bin/env python3
"""What restoring lost trace context costs: CPU of the collector and of Redis per span, beside a collector that does not.

    swift build -c release --static-swift-stdlib --product asynq-collector
    .build/test-venv/bin/python Benchmarks/relink.py .build/release/asynq-collector [--seconds 8]

Thirty requests a second of 100 process spans each, one after the other over the unix socket, to a collector whose backend is
away. Each collector has its own redis-server, with the message of every task. The same pace for all, so that what happens
whether spans come or not is in each figure alike.
"""

import argparse
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "Tests" / "IntegrationTests"))
from support import asynq_messages, http_client, otlp  # noqa: E402
from support.deadline import eventually  # noqa: E402
from support.http_client import Endpoint, post_traces  # noqa: E402
from support.metrics_page import MetricsPage  # noqa: E402
from support.ports import free_port  # noqa: E402
from support.redis_server import RedisServer  # noqa: E402

PER_REQUEST = 100
PER_SECOND = 30
NOW = otlp.NOW


def bodies(count: int, orphans: bool) -> list[bytes]:
    """Each span is another task's. Those that are no orphans have a parent and a stamp: nothing is left to ask."""
    chance = random.Random(1)
    made = []
    for request in range(count):
        spans = []
        for number in range(PER_REQUEST):
            whole = {} if orphans else {"parent_span_id": chance.randbytes(8)}
            span = otlp.process_span(request * PER_REQUEST + number, "q", f"type-{number % 9}", trace_id=chance.randbytes(16),
                                     span_id=chance.randbytes(8), start_time_unix_nano=NOW, end_time_unix_nano=NOW + 10**8,
                                     **whole)
            span.attributes.extend(otlp.attributes(
                messaging__message__id=f"task-{request * PER_REQUEST + number}", http__route="/orders/7",
                **({} if orphans else {"asynq__task__enqueued_at": NOW - 10**9})))
            spans.append(span)
        made.append(otlp.request(*spans))
    return made


def fill(server: RedisServer, count: int) -> None:
    with server.client() as client:
        client.sadd("asynq:queues", "q")
        for start in range(0, count, 10_000):
            with client.pipeline(transaction=False) as pipeline:
                for number in range(start, min(count, start + 10_000)):
                    context = f"00-{number + 1:032x}-{number + 1:016x}-01"
                    pipeline.hset(f"asynq:{{q}}:t:task-{number}", mapping={"state": "active", "msg": asynq_messages.task_message(
                        "type", f"task-{number}", "q", headers={"traceparent": context}, payload=b"x" * 200)})
                pipeline.execute()


class Collector:
    def __init__(self, binary: str, directory: Path, redis_url: str, relink: str):
        self.web, self.unix = Endpoint(port=free_port()), Endpoint(path=directory / "otlp.sock")
        self.process = subprocess.Popen(
            [binary, "run", "--redis-url", redis_url, "--traces-relink", relink, "--otlp-socket", str(self.unix.path),
             "--otlp-listen", "none", "--metrics-listen", f"127.0.0.1:{self.web.port}", "--tempo-endpoint", "http://127.0.0.1:1",
             "--spool-directory", str(directory / "spool"), "--log-level", "error"])
        eventually("the collector answers", self.page)

    def page(self) -> MetricsPage:
        return MetricsPage(http_client.ask(self.web, "GET", "/metrics").body.decode())

    def cpu(self) -> float:
        return self.page().value("process_cpu_seconds_total")


def redis_cpu(server: RedisServer) -> float:
    with server.client() as client:
        found = client.info("cpu")
        return found["used_cpu_user"] + found["used_cpu_sys"]


def measure(binary: str, name: str, with_redis: bool, relink: str, orphans: bool, seconds: int) -> None:
    requests = bodies(seconds * PER_SECOND, orphans)
    with tempfile.TemporaryDirectory() as directory, RedisServer(Path(directory) / "redis") as server:
        if with_redis:
            fill(server, len(requests) * PER_REQUEST)
        collector = Collector(binary, Path(directory), server.url if with_redis else "none", relink)
        time.sleep(1)
        before, redis_before, start = collector.cpu(), redis_cpu(server), time.monotonic()
        delays = []
        for number, body in enumerate(requests):
            time.sleep(max(0, start + number / PER_SECOND - time.monotonic()))
            sent = time.monotonic()
            assert post_traces(collector.unix, body).status == 200
            delays.append(time.monotonic() - sent)
        spans = len(requests) * PER_REQUEST
        ours, theirs = collector.cpu() - before, redis_cpu(server) - redis_before
        page = collector.page()
        linked = page.value("asynq_collector_relinked_spans_total", {"relation": "link"}) if with_redis else 0
        resident = page.value("process_resident_memory_bytes") / 2**20
        collector.process.send_signal(signal.SIGKILL)
        collector.process.wait()
    median = sorted(delays)[len(delays) // 2] * 1e3
    print(f"{name:44}{ours / spans * 1e9:9.0f}{theirs / spans * 1e9:9.0f}{median:9.1f}{linked / spans:9.0%}{resident:9.0f}")


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("binary")
    arguments.add_argument("--seconds", type=int, default=8)
    given = arguments.parse_args()
    print(f"{'':44}{'ns/span':>9}{'Redis ns':>9}{'ms/req':>9}{'linked':>9}{'MiB':>9}")
    for name, with_redis, relink, orphans in (
            ("no Redis, spans with parents", False, "true", False), ("no Redis, orphans", False, "true", True),
            ("relink off, spans with parents", True, "false", False), ("relink on, spans with parents", True, "true", False),
            ("relink off, orphans (asked for their wait)", True, "false", True), ("relink on, orphans, each one linked", True, "true", True)):
        measure(given.binary, name, with_redis, relink, orphans, given.seconds)


if __name__ == "__main__":
    main()
