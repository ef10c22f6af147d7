"""`run` by another name, and starts that must fail."""

import socket
import subprocess

import pytest

from support import faked_clock
from support.collector import environment, flags, run_once
from support.deadline import SECONDS
from support.http_client import Endpoint, post_traces
from support.otlp import numbered_keys, numbered_request
from support.ports import free_port
from support.programs import COLLECTOR


def test_the_command_run_may_be_left_out(start_collector, tempo):
    collector = start_collector(options={"tempo.endpoint": tempo.endpoint}, command=())
    collector.post(numbered_request(range(3)))
    tempo.until_stored(numbered_keys(range(3)))


def test_a_whole_configuration_may_come_from_the_environment(start_collector, tempo):
    collector = start_collector(env={"ASYNQ_COLLECTOR_TEMPO_ENDPOINT": tempo.endpoint})
    collector.post(numbered_request(range(3)))
    tempo.until_stored(numbered_keys(range(3)))


def test_each_of_several_addresses_receives(start_collector):
    ports = [free_port(), free_port()]
    collector = start_collector(options={"otlp.listen": ",".join(f"127.0.0.1:{port}" for port in ports)})
    for endpoint in [Endpoint(port=port) for port in ports] + [collector.unix]:
        assert post_traces(endpoint, numbered_request(range(3))).status == 200
    assert collector.count("accepted_spans_total") == 9


def test_the_socket_has_the_mode_of_the_configuration(start_collector):
    collector = start_collector(options={"otlp.socket-mode": "0600"})
    assert oct(collector.socket.stat().st_mode & 0o777) == "0o600"


def test_a_port_that_is_taken_fails_the_start_by_name(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        ran = run_once("run", *flags({
            "redis.url": "none", "otlp.socket": tmp_path / "otlp.sock", "otlp.listen": address,
            "metrics.listen": f"127.0.0.1:{free_port()}", "spool.directory": tmp_path / "spool"}))
    assert ran.returncode == 1, f"expected exit code 1, got {ran}"
    assert address in ran.stderr, f"expected {address} in {ran.stderr!r}"


# --- Odd surroundings ---

def without_proc() -> tuple[str, ...]:
    launcher = ("unshare", "-rm", "sh", "-c", 'mount -t tmpfs none /proc && exec "$@"', "sh")
    if subprocess.run([*launcher, "true"], capture_output=True).returncode != 0:
        pytest.skip("no mount namespaces here")
    return launcher


@pytest.mark.parametrize("preloads", [False, True], ids=["plain", "with a preloaded library that moves the environment"])
def test_flags_are_read_where_there_is_no_proc(preloads):
    launcher = without_proc()
    preloaded = environment(faked_clock.frozen_at(1_700_000_000 * 10**9) if preloads else {})
    ran = subprocess.run([*launcher, str(COLLECTOR), "check-config", "--redis-interval", "7s"],
                         capture_output=True, text=True, env=preloaded, timeout=SECONDS)
    assert ran.returncode == 0 and "interval: 7s" in ran.stdout, ran


def test_it_runs_where_there_is_no_proc(start_collector, tempo):
    collector = start_collector(options={"tempo.endpoint": tempo.endpoint}, launcher=without_proc())
    collector.post(numbered_request(range(3)))
    collector.until_forwarded(3)
    assert not collector.metrics().has("process_open_fds")
    # libdispatch, where something uses it, traps in one of some fifteen ends.
    for _ in range(10):
        collector.stop()
        collector.start()


def test_a_clock_beyond_the_year_2262_stands_still_and_traps_nothing(start_collector, tempo):
    collector = start_collector(options={"tempo.endpoint": tempo.endpoint},
                                env=faked_clock.frozen_at(10_413_792_000 * 10**9))
    collector.post(numbered_request(range(3)))
    collector.until_forwarded(3)
    for path in ("/metrics", "/", "/api/v1/overview"):
        assert collector.get(path).status == 200
    assert "2262-04-11" in collector.stderr()
