"""What cron really did: its ticks, what they enqueued, and entries that several schedulers have."""

import time

import pytest

from support.asynq_messages import scheduler_enqueue_event, scheduler_entry
from support.collector import flags, run_once
from support.deadline import eventually
from support.metrics_page import MetricsPage
from support.redis_server import RedisServer

LABELS = ("task_type", "spec", "entry_id")
PREVIOUS = "asynq_scheduler_entry_prev_enqueue_timestamp_seconds"
ENQUEUED = "asynq_scheduler_entry_last_enqueued_timestamp_seconds"
HOUR = 3600


@pytest.fixture
def server(tmp_path):
    with RedisServer(tmp_path / "redis") as started:
        yield started


class Scheduler:
    """Writes what a scheduler of Asynq writes."""

    def __init__(self, client, scheduler_id: str):
        self._client, self._key = client, f"asynq:schedulers:{{{scheduler_id}}}"

    def beat(self, *entries: tuple[str, str, str, int]) -> None:
        """Entries: id, spec, task type, last tick."""
        now = int(time.time())
        self._client.delete(self._key)
        for entry_id, spec, task_type, tick in entries:
            self._client.lpush(self._key, scheduler_entry(entry_id, spec, task_type, tick + HOUR, tick))
        self._client.zadd("asynq:schedulers", {self._key: now + 300})

    def record(self, entry_id: str, at: int) -> None:
        """What Enqueue does once it has worked."""
        self._client.zadd(f"asynq:scheduler_history:{entry_id}", {scheduler_enqueue_event(f"task {at}", at): at})


def scraped(server: RedisServer) -> MetricsPage:
    ran = run_once("scrape", *flags({}), "--redis-url", server.tcp_url)
    assert ran.returncode == 0 and ran.stderr == "", ran
    return MetricsPage(ran.stdout)


def test_a_tick_whose_enqueueing_failed_is_told_from_one_that_worked(server):
    """A fixed task id whose last task lies in the archive: each tick's Enqueue fails, and no event is recorded."""
    now = int(time.time())
    with server.client() as client:
        scheduler = Scheduler(client, "host:1:s1")
        tick = now - 1800
        scheduler.beat(("e1", "0 * * * *", "report:daily", tick), ("e2", "@every 1h", "mail", tick),
                       ("e3", "@every 2h", "mail", tick))
        scheduler.record("e1", now - 4 * 86_400)
        scheduler.record("e1", now - 3 * 86_400)
        scheduler.record("e2", tick)
        page = scraped(server)
    entries = {"e1": ("report:daily", "0 * * * *", "e1"), "e2": ("mail", "@every 1h", "e2"), "e3": ("mail", "@every 2h", "e3")}
    assert page.by(PREVIOUS, *LABELS) == {labels: tick for labels in entries.values()}
    assert page.by(ENQUEUED, *LABELS) == {entries["e1"]: now - 3 * 86_400, entries["e2"]: tick}
    assert page.sum("asynq_redis_scrape_errors_total") == 0


def test_a_running_collector_follows_the_ticks(server, start_collector):
    tick = int(time.time()) - HOUR
    with server.client() as client:
        scheduler = Scheduler(client, "host:1:s1")
        scheduler.beat(("e1", "0 * * * *", "report:daily", tick))
        scheduler.record("e1", tick)
        collector = start_collector(options={"redis.url": server.url, "redis.interval": "100ms"})

        def seen() -> tuple[list, list]:
            page = collector.metrics()
            return tuple(list(page.by(name, *LABELS).values()) if page.has(name) else [] for name in (PREVIOUS, ENQUEUED))

        eventually("the first tick", lambda: seen() == ([tick], [tick]))
        scheduler.beat(("e1", "0 * * * *", "report:daily", tick + HOUR))
        eventually("a tick that enqueued nothing", lambda: seen() == ([tick + HOUR], [tick]))
        scheduler.record("e1", tick + HOUR + 1)
        eventually("the task that was enqueued late", lambda: seen() == ([tick + HOUR], [tick + HOUR + 1]))
        # A scheduler that stops deletes the history, and the entries of the next one have other ids.
        client.delete("asynq:scheduler_history:e1")
        scheduler.beat(("e9", "0 * * * *", "report:daily", tick + HOUR))
        eventually("the entries of the next scheduler", lambda: seen() == ([tick + HOUR], []))


def test_an_entry_that_two_schedulers_have_is_counted_and_two_entries_of_one_are_not(server):
    tick = int(time.time()) - 60
    with server.client() as client:
        Scheduler(client, "host:1:s1").beat(("e1", "0 * * * *", "report:daily", tick), ("e2", "@every 1m", "mail", tick),
                                            ("e3", "@every 1m", "mail", tick))
        Scheduler(client, "host:2:s2").beat(("e4", "0 * * * *", "report:daily", tick))
        page = scraped(server)
    assert page.value("asynq_scheduler_entries") == 4
    assert page.by("asynq_scheduler_entry_schedulers", "task_type", "spec") == {
        ("report:daily", "0 * * * *"): 2, ("mail", "@every 1m"): 1}
