"""What a service manager hears, and how long listeners stay open at the end. The test plays systemd: it has the socket."""

import ctypes
import json
import os
import select
import signal
import socket
import subprocess
import threading
import time
from pathlib import Path

import pytest

from support.collector import environment
from support.deadline import SECONDS, eventually
from support.http_client import post_traces
from support.otlp import attributes, numbered_request, process_span, request
from support.ports import free_port
from support.programs import COLLECTOR
from support.redis_server import RedisServer


class ServiceManager:
    def __init__(self, address: str):
        self.address = address
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind("\0" + address[1:] if address.startswith("@") else address)
        self._socket.settimeout(SECONDS)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._socket.close()

    def waits(self) -> bool:
        """Whether there is a message."""
        return bool(select.select([self._socket], [], [], 0)[0])

    def next(self) -> dict[str, str]:
        return dict(line.split("=", 1) for line in self._socket.recv(4096).decode().split("\n"))


def test_start_reload_and_end_are_told(start_collector, tmp_path):
    with ServiceManager(str(tmp_path / "notify")) as manager:
        collector = start_collector(env={"NOTIFY_SOCKET": manager.address})
        assert manager.next() == {"READY": "1"}
        before = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        collector.process.send_signal(signal.SIGHUP)
        reloading = manager.next()
        assert reloading["RELOADING"] == "1"
        assert before <= int(reloading["MONOTONIC_USEC"]) <= time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        assert manager.next() == {"READY": "1"}
        collector.stop()
        assert manager.next() == {"STOPPING": "1", "EXTEND_TIMEOUT_USEC": "10000000"}


def test_the_watchdog_hears_of_an_abstract_socket_too(start_collector):
    with ServiceManager(f"@asynq-collector-test-{os.getpid()}-{free_port()}") as manager:
        start_collector(env={"NOTIFY_SOCKET": manager.address, "WATCHDOG_USEC": "400000"})
        assert manager.next() == {"READY": "1"}
        for _ in range(3):
            assert manager.next() == {"WATCHDOG": "1"}


def test_signals_that_keep_coming_do_not_silence_the_watchdog(start_collector, tmp_path):
    with ServiceManager(str(tmp_path / "notify")) as manager:
        collector = start_collector(env={"NOTIFY_SOCKET": manager.address, "WATCHDOG_USEC": "1000000"})
        began, heard = time.monotonic(), []
        while time.monotonic() - began < 3:
            collector.process.send_signal(signal.SIGHUP)
            time.sleep(0.05)
            while manager.waits():
                if manager.next() == {"WATCHDOG": "1"}:
                    heard.append(time.monotonic())
        gaps = [after - before for before, after in zip([began, *heard], [*heard, time.monotonic()])]
        assert max(gaps) < 1, gaps


class StoppedThread:
    """One thread of a process, stopped as a debugger stops it: the others go on."""

    ATTACH, DETACH, ANY_CHILD = 16, 17, 0x40000000

    def __init__(self, pid: int, name: str):
        """`name` and which of them, in the order in which they were started."""
        name, number = name.split("#")
        tasks = sorted(Path(f"/proc/{pid}/task").iterdir(), key=lambda task: int(task.name))
        names = {int(task.name): (task / "comm").read_text().strip() for task in tasks}
        threads = [task for task, called in names.items() if called.startswith(name)]
        assert len(threads) > int(number), names
        self._thread = threads[int(number)]
        self._trace = ctypes.CDLL(None, use_errno=True).ptrace
        self._trace.argtypes = [ctypes.c_long, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p]

    def __enter__(self):
        if self._trace(self.ATTACH, self._thread, None, None) != 0:
            pytest.skip(f"no thread can be traced here: {os.strerror(ctypes.get_errno())}")
        os.waitpid(self._thread, self.ANY_CHILD)
        return self

    def __exit__(self, *_):
        self._trace(self.DETACH, self._thread, None, None)


def task(number: int, **content) -> bytes:
    span = process_span(number, "q", "t", parent_span_id=b"", **content)
    span.attributes.extend(attributes(messaging__message__id=f"task {number}"))
    return request(span)


# What the threads work at that rest otherwise.
WORK = {"spool-append#0": task(1), "task-lookup#0": task(2), "receiver-work#0": task(3, name="x" * (300 << 10))}


@pytest.mark.parametrize("thread, part", [
    ("NIO-ELT#0", "receiver"), ("NIO-ELT#1", "web endpoints"), ("redis#0", "redis"), ("forwarder#0", "forwarder"),
    ("spool-append#0", "spool"), ("metrics-push#0", "metrics push"), ("task-lookup#0", "task look-up"),
    ("receiver-work#0", "reading of long requests"),
])
def test_a_part_that_does_not_move_silences_the_watchdog_until_it_moves(start_collector, tempo, tmp_path, thread, part):
    with RedisServer(tmp_path) as redis, ServiceManager(str(tmp_path / "notify")) as manager:
        collector = start_collector(
            options={"tempo.endpoint": tempo.endpoint, "redis.url": redis.url, "redis.timeout": "1s", "redis.interval": "1s",
                     "metrics.push.endpoint": tempo.endpoint, "metrics.push.interval": "1s"},
            env={"NOTIFY_SOCKET": manager.address, "WATCHDOG_USEC": "1000000"})
        with StoppedThread(collector.process.pid, thread):
            if thread in WORK:
                # Its answer comes when the thread moves again.
                threading.Thread(target=lambda: post_traces(collector.tcp, WORK[thread])).start()

            def is_told() -> bool:
                # The socket holds ten messages.
                while manager.waits():
                    manager.next()
                return "does not move" in collector.stderr()

            eventually("a line that names the part", is_told)
            line = next(line for line in collector.stderr().splitlines() if "does not move" in line)
            assert json.loads(line)["parts"] == part
            while manager.waits():
                manager.next()
            time.sleep(1.5)
            assert not manager.waits(), "expected silence"
        assert manager.next() == {"WATCHDOG": "1"}


def test_a_thread_that_hangs_is_told_to_liveness_probes(start_collector, tempo):
    options = {"metrics.push.endpoint": tempo.endpoint, "metrics.push.interval": "1s"}
    collector = start_collector(options=options)
    with StoppedThread(collector.process.pid, "metrics-push#0"):
        for path in ("/-/healthy", "/healthz"):
            answer = eventually("unhealthy", lambda: (found := collector.get(path)).status == 503 and found)
            assert answer.body == b"does not move: metrics push\n"
        assert collector.get("/-/ready").status == 200
    eventually("healthy again", lambda: collector.get("/-/healthy").status == 200)


def test_a_watchdog_of_another_process_is_not_ours(start_collector, tmp_path):
    with ServiceManager(str(tmp_path / "notify")) as manager:
        collector = start_collector(
            env={"NOTIFY_SOCKET": manager.address, "WATCHDOG_USEC": "100000", "WATCHDOG_PID": "1"})
        assert manager.next() == {"READY": "1"}
        time.sleep(0.5)
        collector.stop()
        assert manager.next()["STOPPING"] == "1"


def test_a_service_manager_that_is_gone_does_not_matter(start_collector, tmp_path):
    """Nor does each sign of life that it misses have a line."""
    collector = start_collector(env={"NOTIFY_SOCKET": str(tmp_path / "nothing"), "WATCHDOG_USEC": "400000"})
    assert "can't notify the service manager" in collector.stderr()
    time.sleep(1.5)
    assert collector.stderr().count("can't notify the service manager") == 1
    assert post_traces(collector.tcp, numbered_request([1])).status == 200


def test_signals_of_other_programs_customs_do_not_end_it(start_collector):
    collector = start_collector()
    for number in (signal.SIGUSR1, signal.SIGUSR2):
        collector.process.send_signal(number)
    assert post_traces(collector.tcp, numbered_request([1])).status == 200


def fill(manager: ServiceManager) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as filler:
        filler.setblocking(False)
        with pytest.raises(BlockingIOError):
            while True:
                filler.sendto(b"x=", manager.address)


def next_but_filling(manager: ServiceManager) -> dict[str, str]:
    while (message := manager.next()) == {"x": ""}:
        pass
    return message


@pytest.mark.parametrize("watchdog", [{}, {"WATCHDOG_USEC": "600000000"}], ids=["unwatched", "watched"])
def test_what_a_full_socket_does_not_take_is_sent_again(start_collector, tmp_path, watchdog):
    with ServiceManager(str(tmp_path / "notify")) as manager:
        fill(manager)
        collector = start_collector(env={"NOTIFY_SOCKET": manager.address} | watchdog, options={"shutdown.linger": "1h"})
        time.sleep(3.5)
        assert collector.stderr().count("can't notify the service manager") == 1
        assert next_but_filling(manager) == {"READY": "1"}
        eventually("a line", lambda: "the service manager is notified again" in collector.stderr())
        fill(manager)
        collector.process.send_signal(signal.SIGHUP)
        eventually("a reload", lambda: "configuration read again" in collector.stderr())
        assert next_but_filling(manager) == {"READY": "1"}
        fill(manager)
        collector.process.send_signal(signal.SIGTERM)
        eventually("a line about the end", lambda: "shutdown.linger" in collector.stderr())
        assert next_but_filling(manager)["STOPPING"] == "1"
        collector.stop()


def test_a_service_manager_that_reads_nothing_holds_up_neither_start_nor_end(start_collector, tmp_path):
    with ServiceManager(str(tmp_path / "notify")) as manager:
        fill(manager)
        collector = start_collector(env={"NOTIFY_SOCKET": manager.address})
        eventually("a line", lambda: "can't notify the service manager" in collector.stderr())
        collector.stop()
        assert '"stopped"' in collector.stderr()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_while_the_configuration_is_read_leaves_a_line(tmp_path, number):
    """The file is a pipe that has nothing yet."""
    pipe = tmp_path / "collector.yaml"
    os.mkfifo(pipe)
    with subprocess.Popen([str(COLLECTOR), "run", "--config", str(pipe)], stderr=subprocess.PIPE, text=True,
                          env=environment()) as process, open(pipe, "w"):
        process.send_signal(signal.SIGHUP)
        process.send_signal(number)
        assert process.communicate(timeout=SECONDS)[1] == "asynq-collector: ended by a signal before the start\n"
    assert process.returncode == 0


# --- shutdown.linger ---

def test_listeners_stay_open_for_the_workers_last_spans(start_collector, tempo):
    options = {"tempo.endpoint": tempo.endpoint, "shutdown.linger": "3s"}
    collector = start_collector(options=options)
    began = time.monotonic()
    collector.process.send_signal(signal.SIGTERM)
    eventually("a line about the end", lambda: "shutdown.linger" in collector.stderr())
    assert post_traces(collector.unix, numbered_request([1])).status == 200
    assert post_traces(collector.tcp, numbered_request([2])).status == 200
    assert collector.process.wait(SECONDS) == 0
    assert time.monotonic() - began >= 3
    collector.process = None
    assert sum(tempo.times_stored().values()) == 2
    assert not collector.socket.exists()


def test_a_second_signal_ends_the_linger(start_collector):
    collector = start_collector(options={"shutdown.linger": "1h"})
    collector.process.send_signal(signal.SIGTERM)
    eventually("a line about the end", lambda: "shutdown.linger" in collector.stderr())
    collector.stop(signal.SIGINT)


def test_the_linger_is_added_to_what_the_service_manager_grants(start_collector, tmp_path):
    with ServiceManager(str(tmp_path / "notify")) as manager:
        collector = start_collector(options={"shutdown.linger": "1s"}, env={"NOTIFY_SOCKET": manager.address})
        assert manager.next() == {"READY": "1"}
        collector.stop()
        assert manager.next() == {"STOPPING": "1", "EXTEND_TIMEOUT_USEC": "11000000"}
