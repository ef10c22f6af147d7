"""The program under test: started with flags, watched, ended."""

import os
import re
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

from support import faked_clock, http_client
from support.deadline import SECONDS, eventually
from support.http_client import Endpoint
from support.metrics_page import MetricsPage, assert_balanced
from support.ports import free_port
from support.programs import COLLECTOR

STOP_SECONDS = 15  # what a shutdown may take: its limit of 5 s, and what a busy machine adds
UNIX_PATH_BYTES_MAX = 107

# Signs of a crash whatever the exit code says.
_CRASH = re.compile(r"Fatal error|Swift runtime failure|\*\*\* Signal|AddressSanitizer|ThreadSanitizer")


def environment(extra: dict[str, str] = {}) -> dict[str, str]:
    """Ours, without what would configure the collector."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ASYNQ_COLLECTOR")}
    return kept | extra


def flags(options: dict[str, object]) -> list[str]:
    """`redis.url` = flag `--redis-url`, and so for every key."""
    return [part for key, value in options.items() for part in (f"--{key.replace('.', '-')}", str(value))]


def run_once(*arguments: str, env: dict[str, str] = {}, seconds: float = SECONDS) -> subprocess.CompletedProcess:
    """The program until it ends by itself, without any input."""
    command = faked_clock.command([str(COLLECTOR), *arguments], env)
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          encoding="utf-8", env=environment(env)) as process:
        try:
            stdout, stderr = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            raise AssertionError(f"expected an end within {seconds} s: {command}; {process.communicate()}") from None
        finally:
            faked_clock.forget(process.pid)
    return subprocess.CompletedProcess(command, process.returncode, stdout, stderr)


class Collector:
    """`run` with sockets, ports and spool below `directory`.

    Started again with the same directory, it continues with the same spool and the same unix socket.
    """

    def __init__(self, directory: Path, options: dict[str, object] = {}, env: dict[str, str] = {},
                 command: tuple[str, ...] = ("run",), ready_path: str = "/-/ready", launcher: tuple[str, ...] = (),
                 web: Endpoint | None = None, is_ready: Callable[[], bool] | None = None):
        """`launcher`: a program that becomes the one it is given; `web`: where the web endpoints are, if `options` says so;
        `is_ready`: tells by itself, where there are none."""
        directory.mkdir(parents=True, exist_ok=True)
        self.socket = directory / "otlp.sock"
        assert len(str(self.socket)) <= UNIX_PATH_BYTES_MAX, f"too long for a unix socket: {self.socket}"
        self.spool = directory / "spool"
        self.otlp_port = free_port()
        self.metrics_port = free_port()
        self.options = {
            "redis.url": "none",
            "otlp.socket": self.socket,
            "otlp.listen": f"127.0.0.1:{self.otlp_port}",
            "metrics.listen": f"127.0.0.1:{self.metrics_port}",
            "spool.directory": self.spool,
        } | options
        self.tcp = Endpoint(port=self.otlp_port)
        self.unix = Endpoint(path=self.socket)
        self.web = web or Endpoint(port=self.metrics_port)
        self.process: subprocess.Popen | None = None
        self._command = command
        self._ready_path = ready_path
        self._is_ready = is_ready or self._is_ready_by_itself
        self._launcher = launcher
        self._env = env
        self._stderr = directory / f"stderr-{self.metrics_port}.log"

    # --- Start and end ---

    def start(self) -> "Collector":
        """Returns when it is ready."""
        program = [*self._launcher, str(COLLECTOR), *self._command, *flags(self.options)]
        command = faked_clock.command(program, self._env)
        with open(self._stderr, "wb") as stderr:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=stderr, stderr=stderr,
                                            env=environment(self._env))
        try:
            eventually("/-/ready answers 200", self._is_ready)
        except BaseException:
            if self.process:
                self.kill()
            raise
        return self

    def kill(self) -> None:
        """kill -9"""
        self.process.kill()
        self._ended()

    def stop(self, with_signal: int = signal.SIGTERM) -> None:
        """An orderly end: in time, exit code 0, no sign of a crash."""
        self.process.send_signal(with_signal)
        try:
            code = self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"expected an end within {STOP_SECONDS} s of signal {with_signal}; {self}") from None
        self._ended()
        assert code == 0, f"expected exit code 0 after signal {with_signal}, got {code}; {self.stderr()}"

    def close(self) -> str | None:
        """For the end of a test. Says what is wrong, if anything is."""
        try:
            if self.process:
                assert self.process.poll() is None, f"ended by itself with {self.process.returncode}; {self.stderr()}"
                self.stop()
            assert not _CRASH.search(self.stderr()), self.stderr()
        except AssertionError as problem:
            return str(problem)
        finally:
            if self.process:
                self.kill()
        return None

    def _ended(self) -> None:
        self.process.wait()
        faked_clock.forget(self.process.pid)
        self.process = None

    def _is_ready_by_itself(self) -> bool:
        return self.get(self._ready_path).status == 200

    def _must_run(self) -> None:
        """No AssertionError: polling must not go on."""
        if self.process is None or self.process.poll() is not None:
            code = self.process.returncode if self.process else None
            raise RuntimeError(f"the collector has ended (exit code {code}); {self.stderr()}")

    # --- What it says ---

    def stderr(self) -> str:
        return "stderr of the collector:\n" + self._stderr.read_text(encoding="utf-8", errors="replace")

    def threads(self) -> int:
        self._must_run()
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"^Threads:\s*(\d+)$", status, re.MULTILINE)[1])

    def client_connections(self) -> int:
        """Established ones at the OTLP port and at the unix socket, as the kernel has them."""
        port, established, connected = f":{self.otlp_port:04X}", "01", "03"
        tcp = [line.split() for line in Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()]
        unix = [line.split() for line in Path("/proc/net/unix").read_text(errors="replace").splitlines()]
        return (sum(row[1].endswith(port) and row[3] == established for row in tcp)
                + sum(row[-1] == str(self.socket) and row[5] == connected for row in unix))

    def get(self, path: str, headers: dict[str, str] = {}) -> http_client.Answer:
        self._must_run()
        return http_client.ask(self.web, "GET", path, headers=headers)

    def metrics(self) -> MetricsPage:
        answer = self.get("/metrics")
        assert answer.status == 200, f"expected a metrics page, got {answer}"
        return MetricsPage(answer.body.decode("utf-8"))

    def balanced_metrics(self) -> MetricsPage:
        page = self.metrics()
        assert_balanced(page, with_spool="tempo.endpoint" in self.options)
        return page

    def count(self, name: str, labels: dict[str, str] = {}) -> float:
        """One of the collector's own numbers, summed over the other labels."""
        return self.balanced_metrics().sum(f"asynq_collector_{name}", labels)

    def post(self, body: bytes, **how) -> http_client.Answer:
        """Over TCP; must be acknowledged in full."""
        answer = http_client.post_traces(self.tcp, body, **how)
        assert answer.status == 200, f"expected 200 for the spans, got {answer}; {self.stderr()}"
        return answer

    def until_forwarded(self, spans: int, seconds: float = SECONDS) -> None:
        eventually(f"{spans} spans forwarded", lambda: self.count("forwarded_spans_total") == spans, seconds)
