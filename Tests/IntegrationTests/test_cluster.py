"""A Redis Cluster that is well: found from any node, and followed while slots move."""

import pytest
from redis import Redis
from redis.crc import key_slot

from support.cluster_queues import ClusterQueues, pending, slot_of
from support.collector import run_once
from support.deadline import eventually
from support.metrics_page import MetricsPage
from support.ports import free_port
from support.redis_cluster import RedisCluster, SlotMove, redirects
from support.redis_server import RedisServer
from support.scrapes import PART_FAILED, after_scrapes, errors, logged


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    with RedisCluster(tmp_path_factory.mktemp("cluster")) as started:
        yield started


@pytest.fixture(scope="module")
def queues(cluster):
    made = ClusterQueues(cluster)
    made.write()
    return made


def scrape(url: str, *more_flags: str):
    return run_once("scrape", "--redis-url", url, *more_flags)


def refusal(url: str, *more_flags: str) -> str:
    """The one line that says why the url can't be scraped."""
    ran = scrape(url, *more_flags)
    said = f"exit code {ran.returncode}, {len(ran.stdout)} characters of page, stderr {ran.stderr!r}"
    assert ran.returncode == 1 and ran.stdout == "", f"expected exit code 1 and no page, got {said}"
    lines = ran.stderr.splitlines()
    assert len(lines) == 1, f"expected exactly one line on stderr, got {lines}"
    return lines[0]


# --- Finding it ---

@pytest.mark.parametrize("seed", [0, 1, 2])
def test_all_queues_are_found_from_any_one_node(cluster, queues, seed):
    ran = scrape(RedisCluster.url_of(cluster.nodes[seed]))
    assert ran.returncode == 0 and ran.stderr == "", ran
    page = MetricsPage(ran.stdout)
    assert pending(page) == queues.pending
    assert page.by("asynq_queue_latency_seconds", "queue").keys() == set(queues.names)
    assert errors(page) == {}


def test_a_dead_seed_among_good_ones_does_no_harm(cluster, queues):
    ran = scrape(f"redis-cluster://127.0.0.1:{free_port()},127.0.0.1:{cluster.nodes[1].port}")
    assert ran.returncode == 0, ran
    assert pending(MetricsPage(ran.stdout)) == queues.pending


def test_a_seed_that_hangs_leaves_time_for_the_next(cluster, queues, tmp_path):
    with RedisServer(tmp_path) as hung:
        hung.pause()
        ran = scrape(RedisCluster.url_of(hung, cluster.nodes[1]), "--redis-timeout", "1s")
    assert ran.returncode == 0, ran
    assert pending(MetricsPage(ran.stdout)) == queues.pending


def test_seeds_that_are_all_wrong_are_named():
    ports = [free_port(), free_port()]
    said = refusal(f"redis-cluster://127.0.0.1:{ports[0]},127.0.0.1:{ports[1]}")
    assert str(ports[1]) in said and "refused" in said, said


@pytest.mark.parametrize("node", [0, 1, 2])
def test_a_url_for_a_single_redis_that_names_a_node_is_refused_with_the_right_scheme(cluster, queues, node):
    """Also where the node happens to hold `asynq:queues`: a third of the numbers would look like all of them."""
    said = refusal(cluster.nodes[node].tcp_url)
    assert "MOVED" in said and "redis-cluster://" in said, said


def test_a_url_for_a_cluster_that_names_a_single_redis_is_refused_with_the_right_scheme(tmp_path):
    with RedisServer(tmp_path) as single:
        said = refusal(RedisCluster.url_of(single))
    assert "cluster support disabled" in said and "redis://" in said, said


# --- Slots that move ---

def following(start_collector, cluster, queues):
    collector = start_collector(options={"redis.url": cluster.url, "redis.interval": "100ms", "redis.look-interval": "0"})
    eventually("all queues", lambda: collector.metrics().has("asynq_queue_size")
               and pending(collector.metrics()) == queues.pending)
    return collector


def assert_whole(collector, queues) -> None:
    """Scrapes from now on see everything, and nothing has gone wrong so far."""
    page = after_scrapes(collector)
    assert pending(page) == queues.pending, "expected every queue's tasks while the slot moves"
    processed = page.by("asynq_tasks_processed_total", "queue", "status")
    assert {queue: count for (queue, status), count in processed.items() if status == "completed"} == {
        queue: 10 * count for queue, count in queues.pending.items()}
    assert page.by("asynq_tasks_dead_lettered_total", "queue") == {queue: 0 for queue in queues.names}
    assert errors(page) == {} and page.value("asynq_redis_up") == 1
    assert logged(collector, PART_FAILED) == []


@pytest.fixture
def moves(cluster):
    """Starts moves and undoes them."""
    done = []

    def move(slot: int, source: int, destination: int) -> SlotMove:
        done.append(SlotMove(slot, cluster.nodes[source], cluster.nodes[destination], cluster.nodes))
        return done[-1]

    yield move
    for forth in done:
        forth.end()
        back = SlotMove(forth.slot, forth.destination, forth.source, cluster.nodes)
        back.begin()
        back.move_keys(back.keys())
        back.end()


def test_a_slot_on_its_way_is_read_at_both_ends_and_then_where_it_has_arrived(start_collector, cluster, queues, moves):
    queue = queues.by_master[1][0]
    collector = following(start_collector, cluster, queues)
    move = moves(slot_of(queue), 1, 2)
    move.begin()
    keys = move.keys()
    assert len(keys) > 3, f"expected several keys in the slot, got {keys}"
    move.move_keys(keys[::2])
    asked = redirects(move.source, "ASK")
    assert_whole(collector, queues)
    assert redirects(move.source, "ASK") > asked, "expected the source to answer ASK"

    move.move_keys(keys[1::2])
    moved = redirects(move.source, "MOVED")
    move.end()
    assert_whole(collector, queues)
    known = redirects(move.source, "MOVED")
    assert known > moved, "expected the source to answer MOVED"
    # The topology has been read again: no node is asked in vain any more.
    after_scrapes(collector, 3)
    assert redirects(move.source, "MOVED") == known


def test_tasks_that_come_at_the_far_end_of_a_move_are_seen(start_collector, cluster, queues, moves):
    queue = queues.by_master[1][1]
    collector = following(start_collector, cluster, queues)
    move = moves(slot_of(queue), 1, 0)
    move.begin()
    move.move_keys(move.keys())
    with Redis(port=move.destination.port, single_connection_client=True) as client:
        client.execute_command("ASKING")
        client.set(f"asynq:{{{queue}}}:paused", 1)
        eventually("the pause", lambda: collector.metrics().by("asynq_queue_paused", "queue")[queue] == 1)
        client.execute_command("ASKING")
        client.delete(f"asynq:{{{queue}}}:paused")
        eventually("no pause", lambda: collector.metrics().by("asynq_queue_paused", "queue")[queue] == 0)
    assert_whole(collector, queues)


def test_the_list_of_queues_is_followed_as_well(start_collector, cluster, queues, moves):
    collector = following(start_collector, cluster, queues)
    move = moves(key_slot(b"asynq:queues"), 0, 1)
    move.begin()
    move.move_keys(move.keys())
    assert_whole(collector, queues)
    move.end()
    assert_whole(collector, queues)
    with move.destination.client() as client:
        client.sadd("asynq:queues", "new")
        eventually("the new queue", lambda: "new" in pending(collector.metrics()))
        client.srem("asynq:queues", "new")
