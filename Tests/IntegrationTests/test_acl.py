"""The user that docs/REDIS.md describes is enough, and INFO is optional."""

import pytest

from support import acl, golden
from support.cluster_queues import ClusterQueues, pending, slot_of
from support.collector import run_once
from support.metrics_page import MetricsPage
from support.redis_cluster import RedisCluster, SlotMove
from support.redis_server import RedisServer
from support.scrapes import errors


@pytest.fixture
def server(tmp_path):
    with RedisServer(tmp_path, dump=golden.load("0.26.0").dump) as started:
        yield started


def scrape(server, client, *more_rules: str) -> MetricsPage:
    acl.make_user(client, *more_rules)
    ran = run_once("scrape", "--redis-url", server.url, "--redis-username", acl.USER,
                   env={"ASYNQ_COLLECTOR_REDIS_PASSWORD": acl.PASSWORD})
    assert ran.returncode == 0, ran
    page = MetricsPage(ran.stdout)
    assert page.sum("asynq_redis_scrape_errors_total") == 0
    return page


def test_the_documented_user_is_enough(server):
    with server.client() as client:
        page = scrape(server, client)
        acl.assert_nothing_denied(client)
    assert page.has("asynq_servers") and page.has("asynq_redis_used_memory_bytes")
    assert len(page.by("asynq_queue_paused", "queue")) == 16


def test_without_info_only_its_own_metrics_are_absent(server):
    with server.client() as client:
        page = scrape(server, client, "-info")
    assert not page.has("asynq_redis_used_memory_bytes")
    assert page.has("asynq_servers") and page.value("asynq_redis_up") == 1


@pytest.mark.parametrize("may_ask", [True, False], ids=["+asking", "the line alone"])
def test_a_cluster_s_user_needs_asking_while_a_slot_moves(tmp_path, may_ask):
    with RedisCluster(tmp_path) as cluster:
        queues = ClusterQueues(cluster)
        queues.write()
        for node in cluster.nodes:
            with node.client() as client:
                acl.make_user(client, *(["+asking"] if may_ask else []))
        moving = queues.by_master[1][0]
        move = SlotMove(slot_of(moving), cluster.nodes[1], cluster.nodes[2], cluster.nodes)
        move.begin()
        move.move_keys(move.keys())
        ran = run_once("scrape", "--redis-url", cluster.url, "--redis-username", acl.USER,
                       env={"ASYNQ_COLLECTOR_REDIS_PASSWORD": acl.PASSWORD})
    page = MetricsPage(ran.stdout)
    if may_ask:
        assert ran.returncode == 0 and ran.stderr == "" and errors(page) == {}, ran
        assert pending(page) == queues.pending
    else:
        assert ran.returncode == 0 and set(errors(page)) == {"permission"}, ran
        assert pending(page) == {name: count for name, count in queues.pending.items() if name != moving}
