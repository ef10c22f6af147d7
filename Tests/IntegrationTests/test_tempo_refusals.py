"""Tempo refuses: what it never takes is found, dropped and counted alone; what a configuration brings about waits."""

import itertools
import re

import pytest

from support.deadline import eventually
from support.http_client import Endpoint, post_traces
from support.otlp import numbered_keys, numbered_request
from support.tempo_stub import Fault

FIRST, SECOND = range(100), range(100, 200)
CULPRIT = numbered_keys([142])


@pytest.fixture
def collector(start_collector, tempo):
    return start_collector(options={"tempo.endpoint": tempo.endpoint, "tempo.retry.initial": "20ms",
                                    "tempo.retry.max": "100ms", "tempo.batch.max-delay": "20ms"})


def post_in_one_batch(collector, tempo, total: int = 200, each: int = 10) -> None:
    """Requests of ten spans that are sent to Tempo together, at first."""
    tempo.go_down()
    for start in range(0, total, each):
        collector.post(numbered_request(range(start, start + each)))
    tempo.come_up()


def dropped(collector) -> dict[str, float]:
    by_reason = collector.balanced_metrics().by("asynq_collector_dropped_spans_total", "reason")
    return {reason: count for reason, count in by_reason.items() if count}


def until_settled(collector) -> None:
    eventually("an empty spool", lambda: collector.count("spool_spans") == 0)


def copies(collector, outcome: str) -> float:
    return collector.metrics().value("asynq_collector_set_aside_requests_total", {"outcome": outcome})


def lines(collector, pattern: str) -> list[str]:
    return [line for line in collector.stderr().splitlines() if re.search(pattern, line)]


def test_what_is_refused_for_good_is_dropped_by_a_named_reason_and_stops_nothing(collector, tempo):
    tempo.answer(400)
    collector.post(numbered_request(FIRST))
    eventually("the spans dropped", lambda: collector.count("dropped_spans_total") == len(FIRST))
    page = collector.balanced_metrics()
    reasons = [reason for reason, count in page.by("asynq_collector_dropped_spans_total", "reason").items() if count]
    assert len(reasons) == 1 and reasons[0], f"expected one named reason, got {reasons}"
    assert page.value("asynq_collector_spool_spans") == 0
    tempo.answer_normally()
    collector.post(numbered_request(SECOND))
    collector.until_forwarded(len(SECOND))
    tempo.assert_each_once(numbered_keys(SECOND))


def test_400_costs_the_one_request_that_it_is_for(collector, tempo):
    tempo.judge(lambda keys: Fault(400, message="a bad span") if keys & CULPRIT else None)
    post_in_one_batch(collector, tempo)
    until_settled(collector)
    tempo.assert_each_once(numbered_keys(set(range(200)) - set(range(140, 150))))
    assert dropped(collector) == {"refused": 10}
    assert "a bad span" in collector.stderr()


def test_the_culprit_is_kept_aside_as_it_came_with_what_tempo_said(collector, tempo):
    tempo.judge(lambda keys: Fault(400, message="a bad span") if keys & CULPRIT else None)
    post_in_one_batch(collector, tempo)
    until_settled(collector)
    content, text = sorted((collector.spool / "refused").iterdir())
    assert (content.suffix, text.suffix) == (".pb", ".txt")
    assert content.read_bytes() == numbered_request(range(140, 150))
    said = dict(line.split(": ", 1) for line in text.read_text().splitlines())
    assert (said["spans"], said["bytes"], said["answer"]) == ("10", str(content.stat().st_size), "400: a bad span")
    assert said["received"] <= said["time"]
    assert (copies(collector, "kept"), copies(collector, "failed")) == (1, 0)
    # As the documentation says, it can be sent again by hand.
    tempo.answer_normally()
    assert post_traces(Endpoint(port=tempo.port), content.read_bytes()).status == 200
    tempo.assert_each_once(numbered_keys(range(200)))


def test_of_many_culprits_the_newest_hundred_are_kept(collector, tempo):
    tempo.answer(400)
    for number in range(130):
        collector.post(numbered_request([number]))
    until_settled(collector)
    assert copies(collector, "kept") == 130
    kept = {path.read_bytes() for path in (collector.spool / "refused").glob("*.pb")}
    assert len(kept) == 100 and kept <= {numbered_request([number]) for number in range(130)}
    assert len(list((collector.spool / "refused").iterdir())) == 200


def test_where_no_copy_can_be_kept_everything_else_goes_on(collector, tempo):
    (collector.spool / "refused").write_text("in the way\n")
    tempo.judge(lambda keys: Fault(400) if keys & CULPRIT else None)
    post_in_one_batch(collector, tempo)
    until_settled(collector)
    assert (copies(collector, "kept"), copies(collector, "failed")) == (0, 1)
    assert dropped(collector) == {"refused": 10}
    assert collector.get("/-/ready").status == 200
    assert "no copy" in collector.stderr()


def test_500_that_one_request_always_gets_while_others_pass_costs_that_request(collector, tempo):
    tempo.judge(lambda keys: Fault(500, message="panic") if keys & CULPRIT else None)
    post_in_one_batch(collector, tempo)
    posted = 200

    def given_up() -> bool:
        nonlocal posted
        collector.post(numbered_request(range(posted, posted + 10)))
        posted += 10
        return collector.count("dropped_spans_total") > 0

    eventually("the culprit given up while others pass", given_up)
    until_settled(collector)
    tempo.assert_each_once(numbered_keys(set(range(posted)) - set(range(140, 150))))
    assert dropped(collector) == {"refused": 10}


@pytest.mark.parametrize("fault", [Fault(413), Fault(400, message="request body too large"),
                                   Fault(429, message="batch size (31457280 bytes) exceeds ingestion limit")],
                         ids=["413", "400 too large", "429 batch size exceeds"])
def test_what_is_too_large_is_sent_in_smaller_portions(collector, tempo, fault):
    """Also where a single request is: its spans travel in several."""
    tempo.judge(lambda keys: fault if len(keys) > 7 else None)
    collector.post(numbered_request(FIRST))
    post_in_one_batch(collector, tempo)  # the same numbers again: each arrives twice
    until_settled(collector)
    times = tempo.times_stored()
    assert set(times) == numbered_keys(range(200))
    assert {times[key] for key in numbered_keys(FIRST)} == {2} and {times[key] for key in numbered_keys(SECOND)} == {1}
    assert dropped(collector) == {}
    assert "tempo.batch.max-bytes" in collector.stderr()


def test_of_a_request_that_was_sent_in_part_a_start_after_a_kill_sends_the_rest(start_collector, tempo):
    tempo.judge(lambda keys: Fault(413) if len(keys) > 7 else Fault(503) if keys & CULPRIT else None)
    options = {"tempo.endpoint": tempo.endpoint, "tempo.retry.initial": "20ms", "tempo.retry.max": "100ms"}
    collector = start_collector(options=options)
    collector.post(numbered_request(SECOND))
    eventually("all parts sent but one", lambda: collector.count("spool_spans") <= 7)
    left = collector.count("spool_spans")
    collector.kill()
    assert left > 0 and len(tempo.times_stored()) == 100 - left
    second = start_collector(options=options)
    assert second.count("spool_recovered_spans") == left
    tempo.answer_normally()
    second.until_forwarded(left)
    tempo.assert_each_once(numbered_keys(SECOND))
    until_settled(second)


def test_one_span_that_is_too_large_goes_alone(collector, tempo):
    tempo.judge(lambda keys: Fault(413) if keys & CULPRIT else None)
    post_in_one_batch(collector, tempo)
    until_settled(collector)
    tempo.assert_each_once(numbered_keys(range(200)) - CULPRIT)
    assert dropped(collector) == {"refused": 1}


@pytest.mark.parametrize("status, message, advice", [
    (401, "unauthorized", "tempo.headers"), (403, "forbidden", "tempo.headers"), (404, "404 page not found", "tempo.endpoint"),
    (401, "no org id", "X-Scope-OrgID"), (503, "no org id", "X-Scope-OrgID"),
])
def test_what_a_configuration_brings_about_is_said_loudly_and_waits_until_it_is_mended(collector, tempo, status, message,
                                                                                       advice):
    tempo.answer(status, message=message)
    collector.post(numbered_request(FIRST))
    attempts = lambda: collector.metrics().sum("asynq_collector_forward_requests_total", {"code": str(status)})
    eventually("several attempts", lambda: attempts() >= 4)
    assert dropped(collector) == {}
    assert collector.metrics().value("asynq_collector_tempo_up") == 0
    said = lines(collector, "error")
    assert len(said) == 1 and message in said[0] and advice in said[0], said
    tempo.answer_normally()
    until_settled(collector)
    tempo.assert_each_once(numbered_keys(FIRST))


def test_the_pace_of_such_attempts_is_the_longest_pause(start_collector, tempo):
    tempo.answer(403, times=3)
    collector = start_collector(options={"tempo.endpoint": tempo.endpoint, "tempo.retry.initial": "1ms",
                                         "tempo.retry.max": "2s"})
    collector.post(numbered_request(FIRST))
    until_settled(collector)
    arrived = [request.arrived for request in tempo.requests]
    pauses = [later - earlier for earlier, later in itertools.pairwise(arrived)]
    # One may have been longer, for a machine that is busy.
    assert len(pauses) == 3 and 0.95 <= min(pauses) <= 2.3, pauses


def test_partial_success_is_counted_and_not_sent_again(collector, tempo):
    tempo.judge(lambda keys: Fault(200, rejected=3, message="too old"))
    collector.post(numbered_request(FIRST))
    until_settled(collector)
    assert dropped(collector) == {"rejected": 3}
    assert collector.count("forwarded_spans_total") == 97
    assert len(tempo.requests) == 1
    assert "too old" in collector.stderr()


def test_a_page_with_status_200_delivers_nothing(collector, tempo):
    """Behind a wrong tempo.endpoint: a server that answers every path so."""
    tempo.answer(200, {"Content-Type": "text/html"}, body=b"<html>welcome</html>")
    collector.post(numbered_request(FIRST))
    eventually("a second attempt", lambda: len(tempo.requests) >= 2)
    assert dropped(collector) == {} and collector.count("forwarded_spans_total") == 0
    assert collector.metrics().value("asynq_collector_tempo_up") == 0
    assert "welcome" in collector.stderr() and "tempo.endpoint" in collector.stderr()
    tempo.answer_normally()
    until_settled(collector)
    tempo.assert_each_once(numbered_keys(FIRST))


@pytest.mark.parametrize("content, body", [
    ("application/json", b"{}"), ("text/plain; charset=utf-8", b'{"partialSuccess":{}}'), ("text/html", b"")])
def test_answers_of_other_backends_deliver(collector, tempo, content, body):
    tempo.answer(200, {"Content-Type": content}, body=body)
    collector.post(numbered_request(FIRST))
    until_settled(collector)
    assert collector.count("forwarded_spans_total") == len(FIRST)


def test_plain_http_to_a_tls_port_costs_no_span(collector, tempo):
    """Go's server, which Tempo has, answers 400 then."""
    tempo.answer(400, message="Client sent an HTTP request to an HTTPS server.")
    collector.post(numbered_request(FIRST))
    eventually("a second attempt", lambda: len(tempo.requests) >= 2)
    assert dropped(collector) == {} and "https://" in collector.stderr()
    tempo.answer_normally()
    until_settled(collector)
    tempo.assert_each_once(numbered_keys(FIRST))


def test_a_remark_without_rejected_spans_is_logged(collector, tempo):
    tempo.judge(lambda keys: Fault(200, message="deprecated field"))
    collector.post(numbered_request(FIRST))
    until_settled(collector)
    assert dropped(collector) == {}
    assert "deprecated field" in collector.stderr()
