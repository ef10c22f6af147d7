"""Upgrading and going back, as docs/UPGRADING.md says: what one program left in the spool, the other one sends.

Older programs are those that the environment variable `ASYNQ_COLLECTOR_TEST_OLDER` names, separated by `:`. Without it, the spools
that older programs left in Tests/Fixtures are what is tried.
"""

import os
import shutil
import subprocess

import pytest

from support.collector import Collector, environment, flags
from support.otlp import numbered_keys, numbered_request
from support.programs import COLLECTOR, FIXTURES

OLDER = [path for path in os.environ.get("ASYNQ_COLLECTOR_TEST_OLDER", "").split(":") if path]
needs_older = pytest.mark.skipif(not OLDER, reason="ASYNQ_COLLECTOR_TEST_OLDER names no older programs")


@pytest.mark.parametrize("fixture, spans", [("spool-version-1", 10), ("spool-checkpoint-1", 9)])
def test_what_an_older_program_left_is_sent(start_collector, tempo, tmp_path, fixture, spans):
    shutil.copytree(FIXTURES / fixture, tmp_path / "spool")
    collector = start_collector(options={"tempo.endpoint": tempo.endpoint})
    collector.until_forwarded(spans)
    assert collector.balanced_metrics().value("asynq_collector_spool_recovered_spans") == spans
    assert len(tempo.stored) == spans


def test_a_spool_of_a_newer_format_ends_the_start_and_stays_as_it_is(tmp_path):
    spool = shutil.copytree(FIXTURES / "spool-version-1", tmp_path / "spool")
    segment = spool / "segment-0000000000000001.log"
    content = bytearray(segment.read_bytes())
    content[8:12] = (3).to_bytes(4, "little")
    # The checksum of the header: without it the header counts as damaged, and the frames are read.
    content[36:40] = crc32c(bytes(content[:36])).to_bytes(4, "little")
    segment.write_bytes(content)
    options = {"redis.url": "none", "otlp.socket": "none", "otlp.listen": "127.0.0.1:0", "metrics.listen": "127.0.0.1:0",
               "tempo.endpoint": "http://127.0.0.1:1", "spool.directory": spool, "log.format": "text"}
    ran = subprocess.run([COLLECTOR, "run", *flags(options)], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                         timeout=60, env=environment())
    assert ran.returncode == 1, ran
    assert "a segment of format version 3 (this program knows 1 to 2)" in ran.stderr
    assert segment.read_bytes() == content


def crc32c(data: bytes) -> int:
    checksum = 0xFFFF_FFFF
    for byte in data:
        checksum ^= byte
        for _ in range(8):
            checksum = checksum >> 1 ^ (0x82F6_3B78 if checksum & 1 else 0)
    return checksum ^ 0xFFFF_FFFF


# --- Programs that were built before ---


def running(program: str, **options) -> dict:
    """Arguments of `Collector` with which it starts this program in place of the one under test."""
    return {"launcher": ("sh", "-c", 'program=$1; shift 2; exec "$program" "$@"', "sh", program), "options": options}


def left_by(program: str, tmp_path, tempo) -> tuple[set, set]:
    """What it sent, and what it has in the spool at its end, while the backend is down."""
    collector = Collector(tmp_path, **running(program, **{"tempo.endpoint": tempo.endpoint})).start()
    collector.post(numbered_request(range(100)))
    collector.until_forwarded(100)
    tempo.go_down()
    for first in range(100, 400, 50):
        collector.post(numbered_request(range(first, first + 50)))
    collector.stop()
    tempo.come_up()
    return numbered_keys(range(100)), numbered_keys(range(100, 400))


@needs_older
@pytest.mark.parametrize("older", OLDER)
@pytest.mark.parametrize("way", ["up", "back"])
def test_the_other_program_sends_what_one_left(tmp_path, tempo, older, way):
    first, second = (older, str(COLLECTOR)) if way == "up" else (str(COLLECTOR), older)
    sent, left = left_by(first, tmp_path, tempo)
    collector = Collector(tmp_path, **running(second, **{"tempo.endpoint": tempo.endpoint})).start()
    tempo.until_stored(sent | left)
    times = tempo.times_stored()
    assert {times[key] for key in left} == {1}
    # An older program may not know the newer form of the checkpoint, and sends again what still lies in the files.
    assert {times[key] for key in sent} <= ({1} if way == "up" else {1, 2})
    collector.stop()


@needs_older
@pytest.mark.parametrize("older", OLDER)
def test_there_and_back_and_there_again(tmp_path, tempo, older):
    for round_number, program in enumerate([older, str(COLLECTOR), older, str(COLLECTOR)]):
        tempo.go_down()
        collector = Collector(tmp_path, **running(program, **{"tempo.endpoint": tempo.endpoint})).start()
        collector.post(numbered_request(range(100 * round_number, 100 * round_number + 100)))
        collector.kill() if round_number % 2 else collector.stop()
        tempo.come_up()
    collector = Collector(tmp_path, **running(str(COLLECTOR), **{"tempo.endpoint": tempo.endpoint})).start()
    tempo.until_stored(numbered_keys(range(400)))
    collector.stop()
