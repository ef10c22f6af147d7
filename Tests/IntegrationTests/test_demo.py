"""`demo`: the whole thing on one machine, and nothing left of it afterwards."""

import os
import signal
import subprocess
from pathlib import Path

import pytest

from support import http_client, promtool
from support.collector import COLLECTOR, environment
from support.deadline import SECONDS, eventually
from support.http_client import Endpoint
from support.metrics_page import MetricsPage, assert_balanced
from support.ports import free_port

pytestmark = pytest.mark.slow


class Demo:
    """In a session of its own, so that its processes can be told from all others."""

    def __init__(self, directory: Path, *extra_flags: str):
        self.temporary = directory / "t"
        self.temporary.mkdir()
        self._web = Endpoint(port=(port := free_port()))
        # Files: a pipe that nobody reads would stop the demo when it is full.
        self._stdout, self._stderr = directory / "demo.out", directory / "demo.err"
        command = [str(COLLECTOR), "demo", "--metrics-listen", f"127.0.0.1:{port}", *extra_flags]
        with open(self._stdout, "wb") as stdout, open(self._stderr, "wb") as stderr:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=stdout, stderr=stderr,
                                            start_new_session=True, env=environment({"TMPDIR": str(self.temporary)}))

    def __enter__(self) -> "Demo":
        return self

    def __exit__(self, *_) -> None:
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    def page(self) -> MetricsPage:
        if self.process.poll() is not None:  # no AssertionError: polling must not go on
            raise RuntimeError(f"the demo has ended with {self.process.returncode}; {self._stderr.read_text()}")
        return MetricsPage(http_client.ask(self._web, "GET", "/metrics").body.decode())

    def page_with_waits(self) -> MetricsPage:
        def check():
            page = self.page()
            waits = page.sum("asynq_task_wait_duration_seconds_sum")
            return page if waits > 0 and page.has("asynq_queue_size") else None

        return eventually("queues and waits on the page of the demo", check)

    def end(self) -> str:
        """What it printed; it must end well, and in time."""
        code = self.process.wait(SECONDS)
        assert code == 0, f"expected exit code 0, got {code}; {self._stderr.read_text()}"
        return self._stdout.read_text(encoding="utf-8")

    def assert_nothing_left(self) -> None:
        left = [str(path.relative_to(self.temporary)) for path in self.temporary.rglob("*")]
        assert left == [], f"expected an empty temporary directory, got {left}"
        assert _processes_of_session(self.process.pid) == []


def _processes_of_session(session: int) -> list[str]:
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            name, rest = stat.read_text().rsplit(")", 1)
        except OSError:
            continue  # it has ended meanwhile
        if int(rest.split()[3]) == session:
            found.append(name + ")")
    return found


def test_shows_queues_and_waits_while_it_runs_and_leaves_nothing(tmp_path):
    with Demo(tmp_path, "--duration", "8s") as demo:
        page = demo.page_with_waits()
        assert_balanced(page, with_spool=page.has("asynq_collector_spool_spans"))
        promtool.assert_clean(page.text)
        queues = set(page.by("asynq_queue_paused", "queue"))
        assert page.value("asynq_redis_up") == 1
        assert page.sum("asynq_task_wait_duration_seconds_count") > 0
        assert page.sum("asynq_task_processing_duration_seconds_count") > 0
        stdout = demo.end()
        demo.assert_nothing_left()
    missing = [queue for queue in queues if queue not in stdout]
    assert queues and not missing, f"expected a table with the queues {queues}, {missing} are missing in:\n{stdout}"


@pytest.mark.parametrize("with_signal", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda s: s.name)
def test_runs_until_interrupted_and_leaves_nothing(tmp_path, with_signal):
    with Demo(tmp_path) as demo:
        demo.page_with_waits()
        demo.process.send_signal(with_signal)
        demo.end()
        demo.assert_nothing_left()


def test_sends_its_spans_on_to_tempo_when_told_where_it_is(tmp_path, tempo):
    with Demo(tmp_path, "--duration", "5s", "--tempo-endpoint", tempo.endpoint, "--tasks-per-second", "50"):
        eventually("spans at the stub", lambda: len(tempo.stored) >= 50)


def test_a_bearer_token_is_the_workers_too(tmp_path):
    with Demo(tmp_path, "--duration", "6s", "--otlp-bearer-token", "secret") as demo:
        demo.page_with_waits()
        demo.end()
