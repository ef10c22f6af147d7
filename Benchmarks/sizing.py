#!/usr/bin/env python3
"""What a collector takes, for docs/SIZING.md and docs/FLEETS.md: CPU and memory by spans a second and by queues, disk while the backend is down.

    swift build -c release --static-swift-stdlib --product asynq-collector
    .build/test-venv/bin/python Benchmarks/sizing.py .build/release/asynq-collector [spans|disk|tables|queues|page|series|soak|fleet …]

Without a part it measures all but `soak`, which takes 21 minutes, and `fleet`, which starts 250 collectors. Load, sink and redis-server are processes of their own, whose CPU is not counted as the
collector's. Shares of a core are CPU time by the kernel's count over the time that passed. `series` asks a Prometheus, and for native
histograms each of version 3 that the environment variable ASYNQ_COLLECTOR_TEST_PROMETHEUS names.
"""

import argparse
import gzip
import multiprocessing
import random
import shutil
import signal
import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parent), str(Path(__file__).resolve().parents[1] / "Tests" / "IntegrationTests")]
from pipeline import Load, Program, Running, Sink, paced  # noqa: E402
from support import asynq_messages, http_client, otlp  # noqa: E402
from support.deadline import eventually  # noqa: E402
from support.http_client import Endpoint, post_traces  # noqa: E402
from support.ports import free_port  # noqa: E402
from support.prometheus_server import NEWER, Prometheus, version  # noqa: E402
from support.redis_server import RedisServer  # noqa: E402

CAPTURED = Path(__file__).resolve().parents[1] / "Tests" / "Fixtures" / "otlp-go-sdk"


def collector(binary: str, *options: str, redis_url: str = "none", with_backend: bool = True) -> Program:
    """With a memory.limit that no part reaches here: its own bounds show."""
    web = free_port()
    program = Program("collector", "gzip", lambda directory, port, sink: [
        binary, "run", "--redis-url", redis_url, "--otlp-socket", "none", "--otlp-listen", f"127.0.0.1:{port}",
        "--metrics-listen", f"127.0.0.1:{web}", "--spool-directory", str(directory / "spool"), "--log-level", "error", "--memory-limit", "1GiB",
        *(["--tempo-endpoint", f"http://127.0.0.1:{sink}"] if with_backend else []), *options])
    program.web = Endpoint(port=web)
    return program


def ready(running: Running, program: Program) -> None:
    eventually("the collector is ready", lambda: http_client.ask(program.web, "GET", "/-/ready").status == 200)


def share(running: Running, seconds: float) -> float:
    before, began = running.cpu_seconds(), time.monotonic()
    time.sleep(seconds)
    return (running.cpu_seconds() - before) / (time.monotonic() - began)


def measure_spans(binary: str) -> None:
    """Two of ten spans are tasks'; the backend takes everything."""
    print("\nspans/s   a request   CPU of a core   at 1,000 spans/s   resident MiB")
    for per_second, size in ((0, 1), (1000, 10), (1000, 100), (3000, 100), (10_000, 100), (10_000, 500)):
        sink, program = Sink(), collector(binary)
        sink.come_up()
        running = Running(program, sink)
        ready(running, program)
        load = None
        if per_second:
            load = multiprocessing.Process(target=paced, args=(
                running.endpoint, Load(random.Random(1), 20_000 // size, size, tasks_in_ten=2), per_second // size, 24))
            load.start()
            time.sleep(3)
        used = share(running, 20)
        resident = running.status("VmRSS")
        if load:
            load.join()
        running.end()
        sink.go_down()
        of_a_thousand = f"{used / per_second * 1000:18.2%}" if per_second else f"{'':18}"
        print(f"{per_second:7,}   {size:9}   {used:13.2%}   {of_a_thousand[2:]}   {resident:12.0f}")


def measure_disk(binary: str) -> None:
    """The backend is down: bytes of the spool a span, and an hour of it at 1,000 spans/s."""
    print("\nspans of                              bytes a span as sent   on disk   GiB an hour at 1,000 spans/s")
    captured = {}
    for file in sorted(CAPTURED.rglob("*.pb")):
        body = file.read_bytes()
        captured[file.stem] = body, len(otlp.spans_in(body))
    loads = {f"this benchmark, {size} a request": [(bytes(request).partition(b"\r\n\r\n")[2], size) for request in
                                                  Load(random.Random(1), 40, size, tasks_in_ten=2).requests] for size in (1, 100)}
    if captured:
        loads["Go's SDK (Tests/Fixtures/otlp-go-sdk)"] = list(captured.values())
    for name, bodies in loads.items():
        sink, program = Sink(), collector(binary)
        running = Running(program, sink)
        ready(running, program)
        spans = sent = 0
        while spans < 20_000:
            for body, count in bodies:
                assert post_traces(running.endpoint, body).status == 200
                spans, sent = spans + count, sent + len(body)
        spooled = running.segments()[1]
        running.process.send_signal(signal.SIGKILL)
        running.process.wait()
        print(f"{name:38}{sent / spans:20.0f}{spooled / spans:10.0f}{spooled / spans * 3.6e6 / 2**30:31.2f}")


def fill_queue(client, name: str, tasks: int, first: int = 0) -> None:
    """In place of the tasks that it has."""
    with client.pipeline(transaction=False) as pipeline:
        pipeline.sadd("asynq:queues", name)
        pipeline.delete(f"asynq:{{{name}}}:pending")
        for number in range(first, first + tasks):
            identifier = f"{name}-{number:032x}"
            message = asynq_messages.task_message("type", identifier, name, payload=b'{"user":42}',
                                                  headers={"traceparent": f"00-{number + 1:032x}-{number + 1:016x}-01"})
            pipeline.hset(f"asynq:{{{name}}}:t:{identifier}",
                          mapping={"state": "pending", "msg": message, "pending_since": str(time.time_ns())})
            pipeline.lpush(f"asynq:{{{name}}}:pending", identifier)
        pipeline.execute()


def redis_cpu(server: RedisServer) -> float:
    with server.client() as client:
        found = client.info("cpu")
        return found["used_cpu_user"] + found["used_cpu_sys"]


def measure_queues(binary: str) -> None:
    """Queues that rest, and queues at work: pending tasks, of which one is done a second. With the look-ahead and without."""
    print("\nqueues              look-ahead   CPU of a core   Redis'   commands/s   resident MiB")
    for count, tasks, look in ((10, 0, "1s"), (10, 20, "1s"), (100, 0, "1s"), (100, 20, "1s"), (100, 20, "0"), (1000, 0, "1s"),
                               (1000, 20, "1s"), (1000, 20, "0")):
        with tempfile.TemporaryDirectory() as directory, RedisServer(Path(directory) / "redis") as server:
            with server.client() as client:
                for number in range(count):
                    fill_queue(client, f"queue-{number}", tasks)
            sink, program = Sink(), collector(binary, "--redis-look-interval", look, redis_url=server.url, with_backend=False)
            running = Running(program, sink)
            ready(running, program)
            stop = threading.Event()
            worker = threading.Thread(target=work, args=(server, count, stop))
            if tasks:
                worker.start()
            time.sleep(12)
            redis_before, commands, began = redis_cpu(server), commands_of(server), time.monotonic()
            used = share(running, 20)
            passed = time.monotonic() - began
            redis_used, asked = (redis_cpu(server) - redis_before) / passed, (commands_of(server) - commands) / passed
            resident = running.status("VmRSS")
            stop.set()
            if tasks:
                worker.join()
            running.end()
        print(f"{count:5,} {'at work' if tasks else 'resting':10}{look:>13}{used:16.2%}{redis_used:9.2%}{asked:13.0f}{resident:15.0f}")


def work(server: RedisServer, count: int, stop: threading.Event) -> None:
    """Of each queue one task a second goes round: taken, done, put back."""
    with server.client() as client:
        while not stop.wait(1):
            with client.pipeline(transaction=False) as pipeline:
                for number in range(count):
                    pipeline.rpoplpush(f"asynq:{{queue-{number}}}:pending", f"asynq:{{queue-{number}}}:pending")
                    pipeline.incr(f"asynq:{{queue-{number}}}:processed")
                pipeline.execute()


def commands_of(server: RedisServer) -> int:
    """Of the collector: those of the worker above are left out."""
    with server.client() as client:
        return sum(value["calls"] for name, value in client.info("commandstats").items()
                   if name not in ("cmdstat_rpoplpush", "cmdstat_incr", "cmdstat_hset", "cmdstat_lpush", "cmdstat_sadd"))


def measure_tables(binary: str) -> None:
    """What is remembered: each table filled to its bound, one collector each."""
    print("\nresident MiB                                            before    after")
    sink, program = Sink(), collector(binary)
    sink.come_up()
    running = Running(program, sink)
    ready(running, program)
    time.sleep(3)
    before = running.status("VmRSS")
    paced(running.endpoint, Load(random.Random(1), 200, 100, tasks_in_ten=10), 120, 60)
    time.sleep(10)
    print(f"{'spans only: 720,000 of tasks, tables of spans full':54}{before:8.0f}{running.status('VmRSS'):9.0f}")
    running.end()
    sink.go_down()
    with tempfile.TemporaryDirectory() as directory, RedisServer(Path(directory) / "redis") as server:
        with server.client() as client:
            for number in range(200):
                fill_queue(client, f"queue-{number}", 0)
        program = collector(binary, redis_url=server.url, with_backend=False)
        running = Running(program, Sink())
        ready(running, program)
        time.sleep(3)
        before, known, first = running.status("VmRSS"), 0, 0
        while known < 100_000 and first < 3000:
            with server.client() as client:
                for number in range(200):
                    fill_queue(client, f"queue-{number}", 100, first)
            first += 100
            time.sleep(2)
            page = http_client.ask(program.web, "GET", "/metrics").body.decode()
            known = next(float(line.split()[1]) for line in page.splitlines() if line.startswith("asynq_collector_look_ahead_tasks "))
        print(f"{f'Redis only: 200 queues, look-ahead with {known:,.0f} tasks':54}{before:8.0f}{running.status('VmRSS'):9.0f}")
        running.end()


def feed(endpoint: Endpoint, queues: int, types: int) -> None:
    """Of each queue and task type a first attempt and a retry that are completed, and the same that fail."""
    number = 0
    for queue in range(queues):
        spans = []
        for task_type in range(types):
            for status in (otlp.Status.STATUS_CODE_OK, otlp.Status.STATUS_CODE_ERROR):
                for retried in (0, 1):
                    span = otlp.process_span(number, f"queue-{queue}", f"type-{task_type}", status=otlp.Status(code=status),
                                             end_time_unix_nano=otlp.NOW + 10**7 * (1 + number % 50))
                    span.attributes.extend(otlp.attributes(asynq__task__enqueued_at=otlp.NOW - 10**8, messaging__message__id=f"{number}",
                                                           asynq__task__retry_count=retried))
                    spans.append(span)
                    number += 1
        assert post_traces(endpoint, otlp.request(*spans)).status == 200


def measure_series(binary: str) -> None:
    """What a Prometheus stores of a sidecar with 3 queues of 4 task types each."""
    programs = [("prometheus", "exemplar-storage")] + [(program, "exemplar-storage,native-histograms") for program in NEWER
                                                      if version(program) >= (3, 0)]
    print("\n" + f"{'settings':64}" + "".join(f"{'.'.join(map(str, version(program))):>10}{' native' if 'native' in features else '':7}"
                                             for program, features in programs))
    buckets = ("--metrics-wait-buckets", "0.01,0.1,1,10,60,600")
    for options in ((), buckets, ("--metrics-task-types", "0"), (*buckets, "--metrics-task-types", "0")):
        program = collector(binary, *options)
        running = Running(program, Sink())
        ready(running, program)
        feed(running.endpoint, 3, 4)
        counts = []
        for prometheus, features in programs:
            with tempfile.TemporaryDirectory() as directory, Prometheus(
                    Path(directory) / "data", {"sidecar": program.web.port}, program=prometheus, features=features) as server:
                server.until_scraped_again()
                counts.append(server.get("query", query='count({job="sidecar",__name__=~"asynq_.*|process_.*"})')["result"][0]["value"][1])
        print(f"{' '.join(options) or 'defaults':64}" + "".join(f"{count:>10}{'':7}" for count in counts))
        running.process.send_signal(signal.SIGKILL)
        running.process.wait()


def measure_page(binary: str) -> None:
    """Lines of the page and memory, by queues and task types."""
    print("\nqueues × types   lines of the page   MiB   gzip MiB   resident MiB")
    for queues, types in ((1, 1), (3, 4), (40, 60), (100, 50)):
        sink, program = Sink(), collector(binary, "--metrics-task-types", "1000")
        sink.come_up()
        running = Running(program, sink)
        ready(running, program)
        feed(running.endpoint, queues, types)
        page = http_client.ask(program.web, "GET", "/metrics").body
        lines = [line for line in page.splitlines() if not line.startswith(b"#")]
        print(f"{f'{queues} × {types}':15}{len(lines):19,}{len(page) / 2**20:6.2f}{len(gzip.compress(page, 1)) / 2**20:11.2f}"
              f"{running.status('VmRSS'):15.0f}")
        running.end()
        sink.go_down()


def measure_soak(binary: str, minutes: int = 20) -> None:
    """Tables of spans full, then 1,000 spans/s of tasks: how memory changes over that time."""
    sink, program = Sink(), collector(binary)
    sink.come_up()
    running = Running(program, sink)
    ready(running, program)
    time.sleep(3)
    print(f"\n{'MiB':24}resident   anonymous   most\n{'idle':24}{memory(running)}")
    load = Load(random.Random(1), 200, 100, tasks_in_ten=10)
    sent = paced(running.endpoint, load, 120, 60)
    time.sleep(10)
    print(f"{'tables full':24}{memory(running)}")
    sender = multiprocessing.Process(target=paced, args=(running.endpoint, load, 10, minutes * 60))
    sender.start()
    began, used, samples = time.monotonic(), running.cpu_seconds(), []
    while sender.is_alive():
        samples.append((time.monotonic() - began, running.status("RssAnon") * 1024))
        sender.join(10)
    passed = time.monotonic() - began
    print(f"{f'{minutes} minutes later':24}{memory(running)}")
    for name, since in (("all of it", 0), ("the second half", passed / 2)):
        slope = statistics.linear_regression(*zip(*(sample for sample in samples if sample[0] >= since))).slope
        print(f"slope over {name}: {slope * 3600:+.0f} KiB an hour")
    sink.until((sent + minutes * 600) * 100)
    print(f"CPU: {(running.cpu_seconds() - used) / passed:.2%} of a core; each span arrived")
    running.end()
    sink.go_down()


def measure_fleet(binary: str, count: int = 250, seconds: int = 180) -> None:
    """Sidecars of 3 queues with 4 task types each, whose backend is down, under one Prometheus that scrapes them every 15 s."""
    programs = [collector(binary) for _ in range(count)]
    sidecars = []
    try:
        for program in programs:
            sidecars.append(running := Running(program, Sink()))
            ready(running, program)
            feed(running.endpoint, 3, 4)
        print_fleet(sidecars, [program.web.port for program in programs], seconds)
    finally:
        for running in sidecars:
            running.process.kill()
            running.process.wait()
            shutil.rmtree(running.directory)


def print_fleet(sidecars: list[Running], ports: list[int], seconds: int) -> None:
    count = len(sidecars)
    with tempfile.TemporaryDirectory() as directory, Prometheus(
            Path(directory), {f"sidecar-{number}": port for number, port in enumerate(ports)},
            per_job={"scrape_interval": "15s", "scrape_timeout": "15s"}, features="exemplar-storage") as server:
        time.sleep(60)
        before, asked, began = sum(running.cpu_seconds() for running in sidecars), server.cpu_seconds(), time.monotonic()
        time.sleep(seconds)
        passed = time.monotonic() - began
        used = (sum(running.cpu_seconds() for running in sidecars) - before) / passed
        of_prometheus = (server.cpu_seconds() - asked) / passed
        own = sum(running.status("RssAnon") for running in sidecars)
        series, slowest, attempts, accepted, up = (eventually(expression, lambda: server.scalar(expression), seconds=120) for expression in (
            "sum(scrape_samples_post_metric_relabeling)", f"max(max_over_time(scrape_duration_seconds[{seconds}s]))",
            "sum(asynq_task_attempts_total)", "sum(asynq_collector_accepted_spans_total)", "sum(up)"))
        print(f"\n{count} sidecars: {used:.1%} of a core ({used / count:.3%} each), {own:,.0f} MiB of their own ({own / count:.1f} each), "
              f"{series:,.0f} series ({series / count:.0f} each)")
        print(f"Prometheus: {of_prometheus:.1%} of a core, {server.resident_mebibytes():,.0f} MiB; "
              f"the slowest scrape {slowest * 1000:.0f} ms")
        print(f"spans sent {count * 48:,}; attempts {attempts:,.0f}, accepted {accepted:,.0f}; answering {up:.0f}")


def memory(running: Running) -> str:
    return f"{running.status('VmRSS'):8.1f}{running.status('RssAnon'):12.1f}{running.status('VmHWM'):7.1f}"


PARTS = {"spans": measure_spans, "disk": measure_disk, "tables": measure_tables, "queues": measure_queues, "page": measure_page,
         "series": measure_series, "soak": measure_soak, "fleet": measure_fleet}


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("binary")
    arguments.add_argument("parts", nargs="*", metavar="part", help="|".join(PARTS))
    given = arguments.parse_args()
    for name in given.parts or [part for part in PARTS if part not in ("soak", "fleet")]:
        PARTS[name](given.binary)


if __name__ == "__main__":
    multiprocessing.set_start_method("fork")
    main()
