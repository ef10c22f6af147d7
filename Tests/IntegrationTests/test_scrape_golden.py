"""`scrape` and `run` against what real Asynq left in Redis: every number as Asynq's own Inspector reports it, however
Redis is deployed and reached."""

import pytest

from support import faked_clock, golden, promtool
from support.collector import Collector, flags, run_once
from support.deadline import eventually
from support.deployments import Deployments
from support.metrics_page import MetricsPage
from support.redis_cluster import RedisCluster

# By what command each is looked at; both take the same way to Redis.
PAGES = {
    "unix_socket": "scrape",
    "tcp": "run",
    "tls": "run",
    "documented_user": "run",
    "replica": "scrape",
    "valkey": "scrape",
    "sentinel": "scrape",
    "sentinel_by_tls": "run",
    "cluster": "run",
    "cluster_by_tls_with_the_documented_user": "scrape",
}


@pytest.fixture(scope="module")
def cluster(certificates, tmp_path_factory):
    with RedisCluster(tmp_path_factory.mktemp("cluster"), certificates=certificates) as started:
        yield started


@pytest.fixture(scope="module", params=golden.VERSIONS)
def expected(request):
    return golden.load(request.param)


@pytest.fixture(scope="module")
def deployments(expected, certificates, cluster, tmp_path_factory):
    made = Deployments(tmp_path_factory.mktemp("redis"), expected.dump, certificates, cluster)
    yield made
    made.close()


@pytest.fixture(scope="module", params=PAGES)
def page(request, expected, deployments, tmp_path_factory):
    """The page of either command, its clock frozen at the instant of the snapshot."""
    options = getattr(deployments, request.param)
    env = faked_clock.frozen_at(expected.unix_nanoseconds)
    if PAGES[request.param] == "scrape":
        ran = run_once("scrape", *flags(options), env=env)
        assert ran.returncode == 0, f"expected exit code 0, got {ran}"
        assert ran.stderr == "", f"expected nothing on stderr, got {ran.stderr!r}"
        page = MetricsPage(ran.stdout)
    else:
        collector = Collector(tmp_path_factory.mktemp("run"), options, env).start()
        page = eventually("a page with queues", lambda: (p := collector.metrics()).has("asynq_queue_size") and p)
        problem = collector.close()
        assert not problem, problem
    deployments.assert_nothing_denied()
    return page


def test_every_queue_has_every_state_with_its_size(page, expected):
    assert page.by("asynq_queue_size", "queue", "state") == expected.sizes()


def test_latency_is_the_age_of_the_next_task_and_never_negative(page, expected):
    latencies = page.by("asynq_queue_latency_seconds", "queue")
    assert latencies == pytest.approx(expected.latencies(), rel=0, abs=1e-6)
    assert latencies["skewed"] == 0


def test_paused_queues_are_those_that_exist_and_are_paused(page, expected):
    assert page.by("asynq_queue_paused", "queue") == {
        queue["queue"]: float(queue["paused"]) for queue in expected.queues}


def test_aggregation_groups_are_counted(page, expected):
    assert page.by("asynq_queue_groups", "queue") == {queue["queue"]: queue["groups"] for queue in expected.queues}


def test_processed_tasks_are_told_apart_by_outcome(page, expected):
    counts = {}
    for queue in expected.queues:
        # Asynq's total of processed tasks includes the failed ones.
        counts[queue["queue"], "completed"] = queue["processed_total"] - queue["failed_total"]
        counts[queue["queue"], "failed"] = queue["failed_total"]
    assert page.by("asynq_tasks_processed_total", "queue", "status") == counts


def test_orphans_are_active_tasks_whose_lease_has_expired(page, expected):
    orphans = {queue["queue"]: sum(task["is_orphaned"] for task in queue["tasks"]["active"]) for queue in expected.queues}
    assert page.by("asynq_queue_orphaned_tasks", "queue") == orphans
    assert sum(orphans.values()) > 0


def test_the_longest_running_task_is_the_one_whose_worker_started_first(page, expected):
    starts: dict[str, list[int]] = {}
    for worker in (worker for server in expected.servers for worker in server["active_workers"]):
        starts.setdefault(worker["queue"], []).append(int(worker["started"]["unix_ns"]))
    longest = {queue: (expected.unix_nanoseconds - min(started)) / 1e9 for queue, started in starts.items()}
    assert len(longest) >= 3
    assert page.by("asynq_queue_longest_running_seconds", "queue") == pytest.approx(longest, rel=0, abs=1e-6)


def test_tasks_past_their_time_are_overdue(page, expected):
    # Asynq compares with whole seconds.
    now = expected.unix_nanoseconds // 1_000_000_000
    overdue = {(queue["queue"], state): sum(score <= now for score in queue["zset_scores"][state].values())
               for queue in expected.queues for state in ("scheduled", "retry")}
    assert page.by("asynq_queue_overdue_tasks", "queue", "state") == overdue


def test_what_lay_in_the_archive_before_the_start_fills_it_but_is_no_arrival(page, expected):
    names = [queue["queue"] for queue in expected.queues]
    assert page.by("asynq_queue_archive_fill_ratio", "queue") == {
        queue["queue"]: queue["archived"] / 10_000 for queue in expected.queues}
    assert page.by("asynq_tasks_dead_lettered_total", "queue") == dict.fromkeys(names, 0)


def test_consumers_of_a_queue_are_the_live_active_servers(page, expected):
    serving = {queue["queue"]: [server["concurrency"] for server in expected.servers
                                if server["status"] == "active" and queue["queue"] in server["queues"]]
               for queue in expected.queues}
    assert page.by("asynq_queue_consumers", "queue") == {queue: len(servers) for queue, servers in serving.items()}
    assert page.by("asynq_queue_concurrency", "queue") == {queue: sum(servers) for queue, servers in serving.items()}


def test_servers_are_those_that_the_inspector_lists(page, expected):
    labels = ("host", "pid", "server_id")
    servers = {(server["host"], str(server["pid"]), server["id"]): server for server in expected.servers}
    assert page.by("asynq_server_concurrency", *labels) == {key: server["concurrency"] for key, server in servers.items()}
    assert page.by("asynq_server_busy_workers", *labels) == {
        key: expected.busy_workers[server["id"]] for key, server in servers.items()}
    statuses = [server["status"] for server in expected.servers]
    assert page.by("asynq_servers", "status") == {status: statuses.count(status) for status in statuses}


def test_cron_entries_have_their_next_and_previous_time_and_never_is_no_time(page, expected):
    labels = ("task_type", "spec", "entry_id")
    assert page.value("asynq_scheduler_entries") == len(expected.scheduler_entries)
    for name, which in [("next", "next"), ("prev", "prev")]:
        times = page.by(f"asynq_scheduler_entry_{name}_enqueue_timestamp_seconds", *labels)
        assert times == pytest.approx(expected.scheduler_times(which), rel=0, abs=1e-3), which
    assert expected.last_enqueued()
    assert page.by("asynq_scheduler_entry_last_enqueued_timestamp_seconds", *labels) == expected.last_enqueued()


def test_redis_says_how_it_is(page):
    assert page.value("asynq_redis_used_memory_bytes") > 100_000
    assert page.value("asynq_redis_max_memory_bytes") == 0
    assert page.value("asynq_redis_evicted_keys_total") == 0
    assert page.value("asynq_redis_connected_clients") >= 1


def test_the_scrape_reports_itself(page, expected):
    assert page.value("asynq_redis_up") == 1
    assert page.value("asynq_redis_scrape_duration_seconds") >= 0
    stamp = page.value("asynq_redis_last_scrape_timestamp_seconds")
    assert stamp == pytest.approx(expected.unix_nanoseconds / 1e9, rel=0, abs=1e-3)
    assert page.sum("asynq_redis_scrape_errors_total") == 0


def test_the_families_have_their_types_and_a_help_text(page):
    types = {
        "asynq_queue_size": "gauge", "asynq_queue_latency_seconds": "gauge", "asynq_queue_paused": "gauge",
        "asynq_queue_groups": "gauge", "asynq_tasks_processed": "counter", "asynq_redis_up": "gauge",
        "asynq_redis_scrape_duration_seconds": "gauge", "asynq_redis_last_scrape_timestamp_seconds": "gauge",
    }
    assert {name: page.families[name].type for name in types} == types
    assert [family.name for family in page.families.values() if not family.documentation] == []


def test_promtool_finds_nothing_to_complain_about(page):
    promtool.assert_clean(page.text)
