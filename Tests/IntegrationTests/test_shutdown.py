"""SIGTERM and SIGINT: in time, exit code 0, nothing acknowledged lost, no socket file left."""

import signal

import pytest

from support.deadline import eventually
from support.http_client import Connection, encoded
from support.load import Load
from support.otlp import numbered_keys, numbered_request


@pytest.mark.parametrize("with_signal", [signal.SIGTERM, signal.SIGINT], ids=lambda s: s.name)
def test_an_idle_collector_ends_at_once_and_removes_its_socket(start_collector, tempo, with_signal):
    collector = start_collector(options={"tempo.endpoint": tempo.endpoint})
    assert collector.socket.is_socket()
    collector.stop(with_signal)
    assert not collector.socket.exists()


def test_requests_in_flight_are_answered_and_what_was_acknowledged_arrives(start_collector, tempo):
    options = {"tempo.endpoint": tempo.endpoint}
    collector = start_collector(options=options)
    load = Load([collector.tcp, collector.unix, collector.tcp, collector.unix])
    eventually("some acknowledgements", lambda: len(load.acknowledged) >= 500)
    collector.stop()
    load.wait()
    assert set(load.answers) <= {200, 429, 503}, set(load.answers)
    assert not collector.socket.exists()
    recovered = start_collector(options=options)
    eventually("an empty spool", lambda: recovered.count("spool_spans") == 0)
    missing = numbered_keys(load.acknowledged) - set(tempo.times_stored())
    assert not missing, f"{len(missing)} of {len(load.acknowledged)} acknowledged spans are missing"
    twice = [key for key, count in tempo.times_stored().items() if count > 1]
    assert not twice, f"expected an orderly end to send nothing twice, {len(twice)} spans came twice"


def test_what_tempo_did_not_take_waits_for_the_next_start(start_collector, tempo):
    tempo.go_down()
    options = {"tempo.endpoint": tempo.endpoint, "tempo.retry.max": "500ms"}
    first = start_collector(options=options)
    first.post(numbered_request(range(500)))
    first.stop()
    second = start_collector(options=options)
    assert second.count("spool_recovered_spans") == 500
    tempo.come_up()
    second.until_forwarded(500)
    tempo.assert_each_once(numbered_keys(range(500)))


def test_a_tempo_that_never_answers_does_not_hold_up_the_end(start_collector, tempo):
    options = {"tempo.endpoint": tempo.endpoint}
    first = start_collector(options=options)
    tempo.hold()
    first.post(numbered_request(range(100)))
    eventually("a request in flight", lambda: tempo.requests)
    first.stop()
    tempo.release()
    start_collector(options=options).until_forwarded(100)
    assert set(tempo.times_stored()) == numbered_keys(range(100))


def test_open_idle_connections_do_not_hold_up_the_end(start_collector):
    collector = start_collector()
    connections = [Connection(endpoint) for endpoint in (collector.tcp, collector.unix, collector.web)]
    for connection in connections[:2]:
        assert connection.ask("POST", "/v1/traces", *encoded(numbered_request(range(1)))).status == 200
    assert connections[2].ask("GET", "/metrics").status == 200
    half_sent = Connection(collector.tcp)
    half_sent.putrequest("POST", "/v1/traces")
    half_sent.putheader("Content-Type", "application/x-protobuf")
    half_sent.putheader("Content-Length", "1000")
    half_sent.endheaders(b"only the beginning")
    collector.stop()
    for connection in [*connections, half_sent]:
        connection.close()
