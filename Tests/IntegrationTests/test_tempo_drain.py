"""After an outage: in which order, and how fast, what piled up is sent, and what arrives meanwhile."""

import itertools
import time

import pytest

from support.deadline import eventually, fast_enough
from support.otlp import numbered_keys, numbered_request

FAST = {"tempo.retry.initial": "20ms", "tempo.retry.max": "100ms", "tempo.batch.max-delay": "20ms"}
EACH = 100
# An answer that was sent so shortly before a kill may not have reached the collector's books, on a machine that is busy.
ANSWER_ON_ITS_WAY_SECONDS = 0.5


def options(tempo, **more) -> dict[str, object]:
    return {"tempo.endpoint": tempo.endpoint, "tempo.batch.max-spans": EACH} | FAST | more


def post(collector, numbers: range) -> None:
    for start in range(numbers.start, numbers.stop, EACH):
        collector.post(numbered_request(range(start, start + EACH)))


def pile_up(collector, tempo, spans: int) -> None:
    tempo.go_down()
    post(collector, range(spans))
    eventually("tempo_up 0", lambda: collector.metrics().value("asynq_collector_tempo_up") == 0)


def until_up(collector) -> None:
    eventually("forwarding again", lambda: collector.metrics().value("asynq_collector_tempo_up") == 1)


def numbers_in(request) -> list[int]:
    return [int.from_bytes(raw.key[1], "big") - 1 for raw in request.spans]


def out_of_order(requests, numbers: range) -> list[int]:
    """The first number of each request that came later than it should. Some are on their way at a time, each on a connection
    of its own, and any of them may be held up while the others go on: the order is that of each connection."""
    found = []
    for connection in {request.connection for request in requests}:
        starts = [min(within) for request in requests if request.connection == connection
                  and (within := [n for n in numbers_in(request) if n in numbers])]
        found += [start for before, start in itertools.pairwise(starts) if start < before]
    return found


def sent_after_the_last_of(tempo, new: range) -> int:
    """How many of the spans before `new` arrived when all of `new` had."""
    order = [number for request in tempo.requests for number in numbers_in(request)]
    last = max(index for index, number in enumerate(order) if number in new)
    return sum(1 for number in order[last:] if number < new.start)


def test_a_short_outage_keeps_the_order(start_collector, tempo):
    """A batch that was on its way comes late; all others in the order in which they were received."""
    collector = start_collector(options=options(tempo))
    pile_up(collector, tempo, 3000)
    tempo.come_up()
    post(collector, range(3000, 6000))
    collector.until_forwarded(6000)
    late = out_of_order(tempo.requests, range(6000))
    assert len(late) <= 4 and all(start < 3000 for start in late), f"out of order: {late}"
    tempo.assert_each_once(numbered_keys(range(6000)))


def pile_up_and_restart(start_collector, tempo, spans: int, **more):
    """A second life of the collector, with a backend that takes about 2,000 spans/s."""
    first = start_collector(options=options(tempo))
    pile_up(first, tempo, spans)
    first.kill()
    tempo.slow_down(0.2)
    tempo.come_up()
    return start_collector(options=options(tempo, **more))


def test_new_spans_go_beside_the_backlog_of_an_earlier_process(start_collector, tempo):
    backlog, new = range(16000), range(16000, 18000)
    collector = pile_up_and_restart(start_collector, tempo, backlog.stop)
    until_up(collector)
    post(collector, new)
    collector.until_forwarded(new.stop)
    tempo.assert_each_once(numbered_keys(range(new.stop)))
    assert sent_after_the_last_of(tempo, new) > len(backlog) / 2
    for each in (backlog, new):
        assert not out_of_order(tempo.requests, each), "each in its own order"
    page = collector.balanced_metrics()
    assert page.value("asynq_collector_spool_spans") == 0
    assert page.sum("asynq_collector_dropped_spans_total") == 0
    assert page.value("asynq_collector_spool_corrupt_frames_total") == 0


def test_a_kill_while_both_are_sent_repeats_what_was_in_flight_and_nothing_else(start_collector, tempo):
    backlog, new, last = range(8000), range(8000, 10000), range(10000, 10500)
    second = pile_up_and_restart(start_collector, tempo, backlog.stop, **{"tempo.headers": "X-Life=2"})
    until_up(second)
    post(second, new)
    is_on = lambda: {number >= new.start for request in tempo.requests[-3:] for number in numbers_in(request)} == {True, False}
    eventually("both on their way", is_on, every=0.01)
    killed = time.monotonic()
    second.kill()
    third = start_collector(options=options(tempo))
    recovered = third.metrics().value("asynq_collector_spool_recovered_spans")
    post(third, last)
    third.until_forwarded(int(recovered) + len(last))
    times = tempo.times_stored()
    assert set(times) == numbered_keys(range(last.stop))
    in_flight = {
        raw.key for request in tempo.requests for raw in request.spans if request.headers["X-Life"] == "2"
        and (request.answered is None or request.answered > killed - ANSWER_ON_ITS_WAY_SECONDS)}
    again = {key for key, count in times.items() if count > 1}
    assert again <= in_flight and max(times.values()) <= 2
    assert third.balanced_metrics().value("asynq_collector_spool_corrupt_frames_total") == 0


@pytest.mark.slow
def test_after_a_long_outage_new_spans_go_beside_what_waits(start_collector, tempo):
    """Longer than the ten seconds for which the order is kept."""
    # Every probe takes a request into memory, and these go first.
    collector = start_collector(options=options(tempo) | {"tempo.retry.initial": "1s", "tempo.retry.max": "1s"})
    pile_up(collector, tempo, 8000)
    eventually("old spans", lambda: collector.metrics().value("asynq_collector_spool_oldest_age_seconds") > 11)
    tempo.slow_down(0.2)
    tempo.come_up()
    until_up(collector)
    new = range(8000, 9000)
    post(collector, new)
    assert collector.metrics().value("asynq_collector_spool_oldest_age_seconds") > 11, "of the oldest that is not settled"
    collector.until_forwarded(new.stop)
    tempo.assert_each_once(numbered_keys(range(new.stop)))
    assert sent_after_the_last_of(tempo, new) > 4000


def test_the_drain_may_be_limited_and_what_arrives_meanwhile_is_not(start_collector, tempo):
    limit, backlog, new = 1500, 7500, 2000
    collector = start_collector(options=options(tempo, **{"tempo.drain.max-spans-per-second": limit}))
    pile_up(collector, tempo, backlog)
    tempo.come_up()
    until_up(collector)
    tries = sum(spans for code, spans in collector.metrics().by("asynq_collector_forward_requests_total", "code").items()
                if code != "200")
    post(collector, range(backlog, backlog + new))
    collector.until_forwarded(backlog + new)
    tempo.assert_each_once(numbered_keys(range(backlog + new)))
    taken = [(request.arrived, sum(1 for number in numbers_in(request) if number < backlog))
             for request in tempo.requests if request.spans]
    taken = [(arrived, spans) for arrived, spans in taken if spans]
    began, ended = taken[0][0], taken[-1][0]
    # Each try in the outage may have been with another batch; one more is read when it is over, and one at once.
    total, most = 0, (tries + 2) * EACH
    for arrived, spans in taken:
        total += spans
        # The stub may have been late to see the first.
        assert total <= most + limit * (arrived - began + 1), f"{total} spans after {arrived - began:.2f} s"
    assert ended - began >= (backlog - most) / limit - 1
    assert sent_after_the_last_of(tempo, range(backlog, backlog + new)) > backlog / 4


def test_without_a_limit_a_backlog_is_sent_at_once(start_collector, tempo):
    collector = start_collector(options={"tempo.endpoint": tempo.endpoint} | FAST)
    sent = 0

    def drain() -> float:
        nonlocal sent
        tempo.go_down()
        post(collector, range(sent, sent + 4000))
        eventually("tempo_up 0", lambda: collector.metrics().value("asynq_collector_tempo_up") == 0)
        before, sent = len(tempo.requests), sent + 4000
        tempo.come_up()
        collector.until_forwarded(sent)
        taken = [request.arrived for request in tempo.requests[before:] if request.spans]
        return taken[-1] - taken[0]

    fast_enough("4,000 spans", 1.5, drain)
