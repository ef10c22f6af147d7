"""prometheus/: what Prometheus' and Alertmanager's own tools say, and what they do not look at."""

import copy
import re
import subprocess
from pathlib import Path

import pytest
import yaml

from support import alert_rules
from support.alert_rules import FOLDER, RuleFiles
from support.collector import run_once
from support.prometheus_server import NEWER, version

RULES = sorted((FOLDER / "rules").glob("*.yml"))
UNIT_TESTS = sorted((FOLDER / "tests").glob("*.yml"))
# What a file of unit tests needs is 16 s of the processor. How long that is by the clock, other programs decide.
PROCESSOR_SECONDS_MAX = 90
unit_tests = pytest.mark.parametrize("file", UNIT_TESTS, ids=lambda file: file.stem)
with_time = pytest.mark.timeout(10 * PROCESSOR_SECONDS_MAX)


@pytest.fixture
def files() -> RuleFiles:
    return RuleFiles.read()


def _run(*command) -> None:
    done = subprocess.run(["prlimit", f"--cpu={PROCESSOR_SECONDS_MAX}", *map(str, command)], capture_output=True, text=True)
    assert done.returncode == 0, f"{command}: exit code {done.returncode}\n{done.stdout}{done.stderr}"


def _promtool(program: str) -> Path:
    """It lies beside its Prometheus."""
    return Path(program).with_name("promtool")


def test_promtool_finds_nothing_in_the_rules():
    _run("promtool", "check", "rules", "--lint-fatal", *RULES)


def test_promtool_takes_the_configuration_without_the_lines_for_newer_versions(tmp_path):
    """The shipped file is for Prometheus 3.8; it says itself which lines older ones don't know."""
    text = (FOLDER / "prometheus.yml").read_text(encoding="utf-8")
    kept, dropped = [], []
    for line in text.splitlines():
        (dropped if re.search(r"# 3\.\d and newer", line) else kept).append(line)
    assert len(dropped) == 2, f"expected two lines that only Prometheus 3 knows, got {dropped}"
    (tmp_path / "rules").symlink_to(FOLDER / "rules")
    (tmp_path / "prometheus.yml").write_text("\n".join(kept), encoding="utf-8")
    _run("promtool", "check", "config", "--lint-fatal", tmp_path / "prometheus.yml")


def test_amtool_takes_the_configuration_of_alertmanager():
    _run("amtool", "check-config", FOLDER / "alertmanager.yml")


@with_time
@unit_tests
def test_unit_tests_of_the_rules(file: Path):
    _run("promtool", "test", "rules", file)


@pytest.mark.parametrize("program", NEWER)
def test_a_newer_promtool_finds_nothing_in_the_rules(program):
    _run(_promtool(program), "check", "rules", "--lint-fatal", *RULES)


@with_time
@pytest.mark.parametrize("program", NEWER)
@unit_tests
def test_unit_tests_of_the_rules_with_a_newer_promtool(program, file: Path):
    _run(_promtool(program), "test", "rules", file)


@pytest.mark.parametrize("program", ["prometheus", *NEWER])
def test_each_version_takes_the_lines_that_the_file_marks_for_it(program, tmp_path):
    number, kept = version(program), []
    for line in (FOLDER / "prometheus.yml").read_text(encoding="utf-8").splitlines():
        since = re.search(r": true +# (\d)\.(\d+)(?: and newer| to (\d)\.(\d+))", line)
        if since:
            first, last = (int(since[1]), int(since[2])), (int(since[3] or 99), int(since[4] or 0))
            if not first <= number <= last:
                continue
            line = line.replace("# ", "", 1) if line.lstrip().startswith("#") else line
        kept.append(line)
    lines = [line for line in kept if re.match(r" +\w*scrape_\w*histograms: true", line)]
    assert len(lines) == (2 if number >= (3, 8) else 1 if number >= (2, 45) else 0)
    (tmp_path / "rules").symlink_to(FOLDER / "rules")
    (tmp_path / "prometheus.yml").write_text("\n".join(kept), encoding="utf-8")
    _run(_promtool(program) if "/" in program else "promtool", "check", "config", tmp_path / "prometheus.yml")


def test_every_alert_has_a_firing_and_a_quiet_test(files):
    assert alert_rules.untested(files) == []


def test_alerts_and_recording_rules_have_the_form(files):
    assert alert_rules.form_problems(files) == []


def test_every_alert_has_its_section_in_the_runbook(files):
    assert alert_rules.runbook_problems(files) == []


def test_what_tells_of_an_event_lasts_until_it_is_told(files):
    assert alert_rules.brief_alerts(files) == []


def test_several_collectors_of_one_redis_are_one(files):
    assert alert_rules.aggregation_problems(files) == []


def test_what_cannot_be_known_keeps_its_alert(files):
    assert alert_rules.unkept_alerts(files) == []


def test_inhibitions_name_alerts_that_exist(files):
    text = (FOLDER / "alertmanager.yml").read_text(encoding="utf-8")
    names = {alert["alert"] for alert in files.alerts}
    patterns = [part for match in re.findall(r'alertname=~?"([^"]+)"', text) for part in match.split("|")]
    assert patterns
    assert [p for p in patterns if not any(re.fullmatch(p, name) for name in names)] == []


def test_an_alert_that_wakes_somebody_is_not_held_back_by_another_one():
    """What is new in a group that was told of already waits for group_interval."""
    root = yaml.safe_load((FOLDER / "alertmanager.yml").read_text(encoding="utf-8"))["route"]
    critical, = [route for route in root["routes"] if route["matchers"] == ['severity="critical"']]
    assert {"alertname", "redis", "queue"} <= set(critical.get("group_by", root["group_by"]))


def test_the_objective_is_one_of_the_buckets_and_the_same_in_all_three_places(files):
    group = next(group for group in files.groups if group["name"] == "asynq-wait-objective")
    rules = {rule["record"]: rule["expr"] for rule in group["rules"]}
    seconds = float(re.fullmatch(r"vector\((.+)\)", rules["asynq:task_wait_objective:seconds"])[1])
    edges = re.search(r'le=~"([^"]+)"', rules["queue:asynq_task_wait_good:rate5m"])[1].split("|")
    assert [float(edge) for edge in edges] == [seconds, seconds]
    # Prometheus 2 keeps the text, Prometheus 3 writes a float.
    assert edges[1] == str(float(edges[0]))
    help_text = run_once("help", "metrics.wait-buckets").stdout
    default = re.search(r"^default\s+([\d.,]+)$", help_text, re.M)[1].split(",")
    assert edges[0] in default
    assert group["interval"] == "30s", "the rules …:count… multiply by 30"


# --- The checks find what they look for ------------------------------------------------------------------------------


def _alert(files: RuleFiles, name: str) -> dict:
    return next(alert for alert in files.alerts if alert["alert"] == name)


def _without_test(files, *, firing: bool):
    for test in files.tests:
        test["alert_rule_test"] = [check for check in test.get("alert_rule_test", [])
                                   if check["alertname"] != "AsynqDeadLetters" or bool(check["exp_alerts"]) != firing]


FAULTS = {
    "no firing test": (alert_rules.untested, lambda f: _without_test(f, firing=True)),
    "no quiet test": (alert_rules.untested, lambda f: _without_test(f, firing=False)),
    "severity": (alert_rules.form_problems, lambda f: _alert(f, "AsynqDeadLetters")["labels"].update(severity="page")),
    "extra label": (alert_rules.form_problems, lambda f: _alert(f, "AsynqDeadLetters")["labels"].update(team="a")),
    "name": (alert_rules.form_problems, lambda f: _alert(f, "AsynqDeadLetters").update(alert="asynq_dead")),
    "annotation missing": (alert_rules.form_problems,
                           lambda f: _alert(f, "AsynqDeadLetters")["annotations"].pop("description")),
    "number in the summary": (alert_rules.form_problems,
                              lambda f: _alert(f, "AsynqDeadLetters")["annotations"].update(summary="{{ $value }} died")),
    "wrong anchor": (alert_rules.form_problems,
                     lambda f: _alert(f, "AsynqDeadLetters")["annotations"].update(runbook_url="https://x/asynq#dead")),
    "no such dashboard": (alert_rules.form_problems, lambda f: f.dashboard_uids.clear()),
    "name of a recording rule": (alert_rules.form_problems, lambda f: f.records[0].update(record="asynq_objective")),
    "over before it is told": (alert_rules.brief_alerts,
                               lambda f: _alert(f, "AsynqSpansNotAccepted").update({"for": "6m"})),
    "no section": (alert_rules.runbook_problems,
                   lambda f: setattr(f, "runbook", f.runbook.replace("### AsynqDeadLetters", "### AsynqDead"))),
    "no cure": (alert_rules.runbook_problems, lambda f: setattr(f, "runbook", f.runbook.replace("**Cure.**", "", 1))),
    "sum of what is read from Redis": (alert_rules.aggregation_problems,
                                       lambda f: _alert(f, "AsynqOrphanedTasks").update(
                                           expr="sum by (queue) (asynq_queue_orphaned_tasks) > 0")),
    "one collector's spans": (alert_rules.aggregation_problems,
                              lambda f: f.records[2].update(
                                  expr="max by (queue) (rate(asynq_task_wait_duration_seconds_count[5m]))")),
    "not aggregated": (alert_rules.aggregation_problems,
                       lambda f: _alert(f, "AsynqOrphanedTasks").update(expr="asynq_queue_orphaned_tasks > 0")),
    "smallest of one collector": (alert_rules.aggregation_problems,
                                  lambda f: _alert(f, "AsynqOrphanedTasks").update(
                                      expr="min by (redis, queue) (asynq_queue_orphaned_tasks) > 0")),
    "resolved without Redis": (alert_rules.unkept_alerts,
                               lambda f: _alert(f, "AsynqOrphanedTasks").update(
                                   expr="max by (redis, queue) (asynq_queue_orphaned_tasks) > 0")),
    "another alert is kept": (alert_rules.unkept_alerts,
                              lambda f: _alert(f, "AsynqOrphanedTasks").update(
                                  expr=_alert(f, "AsynqOrphanedTasks")["expr"].replace("AsynqOrphaned", "AsynqOverdue"))),
    "a number that is not known": (alert_rules.unkept_alerts,
                                   lambda f: _alert(f, "AsynqOrphanedTasks")["annotations"].update(description="{{ $value }}")),
    "no test without Redis": (alert_rules.unkept_alerts,
                              lambda f: [test.get("alert_rule_test", []).clear() for test in f.tests
                                         if test["name"] == "The archive is nearly full"]),
    "another quarter of an hour": (alert_rules.unkept_alerts,
                                   lambda f: next(rule for rule in f.records if rule["record"].startswith("redis:")).update(
                                       expr="max by (redis) (asynq_redis_up) == 0")),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_planted_fault_is_found(fault, files):
    check, plant = FAULTS[fault]
    assert check(files) == []
    planted = copy.deepcopy(files)
    plant(planted)
    assert check(planted) != []


# What would be easy to get wrong in a rule, and has to make a unit test fail.
MUTATIONS = [
    ("AsynqQueueWithoutConsumers", " unless max by (redis, queue) (asynq_queue_paused) == 1", ""),
    ("AsynqQueueWithoutConsumers", "max by (redis, queue) (asynq_queue_consumers) == 0",
     "min by (redis, queue) (asynq_queue_consumers) == 0"),
    ("AsynqQueueStalled", "asynq_tasks_processed_total[5m]", 'asynq_tasks_processed_total{status="completed"}[5m]'),
    ("AsynqOldestPendingTooOld", " unless max by (redis, queue) (max_over_time(asynq_queue_paused[15m])) == 1", ""),
    ("AsynqOldestPendingTooOld", "max_over_time(asynq_queue_paused[15m])", "asynq_queue_paused"),
    ("AsynqOldestPendingTooOld", " unless on (queue) queue:asynq_task_wait_objective:seconds", ""),
    ("AsynqOldestPendingTooOld", "group_left () 30 *", "group_left ()"),
    ("AsynqOrphanedTasks", " unless on (redis, queue) max by (redis, queue) (asynq_queue_orphaned_tasks)", ""),
    ("AsynqOrphanedTasks", " and on (redis) redis:asynq_redis_unread:queue_alerts", ""),
    ("AsynqQueueStalled", " and max by (redis, queue) (asynq_tasks_processed_total offset 5m)", ""),
    ("AsynqDeadLetters", " and max by (redis, queue) (asynq_tasks_dead_lettered_total offset 15m)", ""),
    ("AsynqRedisEvictingKeys", " and max by (redis) (asynq_redis_evicted_keys_total offset 15m)", ""),
    ("AsynqCollectorsReadDifferentRedis", "min_over_time(asynq_tasks_processed_total[5m])", "asynq_tasks_processed_total"),
    ("AsynqCollectorsReadDifferentRedis", " or max by (redis, queue) (min_over_time(asynq_queue_consumers[5m])) "
     "> min by (redis, queue) (max_over_time(asynq_queue_consumers[5m]))", ""),
    ("AsynqQueuePausedWithBacklog",
     " + sum by (redis, queue) (max by (redis, queue, state) (asynq_queue_overdue_tasks))", ""),
    ("AsynqRetryBacklogGrowing", "> 0.2 *", "> 0 *"),
    ("AsynqDeadLetters", "max by (redis, queue) (increase", "sum by (redis, queue) (increase"),
    ("AsynqDeadLetters", "increase(asynq_tasks_dead_lettered_total[15m])", 'delta(asynq_queue_size{state="archived"}[5m])'),
    ("AsynqDeadLetters", "last_over_time(asynq_tasks_dead_lettered_total[1d] offset 15m)",
     "asynq_tasks_dead_lettered_total offset 15m"),
    ("AsynqDeadLetters", " and on (redis) max by (redis) (last_over_time(asynq_redis_up[1d] offset 15m))", ""),
    ("AsynqOverdueTasks", " and max by (redis, queue, state) (resets(asynq_queue_overdue_tasks[5m])) == 0", ""),
    ("AsynqOverdueTasks", " unless on (redis, queue) max by (redis, queue) (asynq_queue_paused) == 1", ""),
    ("AsynqFailureRatioHigh", ">= 20", ">= 1"),
    ("AsynqTaskRunsTooLong", "max by (redis, queue) (", "max by (queue) ("),
    ("AsynqSchedulerNotEnqueueing", " - 5", ""),
    ("AsynqSchedulerNotEnqueueing", " unless ", " and "),
    ("AsynqSchedulerEntryTwice", "> 1", "> 0"),
    ("AsynqSchedulerEntriesMissing", "quantile_over_time(0.5, ", "max_over_time("),
    ("AsynqSchedulerEntriesMissing", "asynq_scheduler_entries[1d]", "asynq_scheduler_entries[6h]"),
    ("AsynqSchedulerEntriesMissing", " or ( max by (redis) (asynq_scheduler_entries) == 0 "
     "and max by (redis) (max_over_time(asynq_scheduler_entries[7d])) > 0 )", ""),
    ("AsynqCollectorAbsent",
     " or (max by (redis) (max_over_time(asynq_redis_up[3d])) unless max by (redis) (asynq_redis_up))", ""),
    ("AsynqScrapeStale", " or (asynq_redis_up == 0 unless asynq_redis_last_scrape_timestamp_seconds)", ""),
    ("AsynqScrapeStale", " unless asynq_redis_last_scrape_timestamp_seconds", ""),
    ("AsynqSpansDropped", "|unsynced", ""),
    ("AsynqSpansNotAccepted", ' or increase(asynq_collector_dropped_spans_total{reason="unsynced"}[15m])', ""),
    ("AsynqRedisMemoryNearLimit", " > 0) > 0.9", ") > 0.9"),
    ("AsynqSpoolWillBeFull", " and asynq_collector_spool_bytes > 0.1 * asynq_collector_spool_capacity_bytes", ""),
    ("AsynqWaitBudgetBurningFast", "and queue:asynq_task_wait:count1h >= 100", ""),
    ("AsynqWaitBudgetBurningFast",
     " unless on (redis, queue) max by (redis, queue) (max_over_time(asynq_queue_paused[1h])) == 1", ""),
    ("AsynqWaitBudgetBurningFast", " and queue:asynq_task_wait_slow:ratio_rate5m > "
     "14.4 * (1 - scalar(asynq:task_wait_objective:ratio))", ""),
]


@with_time
@pytest.mark.parametrize("name, before, after", MUTATIONS, ids=[f"{m[0]}-{i}" for i, m in enumerate(MUTATIONS)])
def test_a_broken_rule_fails_a_unit_test(name, before, after, tmp_path):
    """With the unit tests of this alert only, because the others take their time."""
    for file in RULES:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
        for rule in [rule for group in content["groups"] for rule in group["rules"] if rule.get("alert") == name]:
            expression = " ".join(rule["expr"].split())
            if before in expression:
                rule["expr"] = expression.replace(before, after)
                before = after
        (tmp_path / file.name).write_text(yaml.safe_dump(content), encoding="utf-8")
    assert before == after, f"expected {before!r} in {name}"
    said = ""
    for file in UNIT_TESTS:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
        content["rule_files"] = [str(tmp_path / Path(name).name) for name in content["rule_files"]]
        content["tests"] = [test for test in content["tests"]
                            if any(check["alertname"] == name for check in test.get("alert_rule_test", []))]
        if content["tests"] and file.stem != "wait-days":
            (tmp_path / file.name).write_text(yaml.safe_dump(content), encoding="utf-8")
            done = subprocess.run(["promtool", "test", "rules", tmp_path / file.name], capture_output=True, text=True)
            said += done.stdout + done.stderr
            assert "error" not in done.stderr, said
            if "FAILED" in said:
                return
    pytest.fail(said)
