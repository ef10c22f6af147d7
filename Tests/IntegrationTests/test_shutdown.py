"""SIGTERM and SIGINT: in time, exit code 0, nothing acknowledged lost, no socket file left."""

import signal

import pytest
from grpc import StatusCode

from support.deadline import eventually, fast_enough, seconds_of
from support.http_client import Connection, encoded
from support.http2_client import (DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, connection, frame, framed,
                                  frames_in, grpc_headers, until_closed)
from support.load import GRPCLoad, Load
from support.otlp import numbered_keys, numbered_request


@pytest.mark.parametrize("with_signal", [signal.SIGTERM, signal.SIGINT], ids=lambda s: s.name)
def test_an_idle_collector_ends_at_once_and_removes_its_socket(start_collector, tempo, with_signal):
    collector = start_collector(options={"tempo.endpoint": tempo.endpoint})
    assert collector.socket.is_socket()
    collector.stop(with_signal)
    assert not collector.socket.exists()


@pytest.mark.parametrize("make_load, allowed", [
    (Load, {200, 429, 503}), (GRPCLoad, {"OK", "UNAVAILABLE"}),
], ids=["http", "grpc"])
def test_requests_in_flight_are_answered_and_what_was_acknowledged_arrives(start_collector, tempo, make_load, allowed):
    """Whatever else a client sees, it is something that it retries."""
    options = {"tempo.endpoint": tempo.endpoint}
    collector = start_collector(options=options)
    load = make_load([collector.tcp, collector.unix, collector.tcp, collector.unix])
    eventually("some acknowledgements", lambda: len(load.acknowledged) >= 500)
    collector.stop()
    load.wait()
    assert set(load.answers) <= allowed, set(load.answers)
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


def test_a_call_that_has_begun_is_answered_after_goaway_and_later_ones_are_not_looked_at(start_collector, tempo):
    collector = start_collector(options={"tempo.endpoint": tempo.endpoint})
    body = framed(numbered_request(range(10)))
    with connection(collector.unix) as client:
        begun = client.start(grpc_headers())
        client.send(begun, body[:100])
        # Once this is answered, the one that has begun before it has arrived, too.
        answered = client.start(grpc_headers())
        client.send(answered, framed(b""), end=True)
        assert client.until_answered(answered).grpc_status == StatusCode.OK.value[0]
        collector.process.send_signal(signal.SIGTERM)
        # To the h2 package the connection ends with GOAWAY: by hand from here.
        goaway = b""
        while not (frames := [payload for kind, _, payload in frames_in(goaway) if kind == GOAWAY]):
            goaway += client.socket.recv(1000)
        assert frames == [answered.to_bytes(4, "big") + bytes(4)], "expected the last stream, and no error"
        client.socket.sendall(frame(DATA, END_STREAM, begun, body[100:]) + frame(HEADERS, END_HEADERS, answered + 2))
        answers = {stream: fields for kind, stream, payload in frames_in(until_closed(client.socket)) if kind == HEADERS
                   for fields in [dict(client.h2.decoder.decode(payload))]}
    assert {stream: fields["grpc-status"] for stream, fields in answers.items()} == {begun: "0"}
    collector.stop()
    assert numbered_keys(range(10)) <= set(tempo.times_stored())


def test_idle_grpc_connections_do_not_hold_up_the_end(start_collector):
    def end() -> float:
        collector = start_collector()
        with connection(collector.tcp) as client, connection(collector.unix) as silent:
            assert client.ask(grpc_headers(), framed(b"")).grpc_status == StatusCode.OK.value[0]
            assert silent.ask(grpc_headers(), framed(b"")).grpc_status == StatusCode.OK.value[0]
            # Neither client reads, so neither echoes the PING that goes with GOAWAY.
            return seconds_of(collector.stop)

    fast_enough("an end", 2, end)
