#!/usr/bin/env python3
"""What the whole way costs, receive → spool → forward: CPU per million spans and memory, beside Rotel in the same run.

    swift build -c release --static-swift-stdlib --product asynq-collector
    .build/test-venv/bin/python Benchmarks/pipeline.py .build/release/asynq-collector --rotel <path of rotel-agent>

`pip install --pre rotel` in any venv brings rotel-agent (in site-packages/rotel). Without --rotel there are no ratios.

CPU is that of the process under test, from the first request until the sink has the last span; the load and the sink are
processes of their own and are not measured. The programs take turns, round after round; the median counts. The sink
unpacks each request and counts its spans: a run in which one is missing is no result. The outage: the sink goes away,
5,000 spans a second come for a minute, the sink comes back.
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
from receiver import span  # noqa: E402
from support import otlp  # noqa: E402
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
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
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


def bodies(count: int, size: int) -> list[bytes]:
    """Many, so that what a run repeats is not remembered as a duplicate."""
    chance = random.Random(1)
    made = [otlp.request(*(span(chance) for _ in range(size))) for _ in range(count)]
    assert all(body.count(MARK) == size for body in made)
    return made


def send_all(endpoint: Endpoint, requests: list[bytes], times: int) -> None:
    """Each client sends its share, one request after the other."""
    def client(share: list[bytes]) -> None:
        with endpoint.connect() as connection:
            reader = connection.makefile("rb")
            for _ in range(times):
                for request in share:
                    connection.sendall(request)
                    read_answer(reader)

    threads = [threading.Thread(target=client, args=(requests[index::CLIENTS],)) for index in range(CLIENTS)]
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


def with_heads(made: list[bytes]) -> list[bytes]:
    return [f"POST /v1/traces HTTP/1.1\r\nHost: x\r\n{HEADERS}Content-Length: {len(body)}\r\n\r\n".encode() + body
            for body in made]


def measure_cpu(programs: list[Program], rounds: int, size: int, spans: int) -> None:
    requests = with_heads(bodies(min(20_000, max(CLIENTS, 20_000 // size)), size))
    times = max(1, spans // (len(requests) * size))
    sent = times * len(requests) * size
    for _ in range(rounds):
        for program in programs:
            sink = Sink()
            sink.come_up()
            running = Running(program, sink)
            before, began = running.cpu_seconds(), time.monotonic()
            # In a process of its own: its clients and the sink would wait for one another's interpreter.
            load = multiprocessing.Process(target=send_all, args=(running.endpoint, requests, times))
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
    print(f"\n{size} spans a request, {len(requests[0])} bytes, {sent:,} spans, {rounds} rounds")
    print(f"{'':38}{'CPU s per million':>18}{'spread':>14}{'ratio':>8}{'spans/s':>10}{'a batch':>9}")
    rivals = {program.compression: statistics.median(program.cpu) for program in programs if program.name == "Rotel"}
    for program in programs:
        median = statistics.median(program.cpu)
        ratio = f"{rivals[program.compression] / median:.1f}×" if program.compression in rivals else "–"
        speed = sent / statistics.median(program.seconds)
        print(f"{program.name + ', ' + program.compression:38}{median:18.2f}"
              f"{f'{min(program.cpu):.2f}–{max(program.cpu):.2f}':>14}{ratio:>8}{speed:10,.0f}{program.batch:9.0f}")
        program.cpu, program.seconds = [], []


def paced(endpoint: Endpoint, requests: list[bytes], per_second: int, seconds: int) -> int:
    """Returns how many were sent."""
    began, sent = time.monotonic(), 0
    with endpoint.connect() as connection:
        reader = connection.makefile("rb")
        while sent < per_second * seconds:
            connection.sendall(requests[sent % len(requests)])
            read_answer(reader)
            sent += 1
            time.sleep(max(0.0, began + sent / per_second - time.monotonic()))
    return sent


def measure_memory(program: Program, outage_seconds: int) -> str:
    """MiB resident: idle, the most under full load, before, at most during and after an outage."""
    size = 100
    requests = with_heads(bodies(500, size))
    sink = Sink()
    sink.come_up()
    running = Running(program, sink)
    time.sleep(3)
    idle = running.status("VmRSS")
    running.forget_peak()
    load = multiprocessing.Process(target=send_all, args=(running.endpoint, requests, 10))
    load.start()
    load.join()
    sent = 10 * len(requests) * size
    sink.until(sent)
    full = running.status("VmHWM")
    running.end()

    running = Running(program, sink)
    sink.spans.value = 0
    paced(running.endpoint, requests, 50, 5)
    sink.until(5 * 5000)
    before = running.status("VmRSS")
    running.forget_peak()
    sink.go_down()
    sent = paced(running.endpoint, requests, 50, outage_seconds) * size + 5 * 5000
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
    for size in (100, 1):
        programs = [collector(given.binary, sync, compression)
                    for compression in ("none", "gzip", "zstd") for sync in ("always", "200ms", "never")]
        if given.rotel:
            programs += [rotel(given.rotel, compression) for compression in ("none", "gzip")]
        measure_cpu(programs, given.rounds, size, given.spans if size > 1 else given.spans // 10)
    if given.outage == 0:
        return
    print(f"\nMiB resident; an outage of {given.outage} s at 5,000 spans/s")
    print(f"{'':38}{'idle':>8}{'load':>8}{'before':>8}{'peak':>8}{'after':>8}{'spool, then after the drain':>34}   drained in")
    for program in [collector(given.binary, "200ms", "gzip")] + ([rotel(given.rotel, "gzip")] if given.rotel else []):
        print(measure_memory(program, given.outage))


if __name__ == "__main__":
    multiprocessing.set_start_method("fork")
    main()
