"""What a scrape asks of Redis: only what the documented user may, no writes, three round trips, a known number of commands."""

import threading
from collections import Counter

import pytest

from support import acl, faked_clock, golden, scrape_commands
from support.collector import Collector, flags, run_once
from support.deadline import eventually
from support.metrics_page import MetricsPage
from support.redis_proxy import Burst, RedisProxy
from support.redis_server import RedisServer

# Sampling between scrapes would be counted with them.
NO_SAMPLING = {"redis.look-interval": "0", "redis.memory-sampling": "off"}


@pytest.fixture(scope="module")
def state():
    return golden.load("0.26.0")


@pytest.fixture(scope="module")
def server(state, tmp_path_factory):
    with RedisServer(tmp_path_factory.mktemp("redis"), dump=state.dump) as started:
        yield started


@pytest.fixture
def proxy(server):
    with RedisProxy(server) as started:
        yield started


def counted(bursts: list[Burst]) -> Counter:
    return Counter(command[0].decode() for burst in bursts for command in burst)


def scrapes(proxy: RedisProxy) -> list[list[Burst]]:
    """The round trips of each scrape; it begins with the list of queues."""
    found: list[list[Burst]] = []
    for burst in proxy.round_trips():
        if [b"SMEMBERS", b"asynq:queues"] in burst:
            found.append([])
        found[-1].append(burst)
    return found


def rests(queue: dict) -> bool:
    """Whether nothing in it can move by itself."""
    return not queue["paused"] and not queue["groups"] and not any(
        queue[name] for name in ("pending", "active", "scheduled", "retry", "aggregating"))


def expected_commands(state, is_first: bool, letters: bool = False, is_settled: bool = False) -> Counter:
    """Of one scrape: the documented commands, as often as what they are sent for is there, and their conditions hold. `letters`:
    and the newest dead letters of each queue for what they are, once the scrape is through. `is_settled`: two scrapes saw that
    nothing is processed."""
    resting = [queue for queue in state.queues if is_settled and rests(queue)]
    awake = [queue for queue in state.queues if queue not in resting]
    busy_servers = sum(count > 0 for count in state.busy_workers.values())
    # Those that have enqueued a task at their last tick, or since.
    enqueued, ticks = state.last_enqueued(), state.scheduler_times("prev")
    current = sum(time >= int(ticks.get(entry, 0)) for entry, time in enqueued.items())
    now = state.unix_nanoseconds // 1_000_000_000

    def due(state_name: str) -> int:
        return sum(any(score <= now for score in queue["zset_scores"].get(state_name, {}).values()) for queue in awake)

    # The first scrape can't know which queues are worked on, nor which servers are idle.
    worked_on = [queue for queue in awake if is_first or queue["active"]]
    always = {
        "scrape": 1, "node": 1, "server": len(state.servers), "scheduler": state.live_schedulers(), "queue": len(awake),
        "group": sum(queue["groups"] for queue in awake),
    }
    conditions = {
        "unless only `INFO server` has told Redis' clock": 1,
        "unless `TIME` has told it": int(is_first),
        "if they rest": len(range(0, len(resting), 10)),
        "if it rests and has dead letters": sum(queue["archived"] > 0 for queue in resting),
        "if it rests and has completed tasks": sum(queue["completed"] > 0 for queue in resting),
        "unless the last scrape saw it idle": len(state.servers) if is_first else busy_servers,
        "if no scrape has read it": sum(state.busy_workers.values()) if is_first else 0,
        "if it works on tasks that an earlier scrape has read": 0 if is_first else busy_servers,
        "if it works on tasks that no scrape has read": busy_servers if is_first else 0,
        "unless it is known to have enqueued a task since its last tick":
            len(state.scheduler_entries) - (0 if is_first else current),
        "if the last scrape saw 32 pending tasks or more": 0 if is_first else sum(queue["pending"] >= 32 for queue in awake),
        "if an earlier scrape has read its archive": 0 if is_first else len(awake),
        "if it was there at the start, until its archive has been read": len(awake) if is_first else 0,
        "unless the last scrape saw more than 10,000": len(awake),
        "if it was pending in round trip 2; one task where the workers take none":
            sum(min(4 if queue in worked_on else 1, queue["pending"]) for queue in awake),
        "if workers take its tasks": sum(queue["pending"] > 0 for queue in worked_on),
        "if it has expired leases": due("lease"),
        "if scheduled tasks are overdue": due("scheduled"),
        "if retries are overdue": due("retry"),
        "if more than 1,000 dead letters are new, or after `ZRANGE` gave any":
            sum(queue["archived"] > 0 for queue in awake) if is_first else 0,
    }
    commands = scrape_commands.documented()
    assert {command.only for command in commands} - {""} == set(conditions)
    read = sum(min(20, queue["archived"]) for queue in state.queues) if letters else 0
    count = Counter({"HSTRLEN": read, "HMGET": read})
    for command in commands:
        count[command.name] += conditions[command.only] if command.only else always[command.each]
    return count


def test_a_scrape_is_three_round_trips_and_one_for_new_running_tasks_and_sends_what_it_needs_once(state, proxy):
    ran = run_once("scrape", *flags(NO_SAMPLING), "--redis-url", proxy.url, env=faked_clock.frozen_at(state.unix_nanoseconds))
    assert ran.returncode == 0, ran
    assert MetricsPage(ran.stdout).by("asynq_queue_size", "queue", "state") == state.sizes()
    bursts = proxy.round_trips()
    expected = 3 + any(state.busy_workers.values())
    assert len(bursts) == expected, f"expected {expected} round trips, got {[len(burst) for burst in bursts]}"
    assert counted(bursts) == expected_commands(state, is_first=True)
    assert proxy.connections == 1


def test_every_scrape_of_a_running_collector_costs_the_same(state, proxy, tmp_path):
    env = faked_clock.frozen_at(state.unix_nanoseconds)
    collector = Collector(tmp_path, NO_SAMPLING | {"redis.url": proxy.url, "redis.interval": "100ms"}, env).start()
    eventually("five scrapes", lambda: len(scrapes(proxy)) > 5)
    problem = collector.close()
    assert not problem, problem
    first, second, *others = scrapes(proxy)[:5]
    assert counted(first) == expected_commands(state, is_first=True, letters=True)
    assert counted(second) == expected_commands(state, is_first=False)
    for bursts in others:
        assert len(bursts) == 3, f"expected three round trips, got {[len(burst) for burst in bursts]}"
        assert counted(bursts) == expected_commands(state, is_first=False, is_settled=True)
    assert proxy.connections == 1


@pytest.mark.parametrize("queues", [0, 1, 300])
def test_round_trips_do_not_depend_on_the_number_of_queues(tmp_path, queues):
    with RedisServer(tmp_path) as server, server.client() as client, RedisProxy(server) as proxy:
        for number in range(queues):
            client.sadd("asynq:queues", f"queue-{number}")
            client.lpush(f"asynq:{{queue-{number}}}:pending", "task")
        ran = run_once("scrape", *flags(NO_SAMPLING), "--redis-url", proxy.url)
    assert len(MetricsPage(ran.stdout).by("asynq_queue_paused", "queue")) == queues, ran.stderr
    # Without a queue, a server or a scheduler there is nothing more to ask.
    assert len(proxy.round_trips()) == (3 if queues else 1), [len(burst) for burst in proxy.round_trips()]


class Monitor:
    """What MONITOR shows from `with` to its end."""
    END = "that is all"

    def __init__(self, server: RedisServer):
        self._server = server
        self._listening = threading.Event()
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self.commands: list[str] = []

    def __enter__(self) -> "Monitor":
        self._thread.start()
        assert self._listening.wait(10), "expected MONITOR to begin"
        return self

    def __exit__(self, *_) -> None:
        with self._server.client() as client:
            client.echo(self.END)
        self._thread.join(10)
        assert not self._thread.is_alive(), "expected MONITOR to show the end"

    def _listen(self) -> None:
        with self._server.client() as client, client.monitor() as monitor:
            self._listening.set()
            for seen in monitor.listen():
                if self.END in seen["command"]:
                    return
                self.commands.append(seen["command"])


def test_monitor_shows_only_what_the_documented_user_may_and_nothing_that_writes(server, start_collector):
    with Monitor(server) as monitor:
        collector = start_collector(options={"redis.url": server.tcp_url, "redis.interval": "100ms"})
        eventually("five scrapes", lambda: monitor.commands.count("SMEMBERS asynq:queues") >= 5)
        problem = collector.close()
        assert not problem, problem
    with server.client() as client:
        table = client.command()
    words = [command.lower().split(" ") for command in monitor.commands]
    names = {"|".join(word[:2]) if word[0] in ("client", "cluster") else word[0] for word in words}
    # MONITOR shows the test's own clients too: how they log in.
    names -= {"client|setinfo", "hello"}
    assert {"smembers", "llen", "zcard", "zrangebyscore", "client|setname"} <= names, f"expected a scrape, got {names}"
    assert names <= acl.allowed_commands(), f"expected only documented commands, got {names - acl.allowed_commands()}"
    writing = {name for name in names if "write" in table[name.split("|")[0]]["flags"]}
    assert not writing, f"expected no command that writes, got {writing}"
