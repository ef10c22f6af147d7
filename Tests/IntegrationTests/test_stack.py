"""The real Prometheus, Alertmanager and exporters beside the real collector and its demo: every query of the dashboards and
rules brings data, and what goes wrong in a queue arrives at a webhook."""

import math
import re
import time
from dataclasses import dataclass

import promql_parser
import pytest
import requests
import yaml

from support import dashboards
from support.alert_rules import RuleFiles
from support.deadline import eventually
from support.ports import free_port
from support.programs import REPOSITORY
from support.prometheus_server import NEWER
from support.stack import (Alertmanager, AsynqQueue, Demo, OtherServices, Postgres, PostgresExporter, Process, Prometheus,
                           QueryError, Webhook)
from support.tempo_stub import TempoStub

PROGRAMS = ["prometheus", *NEWER]
pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

# A queue without servers, with all that a healthy demo lacks.
LOST = "billing"
RUN_SECONDS = 25
INTERVALS = {"$__rate_interval": "5s", "$__range": "60s", "$__from": "0"}
# What lies between the collector's look at Redis and an answer of Prometheus: a scrape of each, and a machine that is busy.
OLDER_SECONDS = 10


@dataclass
class Stack:
    prometheus: Prometheus
    # By its program: the one above, and newer ones of the same targets.
    each: dict[str, Prometheus]
    demo: Demo
    webhook: Webhook
    lost: AsynqQueue


@pytest.fixture(scope="module")
def stack(tmp_path_factory):
    directory = tmp_path_factory.mktemp("stack")
    started: list = []

    def start(thing):
        started.append(thing)
        return thing

    try:
        webhook, others = start(Webhook()), start(OtherServices())
        tempo = TempoStub()
        tempo.__enter__()
        demo = start(Demo(directory, tempo.endpoint, push_endpoint=others.url))
        lost = _seed(demo)
        redis_port = free_port()
        start(Process("redis-exporter", ["prometheus-redis-exporter", f"-redis.addr=unix://{demo.socket}",
                                         f"-web.listen-address=127.0.0.1:{redis_port}"], directory))
        postgres = start(Postgres(directory))
        postgres.execute("shop", "CREATE EXTENSION pg_stat_statements")
        exporter = start(PostgresExporter(postgres, directory))
        alertmanager = start(Alertmanager(directory, webhook))
        targets = {"asynq-collector": [demo.port], "redis": [redis_port], "postgres": [exporter.port], "tempo": [others.port]}
        # One of them tells the Alertmanager.
        each = {program: start(Prometheus(directory / f"prometheus-{number}", targets, free_port() if number else alertmanager.port,
                                          program)) for number, program in enumerate(PROGRAMS)}
        began = time.monotonic()
        for program, prometheus in each.items():
            eventually(f"every target is up: {program}", lambda: all(s["value"][1] == "1" for s in prometheus.instant("up"))
                       and len(prometheus.instant("up")) == 5)
        postgres.execute("shop", "SELECT count(*) FROM orders")
        for program, prometheus in each.items():
            eventually(f"the rules have their data: {program}",
                       lambda: prometheus.alerts(alertname="AsynqQueueWithoutConsumers", queue=LOST)
                       and prometheus.instant("queue:asynq_task_wait_slow:ratio_rate3d")
                       and time.monotonic() > began + RUN_SECONDS, seconds=60, every=0.5)
        yield Stack(each["prometheus"], each, demo, webhook, lost)
        for thing in started:
            if isinstance(thing, Process):
                thing.must_run()
    finally:
        for thing in reversed(started):
            thing.stop()
        tempo.__exit__()


def _seed(demo: Demo) -> AsynqQueue:
    with demo.redis() as client:
        client.config_set("maxmemory", "512mb")
    queue = AsynqQueue(demo.redis(), LOST)
    queue.add("pending", "p1")
    queue.add("active", "orphan", score=time.time() - 60)
    queue.add("scheduled", "overdue", score=time.time() - 60)
    queue.aggregate("nightly", "g1")
    return queue


# --- Dashboards ------------------------------------------------------------------------------------------------------


def _has_numbers(series: list[dict]) -> bool:
    values = [value for one in series for _, value in one.get("values", [one.get("value", (0, "NaN"))])]
    return any(not math.isnan(float(value)) for value in values)


def query_problems(prometheus: Prometheus, where: str, target: dict, values: dict[str, str]) -> list[str]:
    """An error, no series, nothing but NaN, or a legend label that no series has."""
    expression = dashboards.filled_in(target["expr"], values)
    try:
        found = prometheus.instant(expression) if target.get("instant") else prometheus.over(expression, RUN_SECONDS)
    except QueryError as error:
        return [f"{where}: {error}"]
    if not found:
        return [f"{where}: no series: {expression}"]
    if not _has_numbers(found):
        return [f"{where}: nothing but NaN: {expression}"]
    labels = set().union(*(series["metric"] for series in found))
    wanted = set(re.findall(r"{{\s*(\w+)\s*}}", target.get("legendFormat", "")))
    return [f"{where}: no series has the label {label}: {expression}" for label in sorted(wanted - labels)]


def _targets(dashboard: dict):
    for panel in dashboards.panels(dashboard):
        for target in panel["targets"]:
            if target["datasource"]["type"] == "prometheus":
                yield f"{panel['title']} {target['refId']}", target
    for annotation in dashboard["annotations"]["list"]:
        if not annotation.get("builtIn"):
            yield f"annotation {annotation['name']}", {"expr": annotation["expr"]}


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.replace("/", "_"))
@pytest.mark.parametrize("file", dashboards.FILES, ids=lambda file: file.stem)
def test_every_query_of_a_dashboard_brings_data(file, program, stack):
    """On Prometheus 2.42, 2.53 and 3.5, where README.md's newer ones are there."""
    dashboard = dashboards.load(file)
    values = dashboards.everything(dashboard) | INTERVALS
    problems = [problem for where, target in _targets(dashboard)
                for problem in query_problems(stack.each[program], where, target, values)]
    assert problems == []


def test_queries_work_for_one_queue_and_for_several(stack):
    dashboard = dashboards.load(dashboards.FOLDER / "asynq-queues.json")
    for chosen in ("default", "(default|emails)"):
        values = dashboards.everything(dashboard) | INTERVALS | {"$queue": chosen}
        for where, target in _targets(dashboard):
            found = stack.prometheus.instant(dashboards.filled_in(target["expr"], values))
            queues = {series["metric"].get("queue", "default") for series in found}
            if not where.startswith("annotation"):
                assert queues <= {"default", "emails"}, f"{where} shows {queues} where {chosen} was chosen"


def test_the_oldest_task_is_as_old_on_the_dashboards_and_in_the_alert_as_on_the_status_page(stack):
    """Running queues and paused ones apart; what Prometheus has is a little older."""
    def on_the_page() -> float:
        queues = requests.get(f"http://127.0.0.1:{stack.demo.port}/api/v1/overview", timeout=40).json()["queues"]
        return next(one["oldest_wait_seconds"] for one in queues if one["queue"] == LOST)

    def told(expression: str) -> float:
        series, = stack.prometheus.instant(expression)
        return float(series["value"][1])

    alert = next(one for one in RuleFiles.read().alerts if one["alert"] == "AsynqOldestPendingTooOld")
    assert "max by (redis, queue) (asynq_queue_latency_seconds) >" in alert["expr"]
    assert "unless max by (redis, queue) (max_over_time(asynq_queue_paused[15m])) == 1" in alert["expr"]
    asked = [f'max by (redis, queue) (asynq_queue_latency_seconds{{queue="{LOST}"}})']
    for file in ("asynq-overview.json", "asynq-queues.json"):
        dashboard = dashboards.load(dashboards.FOLDER / file)
        values = dashboards.everything(dashboard) | INTERVALS | {"$queue": LOST}
        panel = next(one for one in dashboards.panels(dashboard) if one["title"] == "Oldest task")
        running, paused = (dashboards.filled_in(target["expr"], values) for target in panel["targets"])
        asked.append(running)
        assert told(paused) == 0
    before = on_the_page()
    ages = [told(expression) for expression in asked]
    after = on_the_page()
    assert all(before - OLDER_SECONDS < age <= after for age in ages), f"{before} to {after}: {ages}"


@pytest.mark.parametrize("file", dashboards.FILES, ids=lambda file: file.stem)
def test_every_variable_has_values(file, stack):
    dashboard = dashboards.load(file)
    values = dashboards.everything(dashboard)
    asked = 0
    for variable in dashboards.variables(dashboard):
        if variable["type"] == "query" and variable["datasource"]["type"] == "prometheus":
            series, label = re.fullmatch(r"label_values\((.+), (\w+)\)", variable["query"]["query"]).groups()
            found = stack.prometheus.ask(f"label/{label}/values", **{"match[]": dashboards.filled_in(series, values)})
            assert found, f"variable {variable['name']}: no values"
            asked += 1
    assert asked >= 2


def test_counters_are_counters_and_gauges_gauges(stack):
    """What the names say (test_dashboards.py goes by them) is what the exporters say."""
    types = {name: entries[0]["type"] for name, entries in stack.prometheus.ask("metadata").items()}
    problems, known = [], 0
    for file in dashboards.FILES:
        dashboard = dashboards.load(file)
        for where, expression in dashboards.expressions(dashboard):
            for metric, function in dashboards.selectors(dashboards.filled_in(expression, dashboards.everything(dashboard))):
                kind = types.get(metric) or types.get(re.sub(r"_(bucket|count|sum)$", "", metric))
                known += kind is not None
                if function in dashboards.COUNTER_FUNCTIONS and kind not in ("counter", "histogram", None):
                    problems.append(f"{where}: {function} of {metric}, a {kind}")
                if function in dashboards.GAUGE_FUNCTIONS and kind != "gauge":
                    problems.append(f"{where}: {function} of {metric}, a {kind}")
                if function is None and kind == "counter" and not dashboards.balances(expression):
                    problems.append(f"{where}: the counter {metric} as it is")
    assert problems == [] and known > 100


def test_the_check_of_queries_finds_faults(stack):
    def problems(expression: str, legend: str = "") -> str:
        found = query_problems(stack.prometheus, "x", {"expr": expression, "legendFormat": legend}, INTERVALS)
        return found[0] if found else ""

    assert problems("asynq_queue_size", "{{queue}}") == ""
    assert "no series:" in problems("asynq_queue_sise")
    assert "no series has the label qeue" in problems("asynq_queue_size", "{{qeue}}")
    assert "nothing but NaN" in problems("asynq_queue_size * NaN")
    assert "parse error" in problems("sum by (queue")


# --- Rules -----------------------------------------------------------------------------------------------------------

# Selectors of alerts that have no data where all is well, and why.
WITHOUT_DATA = {
    ("AsynqMetricsNotPushed", 'code!~"2.."'): "the same",
    ("AsynqMetricsNotPushed", 'code="memory"'): "the same",
    ("AsynqForwardingFails", 'code!~"2.."'): "series of a status code begin with the first answer that has it",
    ("AsynqOldestPendingTooOld", "queue:asynq_task_wait_objective:seconds"): "no queue has seconds of its own as shipped",
    ("AsynqWaitObjectiveNotMeasured", "asynq_task_wait_duration_seconds"): "this Prometheus takes no native histograms",
}


def _selectors_with_labels(expression: str) -> list[str]:
    """Each selector as it stands, without its range."""
    found = []

    def walk(node) -> None:
        kind = type(node).__name__
        if kind == "VectorSelector":
            found.append(re.sub(r"\s+offset\s+\S+$", "", node.prettify()))
        elif kind == "MatrixSelector":
            walk(node.vector_selector)
        elif kind == "Call":
            for argument in node.args:
                walk(argument)
        elif kind == "BinaryExpr":
            walk(node.lhs)
            walk(node.rhs)
        elif kind in ("AggregateExpr", "ParenExpr", "UnaryExpr", "SubqueryExpr"):
            walk(node.expr)

    walk(promql_parser.parse(expression))
    return found


def test_every_recording_rule_records(stack):
    for rule in RuleFiles.read().records:
        if rule["record"].startswith("redis:asynq_redis_unread:"):
            continue  # has data while Redis can't be read: prometheus/tests/unread.yml
        # As it is shipped, and what the faster copy has recorded.
        assert _has_numbers(stack.prometheus.instant(rule["expr"])), f"{rule['record']}: no data: {rule['expr']}"
        assert stack.prometheus.over(rule["record"], RUN_SECONDS), f"{rule['record']}: nothing recorded"


def test_every_alert_asks_for_what_is_there(stack):
    """A quiet alert has no data; but each series that it asks for has to exist."""
    unused = set(WITHOUT_DATA)
    for alert in RuleFiles.read().alerts:
        stack.prometheus.instant(alert["expr"])  # as it is shipped: no error
        for selector in _selectors_with_labels(alert["expr"]):
            if selector.startswith(("ALERTS{", "redis:asynq_redis_unread:")):
                continue  # have data while the alert fires, and while Redis can't be read
            reasons = [key for key in WITHOUT_DATA if key[0] == alert["alert"] and key[1] in selector]
            unused -= set(reasons)
            if not reasons:
                assert stack.prometheus.over(selector, RUN_SECONDS), f"{alert['alert']}: no series {selector}"
    assert not unused, f"listed as without data, and asked for by no alert: {unused}"


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.replace("/", "_"))
def test_no_rule_fails(program, stack):
    groups = stack.each[program].ask("rules")["groups"]
    wrong = [f"{rule['name']}: {rule.get('lastError')}" for group in groups for rule in group["rules"] if rule["health"] != "ok"]
    assert wrong == [] and sum(len(group["rules"]) for group in groups) == len(RuleFiles.read().alerts) + len(
        RuleFiles.read().records)


# --- KEDA's queries -----------------------------------------------------------------------------------------------------


def _keda_queries() -> list[str]:
    """Of the example and of docs/SCALING.md, for a queue $queue."""
    text = (REPOSITORY / "deploy" / "kubernetes" / "keda-prometheus.yaml").read_text(encoding="utf-8")
    found = [trigger["metadata"]["query"] for trigger in yaml.safe_load(text)["spec"]["triggers"]]
    for block in re.findall(r"```yaml\n(  triggers:.*?)```", (REPOSITORY / "docs" / "SCALING.md").read_text(encoding="utf-8"),
                            re.DOTALL):
        found += [trigger["metadata"]["query"] for trigger in yaml.safe_load(block)["triggers"]]
    assert len(found) == 4
    # The stack's Prometheus has one Redis and no label redis.
    return [re.sub(r'queue="\w+"', 'queue="$queue"', query).replace("[5m]", "[5s]").replace('redis="shop",', "")
            for query in found]


def test_autoscaling_has_one_number_for_a_queue_none_for_a_pause_and_no_number_for_no_data(stack):
    # The demo's story, which lasts three minutes, has a pause of half a minute.
    # Long enough in it that no rate has anything of before.
    waits_paused = "asynq_queue_latency_seconds > 8 and on (queue) min_over_time(asynq_queue_paused[10s]) == 1"
    paused = eventually("a queue that is paused while tasks wait", lambda: stack.prometheus.instant(waits_paused),
                        seconds=240)[0]["metric"]["queue"]
    for query in _keda_queries():
        value, = stack.prometheus.instant(query.replace("$queue", "default"))
        assert 0 <= float(value["value"][1]) < 1000 and value["metric"] == {}, query
        value, = stack.prometheus.instant(query.replace("$queue", paused))
        assert float(value["value"][1]) == 0, query
        assert stack.prometheus.instant(query.replace("$queue", "nothing")) == [], query


# --- From Redis to the webhook ---------------------------------------------------------------------------------------


def test_a_growing_retry_backlog_and_a_death_arrive_at_the_webhook_and_are_resolved(stack):
    alarms = ["AsynqRetryBacklogGrowing", "AsynqDeadLetters"]
    assert not [alarm for alarm in alarms if stack.prometheus.alerts(alertname=alarm, queue=LOST)]

    def grow() -> bool:
        for _ in range(10):
            count[0] += 1
            stack.lost.add("retry", f"r{count[0]}", score=time.time() + 3600)
        return bool(stack.prometheus.alerts(alertname=alarms[0], queue=LOST, severity="warning")
                    and stack.webhook.told("firing", alertname=alarms[0], queue=LOST))

    count = [0]
    stack.lost.add("archived", "dead", score=time.time())
    eventually("the retry backlog grows and the webhook hears of it", grow, seconds=60, every=0.5)
    dead = eventually("the webhook hears of the death",
                      lambda: stack.webhook.told("firing", alertname=alarms[1], queue=LOST))
    # `increase` extrapolates: on a machine that is busy, one death may be told as two.
    assert re.search(r"In fifteen minutes [12] tasks of queue billing", dead[0]["annotations"]["description"])
    assert dead[0]["annotations"]["runbook_url"].endswith("#asynqdeadletters")
    assert dead[0]["annotations"]["dashboard_url"].endswith("/d/asynq-queues?var-queue=billing")

    stack.lost.clear("retry")
    for alarm in alarms:
        eventually(f"{alarm} is resolved", lambda: stack.webhook.told("resolved", alertname=alarm, queue=LOST), seconds=60)
        assert not stack.prometheus.alerts(alertname=alarm, queue=LOST, state="firing")


def test_what_the_seeded_queue_lacks_is_told(stack):
    """Alerts that fire for the queue without servers, all through the run; and none about it that should not."""
    def firing() -> set[str]:
        return {alert["labels"]["alertname"] for alert in stack.prometheus.alerts(queue=LOST) if alert["state"] == "firing"}

    expected = {"AsynqQueueWithoutConsumers", "AsynqOrphanedTasks", "AsynqOverdueTasks"}
    eventually("the alerts of a queue without servers", lambda: firing() == expected)
    # Alertmanager holds back what follows from it.
    assert stack.webhook.told("firing", alertname="AsynqQueueWithoutConsumers", queue=LOST)
    assert not stack.webhook.told("firing", alertname="AsynqOverdueTasks", queue=LOST)


# --- PostgreSQL's exporter -------------------------------------------------------------------------------------------


def test_the_query_file_works_without_pg_stat_statements_too(tmp_path):
    postgres = Postgres(tmp_path)
    try:
        exporter = PostgresExporter(postgres, tmp_path)
        try:
            page = exporter.page()
            size = re.search(r'^asynq_postgres_table_size_bytes\{.*relname="orders".*\} (\S+)$', page, re.MULTILINE)
            assert float(size[1]) > 5000 * 100
            assert "asynq_postgres_statements" not in page
            assert re.search(r"^pg_exporter_last_scrape_error 0$", page, re.MULTILINE), exporter.log()
            assert not re.search(r"level=(error|warn)", exporter.log().replace("Excluded databases", "")), exporter.log()
            postgres.execute("shop", "CREATE EXTENSION pg_stat_statements")
            page = exporter.page()
            calls = re.search(r'^asynq_postgres_statements_calls_total\{.*datname="shop".*\} (\S+)$', page, re.MULTILINE)
            assert float(calls[1]) > 0
            assert "# TYPE asynq_postgres_statements_calls_total counter" in page
        finally:
            exporter.stop()
    finally:
        postgres.stop()
