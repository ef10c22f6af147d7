"""What a collector says of its scrapes: on its page and in its log."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from support.collector import Collector
from support.deadline import eventually
from support.metrics_page import MetricsPage

T = TypeVar("T")

FAILED = "Redis scrape failed"
PART_FAILED = "a part of the scrape failed"
ANSWERS_AGAIN = "Redis answers again"
WHOLE_AGAIN = "the scrape is complete again"


def logged(collector: Collector, message: str) -> list[dict]:
    """The log lines with this message, in order."""
    lines = [json.loads(line) for line in collector.stderr().splitlines() if line.startswith("{")]
    return [line for line in lines if line["message"] == message]


def errors(page: MetricsPage) -> dict[str, float]:
    """Counted scrape errors by reason, without the reasons that never occurred."""
    return {reason: count for reason, count in page.by("asynq_redis_scrape_errors_total", "reason").items() if count}


def stamp(page: MetricsPage) -> float:
    """When the last good scrape was taken; it tells scrapes apart."""
    return page.value("asynq_redis_last_scrape_timestamp_seconds")


def after_scrapes(collector: Collector, count: int = 2) -> MetricsPage:
    """A page of a scrape that began after this call."""
    seen = {stamp(collector.metrics())}

    def page() -> MetricsPage | None:
        now = collector.metrics()
        seen.add(stamp(now))
        return now if len(seen) > count else None

    return eventually(f"{count} more good scrapes", page, every=0.01)


@dataclass
class Watched:
    """Every page in a span of time, one for each good scrape."""
    pages: list[MetricsPage]

    @property
    def scrapes(self) -> int:
        return len(self.pages) - 1

    @property
    def durations(self) -> list[float]:
        return [page.value("asynq_redis_scrape_duration_seconds") for page in self.pages]

    def counted(self) -> dict[str, float]:
        """Errors from the first page to the last."""
        before, after = errors(self.pages[0]), errors(self.pages[-1])
        return {reason: grown for reason in after if (grown := after[reason] - before.get(reason, 0))}


class AtOnce:
    """For answers that must not wait for Redis. Some may be slow, because the machine has other things to do; of answers
    that wait for a Redis that hangs, most would be."""
    SLOW_SECONDS = 0.25

    def __init__(self):
        self._seconds: list[float] = []

    def time(self, ask: Callable[[], T]) -> T:
        began = time.monotonic()
        answer = ask()
        self._seconds.append(time.monotonic() - began)
        return answer

    def check(self) -> None:
        slow = [seconds for seconds in self._seconds if seconds > self.SLOW_SECONDS]
        assert len(slow) < len(self._seconds) / 2, f"expected answers at once, many of {len(self._seconds)} took {slow} s"


def watch(collector: Collector, count: int) -> Watched:
    """Looks more often than scrapes are taken, until it has seen so many; pages must come at once."""
    pages: list[MetricsPage] = []
    at_once = AtOnce()

    def seen() -> bool:
        page = at_once.time(collector.metrics)
        if not pages or stamp(pages[-1]) != stamp(page):
            pages.append(page)
        return len(pages) > count

    eventually(f"{count} more good scrapes", seen, every=0.01)
    at_once.check()
    return Watched(pages)
