"""After an outage: in which order, and how fast, what piled up is sent."""

import itertools
import time

from support.deadline import eventually
from support.otlp import numbered_keys, numbered_request

FAST = {"tempo.retry.initial": "20ms", "tempo.retry.max": "100ms", "tempo.batch.max-delay": "20ms"}
EACH = 100


def post(collector, numbers: range) -> None:
    for start in range(numbers.start, numbers.stop, EACH):
        collector.post(numbered_request(range(start, start + EACH)))


def pile_up(collector, tempo, spans: int) -> None:
    tempo.go_down()
    post(collector, range(spans))
    eventually("tempo_up 0", lambda: collector.metrics().value("asynq_collector_tempo_up") == 0)


def numbers_in(request) -> list[int]:
    return [int.from_bytes(raw.key[1], "big") - 1 for raw in request.spans]


def test_the_oldest_go_first_also_those_of_an_earlier_process(start_collector, tempo):
    """A batch that was on its way comes late; all others in the order in which they were received."""
    options = {"tempo.endpoint": tempo.endpoint, "tempo.batch.max-spans": EACH} | FAST
    first = start_collector(options=options)
    pile_up(first, tempo, 3000)
    first.kill()
    second = start_collector(options=options)
    post(second, range(3000, 6000))
    tempo.come_up()
    second.until_forwarded(6000)
    starts = [min(numbers_in(request)) for request in tempo.requests if request.spans]
    late = [start for before, start in itertools.pairwise(starts) if start < before - 6 * EACH]
    assert len(late) <= 4 and all(start < 3000 for start in late), f"out of order: {late}"
    tempo.assert_each_once(numbered_keys(range(6000)))


def test_the_drain_may_be_limited_and_what_arrives_meanwhile_comes_on_top(start_collector, tempo):
    limit, backlog, new = 1500, 4000, 2000
    collector = start_collector(options={"tempo.endpoint": tempo.endpoint, "tempo.batch.max-spans": EACH,
                                         "tempo.drain.max-spans-per-second": limit} | FAST)
    pile_up(collector, tempo, backlog)
    tempo.come_up()
    eventually("forwarding again", lambda: collector.metrics().value("asynq_collector_tempo_up") == 1)
    posted = time.monotonic()
    post(collector, range(backlog, backlog + new))
    collector.until_forwarded(backlog + new, seconds=30)
    tempo.assert_each_once(numbered_keys(range(backlog + new)))
    taken = [(request.arrived, len(request.spans)) for request in tempo.requests if request.spans]
    began, ended = taken[0][0], taken[-1][0]
    # Four batches were on their way when Tempo went, and one is read although the limit is reached.
    total, most = 0, 6 * EACH
    for arrived, spans in taken:
        total += spans
        arrived_since = new if arrived >= posted else 0
        assert total <= most + arrived_since + limit * (arrived - began + 0.1), f"{total} spans after {arrived - began:.2f} s"
    assert ended - began >= (backlog - most) / limit - 0.2


def test_without_a_limit_a_backlog_is_sent_at_once(start_collector, tempo):
    collector = start_collector(options={"tempo.endpoint": tempo.endpoint} | FAST)
    pile_up(collector, tempo, 4000)
    tempo.come_up()
    collector.until_forwarded(4000)
    taken = [request.arrived for request in tempo.requests if request.spans]
    assert taken[-1] - taken[0] < 1.5
