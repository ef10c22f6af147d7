"""A Redis Cluster whose nodes die, hang, come back and hand over: what the others hold stays on the page.

Two masters have no replica; the third has one. Each test leaves the Cluster as it found it.
"""

import pytest

from support.cluster_queues import DEATH_UNIX_SECONDS, ClusterQueues, pending
from support.deadline import eventually, fast_enough
from support.ports import free_port
from support.redis_cluster import SLOTS, RedisCluster, cluster as ask
from support.redis_server import RedisServer
from support.scrapes import ANSWERS_AGAIN, FAILED, PART_FAILED, WHOLE_AGAIN, after_scrapes, errors, logged, watch

LIST_HOLDER, OTHER, REPLICATED = 0, 1, 2
REPLICA = 3
TIMEOUT_SECONDS = 1.0


@pytest.fixture(scope="module")
def formed(tmp_path_factory):
    with RedisCluster(tmp_path_factory.mktemp("cluster"), replicas=(REPLICATED,)) as started:
        assert started.number_of("asynq:queues") == LIST_HOLDER, "the slots are not those that this test counts on"
        yield started


@pytest.fixture(scope="module")
def queues(formed):
    made = ClusterQueues(formed)
    made.write()
    formed.save()
    return made


@pytest.fixture
def cluster(formed, queues):
    yield formed
    for node in formed.nodes:
        node.resume()
        node.restart_if_dead()
    formed.until_well()


@pytest.fixture
def start(start_collector, cluster, queues):
    """Starts a collector and waits for the queues that it is to see."""
    def started(expected=None, **more):
        options = {"redis.url": cluster.url, "redis.interval": "200ms", "redis.timeout": f"{TIMEOUT_SECONDS:.0f}s",
                   "redis.look-interval": "0"}
        collector = start_collector(options=options | more)
        eventually("the queues", lambda: pending(collector.metrics()) == (expected or queues.pending))
        return collector

    return started


def until_seen(collector, expected: dict) -> None:
    def seen() -> bool:
        found = pending(collector.metrics())
        assert found == expected, f"expected {expected}, got {found}"
        return True

    eventually("these queues and no others", seen)


def dead_letters(collector) -> dict[str, float]:
    return collector.metrics().by("asynq_tasks_dead_lettered_total", "queue")


def infos(cluster) -> int:
    """How many INFO a node has answered that is always well; a scrape sends it three."""
    with cluster.nodes[REPLICATED].client() as client:
        return client.info("commandstats")["cmdstat_info"]["calls"]


def assert_only_parts_fail(collector, cluster, reason: str, count: int = 6):
    """Every scrape is good but for one node, which costs one error."""
    before = infos(cluster)
    watched = watch(collector, count)
    scrapes = (infos(cluster) - before - 1) / 3
    counted = watched.counted()
    assert all(page.value("asynq_redis_up") == 1 for page in watched.pages), "expected asynq_redis_up 1 throughout"
    assert set(counted) == {reason}, f"expected errors for {reason} alone, got {counted}"
    # The scrapes at either end may not be seen whole.
    assert abs(scrapes - counted[reason]) <= 2, f"expected one error in each of {scrapes} scrapes, got {counted}"
    return watched


def test_a_node_that_dies_takes_its_own_queues_and_brings_them_back(start, cluster, queues):
    collector = start()
    before = errors(after_scrapes(collector, 1))
    cluster.nodes[OTHER].stop()  # between two scrapes
    until_seen(collector, queues.without(OTHER))
    page = after_scrapes(collector, 3)
    assert set(page.by("asynq_queue_paused", "queue")) == set(queues.without(OTHER))
    assert before == {}, f"expected no errors before, got {before}"
    assert not page.has("asynq_redis_used_memory_bytes"), "expected no sum over the nodes without one of them"
    assert_only_parts_fail(collector, cluster, "connection")
    lines = logged(collector, PART_FAILED)
    assert len(lines) == 1 and str(cluster.nodes[OTHER].port) in lines[0]["error"], lines
    assert logged(collector, FAILED) == []

    before = infos(cluster)
    cluster.nodes[OTHER].start()
    until_seen(collector, queues.pending)
    # A node that has just started says CLUSTERDOWN to every command, for some seconds: an error a scrape all the same.
    down = errors(collector.metrics()).get("cluster_down", 0)
    scrapes = (infos(cluster) - before) / 3
    assert down <= scrapes + 1, f"expected an error a scrape, got {down} in {scrapes} scrapes"
    queue = queues.by_master[OTHER][0]
    assert dead_letters(collector) == {name: 0 for name in queues.names}, "expected old deaths not to be counted again"
    with cluster.nodes[OTHER].client() as client:
        client.zadd(f"asynq:{{{queue}}}:archived", {"fresh": DEATH_UNIX_SECONDS + 100})
        eventually("one death", lambda: dead_letters(collector)[queue] == 1)
        client.zrem(f"asynq:{{{queue}}}:archived", "fresh")
    cluster.until_well()
    counted = errors(collector.metrics())
    after_scrapes(collector, 3)
    assert errors(collector.metrics()) == counted, "expected no more errors from a Cluster that is well"
    more = logged(collector, PART_FAILED)[len(lines):]
    assert len(more) <= 1 and all("CLUSTERDOWN" in line["error"] for line in more), more
    assert len(logged(collector, WHOLE_AGAIN)) == 1


def test_a_node_that_was_down_at_the_start_brings_queues_without_new_deaths(start, cluster, queues):
    cluster.nodes[OTHER].stop()
    collector = start(queues.without(OTHER))
    cluster.nodes[OTHER].start()
    until_seen(collector, queues.pending)
    after_scrapes(collector)
    assert dead_letters(collector) == {name: 0 for name in queues.names}


def test_without_the_list_of_queues_those_of_the_last_scrape_stay(start, cluster, queues):
    collector = start()
    cluster.nodes[LIST_HOLDER].stop()
    until_seen(collector, queues.without(LIST_HOLDER))
    queue = queues.by_master[OTHER][0]
    with cluster.nodes[OTHER].client() as client:
        client.lpush(f"asynq:{{{queue}}}:pending", "one-more")
        until_seen(collector, queues.without(LIST_HOLDER) | {queue: queues.pending[queue] + 1})
        client.lpop(f"asynq:{{{queue}}}:pending")
    until_seen(collector, queues.without(LIST_HOLDER))
    assert_only_parts_fail(collector, cluster, "connection")
    cluster.nodes[LIST_HOLDER].start()
    until_seen(collector, queues.pending)
    assert dead_letters(collector) == {name: 0 for name in queues.names}


def test_a_node_that_hangs_costs_no_more_than_the_timeout(start, cluster, queues):
    """The one that holds the list of queues: the hardest to do without."""
    number = LIST_HOLDER
    collector = start()
    threads = collector.threads()
    cluster.nodes[number].pause()
    until_seen(collector, queues.without(number))
    durations = assert_only_parts_fail(collector, cluster, "timeout", count=10).durations
    # One may have waited for the machine as well.
    waited = [duration for duration in durations if duration > TIMEOUT_SECONDS / 2]
    assert not waited or min(waited) < TIMEOUT_SECONDS * 1.3, f"expected scrapes within redis.timeout, got {durations}"
    # The pauses between two tries grow: most scrapes do not wait for it.
    assert len(waited) < len(durations) / 2, f"expected few scrapes to wait, got {durations}"
    assert collector.threads() == threads, "expected a node that hangs to cost no thread"
    assert len(logged(collector, PART_FAILED)) == 1, logged(collector, PART_FAILED)
    with cluster.nodes[REPLICATED].client() as client:
        queue = queues.by_master[REPLICATED][0]
        client.lpush(f"asynq:{{{queue}}}:pending", "one-more")
        until_seen(collector, queues.without(number) | {queue: queues.pending[queue] + 1})
        client.lpop(f"asynq:{{{queue}}}:pending")
    cluster.nodes[number].resume()
    until_seen(collector, queues.pending)


def test_where_the_others_refuse_to_answer_redis_is_down_and_says_why_once(start, cluster, queues):
    collector = start()
    whole = [cluster.nodes[number] for number in (LIST_HOLDER, REPLICATED)]
    for node in whole:
        with node.client() as client:
            client.config_set("cluster-require-full-coverage", "yes")
    cluster.nodes[OTHER].stop()
    page = eventually("asynq_redis_up 0 for cluster_down", lambda: (
        (p := collector.metrics()).value("asynq_redis_up") == 0 and errors(p).get("cluster_down", 0) >= 3 and p))
    assert page.names("asynq_queue_") == set()
    lines = logged(collector, FAILED)
    assert len(lines) == 1 and "CLUSTERDOWN" in lines[0]["error"] and lines[0]["reason"] == "cluster_down", lines
    for node in whole:
        with node.client() as client:
            client.config_set("cluster-require-full-coverage", "no")
    until_seen(collector, queues.without(OTHER))
    assert len(logged(collector, ANSWERS_AGAIN)) == 1


@pytest.mark.parametrize("ending, reason", [("stop", "connection"), ("pause", "timeout")], ids=["dead", "hung"])
def test_a_cluster_that_is_gone_altogether_is_down_and_comes_back(start, cluster, queues, ending, reason):
    collector = start()
    for node in cluster.nodes:
        getattr(node, ending)()
    page = eventually("asynq_redis_up 0", lambda: (p := collector.metrics()).value("asynq_redis_up") == 0 and p)
    assert page.names("asynq_queue_") == set()
    eventually("more than one failed scrape", lambda: errors(collector.metrics()).get(reason, 0) >= 3)
    page = collector.metrics()
    assert set(errors(page)) == {reason}, f"expected errors for {reason} alone, got {errors(page)}"

    def duration() -> float:
        failed = errors(collector.metrics())[reason]
        eventually("another failed scrape", lambda: errors(collector.metrics())[reason] > failed)
        return collector.metrics().value("asynq_redis_scrape_duration_seconds")

    fast_enough("a scrape", TIMEOUT_SECONDS * 1.3, duration)
    # A connection is closed, and then refused.
    assert len(logged(collector, FAILED)) <= 2, logged(collector, FAILED)
    for node in cluster.nodes:
        node.resume()
        node.restart_if_dead()
    until_seen(collector, queues.pending)
    assert dead_letters(collector) == {name: 0 for name in queues.names}


def test_a_replica_that_takes_over_is_followed_and_back(start, cluster, queues):
    eventually("the replica is known", lambda: str(cluster.nodes[REPLICA].port) in str(ask(cluster.nodes[OTHER], "SLOTS")))
    collector = start()
    cluster.nodes[REPLICATED].stop()
    until_seen(collector, queues.without(REPLICATED))
    until_seen(collector, queues.pending)
    queue = queues.by_master[REPLICATED][0]
    with cluster.nodes[REPLICA].client() as client:
        client.set(f"asynq:{{{queue}}}:paused", 1)
        eventually("what the new master says", lambda: collector.metrics().by("asynq_queue_paused", "queue")[queue] == 1)
        client.delete(f"asynq:{{{queue}}}:paused")
    assert dead_letters(collector) == {name: 0 for name in queues.names}

    # Back by agreement: no node dies, and the old master, now a replica, keeps its connections.
    cluster.nodes[REPLICATED].start()
    cluster.until_well()
    counted = errors(collector.metrics())
    cluster.hand_over_to(cluster.nodes[REPLICATED])
    with cluster.nodes[REPLICATED].client() as client:
        client.set(f"asynq:{{{queue}}}:paused", 1)
        eventually("what the first master says", lambda: collector.metrics().by("asynq_queue_paused", "queue")[queue] == 1)
        client.delete(f"asynq:{{{queue}}}:paused")
    until_seen(collector, queues.pending)
    assert errors(collector.metrics()) == counted, "expected a hand-over to be followed without an error"


@pytest.mark.parametrize("kind", ["alone", "node of another cluster"])
def test_a_stranger_at_the_address_of_a_node_is_not_asked(start, cluster, queues, tmp_path, kind):
    """As when a dead pod's address is given to another one."""
    collector = start()
    node = cluster.nodes[OTHER]
    node.stop()
    until_seen(collector, queues.without(OTHER))
    bus = ["--cluster-enabled", "yes", "--cluster-port", str(free_port()), "--cluster-require-full-coverage", "no"]
    stranger = RedisServer(tmp_path / "stranger", flags=[] if kind == "alone" else bus)
    stranger.port = node.port
    with stranger, stranger.client() as client:
        if kind != "alone":
            ask(stranger, "ADDSLOTSRANGE", 0, SLOTS - 1)
            eventually("it serves", lambda: b"cluster_state:ok" in ask(stranger, "INFO"))
        for queue in queues.by_master[OTHER]:
            client.lpush(f"asynq:{{{queue}}}:pending", *(f"strange-{n}" for n in range(70)))
        told = eventually("the stranger is told", lambda: [
            line for line in logged(collector, PART_FAILED) if "is not the node of the Cluster" in line["error"]])
        assert str(node.port) in told[0]["error"], told
        watched = watch(collector, 6)
        assert all(pending(page) == queues.without(OTHER) for page in watched.pages), "expected the queues to stay absent"
        assert set(watched.counted()) == {"connection"}, watched.counted()
    node.start()
    until_seen(collector, queues.pending)
