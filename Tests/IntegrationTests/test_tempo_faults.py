"""Tempo slow, away or refusing: what can be retried is retried until it is accepted, the rest is counted."""

import email.utils
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from support.deadline import eventually, fast_enough, holds_for, seconds_of
from support.otlp import numbered_keys, numbered_request
from support.tempo_stub import Fault

FIRST, SECOND = range(100), range(100, 200)


@pytest.fixture
def collector(start_collector, tempo):
    return start_collector(options={"tempo.endpoint": tempo.endpoint, "tempo.retry.initial": "50ms",
                                    "tempo.retry.max": "300ms"})


def assert_all_arrived_once(collector, tempo, numbers: range) -> None:
    collector.until_forwarded(len(numbers))
    tempo.assert_each_once(numbered_keys(numbers))
    page = collector.balanced_metrics()
    assert page.sum("asynq_collector_spool_spans") == 0
    assert page.sum("asynq_collector_dropped_spans_total") == 0


def test_spans_wait_while_tempo_is_away_and_arrive_when_it_is_back(collector, tempo):
    collector.post(numbered_request(FIRST))
    collector.until_forwarded(len(FIRST))
    assert collector.metrics().value("asynq_collector_tempo_up") == 1
    tempo.go_down()
    collector.post(numbered_request(SECOND))
    eventually("asynq_collector_tempo_up 0", lambda: collector.metrics().value("asynq_collector_tempo_up") == 0)
    page = collector.balanced_metrics()
    assert page.value("asynq_collector_spool_spans") == len(SECOND)
    assert page.value("asynq_collector_spool_bytes") > 0
    assert page.value("asynq_collector_spool_oldest_age_seconds") >= 0
    assert collector.get("/-/healthy").status == 200
    tempo.come_up()
    assert_all_arrived_once(collector, tempo, range(200))
    assert collector.metrics().value("asynq_collector_tempo_up") == 1


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_a_refusal_that_may_pass_is_retried(collector, tempo, status):
    tempo.answer(status, times=3)
    collector.post(numbered_request(FIRST))
    assert_all_arrived_once(collector, tempo, FIRST)
    assert collector.metrics().value("asynq_collector_forward_requests_total", {"code": str(status)}) == 3


def test_retry_after_is_obeyed_where_it_is_longer_than_our_own_pause(collector, tempo):
    tempo.answer(429, {"Retry-After": "2"}, times=1)
    collector.post(numbered_request(FIRST))
    assert_all_arrived_once(collector, tempo, FIRST)
    refused, accepted = tempo.requests
    assert accepted.arrived - refused.arrived >= 1.9, "expected no request within the 2 s of Retry-After"


def test_retry_after_may_be_a_date(collector, tempo):
    """In whole seconds."""
    date = int(time.time()) + 3
    tempo.answer(503, {"Retry-After": email.utils.formatdate(date, usegmt=True)}, times=1)
    collector.post(numbered_request(FIRST))
    assert_all_arrived_once(collector, tempo, FIRST)
    _, accepted = tempo.requests
    ago = time.monotonic() - accepted.arrived
    assert time.time() - ago >= date - 0.01, "expected no request before the date of Retry-After"


class _FailsTogether(BaseHTTPRequestHandler):
    """Takes four requests before it answers one: the first gets a bare 503, the others, afterwards, 429 and a pause of 4 s.
    What comes then is accepted."""
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        with self.server.lock:
            self.server.arrived.append(time.monotonic())
            number = len(self.server.arrived)
        if number > 4:
            return self._answer(200)
        self.server.all_there.wait()
        if number == 1:
            self._answer(503)
            return self.server.has_failed.set()
        self.server.has_failed.wait()
        self._answer(429, {"Retry-After": "4"})

    def _answer(self, status: int, headers: dict[str, str] = {}) -> None:
        self.send_response(status)
        for name, value in ({"Content-Length": "0"} | headers).items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, *_):
        pass


def test_retry_after_is_obeyed_whichever_of_several_failures_it_comes_with(start_collector):
    with ThreadingHTTPServer(("127.0.0.1", 0), _FailsTogether) as server:
        server.lock, server.arrived = threading.Lock(), []
        server.all_there, server.has_failed = threading.Barrier(4), threading.Event()
        threading.Thread(target=server.serve_forever, daemon=True).start()
        collector = start_collector(options={
            "tempo.endpoint": f"http://127.0.0.1:{server.server_port}", "tempo.retry.initial": "2s",
            "tempo.retry.max": "2s", "tempo.batch.max-spans": "100"})
        for first in range(0, 400, 100):
            collector.post(numbered_request(range(first, first + 100)))
        collector.until_forwarded(400)
        pause = server.arrived[4] - server.arrived[3]
        server.shutdown()
    assert pause >= 3.9, f"expected no request within the 4 s of Retry-After, one came after {pause:.2f} s"


def test_a_slow_answer_is_waited_for(collector, tempo):
    tempo.hold()
    collector.post(numbered_request(FIRST))
    tempo.until_stored(numbered_keys(FIRST))
    holds_for("in flight counts as in the spool", lambda: collector.count("spool_spans") == len(FIRST), seconds=0.3)
    assert collector.post(numbered_request(SECOND)).status == 200, "expected Tempo's slowness to stop nobody"
    tempo.release()
    assert_all_arrived_once(collector, tempo, range(200))


def test_an_answer_that_never_comes_is_a_failure_and_the_batch_is_sent_again(start_collector, tempo):
    """Whether the first one was stored cannot be known: twice is right, lost would be wrong."""
    collector = start_collector(options={"tempo.endpoint": tempo.endpoint, "tempo.timeout": "500ms",
                                         "tempo.retry.initial": "50ms", "tempo.retry.max": "300ms"})
    tempo.hold()
    collector.post(numbered_request(FIRST))
    eventually("a second attempt", lambda: len(tempo.requests) >= 2)
    tempo.release()
    collector.until_forwarded(len(FIRST))
    assert set(tempo.times_stored()) == numbered_keys(FIRST)


def test_500_is_retried_for_as_long_as_every_request_gets_it(collector, tempo):
    """A proxy's fault: giving up would lose what was acknowledged."""
    tempo.answer(500, times=30)
    collector.post(numbered_request(FIRST))
    assert_all_arrived_once(collector, tempo, FIRST)


def test_requests_that_tempo_never_answers_do_not_block_what_comes_later(collector, tempo):
    """Not even if, for a while, nothing else came."""
    bad = [range(start, start + 10) for start in range(1000, 1060, 10)]
    of_bad = numbered_keys(number for numbers in bad for number in numbers)
    tempo.judge(lambda keys: Fault(502) if keys & of_bad else None)
    for tried, numbers in enumerate(bad):
        collector.post(numbered_request(numbers))
        eventually("a try", lambda: collector.metrics().sum("asynq_collector_forward_requests_total") > tried)
    collector.post(numbered_request(FIRST))
    collector.until_forwarded(len(FIRST))
    tempo.assert_each_once(numbered_keys(FIRST))
    assert collector.count("spool_spans") == 60, "what got no answer is kept"
    tempo.answer_normally()
    collector.until_forwarded(160)


def test_what_was_delivered_of_a_request_does_not_come_again_after_a_clean_restart(start_collector, tempo):
    """One span of 64 never gets an answer; it waits for ever, the others do not wait with it."""
    options = {"tempo.endpoint": tempo.endpoint, "tempo.retry.initial": "20ms", "tempo.retry.max": "100ms",
               "tempo.batch.max-delay": "10ms"}
    request, bad, others = range(1000, 1064), numbered_keys([1017]), iter(range(0, 900))
    tempo.judge(lambda keys: Fault(502) if keys & bad else None)
    collector = start_collector(options=options)
    collector.post(numbered_request(request))

    def only_one_waits() -> bool:
        collector.post(numbered_request([next(others)]))
        if not tempo.times_stored().keys() >= numbered_keys(request) - bad:
            return False
        return eventually("what was just posted is sent", lambda: collector.count("spool_spans") == 1, seconds=2)

    for _ in range(2):
        eventually("63 spans delivered", only_one_waits)
        assert collector.balanced_metrics().sum("asynq_collector_dropped_spans_total") == 0
        collector.stop()
        collector = start_collector(options=options)
        assert collector.count("spool_recovered_spans") == 1
    tempo.answer_normally()
    eventually("an empty spool", lambda: collector.count("spool_spans") == 0)
    tempo.assert_each_once(numbered_keys(request) | numbered_keys(range(next(others))))


def test_what_became_too_old_while_tempo_was_away_is_not_sent(start_collector, tempo):
    collector = start_collector(options={"tempo.endpoint": tempo.endpoint, "tempo.retry.initial": "50ms",
                                         "tempo.retry.max": "300ms", "spool.max-age": "1s"})
    tempo.answer(503)
    collector.post(numbered_request(FIRST))
    eventually("a first try", lambda: tempo.requests)
    eventually("the spans dropped", lambda: collector.metrics().value(
        "asynq_collector_dropped_spans_total", {"reason": "expired"}) == len(FIRST))
    tempo.answer_normally()
    collector.post(numbered_request(SECOND))
    collector.until_forwarded(len(SECOND))
    tempo.assert_each_once(numbered_keys(SECOND))


def test_before_the_end_tempo_is_asked_once_more(start_collector, tempo):
    """Who stops a pod may take its disk away, too."""
    collector = start_collector(options={"tempo.endpoint": tempo.endpoint, "tempo.retry.initial": "30s"})
    tempo.answer(503, times=1)
    collector.post(numbered_request(FIRST))
    eventually("a refusal", lambda: collector.metrics().value("asynq_collector_tempo_up") == 0)
    collector.stop()
    tempo.assert_each_once(numbered_keys(FIRST))


def test_a_tempo_that_is_away_does_not_hold_up_the_end(start_collector, tempo):
    tempo.go_down()

    def end() -> float:
        collector = start_collector(options={"tempo.endpoint": tempo.endpoint, "tempo.retry.initial": "30s"})
        collector.post(numbered_request(FIRST))
        eventually("tempo_up 0", lambda: collector.metrics().value("asynq_collector_tempo_up") == 0)
        return seconds_of(collector.stop)

    fast_enough("an end with nothing to wait for", 3, end)
    tempo.come_up()
    collector = start_collector(options={"tempo.endpoint": tempo.endpoint})
    eventually("an empty spool", lambda: collector.count("spool_spans") == 0)
    assert set(tempo.times_stored()) == numbered_keys(FIRST)
