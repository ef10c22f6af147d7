"""`run` by another name, and starts that must fail."""

import socket

from support.collector import flags, run_once
from support.http_client import Endpoint, post_traces
from support.otlp import numbered_keys, numbered_request
from support.ports import free_port


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
