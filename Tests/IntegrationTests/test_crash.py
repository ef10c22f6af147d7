"""kill -9: what was acknowledged is not lost, and only what was in flight may come twice."""

import pytest

from support.collector import flags, run_once
from support.deadline import eventually
from support.http_client import post_traces
from support.otlp import numbered_keys, numbered_request
from support.ports import free_port

REQUESTS, SPANS_PER_REQUEST = 20, 50
TOTAL = REQUESTS * SPANS_PER_REQUEST


def post_numbered(collector, total: int = TOTAL, first: int = 0) -> None:
    for start in range(first, first + total, SPANS_PER_REQUEST):
        collector.post(numbered_request(range(start, start + SPANS_PER_REQUEST)))


@pytest.mark.parametrize("sync", ["200ms", "always", "never"])
def test_spans_acknowledged_while_tempo_was_away_arrive_after_a_kill(start_collector, tempo, sync):
    tempo.go_down()
    options = {"tempo.endpoint": tempo.endpoint, "spool.sync": sync}
    first = start_collector(options=options)
    post_numbered(first)
    first.kill()
    tempo.come_up()
    second = start_collector(options=options)
    assert second.metrics().value("asynq_collector_spool_recovered_spans") == TOTAL
    second.until_forwarded(TOTAL)
    tempo.assert_each_once(numbered_keys(range(TOTAL)))


def test_a_spool_that_is_killed_again_and_again_keeps_everything(start_collector, tempo):
    tempo.go_down()
    options = {"tempo.endpoint": tempo.endpoint}
    for round_number in range(3):
        collector = start_collector(options=options)
        recovered = collector.metrics().value("asynq_collector_spool_recovered_spans")
        assert recovered == round_number * TOTAL
        post_numbered(collector, first=round_number * TOTAL)
        assert collector.count("spool_spans") == (round_number + 1) * TOTAL
        collector.kill()
    tempo.come_up()
    start_collector(options=options).until_forwarded(3 * TOTAL)
    tempo.assert_each_once(numbered_keys(range(3 * TOTAL)))


def test_only_what_was_in_flight_comes_twice(start_collector, tempo):
    options = {"tempo.endpoint": tempo.endpoint, "tempo.batch.max-spans": 200}
    first = start_collector(options=options | {"tempo.headers": "X-Life=1"})
    post_numbered(first)
    first.until_forwarded(TOTAL)
    tempo.hold()
    post_numbered(first, first=TOTAL)
    eventually("a request in flight", lambda: [r for r in tempo.requests if r.status is None and r.spans])
    first.kill()
    tempo.release()

    second = start_collector(options=options | {"tempo.headers": "X-Life=2"})
    assert second.metrics().value("asynq_collector_spool_recovered_spans") == TOTAL
    second.until_forwarded(TOTAL)
    times = tempo.times_stored()
    assert set(times) == numbered_keys(range(2 * TOTAL))
    # Looked at in the end: the stub may read a request only after the kill.
    first_keys = numbered_keys(range(TOTAL))
    held = [request for request in tempo.requests if request.headers["X-Life"] == "1" and request.spans
            and request.spans[0].key not in first_keys]
    assert 0 < len(held) <= 4
    in_flight = {raw.key for request in held for raw in request.spans}
    twice = {key for key, count in times.items() if count > 1}
    assert twice <= in_flight, f"expected only spans in flight twice, got {len(twice - in_flight)} others"
    assert max(times.values()) <= 2


def test_an_acknowledged_and_forwarded_spool_recovers_nothing(start_collector, tempo):
    options = {"tempo.endpoint": tempo.endpoint}
    first = start_collector(options=options)
    post_numbered(first)
    first.until_forwarded(TOTAL)
    first.kill()
    second = start_collector(options=options)
    assert second.count("spool_recovered_spans") == 0
    second.post(numbered_request(range(TOTAL, TOTAL + 1)))
    tempo.until_stored(numbered_keys(range(TOTAL, TOTAL + 1)))
    tempo.assert_each_once(numbered_keys(range(TOTAL + 1)))


def test_a_second_process_on_the_same_spool_fails_at_start_and_names_the_first(start_collector, tempo, tmp_path):
    first = start_collector(options={"tempo.endpoint": tempo.endpoint})
    ran = run_once("run", *flags(first.options | {
        "otlp.socket": tmp_path / "second.sock",
        "otlp.listen": f"127.0.0.1:{free_port()}",
        "metrics.listen": f"127.0.0.1:{free_port()}",
    }))
    assert ran.returncode == 1, f"expected exit code 1, got {ran}"
    assert str(first.process.pid) in ran.stderr, f"expected the pid {first.process.pid} in {ran.stderr!r}"
    first.post(numbered_request(range(10)))
    tempo.until_stored(numbered_keys(range(10)))


def test_the_lock_of_a_killed_process_does_not_keep_the_next_one_out(start_collector, tempo):
    options = {"tempo.endpoint": tempo.endpoint}
    first = start_collector(options=options)
    first.kill()
    assert first.socket.exists(), "expected kill -9 to leave the socket file"
    second = start_collector(options=options)
    assert post_traces(second.unix, numbered_request(range(1))).status == 200
