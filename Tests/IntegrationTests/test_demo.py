"""`demo`: the whole thing on one machine, and nothing left of it afterwards."""

import json
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
from support.tmux import Tmux

pytestmark = pytest.mark.slow


class Demo:
    """In a session of its own, so that its processes can be told from all others."""

    def __init__(self, directory: Path, *extra_flags: str):
        self.temporary = directory / "t"
        self.temporary.mkdir()
        self.port = port = free_port()
        self._web = Endpoint(port=port)
        # Files: a pipe without a reader would stop the demo when it is full.
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

    def stdout(self) -> str:
        return self._stdout.read_text(encoding="utf-8")

    def end(self) -> str:
        """What it printed; it must end well, and in time."""
        code = self.process.wait(SECONDS)
        assert code == 0, f"expected exit code 0, got {code}; {self._stderr.read_text()}"
        return self.stdout()

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


# --- The story, and what the terminal shows -------------------------------------------------------------------------

# In this order; a round of the story takes three minutes.
STORY = ("the newsletter goes out", "the mail server fails", "the mail server works again", "a dead letter in reports",
         "imports is paused", "imports is resumed", "worker-2 is killed while it runs", "a new worker-2 starts",
         "the trace backend goes down", "the trace backend is back", "the recoverer takes back")


def overview(port: int) -> dict:
    return json.loads(http_client.ask(Endpoint(port=port), "GET", "/api/v1/overview").body)


def queue(port: int, name: str) -> dict:
    return next(queue for queue in overview(port)["queues"] if queue["queue"] == name)


@pytest.mark.timeout(400)
def test_the_story_is_told_and_seen_on_the_page(tmp_path):
    with Demo(tmp_path) as demo:
        port = demo.port
        demo.page_with_waits()

        def told(event: str, seconds: float = 60):
            eventually(event, lambda: event in demo.stdout(), seconds=seconds, every=0.2)

        told("the newsletter goes out")
        eventually("a burst of emails", lambda: queue(port, "emails")["pending"] > 100, every=0.2)
        told("the mail server fails")
        eventually("retries", lambda: queue(port, "emails")["retry"] > 5, every=0.2)
        told("a dead letter in reports")
        eventually("the dead letter", lambda: any("out of memory" in letter["error"] and letter["trace_id"]
                                                  for letter in overview(port)["dead_letters"]), every=0.2)
        errors = {letter["error"] for letter in overview(port)["dead_letters"] if letter["queue"] == "emails"}
        assert len(errors) == 2, errors
        told("imports is paused")
        eventually("a paused queue", lambda: queue(port, "imports")["paused"] and queue(port, "imports")["pending"] > 5, every=0.2)
        told("imports is resumed")
        eventually("it runs again", lambda: not queue(port, "imports")["paused"], every=0.2)
        told("worker-2 is killed while it runs")
        eventually("two servers are left", lambda: len(overview(port)["servers"]) == 2, every=0.2)
        told("the trace backend goes down")
        eventually("the spool fills", lambda: overview(port)["spool"]["bytes"] > 50_000 and overview(port)["forwarder"]["up"] is False,
                   every=0.2)
        # Leases last 30 s.
        eventually("orphans", lambda: queue(port, "emails")["orphaned"] + queue(port, "thumbnails")["orphaned"]
                   + queue(port, "reports")["orphaned"] > 0, every=0.2)
        told("the trace backend is back")
        eventually("the spool drains", lambda: overview(port)["forwarder"]["up"] and overview(port)["spans"]["in_spool"] < 300, every=0.2)
        told("the recoverer takes back")
        eventually("no orphans", lambda: sum(queue["orphaned"] for queue in overview(port)["queues"]) == 0, every=0.2)
        said = demo.stdout()
        assert [said.index(event) for event in STORY] == sorted(said.index(event) for event in STORY)
        totals = overview(port)["spans"]
        assert totals["refused"] == {} and totals["dropped"] == {}, totals
        demo.process.send_signal(signal.SIGINT)
        demo.end()
        demo.assert_nothing_left()


@pytest.mark.parametrize("size", [(80, 24), (200, 50)], ids=str)
def test_a_terminal_shows_the_view_the_addresses_and_the_story(tmp_path, size):
    temporary = tmp_path / "t"
    temporary.mkdir()
    port = free_port()
    script = f"{COLLECTOR} demo --metrics-listen 127.0.0.1:{port}; echo ended $?; read line"
    with Tmux("sh", "-c", script, columns=size[0], rows=size[1], env={"TMPDIR": str(temporary)}) as terminal:
        eventually("the queues", lambda: "thumbnails" in terminal.text() and "q quit" in terminal.screen()[-1])
        eventually("the story", lambda: "the newsletter goes out" in terminal.text())
        screen = terminal.screen()
        assert screen[0] == f"page   http://127.0.0.1:{port}/"
        assert len(screen) == size[1] and max(map(len, screen)) <= size[0]
        for name in ("default", "emails", "imports", "payments", "reports", "thumbnails"):
            assert any(name in line.split() for line in screen), f"{name} is missing in\n" + "\n".join(screen)
        terminal.press("/", "p", "a", "y", "Enter")
        eventually("a filter", lambda: "1 of 6 queues" in terminal.screen()[-1])
        terminal.press("q")
        eventually("the end", lambda: "ended 0" in terminal.text())
        assert terminal.is_restored and "nothing is left behind" in terminal.text()
    assert list(temporary.iterdir()) == []
