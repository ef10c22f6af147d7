"""A backend that fails in every way at random, and one that is away, under load: the books balance to the span.

The long forms are started by scripts/fault-sink; ASYNQ_COLLECTOR_FAULT_SECONDS, _OUTAGE_SECONDS and _SEED say how long, and
from which seed.
"""

import os
import random
import re
import threading
import time
from pathlib import Path

import pytest

from support.deadline import eventually
from support.fault_sink import WEIGHTS, WELL, FaultSink
from support.paced_load import SPANS_PER_REQUEST, PacedLoad

FAULT_SECONDS = float(os.environ.get("ASYNQ_COLLECTOR_FAULT_SECONDS", 12))
OUTAGE_SECONDS = float(os.environ.get("ASYNQ_COLLECTOR_OUTAGE_SECONDS", 5))
SEED = int(os.environ.get("ASYNQ_COLLECTOR_SEED") or random.randrange(1 << 32))
SPANS_PER_SECOND = 5000
SEGMENT_BYTES = 16 << 20  # of a spool of 1 GiB


class Watch(threading.Thread):
    """Notes, twice a second, what the collector has in memory and in the spool."""

    def __init__(self, collector):
        super().__init__(daemon=True)
        self._collector = collector
        self._over = threading.Event()
        self.memory: list[int] = []
        self.spool_bytes: list[int] = []

    def run(self) -> None:
        while not self._over.wait(0.5):
            self.memory.append(resident_bytes(self._collector))
            self.spool_bytes.append(int(self._collector.metrics().value("asynq_collector_spool_bytes")))

    def __enter__(self) -> "Watch":
        self.start()
        return self

    def __exit__(self, *_) -> None:
        self._over.set()
        self.join()


def resident_bytes(collector) -> int:
    status = Path(f"/proc/{collector.process.pid}/status").read_text()
    return 1024 * int(re.search(r"^VmRSS:\s*(\d+) kB$", status, re.MULTILINE)[1])


def mib(size: float) -> str:
    return f"{size / (1 << 20):.1f} MiB"


def until_drained(collector, seconds: float) -> None:
    eventually("an empty spool", lambda: collector.count("spool_spans") == 0, seconds, every=0.2)


def delays(sink: FaultSink, load: PacedLoad, since: float, until: float) -> list[float]:
    """Seconds from the post to the sink, ascending, of one span of each request that was posted in that time."""
    posted = [(index * SPANS_PER_REQUEST, moment) for index, moment in enumerate(load.posted_at) if since <= moment < until]
    return sorted(sink.stored_at[number] - moment for number, moment in posted)


def check_books(collector, sink: FaultSink, load: PacedLoad) -> None:
    page = collector.balanced_metrics()
    count = lambda name: int(page.sum(f"asynq_collector_{name}"))
    acknowledged = sum(load.acknowledged)
    dropped = {reason: int(spans) for reason, spans in page.by("asynq_collector_dropped_spans_total", "reason").items() if spans}
    codes = {code: int(requests) for code, requests in page.by("asynq_collector_forward_requests_total", "code").items()}
    lost = sum(1 for number, is_in in enumerate(load.acknowledged) if is_in and not sink.settled[number])
    settled_again = sum(times - 1 for times in sink.settled if times > 1)
    distinct = sum(1 for times in sink.stored if times)
    duplicates = sum(sink.stored) - distinct
    print(f"posted {load.posted_spans} spans, acknowledged {acknowledged}, refused {load.refused_spans}; "
          f"generator at most {max(0, load.latest_seconds):.2f} s late")
    print(f"received {count('received_spans_total')} = accepted {count('accepted_spans_total')} "
          f"+ refused {count('refused_spans_total')}")
    print(f"accepted {count('accepted_spans_total')} = forwarded {count('forwarded_spans_total')} + dropped {dropped} "
          f"+ in the spool {count('spool_spans')}; lost {lost}, strangers {sink.strangers}")
    print(f"the sink stored {distinct} spans, {duplicates} of them again ({duplicates / max(1, distinct):.2%}), "
          f"rejected {sink.rejected_spans}; answered for twice {settled_again}")
    print(f"the sink's doings: {dict(sorted(sink.seen.items()))}")
    print(f"forward_requests_total: {codes}")
    assert load.unanswered_spans == 0
    assert lost == 0 and sink.strangers == 0, f"seed {SEED}"
    assert settled_again == 0, f"{settled_again} spans were sent again after an answer that settled them (seed {SEED})"
    assert count("accepted_spans_total") == acknowledged == load.posted_spans - load.refused_spans
    assert count("received_spans_total") == load.posted_spans
    assert dropped == ({"rejected": sink.rejected_spans} if sink.rejected_spans else {}), f"seed {SEED}"
    assert count("forwarded_spans_total") == acknowledged - sink.rejected_spans
    assert count("spool_spans") == 0


@pytest.mark.slow
@pytest.mark.timeout(240 + 2 * FAULT_SECONDS)
def test_whatever_the_backend_does_the_books_balance_and_nothing_is_lost(start_collector):
    print(f"\n{FAULT_SECONDS:.0f} s of faults at {SPANS_PER_SECOND} spans/s, seed {SEED}")
    with FaultSink(int(SPANS_PER_SECOND * FAULT_SECONDS), SEED) as sink:
        # Many requests, so that there are many faults; and no long pauses, so that they come under load.
        collector = start_collector(options={
            "tempo.endpoint": sink.endpoint, "tempo.batch.max-spans": 250, "tempo.timeout": "3s",
            "tempo.retry.initial": "100ms", "tempo.retry.max": "1s"})
        with Watch(collector) as watch:
            load = PacedLoad(collector.tcp, SPANS_PER_SECOND, FAULT_SECONDS)
            load.start()
            load.join()
            waiting = collector.count("spool_spans")
            sink.weights = WELL
            started = time.monotonic()
            until_drained(collector, seconds=60)
            print(f"at the end of the faults {waiting:.0f} spans waited; they were sent in {time.monotonic() - started:.1f} s")
        print(f"resident memory at most {mib(max(watch.memory))}, spool at most {mib(max(watch.spool_bytes))}")
        check_books(collector, sink, load)
        assert set(sink.seen) == set(WEIGHTS)


@pytest.mark.slow
@pytest.mark.timeout(240 + 3 * OUTAGE_SECONDS)
def test_an_outage_costs_disk_and_not_memory(start_collector):
    before_seconds, after_seconds = max(3, OUTAGE_SECONDS / 4), max(3, OUTAGE_SECONDS / 2)
    seconds = before_seconds + OUTAGE_SECONDS + after_seconds
    print(f"\n{OUTAGE_SECONDS:.0f} s of outage at {SPANS_PER_SECOND} spans/s")
    with FaultSink(int(SPANS_PER_SECOND * seconds), SEED) as sink:
        sink.weights = WELL
        collector = start_collector(options={"tempo.endpoint": sink.endpoint, "tempo.retry.max": "2s"})
        idle = resident_bytes(collector)
        load = PacedLoad(collector.tcp, SPANS_PER_SECOND, seconds)
        load.start()
        with Watch(collector) as watch:
            time.sleep(before_seconds)
        before = max(watch.memory)
        sink.go_down()
        with Watch(collector) as watch:
            time.sleep(OUTAGE_SECONDS)
        peak, spool_peak, waiting = max(watch.memory), max(watch.spool_bytes), collector.count("spool_spans")
        sink.come_up()
        with Watch(collector) as watch:
            came_up = time.monotonic()
            eventually("a drained backlog", lambda: collector.count("spool_spans") < SPANS_PER_SECOND, 60, every=0.1)
            drained_seconds = time.monotonic() - came_up
            load.join()
            until_drained(collector, seconds=60)
        after = resident_bytes(collector)
        spool_after = collector.metrics().value("asynq_collector_spool_bytes")
        print(f"resident memory: idle {mib(idle)}, under load {mib(before)}, outage {mib(peak)}, drain {mib(max(watch.memory))}, "
              f"after {mib(after)}")
        print(f"{waiting:.0f} spans waited in {mib(spool_peak)}; sent within {drained_seconds:.1f} s; "
              f"spool after {mib(spool_after)}")
        new = delays(sink, load, came_up, came_up + drained_seconds)
        print(f"spans posted meanwhile were at the sink after {new[len(new) // 2]:.2f} s (median), {new[-1]:.2f} s (at most)")
        check_books(collector, sink, load)
        assert spool_after <= SEGMENT_BYTES + 8192, "one segment"
        assert max(peak, *watch.memory) < before + (24 << 20), "memory grows with the outage"
