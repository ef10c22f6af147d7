"""The file of the unix socket: how it is made, what it never takes the place of, and when it goes."""

import grp
import os
import signal
import socket
import stat
import subprocess
from contextlib import contextmanager
from pathlib import Path

import pytest

from support.collector import UNIX_PATH_BYTES_MAX, Collector, environment, flags, run_once
from support.deadline import SECONDS, eventually
from support.http_client import Endpoint, post_traces
from support.otlp import numbered_request
from support.ports import free_port
from support.programs import COLLECTOR

GOOD = numbered_request(range(3))
RACERS = 6


def options(directory: Path, path: Path, **more) -> dict[str, object]:
    return {"redis.url": "none", "otlp.socket": path, "otlp.listen": "none", "metrics.listen": f"127.0.0.1:{free_port()}",
            "spool.directory": directory / "spool"} | more


def refused(directory: Path, path: Path, **more) -> str:
    """What a start that must fail says; never without the path."""
    ran = run_once("run", *flags(options(directory, path, **more)))
    assert ran.returncode == 1, f"expected exit code 1, got {ran}"
    assert str(path) in ran.stderr, f"expected {path} to be named, got {ran.stderr!r}"
    return ran.stderr


def identity(path: Path) -> tuple[int, int]:
    status = path.lstat()
    return status.st_ino, stat.S_IFMT(status.st_mode)


@contextmanager
def listening(path: Path, backlog: int = 5):
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen(backlog)
        yield server


def leave_stale(path: Path) -> None:
    with listening(path):
        pass
    assert path.is_socket()


def assert_serves(path: Path) -> None:
    assert post_traces(Endpoint(path=path), GOOD).status == 200


# --- How it is made ---

@pytest.mark.parametrize("umask", [0o000, 0o022, 0o177], ids=oct)
@pytest.mark.parametrize("mode", ["0660", "0600", "0666"])
def test_its_mode_is_the_configured_one_whatever_the_umask(tmp_path, mode, umask):
    (tmp_path / "spool").mkdir(mode=0o700)
    path = tmp_path / "otlp.sock"
    given = flags(options(tmp_path, path, **{"otlp.socket-mode": mode}))
    with subprocess.Popen([str(COLLECTOR), "run", *given], stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, env=environment(),
                          umask=umask) as process:
        try:
            eventually("it serves", lambda: post_traces(Endpoint(path=path), GOOD).status == 200)
            assert oct(path.stat().st_mode & 0o7777) == oct(int(mode, 8))
        finally:
            process.kill()


def test_its_group_is_the_configured_one(start_collector):
    own = os.getegid()
    others = [entry for entry in grp.getgrall() if entry.gr_gid != own and (os.getuid() == 0 or entry.gr_gid in os.getgroups())]
    if not others:
        pytest.skip("this user is in one group only")
    collector = start_collector(options={"otlp.socket-group": others[0].gr_name})
    status = collector.socket.stat()
    assert (status.st_gid, oct(status.st_mode & 0o777)) == (others[0].gr_gid, "0o660")


def test_an_unknown_group_fails_the_start_and_leaves_no_file(tmp_path):
    path = tmp_path / "otlp.sock"
    assert "no-such-group" in refused(tmp_path, path, **{"otlp.socket-group": "no-such-group"})
    assert not os.path.lexists(path)


def test_a_missing_directory_is_made_and_is_nobody_elses(start_collector, tmp_path):
    path = tmp_path / "a" / "b" / "otlp.sock"
    start_collector(options={"otlp.socket": path})
    assert_serves(path)
    assert not path.parent.stat().st_mode & 0o007, "expected a directory that is closed to others"


def test_a_path_has_107_bytes_at_most(start_collector, tmp_path):
    longest = tmp_path / ("s" * (UNIX_PATH_BYTES_MAX - len(str(tmp_path)) - 1))
    start_collector(options={"otlp.socket": longest})
    assert_serves(longest)
    assert "107 bytes" in refused(tmp_path, Path(f"{longest}s"))


def test_a_directory_that_can_not_be_made_fails_the_start(tmp_path):
    (tmp_path / "file").write_text("kept")
    refused(tmp_path, tmp_path / "file" / "otlp.sock")
    assert (tmp_path / "file").read_text() == "kept"


# --- What is there already ---

def test_a_socket_that_nobody_listens_on_is_replaced(start_collector, tmp_path):
    path = tmp_path / "stale.sock"
    leave_stale(path)
    start_collector(options={"otlp.socket": path})
    assert_serves(path)


def test_a_socket_that_is_listened_on_fails_the_start_and_goes_on(start_collector, tmp_path):
    first = start_collector()
    before = identity(first.socket)
    assert "listens" in refused(tmp_path / "second", first.socket)
    assert identity(first.socket) == before
    assert_serves(first.socket)


def test_a_listener_that_is_too_busy_to_accept_is_one(tmp_path):
    path = tmp_path / "busy.sock"
    with listening(path, backlog=0), socket.socket(socket.AF_UNIX) as waiting:
        waiting.connect(str(path))  # Whoever comes now would wait.
        before = identity(path)
        assert "listens" in refused(tmp_path, path)
        assert identity(path) == before


def _file(path: Path) -> None:
    path.write_text("kept")


def _dangling(path: Path) -> None:
    path.symlink_to(path.parent / "nothing")


def _link_to_stale(path: Path) -> None:
    leave_stale(path.parent / "target.sock")
    path.symlink_to(path.parent / "target.sock")


def _link_to_file(path: Path) -> None:
    _file(path.parent / "target")
    path.symlink_to(path.parent / "target")


@pytest.mark.parametrize("make", [_file, Path.mkdir, os.mkfifo, _dangling, _link_to_stale, _link_to_file],
                         ids=["file", "directory", "fifo", "dangling link", "link to a stale socket", "link to a file"])
def test_what_is_no_socket_fails_the_start_and_stays(tmp_path, make):
    path = tmp_path / "otlp.sock"
    make(path)
    before = sorted((entry.name, identity(entry)) for entry in tmp_path.iterdir())
    assert "is not a socket" in refused(tmp_path / "elsewhere", path)
    after = sorted((entry.name, identity(entry)) for entry in tmp_path.iterdir() if entry.name != "elsewhere")
    assert after == before, "expected everything as it was"


def test_a_link_to_a_live_socket_is_none(start_collector, tmp_path):
    first = start_collector()
    link = tmp_path / "link.sock"
    link.symlink_to(first.socket)
    assert "is not a socket" in refused(tmp_path / "second", link)
    assert_serves(link)


def test_a_socket_of_another_kind_stays(tmp_path):
    path = tmp_path / "datagrams.sock"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as server:
        server.bind(str(path))
        before = identity(path)
        refused(tmp_path, path)
        assert identity(path) == before


def test_one_of_two_listeners_that_fails_takes_the_socket_of_the_other_along(tmp_path):
    path = tmp_path / "otlp.sock"
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        ran = run_once("run", *flags(options(tmp_path, path, **{"otlp.listen": address})))
    assert (ran.returncode, address in ran.stderr) == (1, True), ran
    assert not os.path.lexists(path), "expected no file of a collector that did not start"


# --- When it goes ---

@pytest.mark.parametrize("replace", [leave_stale, _file, Path.mkdir, _dangling], ids=["socket", "file", "directory", "link"])
def test_the_end_removes_nothing_that_is_not_its_own(start_collector, replace):
    collector = start_collector()
    collector.socket.unlink()
    replace(collector.socket)
    before = identity(collector.socket)
    collector.stop()
    assert identity(collector.socket) == before


def test_the_end_is_no_fault_when_the_socket_is_gone(start_collector):
    collector = start_collector()
    collector.socket.unlink()
    collector.stop(signal.SIGINT)
    assert "error" not in collector.stderr().lower(), collector.stderr()


def test_a_collector_that_was_killed_leaves_a_socket_that_the_next_one_takes(start_collector):
    first = start_collector()
    first.kill()
    assert first.socket.is_socket()
    second: Collector = start_collector()
    assert_serves(second.socket)
    second.stop()
    assert not second.socket.exists()


# --- Two at a time ---

@pytest.mark.parametrize("stale", [True, False], ids=["stale", "nothing there"])
def test_one_of_many_that_start_for_one_path_gets_it(tmp_path, stale):
    path = tmp_path / "otlp.sock"
    if stale:
        leave_stale(path)
    ports = [free_port() for _ in range(RACERS)]
    racers = []
    for number, port in enumerate(ports):
        given = options(tmp_path / str(number), path, **{"metrics.listen": f"127.0.0.1:{port}"})
        racers.append(subprocess.Popen([str(COLLECTOR), "run", *flags(given)], stdin=subprocess.DEVNULL,
                                       stderr=subprocess.PIPE, env=environment()))
    try:
        eventually("all but one have ended", lambda: sum(racer.poll() is None for racer in racers) == 1)
        winner = next(racer for racer in racers if racer.poll() is None)
        eventually("the winner serves", lambda: post_traces(Endpoint(path=path), GOOD).status == 200)
        losers = [(racer.returncode, racer.stderr.read().decode()) for racer in racers if racer is not winner]
        assert all(code == 1 and str(path) in said for code, said in losers), f"expected {path} in each of {losers}"
        winner.terminate()
        assert winner.wait(SECONDS) == 0
        assert not os.path.lexists(path)
    finally:
        for racer in racers:
            racer.kill()
            racer.wait()
            racer.stderr.close()


@pytest.mark.parametrize("replacement", [None, "a file", "a socket of another"])
def test_a_socket_whose_file_is_removed_is_made_again(start_collector, replacement):
    collector = start_collector()
    connection = Endpoint(path=collector.socket)
    old = identity(collector.socket)
    collector.socket.unlink()
    if replacement == "a file":
        collector.socket.write_text("not a socket")
        eventually("not ready, and why", lambda: collector.get("/-/ready").status == 503)
        assert f"the file of the socket unix://{collector.socket} is gone" in collector.get("/-/ready").body.decode()
        eventually("a line in the log", lambda: "can't be made again" in collector.stderr())
        collector.socket.unlink()
    elif replacement == "a socket of another":
        leave_stale(collector.socket)
    eventually("a socket again", lambda: collector.socket.is_socket() and identity(collector.socket) != old)
    eventually("ready", lambda: collector.get("/-/ready").status == 200)
    assert post_traces(connection, GOOD).status == 200
    eventually("a line in the log", lambda: "listening on a new one" in collector.stderr())
    collector.stop()
    assert not collector.socket.exists()
