#!/usr/bin/env python3
"""What the whole way costs, receive → spool → forward: CPU per million spans and memory, beside Rotel in the same run.

    swift build -c release --static-swift-stdlib --product asynq-collector
    .build/test-venv/bin/python Benchmarks/pipeline.py .build/release/asynq-collector --rotel <path of rotel-agent>

`pip install --pre rotel` in any venv brings rotel-agent (in site-packages/rotel). Without --rotel there are no ratios.

CPU is that of the process under test, from the first request until the sink has the last span; the load and the sink are
processes of their own and are not measured. The programs take turns, round after round; the median counts. The sink
unpacks each request and counts its spans: a run in which one is missing is no result. No id comes twice: what repeats is
told from what is new, and costs less. Two mixes: every span is a task's, each consumer with its producer before it (the most
that the metrics can cost); and two of ten are. The outage: the sink goes away, 5,000 spans a second come for a minute, the
sink comes back.
"""

import argparse
import multiprocessing
import os
import random
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import zlib
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "Tests" / "IntegrationTests"))
import zstandard  # noqa: E402
from opentelemetry.proto.trace.v1.trace_pb2 import Span  # noqa: E402
from support import otlp  # noqa: E402
from support.collector import environment  # noqa: E402
from support.http_client import Endpoint  # noqa: E402
from support.ports import free_port  # noqa: E402

# In each span once, and nowhere else: the sink counts by it.
MARK = b"process order"
HEADERS = "Content-Type: application/x-protobuf\r\n"
CLIENTS = 8
PATIENCE_SECONDS = 120


class Sink:
    """A backend that takes everything, in a process of its own."""

    def __init__(self):
        self.port = free_port()
        self.spans = multiprocessing.Value("q", 0)
        self.requests = multiprocessing.Value("q", 0)
        self._process = None

    def come_up(self) -> None:
        ready = multiprocessing.Event()
        self._process = multiprocessing.Process(target=self._serve, args=(ready,), daemon=True)
        self._process.start()
        ready.wait()

    def go_down(self) -> None:
        self._process.kill()
        self._process.join()

    def _serve(self, ready) -> None:
        with socket.create_server(("127.0.0.1", self.port), backlog=64) as listener:
            ready.set()
            while True:
                connection, _ = listener.accept()
                threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        reader = connection.makefile("rb", buffering=1 << 18)
        while reader.readline():
            length, coding, waits = 0, b"", False
            while (line := reader.readline()) not in (b"\r\n", b""):
                name, _, value = line.partition(b":")
                match name.lower():
                    case b"content-length": length = int(value)
                    case b"content-encoding": coding = value.strip()
                    case b"expect": waits = True
            if waits:
                connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
            body = reader.read(length)
            if coding == b"gzip":
                body = zlib.decompress(body, 31)
            elif coding == b"zstd":
                body = zstandard.ZstdDecompressor().decompressobj().decompress(body)
            with self.spans.get_lock():
                self.spans.value += body.count(MARK)
            with self.requests.get_lock():
                self.requests.value += 1
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/x-protobuf\r\nContent-Length: 0\r\n\r\n")

    def until(self, spans: int) -> None:
        end = time.monotonic() + PATIENCE_SECONDS
        while self.spans.value < spans:
            if time.monotonic() > end:
                raise SystemExit(f"{spans - self.spans.value} of {spans} spans did not arrive")
            time.sleep(0.01)


@dataclass
class Program:
    """How one program is started, and what was measured of it."""
    name: str
    compression: str
    command: callable
    cpu: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    batch: float = 0


class Running:
    def __init__(self, program: Program, sink: Sink):
        self.directory = Path(tempfile.mkdtemp(prefix="pipeline-"))
        self.endpoint = Endpoint(port=free_port())
        self.process = subprocess.Popen(program.command(self.directory, self.endpoint.port, sink.port),
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment())
        for _ in range(500):
            try:
                self.endpoint.connect().close()
                return
            except OSError:
                time.sleep(0.01)
        raise SystemExit(f"{program.name} does not listen")

    def cpu_seconds(self) -> float:
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def status(self, name: str) -> float:
        """MiB."""
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith(name + ":"):
                return int(line.split()[1]) / 1024
        raise KeyError(name)

    def forget_peak(self) -> None:
        Path(f"/proc/{self.process.pid}/clear_refs").write_text("5")

    def segments(self) -> tuple[int, int]:
        files = list((self.directory / "spool").glob("segment-*"))
        return len(files), sum(file.stat().st_size for file in files)

    def end(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(15)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        shutil.rmtree(self.directory)


def make_spans(chance: random.Random, count: int, tasks_in_ten: int) -> list[Span]:
    """Of each ten spans the first ones are tasks': a producer, its consumer, and so on."""
    made: list[Span] = []
    for index in range(count):
        start = 1_795_197_881_000_000_000 + chance.randrange(10**9)
        trace, parent, kind = chance.randbytes(16), chance.randbytes(8), Span.SPAN_KIND_INTERNAL
        values = dict(http__method="POST", http__route=f"/orders/{chance.randrange(50)}", http__status_code=200,
                      net__peer__name=f"shop-{chance.randrange(9)}.internal", thread__id=chance.randrange(10**6),
                      enduser__id=f"{chance.getrandbits(64):016x}", code__function="OrderService.place")
        if index % 10 < tasks_in_ten:
            kind = Span.SPAN_KIND_CONSUMER if index % 2 else Span.SPAN_KIND_PRODUCER
            if index % 2:
                trace, parent, start = made[-1].trace_id, made[-1].span_id, made[-1].end_time_unix_nano + 10**7
            values |= dict(messaging__system="asynq", messaging__destination__name=f"queue-{index // 2 % 5}",
                           asynq__task__type=f"type-{index // 2 % 9}", messaging__message__id=f"{chance.getrandbits(128):032x}")
        made.append(Span(trace_id=trace, span_id=chance.randbytes(8), parent_span_id=parent, kind=kind, name="process order",
                         start_time_unix_nano=start, end_time_unix_nano=start + chance.randrange(10**8),
                         attributes=otlp.attributes(**values)))
    return made


class Load:
    """The requests of one client, with their heads. Their ids are others each time that they are sent."""

    def __init__(self, chance: random.Random, count: int, size: int, tasks_in_ten: int):
        self._chance = chance
        self.requests: list[bytearray] = []
        self._places: dict[bytes, list[tuple[bytearray, int]]] = {}
        spans = make_spans(chance, count * size, tasks_in_ten)
        for first in range(0, len(spans), size):
            own = spans[first:first + size]
            body = otlp.request(*own)
            assert body.count(MARK) == size
            head = f"POST /v1/traces HTTP/1.1\r\nHost: x\r\n{HEADERS}Content-Length: {len(body)}\r\n\r\n"
            request = bytearray(head.encode() + body)
            self.requests.append(request)
            for name in {name for span in own for name in (span.trace_id, span.span_id, span.parent_span_id)}:
                place = request.find(name)
                while place >= 0:
                    self._places.setdefault(name, []).append((request, place))
                    place = request.find(name, place + len(name))

    def renew(self) -> None:
        for name, places in self._places.items():
            new = self._chance.randbytes(len(name))
            for request, place in places:
                request[place:place + len(name)] = new


def send_all(endpoint: Endpoint, loads: list[Load], times: int) -> None:
    """Each client sends its own, one request after the other."""
    def client(load: Load) -> None:
        with endpoint.connect() as connection:
            reader = connection.makefile("rb")
            for _ in range(times):
                load.renew()
                for request in load.requests:
                    connection.sendall(request)
                    read_answer(reader)

    threads = [threading.Thread(target=client, args=(load,)) for load in loads]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def read_answer(reader) -> None:
    if not (line := reader.readline()).startswith(b"HTTP/1.1 200"):
        os.write(2, b"a request was refused: " + line + b"\n")
        os._exit(1)
    length = 0
    while (line := reader.readline()) != b"\r\n":
        if line.lower().startswith(b"content-length:"):
            length = int(line.split(b":")[1])
    reader.read(length)


def measure_cpu(programs: list[Program], rounds: int, size: int, spans: int, tasks_in_ten: int) -> None:
    # An even number for each client: where each span comes alone, a consumer still follows its producer.
    count = max(2, 20_000 // size // CLIENTS // 2 * 2)
    loads = [Load(random.Random(index), count, size, tasks_in_ten) for index in range(CLIENTS)]
    times = max(1, spans // (count * CLIENTS * size))
    sent = times * count * CLIENTS * size
    for _ in range(rounds):
        for program in programs:
            sink = Sink()
            sink.come_up()
            running = Running(program, sink)
            before, began = running.cpu_seconds(), time.monotonic()
            # In a process of its own: its clients and the sink would wait for one another's interpreter.
            load = multiprocessing.Process(target=send_all, args=(running.endpoint, loads, times))
            load.start()
            load.join()
            if load.exitcode != 0:
                raise SystemExit(f"{program.name}: the load did not get through")
            sink.until(sent)
            program.seconds.append(time.monotonic() - began)
            program.cpu.append((running.cpu_seconds() - before) / sent * 1e6)
            program.batch = sink.spans.value / sink.requests.value
            running.end()
            sink.go_down()
            if sink.spans.value != sent:
                raise SystemExit(f"{program.name}: {sink.spans.value} spans arrived, {sent} were sent")
    print(f"\n{size} spans a request, {len(loads[0].requests[0])} bytes, {tasks_in_ten} of ten spans are tasks', {sent:,} spans, "
          f"{rounds} rounds")
    print(f"{'':38}{'CPU s per million':>18}{'spread':>14}{'ratio':>8}{'spans/s':>10}{'a batch':>9}")
    rivals = {program.compression: statistics.median(program.cpu) for program in programs if program.name == "Rotel"}
    for program in programs:
        median = statistics.median(program.cpu)
        ratio = f"{rivals[program.compression] / median:.1f}×" if program.compression in rivals else "–"
        speed = sent / statistics.median(program.seconds)
        print(f"{program.name + ', ' + program.compression:38}{median:18.2f}"
              f"{f'{min(program.cpu):.2f}–{max(program.cpu):.2f}':>14}{ratio:>8}{speed:10,.0f}{program.batch:9.0f}")
        program.cpu, program.seconds = [], []


def paced(endpoint: Endpoint, load: Load, per_second: int, seconds: int) -> int:
    """Returns how many were sent."""
    requests = load.requests
    began, sent = time.monotonic(), 0
    with endpoint.connect() as connection:
        reader = connection.makefile("rb")
        while sent < per_second * seconds:
            if sent % len(requests) == 0:
                load.renew()
            connection.sendall(requests[sent % len(requests)])
            read_answer(reader)
            sent += 1
            time.sleep(max(0.0, began + sent / per_second - time.monotonic()))
    return sent


def measure_memory(program: Program, outage_seconds: int) -> str:
    """MiB resident: idle, the most under full load, before, at most during and after an outage."""
    size = 100
    loads = [Load(random.Random(index), 500 // CLIENTS, size, tasks_in_ten=10) for index in range(CLIENTS)]
    sink = Sink()
    sink.come_up()
    running = Running(program, sink)
    time.sleep(3)
    idle = running.status("VmRSS")
    running.forget_peak()
    load = multiprocessing.Process(target=send_all, args=(running.endpoint, loads, 10))
    load.start()
    load.join()
    sent = 10 * sum(len(load.requests) for load in loads) * size
    sink.until(sent)
    full = running.status("VmHWM")
    running.end()

    running = Running(program, sink)
    sink.spans.value = 0
    paced(running.endpoint, loads[0], 50, 5)
    sink.until(5 * 5000)
    before = running.status("VmRSS")
    running.forget_peak()
    sink.go_down()
    sent = paced(running.endpoint, loads[0], 50, outage_seconds) * size + 5 * 5000
    segments, spooled = running.segments()
    sink.come_up()
    began, got = time.monotonic(), 0
    while sink.spans.value < sent and time.monotonic() - began < PATIENCE_SECONDS:
        time.sleep(0.05)
    drained, got = time.monotonic() - began, sink.spans.value
    peak = running.status("VmHWM")
    time.sleep(3)
    after, left = running.status("VmRSS"), running.segments()
    running.end()
    sink.go_down()
    spool = f"{spooled / 2**20:.0f} MiB in {segments} → {left[1] / 2**20:.0f} MiB in {left[0]}" if segments else "–"
    missing = f"{sent - got:,} lost" if got < sent else f"{drained:.1f} s" + (f", {got - sent:,} twice" if got > sent else "")
    return (f"{program.name + ', ' + program.compression:38}{idle:8.0f}{full:8.0f}{before:8.0f}{peak:8.0f}{after:8.0f}"
            f"{spool:>34}   {missing}")


def collector(binary: str, sync: str, compression: str) -> Program:
    return Program(f"spool.sync {sync}", compression, lambda directory, port, sink: [
        binary, "run", "--redis-url", "none", "--otlp-socket", "none", "--otlp-listen", f"127.0.0.1:{port}",
        "--metrics-listen", "127.0.0.1:0", "--spool-directory", str(directory / "spool"), "--spool-sync", sync,
        "--tempo-endpoint", f"http://127.0.0.1:{sink}", "--tempo-compression", compression, "--tempo-retry-max", "1s",
        "--log-level", "error"])


def rotel(binary: str, compression: str) -> Program:
    return Program("Rotel", compression, lambda directory, port, sink: [
        binary, "start", "--otlp-http-endpoint", f"127.0.0.1:{port}", "--otlp-grpc-endpoint", f"127.0.0.1:{free_port()}",
        "--exporter", "otlp", "--otlp-exporter-protocol", "http", "--otlp-exporter-endpoint", f"http://127.0.0.1:{sink}",
        "--otlp-exporter-compression", compression, "--pid-file", str(directory / "pid")])


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("binary")
    arguments.add_argument("--rotel")
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument("--spans", type=int, default=500_000, help="in each run of 100 spans a request")
    arguments.add_argument("--outage", type=int, default=60, help="seconds; 0 leaves memory out")
    given = arguments.parse_args()
    for size, tasks_in_ten in ((100, 10), (100, 2), (1, 10)):
        programs = [collector(given.binary, sync, compression)
                    for compression in ("none", "gzip", "zstd") for sync in ("always", "200ms", "never")]
        if given.rotel:
            programs += [rotel(given.rotel, compression) for compression in ("none", "gzip")]
        measure_cpu(programs, given.rounds, size, given.spans if size > 1 else given.spans // 10, tasks_in_ten)
    if given.outage == 0:
        return
    print(f"\nMiB resident; an outage of {given.outage} s at 5,000 spans/s")
    print(f"{'':38}{'idle':>8}{'load':>8}{'before':>8}{'peak':>8}{'after':>8}{'spool, then after the drain':>34}   drained in")
    for program in [collector(given.binary, "200ms", "gzip")] + ([rotel(given.rotel, "gzip")] if given.rotel else []):
        print(measure_memory(program, given.outage))


if __name__ == "__main__":
    multiprocessing.set_start_method("fork")
    main()
