"""A disk that neither answers nor fails (a frozen file system): who asks hears so, and afterwards all goes on."""

import os
import shutil
import subprocess
import threading
import time

import pytest

from support import http_client
from support.deadline import SECONDS, eventually
from support.http_client import post_traces
from support.otlp import numbered_keys, numbered_request

# Whatever happens to a test: nobody can be killed who waits for a frozen disk.
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
        assert not answers, "expected no acknowledgement"
    finally:
        disk.thaw()
    sender.join(SECONDS)
    assert [answer.status for answer in answers] == [200]
    eventually("ready", lambda: collector.get("/-/ready").status == 200)
    collector.until_forwarded(20)
    tempo.assert_each_once(numbered_keys(range(20)))
    assert collector.count("spool_stalled") == 0
    collector.stop()
    collector.start()
    assert collector.count("spool_recovered_spans") == 0
