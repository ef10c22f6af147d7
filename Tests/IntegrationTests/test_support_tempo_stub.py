"""The stub behaves as Tempo was observed to behave. Needs no collector."""

import gzip
import http.client
import zlib

import pytest
import zstandard

from support import otlp
from support.http_client import PROTOBUF, Connection, Endpoint, ask, encoded, post_traces
from support.otlp import numbered_keys, numbered_request, numbered_span


@pytest.fixture
def endpoint(tempo):
    return Endpoint(port=tempo.port)


@pytest.mark.parametrize("chunked", [False, True], ids=["whole", "chunked"])
@pytest.mark.parametrize("compress", [False, True], ids=["plain", "gzip"])
def test_stores_good_requests_and_says_so_with_an_empty_partial_success(tempo, endpoint, compress, chunked):
    answer = post_traces(endpoint, numbered_request(range(3)), compress=compress, chunked=chunked)
    assert (answer.status, answer.body) == (200, b"\x0a\x00")
    tempo.assert_each_once(numbered_keys(range(3)))
    assert otlp.Span.FromString(tempo.stored[1].span) == numbered_span(1)


def test_keeps_a_connection_open_for_the_next_request(tempo, endpoint):
    connection = Connection(endpoint)
    for number in range(3):
        assert connection.ask("POST", "/v1/traces", *encoded(numbered_request(range(number, number + 1)))).status == 200
    connection.close()
    tempo.assert_each_once(numbered_keys(range(3)))


def test_stores_a_repeated_span_twice(tempo, endpoint):
    for _ in range(2):
        post_traces(endpoint, numbered_request(range(1)))
    assert set(tempo.times_stored().values()) == {2}


GOOD = numbered_request(range(2))


@pytest.mark.parametrize("method, path, headers, body, status", [
    ("POST", "/v1/traces", PROTOBUF | {"Content-Encoding": "identity"}, GOOD, 400),
    ("POST", "/v1/traces", PROTOBUF | {"Content-Encoding": "gzip"}, GOOD, 400),
    ("POST", "/v1/traces", PROTOBUF | {"Content-Encoding": "gzip"}, gzip.compress(GOOD)[:-9], 400),
    ("POST", "/v1/traces", PROTOBUF | {"Content-Encoding": "deflate"}, zlib.compress(GOOD), 200),
    ("POST", "/v1/traces", PROTOBUF | {"Content-Encoding": "zstd"}, zstandard.compress(GOOD), 200),
    ("POST", "/v1/traces", PROTOBUF | {"Content-Encoding": "zstd"}, zstandard.compress(GOOD)[:-1], 400),
    ("POST", "/v1/traces", PROTOBUF | {"Content-Encoding": "zstd"}, GOOD, 400),
    ("POST", "/v1/traces", PROTOBUF, GOOD[:-1], 400),
    ("POST", "/v1/traces", PROTOBUF, b"", 200),
    ("POST", "/v1/traces", PROTOBUF | {"Content-Encoding": "gzip"}, gzip.compress(bytes(20 * 1024 * 1024 + 1)), 400),
    ("POST", "/v1/trace", PROTOBUF, GOOD, 404),
    ("GET", "/v1/traces", {}, None, 405),
    ("POST", "/v1/traces", {}, GOOD, 415),
    ("POST", "/v1/traces", {"Content-Type": "text/plain"}, GOOD, 415),
])
def test_answers_with_the_status_of_the_table(tempo, endpoint, method, path, headers, body, status):
    answer = ask(endpoint, method, path, body, headers)
    assert answer.status == status, answer
    if status == 400:
        assert otlp.status(answer.body)[1], "expected a google.rpc.Status with a message"
    assert len(tempo.stored) == (2 if status == 200 and body else 0)


@pytest.mark.parametrize("bad", [
    {"trace_id": b""}, {"trace_id": bytes(16)}, {"trace_id": b"x" * 15}, {"trace_id": b"x" * 17},
    {"span_id": b""}, {"span_id": bytes(8)}, {"span_id": b"x" * 7}, {"span_id": b"x" * 9},
], ids=str)
def test_refuses_a_whole_batch_for_one_bad_id(tempo, endpoint, bad):
    answer = post_traces(endpoint, otlp.request(numbered_span(0), numbered_span(1, **bad)))
    assert answer.status == 400
    assert tempo.stored == []


def test_answers_with_a_fault_as_often_as_told(tempo, endpoint):
    tempo.answer(429, {"Retry-After": "5"}, times=2)
    answers = [post_traces(endpoint, numbered_request(range(1))) for _ in range(3)]
    assert [answer.status for answer in answers] == [429, 429, 200]
    assert answers[0].headers["Retry-After"] == "5"
    tempo.assert_each_once(numbered_keys(range(1)))


def test_refuses_connections_while_down_and_takes_them_again_on_the_same_port(tempo, endpoint):
    kept_open = Connection(endpoint)
    kept_open.ask("POST", "/v1/traces", *encoded(numbered_request(range(1))))
    tempo.go_down()
    with pytest.raises(ConnectionRefusedError):
        post_traces(endpoint, GOOD)
    kept_open.auto_open = False
    with pytest.raises((OSError, http.client.HTTPException)):
        kept_open.ask("POST", "/v1/traces", *encoded(GOOD))
    kept_open.close()
    tempo.come_up()
    assert post_traces(endpoint, GOOD).status == 200


def test_holds_an_answer_until_told_to_go_on(tempo, endpoint):
    tempo.hold()
    connection = Connection(endpoint)
    connection.request("POST", "/v1/traces", GOOD, PROTOBUF)
    tempo.until_stored(numbered_keys(range(2)))
    assert tempo.requests[0].status is None
    tempo.release()
    assert connection.getresponse().status == 200
    connection.close()
