#!/usr/bin/env python3
"""What the status page costs the collector while it is open in ten tabs, with 500 queues.

    swift build -c release --static-swift-stdlib --product asynq-collector
    .build/test-venv/bin/python Benchmarks/tabs.py .build/release/asynq-collector [--seconds 60] [--rounds 4]

A tab asks as the page does: `/api/v1/overview?since=` every two seconds, compressed, with the `ETag` of what it has. Tasks come
and go in every queue between two scrapes, so that the document changes. Stretches with tabs and without follow one another in turns;
the CPU is what the kernel says of the collector's threads. Meanwhile requests of 100 spans are sent at an even pace, and the time to
each acknowledgement is measured.
"""

import argparse
import gzip
import json
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
ARGUMENTS.add_argument("--queues", type=int, default=500)
ARGUMENTS.add_argument("--tabs", type=int, default=10)
ARGUMENTS.add_argument("--seconds", type=float, default=60)
ARGUMENTS.add_argument("--rounds", type=int, default=4)
OPTIONS = ARGUMENTS.parse_args()
os.environ["ASYNQ_COLLECTOR"] = OPTIONS.collector

from support import otlp  # noqa: E402
from support.collector import Collector  # noqa: E402
from support.deadline import eventually  # noqa: E402
from support.http_client import Connection  # noqa: E402
from support.redis_server import RedisServer  # noqa: E402

PERIOD = 2.0
REQUESTS_PER_SECOND = 50


def cpu_seconds(process_id: int) -> float:
    return sum(int((thread / "schedstat").read_text().split()[0])
               for thread in Path(f"/proc/{process_id}/task").iterdir()) / 1e9


class Tab(threading.Thread):
    def __init__(self, collector: Collector, stop: threading.Event, delay: float):
        super().__init__(daemon=True)
        self._connection, self._stop_event, self._delay = Connection(collector.web), stop, delay
        self.answers: list[tuple[int, int]] = []
        self.start()

    def run(self) -> None:
        self._stop_event.wait(self._delay)
        known: dict[str, tuple[str, str]] = {}
        path = "/api/v1/overview"
        while not self._stop_event.is_set():
            begin = time.monotonic()
            headers = {"Accept-Encoding": "gzip"} | ({"If-None-Match": known[path]} if path in known else {})
            answer = self._connection.ask("GET", path, headers=headers)
            self.answers.append((answer.status, len(answer.body)))
            if answer.status == 200:
                known = {path: answer.headers["ETag"]}
                path = f"/api/v1/overview?since={json.loads(gzip.decompress(answer.body))['history']['end']}"
            self._stop_event.wait(PERIOD - (time.monotonic() - begin))
        self._connection.close()


def work(redis: RedisServer, stop: threading.Event) -> None:
    """Tasks come to a tenth of the queues each second, and are done."""
    with redis.client() as client:
        number = 0
        while not stop.wait(1):
            with client.pipeline(transaction=False) as pipeline:
                for queue in range(number % 10, OPTIONS.queues, 10):
                    pipeline.lpush(f"asynq:{{queue-{queue}}}:pending", f"task-{number}")
                    pipeline.rpop(f"asynq:{{queue-{queue}}}:pending")
                    pipeline.incr(f"asynq:{{queue-{queue}}}:processed")
                pipeline.execute()
            number += 1


def stretch(collector: Collector, connection: Connection, bodies: list[bytes], tabs: int) -> tuple[float, list[float], list]:
    """The share of a core, milliseconds of each acknowledgement, and what the tabs got."""
    stop = threading.Event()
    opened = [Tab(collector, stop, PERIOD * number / max(1, tabs)) for number in range(tabs)]
    begin, before, times = time.monotonic(), cpu_seconds(collector.process.pid), []
    while (passed := time.monotonic() - begin) < OPTIONS.seconds:
        time.sleep(max(0, len(times) / REQUESTS_PER_SECOND - passed))
        start = time.monotonic()
        connection.ask("POST", "/v1/traces", bodies[len(times) % len(bodies)], {"Content-Type": "application/x-protobuf"})
        times.append((time.monotonic() - start) * 1000)
    share = (cpu_seconds(collector.process.pid) - before) / (time.monotonic() - begin)
    stop.set()
    for tab in opened:
        tab.join()
    return share, times, [answer for tab in opened for answer in tab.answers]


def main() -> None:
    with tempfile.TemporaryDirectory() as directory, RedisServer(Path(directory) / "redis") as redis:
        with redis.client() as client, client.pipeline(transaction=False) as pipeline:
            for queue in range(OPTIONS.queues):
                pipeline.sadd("asynq:queues", f"queue-{queue}")
                for task in range(10):
                    pipeline.hset(f"asynq:{{queue-{queue}}}:t:{task}", mapping={"state": "pending", "pending_since": time.time_ns()})
                    pipeline.lpush(f"asynq:{{queue-{queue}}}:pending", str(task))
            pipeline.execute()
        collector = Collector(Path(directory) / "c", {"redis.url": redis.url}).start()
        done = threading.Event()
        try:
            eventually("a first scrape", lambda: collector.metrics().has("asynq_queue_size"))
            threading.Thread(target=work, args=(redis, done), daemon=True).start()
            bodies = [otlp.request(*(otlp.process_span(time.time_ns() + n, f"queue-{n % 10}", "type-0") for n in range(i, i + 100)))
                      for i in range(0, 50_000, 100)]
            connection = Connection(collector.tcp)
            stretch(collector, connection, bodies, 0)  # Warm.
            found: dict[int, list] = {0: [], OPTIONS.tabs: []}
            for number in range(OPTIONS.rounds):
                for tabs in (0, OPTIONS.tabs) if number % 2 else (OPTIONS.tabs, 0):
                    share, times, answers = stretch(collector, connection, bodies, tabs)
                    found[tabs].append((share, times))
                    times = sorted(times)
                    sent = sum(size for _, size in answers) / OPTIONS.seconds / 1000
                    print(f"{tabs:3} tabs: {share * 100:6.2f} % of a core; acknowledgement median {statistics.median(times):.2f}, "
                          f"99 % {times[len(times) * 99 // 100]:.2f} ms; {len(answers)} answers, "
                          f"{sum(status == 304 for status, _ in answers)} of them 304, {sent:.0f} kB/s", flush=True)
            for tabs, stretches in found.items():
                times = sorted(time for _, times in stretches for time in times)
                print(f"{tabs:3} tabs, all: {statistics.mean(share for share, _ in stretches) * 100:.2f} % of a core; "
                      f"median {statistics.median(times):.2f}, 99 % {times[len(times) * 99 // 100]:.2f} ms of {len(times)}")
        finally:
            done.set()
            collector.kill()


main()
