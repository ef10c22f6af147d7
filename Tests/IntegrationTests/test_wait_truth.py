"""A hundred thousand tasks whose waits are known, of every kind, through the running program: every bucket is exact."""

import bisect
import math
import random
from collections import Counter, defaultdict
from datetime import datetime, timedelta, timezone

import pytest

from support import otlp
from support.http_client import post_traces
from support.otlp import Span

TASKS = 100_000
SPANS_PER_REQUEST = 1000
BUCKETS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800, 3600]
SECOND = 1_000_000_000
NOW = otlp.NOW
WAIT = "asynq_task_wait_duration_seconds"


def away_from_edges(nanoseconds: int) -> int:
    """A stamp in floating seconds is good for a microsecond: no wait lies that near to an edge."""
    near = any(abs(nanoseconds - edge * SECOND) < 2000 for edge in BUCKETS)
    return nanoseconds + 5000 if near else nanoseconds


class Truth:
    """Makes tasks, and knows what becomes of them."""

    def __init__(self, seed: int):
        self.chance = random.Random(seed)
        self.waits: dict[tuple[str, str], list[float]] = defaultdict(list)
        self.unknown: Counter = Counter()
        # Spans by the round in which they are sent: what is paired may come in any order.
        self.rounds: list[list[Span]] = [[], [], []]
        self._number = 0

    def make(self, count: int) -> None:
        kinds = [self.measured, self.stamped, self.scheduled, self.paired, self.fanned_out, self.retried, self.skewed,
                 self.without_source, self.with_bad_stamp]
        weights = [15, 25, 10, 25, 5, 8, 6, 3, 3]
        made = 0
        while made < count:
            made += self.chance.choices(kinds, weights)[0]()

    # --- Parts ---

    def _wait(self) -> int:
        """Nanoseconds, from a tenth of a millisecond to two hours."""
        return away_from_edges(int(10 ** self.chance.uniform(5, math.log10(7200 * SECOND))))

    def _next(self) -> int:
        self._number += 1
        return self._number

    def _start(self) -> int:
        return NOW + self.chance.randrange(10**12) * 1000

    def _process(self, start: int, service_kind: int | None = None, ids: dict = {}, **attributes) -> tuple[str, str]:
        number = self._next()
        queue, task_type = f"q{self.chance.randrange(5)}", f"t{self.chance.randrange(4)}"
        span = Span(
            trace_id=ids.get("trace_id", number.to_bytes(16, "big")), span_id=number.to_bytes(8, "big"),
            parent_span_id=ids.get("parent_span_id", b""), links=ids.get("links", []), name="process",
            kind=Span.SPAN_KIND_CONSUMER, start_time_unix_nano=start, end_time_unix_nano=start + SECOND,
            attributes=otlp.attributes(messaging__destination__name=queue, asynq__task__type=task_type, **attributes))
        self.rounds[ids.get("round", self.chance.randrange(3))].append(span)
        return queue, task_type

    def _known(self, series: tuple[str, str], nanoseconds: int) -> None:
        self.waits[series].append(max(0, nanoseconds) / 1e9)

    # --- Kinds of tasks; each returns how many there were ---

    def measured(self) -> int:
        wait = self._wait()
        name, value = self.chance.choice([
            ("asynq__task__wait_seconds", wait / 1e9), ("asynq__task__wait_ms", wait / 1e6),
            ("queue__wait_time_ms", wait / 1e6), ("queue__wait_time_seconds", str(wait / 1e9))])
        # Exact for any attempt.
        retry = self.chance.choice([{}, {"asynq__task__retry_count": self.chance.randrange(9)}])
        self._known(self._process(self._start(), **{name: value}, **retry), wait)
        return 1

    def _stamp(self, at: int):
        """Some form of a stamp, and the moment that it tells."""
        form = self.chance.randrange(7)
        if form == 0:
            return at // SECOND, at // SECOND * SECOND
        if form == 1:
            return at // 1_000_000, at // 1_000_000 * 1_000_000
        if form == 2:
            return str(at // 1000), at // 1000 * 1000
        if form == 3:
            return at, at
        moment = datetime.fromtimestamp(at // SECOND, timezone.utc)
        fraction = f"{at % SECOND:09d}"
        if form == 4:
            return f"{moment:%Y-%m-%dT%H:%M:%S}.{fraction}Z", at
        if form == 5:
            zone = timezone(timedelta(hours=self.chance.randrange(-11, 12), minutes=30))
            offset = moment.astimezone(zone).isoformat()[-6:]
            return f"{moment.astimezone(zone):%Y-%m-%dT%H:%M:%S}.{fraction}{offset}", at
        return at / 1e9, at

    def stamped(self) -> int:
        start = self._start()
        stamp, told = self._stamp(start - self._wait())
        if any(abs(start - told - edge * SECOND) < 2000 for edge in BUCKETS):
            return 0
        name = self.chance.choice(["asynq__task__enqueued_at", "asynq__task__ready_at", "enqueued_at",
                                   "messaging__message__enqueued_at"])
        self._known(self._process(start, **{name: stamp}), start - told)
        return 1

    def scheduled(self) -> int:
        """The time ahead is no wait; one that runs early by a little has waited for nothing."""
        start, wait = self._start(), self._wait()
        enqueued = start - wait - self.chance.randrange(1, 3600) * SECOND
        self._known(self._process(start, asynq__task__enqueued_at=enqueued, asynq__task__process_at=start - wait), wait)
        return 1

    def _produce(self, end: int, round_number: int) -> Span:
        number = self._next()
        span = Span(trace_id=number.to_bytes(16, "big"), span_id=number.to_bytes(8, "big"), name="send",
                    kind=Span.SPAN_KIND_PRODUCER, start_time_unix_nano=end - 1000, end_time_unix_nano=end)
        self.rounds[round_number].append(span)
        return span

    def _context(self, producer: Span, round_number: int) -> dict:
        link = [Span.Link(trace_id=producer.trace_id, span_id=producer.span_id)]
        return {"round": round_number} | self.chance.choice([
            {"trace_id": producer.trace_id, "parent_span_id": producer.span_id}, {"links": link}])

    def paired(self) -> int:
        start, wait = self._start(), self._wait()
        producer = self._produce(start - wait, self.chance.randrange(3))
        self._known(self._process(start, ids=self._context(producer, self.chance.randrange(3))), wait)
        return 1

    def fanned_out(self) -> int:
        """Several consumers of one producer."""
        end = self._start()
        producer, count = self._produce(end, self.chance.randrange(3)), self.chance.randrange(2, 9)
        for _ in range(count):
            wait = self._wait()
            self._known(self._process(end + wait, ids=self._context(producer, self.chance.randrange(3))), wait)
        return count

    def retried(self) -> int:
        """Neither a stamp nor a producer tells how long a later attempt has waited."""
        start = self._start()
        ids = {}
        if self.chance.random() < 0.5:
            ids = self._context(self._produce(start - self._wait(), 0), 1)
        queue, _ = self._process(start, ids=ids, asynq__task__enqueued_at=start - self._wait(),
                                 asynq__task__retry_count=self.chance.randrange(1, 25))
        self.unknown[queue, "retry"] += 1
        return 1

    def skewed(self) -> int:
        """Up to a second before its time counts as none; more is skew."""
        start = self._start()
        early = self.chance.choice([self.chance.randrange(1, 999_000_000), self.chance.randrange(2 * SECOND, 3600 * SECOND)])
        if self.chance.random() < 0.5:
            series = self._process(start, asynq__task__enqueued_at=start + early)
        else:
            series = self._process(start, ids=self._context(self._produce(start + early, 0), 1))
        if early < SECOND:
            self._known(series, 0)
        else:
            self.unknown[series[0], "clock_skew"] += 1
        return 1

    def without_source(self) -> int:
        self.unknown[self._process(self._start())[0], "no_source"] += 1
        return 1

    def with_bad_stamp(self) -> int:
        bad = self.chance.choice(["yesterday", "", -5, 12, "2026-13-01T00:00:00Z", True, 1e300])
        self.unknown[self._process(self._start(), asynq__task__enqueued_at=bad)[0], "bad_stamp"] += 1
        return 1


def requests(spans: list[Span]) -> list[bytes]:
    return [otlp.request(*spans[start:start + SPANS_PER_REQUEST], service=f"service {start % 2}")
            for start in range(0, len(spans), SPANS_PER_REQUEST)]


def cumulative(waits: list[float]) -> list[int]:
    ordered = sorted(waits)
    return [bisect.bisect_right(ordered, edge) for edge in BUCKETS] + [len(ordered)]


def test_every_bucket_of_a_hundred_thousand_waits_is_exact(start_collector):
    seed = random.randrange(1 << 32)
    truth = Truth(seed)
    truth.make(TASKS)
    collector = start_collector(options={"redis.url": "none", "metrics.quantile-window": "1h"})
    repeated = 0
    for spans in truth.rounds:
        truth.chance.shuffle(spans)
        for body in requests(spans):
            assert post_traces(collector.unix, body).status == 200
        # A sender that lost an answer sends again.
        again = spans[:SPANS_PER_REQUEST]
        assert post_traces(collector.tcp, requests(again)[0]).status == 200
        repeated += sum(span.kind == Span.SPAN_KIND_CONSUMER for span in again)
    page = collector.metrics()
    assert page.value("asynq_collector_duplicate_spans_total") == repeated, seed

    edges = [*(f"{edge:g}" for edge in BUCKETS), "+Inf"]
    total = sum(len(waits) for waits in truth.waits.values())
    assert total > 0.8 * TASKS
    for (queue, task_type), waits in truth.waits.items():
        labels = {"queue": queue, "task_type": task_type}
        got = [page.value(WAIT + "_bucket", labels | {"le": edge}) for edge in edges]
        assert got == cumulative(waits), (seed, labels)
        assert page.value(WAIT + "_count", labels) == len(waits), seed
        assert page.value(WAIT + "_sum", labels) == pytest.approx(sum(waits), rel=1e-9, abs=1e-3), seed
    reasons = page.by("asynq_task_wait_unknown_total", "queue", "reason")
    assert {key: count for key, count in reasons.items() if count} == dict(truth.unknown), seed
    assert sum(page.by("asynq_task_attempts_total", "queue", "task_type", "status", "attempt").values()) == (
        total + truth.unknown.total()), seed

    quantiles = page.by("asynq_task_wait_quantile_seconds", "queue", "quantile")
    for queue in {queue for queue, _ in truth.waits}:
        ordered = sorted(wait for (name, _), waits in truth.waits.items() if name == queue for wait in waits)
        for share in (0.5, 0.95, 0.99):
            exact = ordered[math.ceil(share * len(ordered)) - 1]
            assert quantiles[queue, str(share)] == pytest.approx(exact, rel=0.05), (seed, queue, share)
