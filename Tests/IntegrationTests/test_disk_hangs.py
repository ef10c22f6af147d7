"""A disk that neither answers nor fails (a frozen file system): who asks hears so, and afterwards all goes on."""

import os
import shutil
import signal
import subprocess
import threading
import time

import pytest

from support import grpc_client, http_client
from support.deadline import SECONDS, eventually
from support.http_client import post_traces
from support.otlp import numbered_keys, numbered_request
from support.syncs import Syncs

# Whatever happens to a test: a process that waits for a frozen disk can't be killed.
FROZEN_SECONDS_MAX = 60


class FreezableDisk:
    """A small ext4 in a file."""

    def __init__(self, directory):
        self.path = directory / "disk"
        self.path.mkdir()
        image = directory / "image"
        if os.geteuid() != 0 or not all(map(shutil.which, ("mkfs.ext4", "fsfreeze", "mount"))):
            pytest.skip("a file system is made and frozen by root only, with mkfs.ext4 and fsfreeze")
        subprocess.run(["truncate", "-s", "32M", image], check=True)
        subprocess.run(["mkfs.ext4", "-q", "-F", image], check=True)
        mounted = subprocess.run(["mount", "-o", "loop", image, self.path], capture_output=True, text=True)
        if mounted.returncode != 0:
            pytest.skip(f"no file system can be mounted here: {mounted.stderr.strip()}")
        self._guard = None

    def freeze(self) -> None:
        self._guard = threading.Timer(FROZEN_SECONDS_MAX, self.thaw)
        self._guard.start()
        subprocess.run(["fsfreeze", "--freeze", self.path], check=True)

    def thaw(self) -> None:
        """No error if it is not frozen."""
        subprocess.run(["fsfreeze", "--unfreeze", self.path], capture_output=True)
        if self._guard:
            self._guard.cancel()

    def unmount(self) -> None:
        self.thaw()
        subprocess.run(["umount", "--lazy", self.path], check=True)


@pytest.fixture
def disk(tmp_path):
    made = FreezableDisk(tmp_path)
    yield made
    made.unmount()


def asked(collector, path: str) -> tuple[http_client.Answer, float]:
    began = time.monotonic()
    answer = collector.get(path)
    return answer, time.monotonic() - began


@pytest.mark.parametrize("sync", ["200ms", "always", "never"])
def test_the_web_endpoints_answer_while_the_disk_hangs(disk, start_collector, tempo, sync):
    collector = start_collector(options={
        "tempo.endpoint": tempo.endpoint, "spool.directory": disk.path / "spool", "spool.sync": sync})
    collector.post(numbered_request(range(10)))
    collector.until_forwarded(10)
    assert collector.count("spool_stalled") == 0
    try:
        disk.freeze()
        answers = []
        sender = threading.Thread(
            target=lambda: answers.append(post_traces(collector.tcp, numbered_request(range(10, 20)))))
        sender.start()
        eventually("unready", lambda: collector.get("/-/ready").status == 503)
        for path, status in (("/-/healthy", 200), ("/-/ready", 503), ("/metrics", 200), ("/", 200)):
            answer, seconds = asked(collector, path)
            assert answer.status == status and seconds < 10, (path, answer, seconds)
        assert b"does not answer" in collector.get("/-/ready").body
        assert b"does not answer" in collector.get("/").body
        page = collector.metrics()
        assert page.value("asynq_collector_spool_stalled") == 1
        missing = ("received_spans_total", "accepted_spans_total", "spool_spans", "forwarded_spans_total")
        assert not [name for name in missing if page.has(f"asynq_collector_{name}")]
        assert page.has("process_cpu_seconds_total") and page.has("asynq_collector_build_info")
        sender.join(SECONDS)
        assert [answer.status for answer in answers] == [503] and int(answers[0].headers["Retry-After"]) >= 1
        # Those that come now need not wait.
        began = time.monotonic()
        assert post_traces(collector.tcp, numbered_request(range(10, 20))).status == 503
        assert time.monotonic() - began < 1
    finally:
        disk.thaw()
    eventually("ready", lambda: collector.get("/-/ready").status == 200)
    refused = collector.count("refused_spans_total", {"reason": "unavailable"})
    assert refused == 20 and collector.count("accepted_spans_total") == 10
    collector.post(numbered_request(range(10, 20)))
    collector.until_forwarded(20)
    tempo.assert_each_once(numbered_keys(range(20)))
    assert collector.count("spool_stalled") == 0
    collector.stop()
    collector.start()
    assert collector.count("spool_recovered_spans") == 0


# --- Writes that do not return, by a preloaded library: unlike with a frozen disk, the process can be ended ---

@pytest.fixture
def syncs(tmp_path):
    if not shutil.which("cc"):
        pytest.skip("needs a C compiler")
    return Syncs(tmp_path)


@pytest.mark.parametrize("sync", ["200ms", "always", "never"])
def test_senders_are_refused_within_a_second_while_a_write_hangs(start_collector, tempo, syncs, sync):
    collector = start_collector(options={"tempo.endpoint": tempo.endpoint, "spool.sync": sync}, env=syncs.environment)
    collector.post(numbered_request(range(5)))
    collector.until_forwarded(5)
    syncs.hang()
    answers: dict[int, tuple[int, float]] = {}

    def send(number: int) -> None:
        began = time.monotonic()
        answers[number] = post_traces(collector.tcp, numbered_request([number])).status, time.monotonic() - began

    senders = [threading.Thread(target=send, args=(number,)) for number in range(5, 15)]
    for sender in senders:
        sender.start()
        time.sleep(0.1)
    for sender in senders:
        sender.join(SECONDS)
    assert {status for status, _ in answers.values()} == {503}, answers
    assert max(seconds for _, seconds in answers.values()) < 1.5, answers
    with grpc_client.client(collector.tcp) as sender:
        assert sender.export(numbered_request([99])).code.name == "UNAVAILABLE"
    assert collector.get("/-/healthy").status == 200
    unready = collector.get("/-/ready")
    assert unready.status == 503 and b"does not answer" in unready.body
    assert collector.metrics().value("asynq_collector_spool_stalled") == 1
    syncs.work()
    eventually("ready", lambda: collector.get("/-/ready").status == 200)
    assert collector.count("refused_spans_total", {"reason": "unavailable"}) == 11
    assert collector.count("accepted_spans_total") == 5 and collector.count("dropped_spans_total") == 0
    collector.post(numbered_request(range(5, 15)))
    collector.until_forwarded(15)
    tempo.assert_each_once(numbered_keys(range(15)))
    collector.stop()
    collector.start()
    assert collector.count("spool_recovered_spans") == 0


def test_a_hung_disk_does_not_keep_the_process_from_its_end(start_collector, tempo, syncs):
    tempo.go_down()
    collector = start_collector(
        options={"tempo.endpoint": tempo.endpoint, "spool.sync": "never"}, env=syncs.environment)
    collector.post(numbered_request(range(5)))
    syncs.hang()
    assert post_traces(collector.tcp, numbered_request([5])).status == 503
    process, began = collector.process, time.monotonic()
    process.send_signal(signal.SIGTERM)
    assert process.wait(SECONDS) == 1
    assert time.monotonic() - began < 9, "expected an end within the grace that is told to systemd"
    collector.process = None
    assert "the end takes too long" in collector.stderr()
    syncs.work()
    tempo.come_up()
    collector.start()
    assert collector.count("spool_recovered_spans") == 5, "what was acknowledged is there, and nothing else"
    collector.until_forwarded(5)
    tempo.assert_each_once(numbered_keys(range(5)))
