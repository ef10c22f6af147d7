"""A spool directory that can't be used ends the start with one line that says what is wrong."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from support.collector import environment, flags, run_once
from support.programs import COLLECTOR

# A user to whom the rights of files mean something.
NOBODY = 65534


@pytest.fixture
def directory():
    """Reachable for everybody, which pytest's own is not."""
    path = Path(tempfile.mkdtemp(prefix="asynq-spool-"))
    path.chmod(0o755)
    yield path
    subprocess.run(["chmod", "-R", "u+rwX", path], check=True)
    shutil.rmtree(path)


def failed_start(spool: Path) -> str:
    """The line that the start ended with. If the tests run as root, the program runs as the user nobody."""
    options = {"redis.url": "none", "otlp.socket": "none", "otlp.listen": "127.0.0.1:0", "metrics.listen": "127.0.0.1:0",
               "tempo.endpoint": "http://127.0.0.1:1", "spool.directory": spool, "log.format": "text"}
    who = {"user": NOBODY, "group": NOBODY, "extra_groups": []} if os.geteuid() == 0 else {}
    ran = subprocess.run([COLLECTOR, "run", *flags(options)], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                         timeout=60, cwd="/", env=environment(), **who)
    assert ran.returncode == 1, ran
    lines = ran.stderr.splitlines()
    assert len(lines) == 1 and "can't start" in lines[0] and "spool.directory" in lines[0], ran.stderr
    return lines[0]


def make(path: Path, mode: int = 0o755, owned: bool = True) -> Path:
    path.mkdir()
    if owned and os.geteuid() == 0:
        os.chown(path, NOBODY, NOBODY)
    path.chmod(mode)
    return path


@pytest.fixture(autouse=True)
def reachable_program():
    if os.geteuid() == 0:
        try:
            subprocess.run([COLLECTOR, "--version"], capture_output=True, check=True, user=NOBODY, group=NOBODY, cwd="/")
        except (PermissionError, subprocess.CalledProcessError):
            pytest.skip("the program lies where nobody else can run it")


def test_a_directory_that_is_read_only(directory):
    spool = make(directory / "spool", 0o555)
    assert f"writing to directory {spool}: Permission denied" in (line := failed_start(spool))
    assert "has mode 555" in line and list(spool.iterdir()) == []


def test_a_directory_that_became_read_only_with_good_files_in_it(directory):
    """No new file could be made: the first full segment would be the end."""
    spool = make(directory / "spool")
    for name in ("lock", "checkpoint"):
        (spool / name).touch()
        (spool / name).chmod(0o666)
    spool.chmod(0o555)
    assert f"writing to directory {spool}: Permission denied" in failed_start(spool)


def test_a_directory_of_somebody_else(directory):
    spool = make(directory / "spool", 0o700 if os.geteuid() == 0 else 0, owned=False)
    line = failed_start(spool)
    assert f"{spool}: Permission denied" in line
    assert f"belongs to user {os.geteuid()}" in line
    assert f"this process is user {NOBODY if os.geteuid() == 0 else os.geteuid()}" in line


def test_a_directory_that_is_missing_and_can_not_be_made(directory):
    directory.chmod(0o555)
    spool = directory / "no" / "where"
    assert f"creating directory {directory / 'no'}: Permission denied" in failed_start(spool)
    assert not spool.exists()


@pytest.mark.parametrize("below", ["", "below"])
def test_a_file_in_its_place(directory, below):
    (directory / "spool").touch()
    assert f"creating directory {directory / 'spool'}: Not a directory" in failed_start(directory / "spool" / below)


@pytest.mark.parametrize("name", ["lock", "checkpoint", "segment-0000000000000001.log"])
def test_a_file_in_it_that_may_not_be_read(directory, name):
    """As after a start by another user."""
    spool = make(directory / "spool", 0o777)
    (spool / name).write_bytes(b"x" * 100)
    (spool / name).chmod(0o600 if os.geteuid() == 0 else 0)
    line = failed_start(spool)
    assert f"{spool / name}: Permission denied" in line and f"belongs to user {os.geteuid()}" in line
    assert (spool / name).stat().st_size == 100


def test_a_file_system_that_is_read_only(directory):
    spool = make(directory / "spool")
    if os.geteuid() != 0 or subprocess.run(["mount", "-t", "tmpfs", "-o", "ro", "tmpfs", spool]).returncode != 0:
        pytest.skip("no tmpfs can be mounted here")
    try:
        assert f"writing to directory {spool}: Read-only file system" in failed_start(spool)
    finally:
        subprocess.run(["umount", spool], check=True)


def test_a_segment_of_a_newer_program(directory):
    spool = make(directory / "spool", 0o777)
    segment = spool / "segment-0000000000000001.log"
    header = b"ASQSPOOL" + (3).to_bytes(4, "little") + (48).to_bytes(4, "little") + bytes(28)
    segment.write_bytes(header + crc32c(header).to_bytes(4, "little") + b"frames of another kind")
    segment.chmod(0o666)
    line = failed_start(spool)
    assert "format version 3 (this program knows 1 to 2)" in line and segment.name in line
    assert segment.stat().st_size == 48 + 22


def crc32c(data: bytes) -> int:
    value = 0xFFFFFFFF
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
    return value ^ 0xFFFFFFFF


def test_a_directory_that_is_missing_is_made(directory, start_collector, tempo):
    spool = directory / "a" / "b"
    start_collector(options={"tempo.endpoint": tempo.endpoint, "spool.directory": spool})
    assert oct(spool.stat().st_mode & 0o777) == "0o750"
    assert {file.name for file in spool.iterdir()} >= {"lock", "checkpoint"}


def test_a_directory_in_use(directory, start_collector, tempo):
    """With the pid of its owner; the spool is as it was."""
    spool = directory / "spool"
    first = start_collector(options={"tempo.endpoint": tempo.endpoint, "spool.directory": spool})
    ran = run_once("run", *flags({
        "redis.url": "none", "otlp.socket": "none", "otlp.listen": "127.0.0.1:0", "metrics.listen": "127.0.0.1:0",
        "tempo.endpoint": tempo.endpoint, "spool.directory": spool}))
    assert ran.returncode == 1 and len(ran.stderr.splitlines()) == 1, ran
    assert f"in use by process {first.process.pid};" in ran.stderr
    assert (spool / "lock").read_text() == f"{first.process.pid}\n"


@pytest.mark.parametrize("name", ["lock", "checkpoint", "segment-0000000000000001.log"])
def test_a_link_in_the_directory_ends_the_start_and_is_not_followed(directory, name):
    victim = directory / "victim"
    victim.write_text("precious")
    victim.chmod(0o666)
    spool = make(directory / "spool")
    (spool / name).symlink_to(victim)
    line = failed_start(spool)
    assert name in line and "link" in line
    assert victim.read_text() == "precious"


def test_a_directory_that_every_user_may_write_to_is_warned_of(start_collector, directory):
    spool = make(directory / "spool", owned=False)
    spool.chmod(0o777)
    collector = start_collector(options={"tempo.endpoint": "http://127.0.0.1:1", "spool.directory": spool})
    assert "mode 0777: every user may write to it" in collector.stderr()
