#!/usr/bin/env python3
"""An hour of spans with outages of the backend, scrapes every second and reloads: memory and descriptors stay flat, and the
books balance to the span.

    swift build -c release --static-swift-stdlib --product asynq-collector
    .build/test-venv/bin/python Benchmarks/soak.py .build/release/asynq-collector [--minutes 60] [--rate 5000]

Every span is a task's, and no id comes twice. The backend is down for 20 of every 180 seconds; SIGHUP comes every 30 seconds. The
first quarter fills the tables and is not in the slopes. It fails unless each span sent was accepted and forwarded, and none was
dropped. The backend counts more than were sent where it was killed between taking a request and answering it.
"""

import argparse
import multiprocessing
import random
import re
import signal
import statistics
import time
from pathlib import Path

from sizing import collector, memory, ready
from pipeline import Load, Running, Sink, paced
from support import http_client
from support.deadline import eventually

SIZE = 50
OUTAGE_EVERY, OUTAGE_SECONDS, RELOAD_EVERY = 180, 20, 30


def totals(page: str, family: str) -> int:
    return sum(int(float(value)) for value in re.findall(rf"^{family}(?:{{[^}}]*}})? (\S+)$", page, re.MULTILINE))


def descriptors(running: Running) -> int:
    return len(list(Path(f"/proc/{running.process.pid}/fd").iterdir()))


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("binary")
    arguments.add_argument("--minutes", type=int, default=60)
    arguments.add_argument("--rate", type=int, default=5000, help="spans a second")
    given = arguments.parse_args()
    sink, program = Sink(), collector(given.binary, "--memory-limit", "128MiB", "--tempo-retry-max", "2s")
    sink.come_up()
    running = Running(program, sink)
    ready(running, program)
    requests = multiprocessing.Value("q", 0)

    def send() -> None:
        load = Load(random.Random(1), 200, SIZE, tasks_in_ten=10)
        requests.value = paced(running.endpoint, load, given.rate // SIZE, given.minutes * 60)

    sender = multiprocessing.Process(target=send)
    sender.start()
    began, used, samples, is_up, slowest, outages, reloads = time.monotonic(), running.cpu_seconds(), [], True, 0.0, 0, 0
    while sender.is_alive():
        passed = time.monotonic() - began
        should_be_up = passed % OUTAGE_EVERY < OUTAGE_EVERY - OUTAGE_SECONDS
        if should_be_up != is_up:
            sink.come_up() if should_be_up else sink.go_down()
            is_up, outages = should_be_up, outages + (not should_be_up)
        if passed // RELOAD_EVERY > reloads:
            running.process.send_signal(signal.SIGHUP)
            reloads += 1
        asked = time.monotonic()
        answer = http_client.ask(program.web, "GET", "/metrics")
        assert answer.status == 200, answer.status
        slowest = max(slowest, time.monotonic() - asked)
        samples.append((passed, running.status("RssAnon") * 1024, descriptors(running)))
        sender.join(max(0.0, 1 - (time.monotonic() - asked)))
    if not is_up:
        sink.come_up()
    passed, sent = time.monotonic() - began, requests.value * SIZE
    cpu = (running.cpu_seconds() - used) / passed

    def page() -> str:
        return http_client.ask(program.web, "GET", "/metrics").body.decode()

    eventually("the spool is empty", lambda: totals(page(), "asynq_collector_spool_spans") == 0, seconds=120)
    books = {name: totals(page(), f"asynq_collector_{name}_total")
             for name in ("accepted_spans", "forwarded_spans", "dropped_spans", "refused_spans")}
    print(f"{given.rate:,} spans/s for {passed / 60:.0f} minutes, {outages} outages of {OUTAGE_SECONDS} s, {len(samples):,} scrapes "
          f"(the slowest took {slowest * 1000:.0f} ms), {reloads} reloads")
    print(f"sent {sent:,}; {'; '.join(f'{name} {count:,}' for name, count in books.items())}; the backend got {sink.spans.value:,}")
    print(f"CPU {cpu:.2%} of a core\n{'MiB':24}resident   anonymous   most\n{'at the end':24}{memory(running)}")
    steady = [sample for sample in samples if sample[0] >= passed / 4]
    for name, column, unit in (("anonymous memory", 1, "KiB"), ("descriptors", 2, "")):
        values = [sample[column] for sample in steady]
        slope = statistics.linear_regression([sample[0] for sample in steady], values).slope * 3600
        print(f"{name}: {min(values):.0f} to {max(values):.0f} {unit}, slope {slope:+.1f} {unit} an hour")
    running.end()
    sink.go_down()
    if books != {"accepted_spans": sent, "forwarded_spans": sent, "dropped_spans": 0, "refused_spans": 0} or sink.spans.value < sent:
        raise SystemExit("the books do not balance")


if __name__ == "__main__":
    multiprocessing.set_start_method("fork")
    main()
