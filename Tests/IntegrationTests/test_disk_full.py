"""A disk without room: requests are refused so that senders try again, /-/ready says so, and it mends itself."""

import os
import subprocess

import pytest

from support import http_client
from support.deadline import eventually, holds_for
from support.otlp import attributes, numbered_keys, numbered_span, request

DISK_KIB = 2048
# About 30 KiB a request, so that the end of the disk comes in the middle of a frame.
SPANS_PER_REQUEST = 30
PADDING = attributes(padding="x" * 900)


class SmallDisk:
    """A tmpfs of a size."""

    def __init__(self, path):
        self.path = path
        path.mkdir()
        if os.geteuid() != 0:
            pytest.skip("a tmpfs is mounted by root only")
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK_KIB}k", "tmpfs", str(path)],
                                 capture_output=True, text=True)
        if mounted.returncode != 0:
            pytest.skip(f"no tmpfs can be mounted here: {mounted.stderr.strip()}")

    def grow(self, kib: int) -> None:
        subprocess.run(["mount", "-o", f"remount,size={kib}k", str(self.path)], check=True)

    def free_bytes(self) -> int:
        found = os.statvfs(self.path)
        return found.f_bavail * found.f_frsize

    def unmount(self) -> None:
        subprocess.run(["umount", "--lazy", str(self.path)], check=True)


@pytest.fixture
def small_disk(tmp_path):
    disk = SmallDisk(tmp_path / "disk")
    yield disk
    disk.unmount()


def post(collector, first: int) -> http_client.Answer:
    numbers = range(first, first + SPANS_PER_REQUEST)
    body = request(*(numbered_span(number, attributes=PADDING) for number in numbers))
    return http_client.post_traces(collector.tcp, body)


def fill(collector, first: int = 0) -> tuple[set[int], http_client.Answer]:
    """The numbers that were acknowledged, and the first answer that was no acknowledgement."""
    acknowledged: set[int] = set()
    while (answer := post(collector, first)).status == 200:
        acknowledged.update(range(first, first + SPANS_PER_REQUEST))
        first += SPANS_PER_REQUEST
        assert first < 100_000, "expected the disk to be full at last"
    return acknowledged, answer


def options_on(disk: SmallDisk, tempo, sync: str) -> dict:
    return {"tempo.endpoint": tempo.endpoint, "tempo.retry.max": "200ms", "spool.directory": disk.path,
            "spool.sync": sync}


def readiness(collector) -> http_client.Answer:
    return collector.get("/-/ready")


@pytest.mark.parametrize("sync", ["200ms", "always", "never"])
def test_a_full_disk_refuses_until_there_is_room_and_nobody_has_to_ask(start_collector, tempo, small_disk, sync):
    tempo.go_down()
    collector = start_collector(options=options_on(small_disk, tempo, sync))
    acknowledged, refusal = fill(collector)
    assert len(acknowledged) * 900 > DISK_KIB * 1024 / 2, "expected the disk to take something first"
    assert refusal.status == 503 and int(refusal.headers["Retry-After"]) >= 1, refusal
    unready = readiness(collector)
    assert unready.status == 503 and b"No space left on device" in unready.body, unready
    assert collector.get("/-/healthy").status == 200
    assert collector.count("refused_spans_total", {"reason": "unavailable"}) == SPANS_PER_REQUEST
    assert collector.count("spool_spans") == len(acknowledged)
    # Half a frame that did not fit is gone: as long as there is no room, no try leaves anything behind.
    before = small_disk.free_bytes()
    for _ in range(20):
        assert post(collector, 90_000).status == 503
    assert small_disk.free_bytes() == before
    holds_for("it stays unready", lambda: readiness(collector).status == 503, seconds=1.5)

    small_disk.grow(2 * DISK_KIB)
    eventually("ready by itself", lambda: readiness(collector).status == 200)
    assert post(collector, 90_000).status == 200
    acknowledged.update(range(90_000, 90_000 + SPANS_PER_REQUEST))
    tempo.come_up()
    collector.until_forwarded(len(acknowledged))
    tempo.assert_each_once(numbered_keys(acknowledged))
    assert collector.count("dropped_spans_total") == 0
    assert collector.count("spool_corrupt_frames_total") == 0


def test_what_is_sent_makes_room_on_a_full_disk(start_collector, tempo, small_disk):
    tempo.go_down()
    collector = start_collector(options=options_on(small_disk, tempo, "200ms"))
    acknowledged, _ = fill(collector)
    tempo.come_up()
    eventually("ready by itself", lambda: readiness(collector).status == 200)
    more, _ = fill_some(collector, 50_000)
    collector.until_forwarded(len(acknowledged) + len(more))
    tempo.assert_each_once(numbered_keys(acknowledged | more))


def fill_some(collector, first: int) -> tuple[set[int], int]:
    """Ten requests, each tried until it is acknowledged."""
    numbers = range(first, first + 10 * SPANS_PER_REQUEST)
    for start in numbers[::SPANS_PER_REQUEST]:
        eventually("an acknowledgement", lambda: post(collector, start).status == 200)
    return set(numbers), numbers.stop


def test_a_kill_and_a_start_on_a_full_disk_lose_nothing(start_collector, tempo, small_disk):
    tempo.go_down()
    options = options_on(small_disk, tempo, "200ms")
    first = start_collector(options=options)
    acknowledged, _ = fill(first)
    first.kill()
    second = start_collector(options=options)
    assert second.count("spool_recovered_spans") == len(acknowledged)
    assert post(second, 90_000).status == 503
    tempo.come_up()
    second.until_forwarded(len(acknowledged))
    tempo.assert_each_once(numbered_keys(acknowledged))
    eventually("ready by itself", lambda: readiness(second).status == 200)


def test_the_bound_refuses_and_is_no_failure(start_collector, tempo):
    """spool.max-bytes is reached: the sender hears 429 and when to come again; the collector is as ready as it can be."""
    tempo.go_down()
    collector = start_collector(options={
        "tempo.endpoint": tempo.endpoint, "tempo.retry.max": "200ms", "spool.max-bytes": "1MiB"})
    acknowledged, refusal = fill(collector)
    assert refusal.status == 429 and int(refusal.headers["Retry-After"]) >= 1, refusal
    assert readiness(collector).status == 200
    held = sum(file.stat().st_size for file in collector.spool.iterdir())
    assert 2**19 < held <= 2**20, held
    assert collector.count("refused_spans_total", {"reason": "spool_full"}) == SPANS_PER_REQUEST
    tempo.come_up()
    collector.until_forwarded(len(acknowledged))
    assert post(collector, 90_000).status == 200
    collector.until_forwarded(len(acknowledged) + SPANS_PER_REQUEST)
    tempo.assert_each_once(numbered_keys(acknowledged | set(range(90_000, 90_000 + SPANS_PER_REQUEST))))
