"""Asynq: overview. Is anything wrong, where, and since when. One screen: no rows, at most 15 panels."""

import json

from source.builder import (ALL_ALERTS, RUNBOOK, TASKS_PER_SECOND, UNKNOWN, dashboard, instant, lines, override, query, ranges, row, stat,
                            steps, table, timeline, values)
from source.common import (AGES, ANY, COLLECTORS, FAILURES, FIRED, FIRING, MET, NONE_LEFT, NO_ALERTS, NO_SPANS, PAUSED_AGES,
                           OBJECTIVE_RATIO, QUEUES, RECORDED, REDIS_READ, WAIT, WAS_COLLECTOR, ZERO, alert_strip, arriving,
                           collector_variables, data_sources, disk, failure_ratio, from_redis, idle, objective_met, oldest,
                           processed, quantile, queue_variable, size, slow_share)
from source.palette import CRITICAL, GOOD, INFO, SEVERITIES, UNFILLED, WARNING
from source.workers import BUSY, WORKERS

QUEUE_PAGE = "/d/asynq-queues?var-queue={}&${{__url_time_range}}&${{prometheus_datasource:queryparam}}"
OF_ONE_REDIS = "redis, queue"
# From the gravest on.
RANKS = ("critical", "warning", "info")


def joined(expr: str, label: str, labels: tuple[str, ...], between: str = " ") -> str:
    """With those labels in one more, without what is between those that are not there: of spaces alone Grafana makes a 0."""
    spaced = f'label_join({expr}, "{label}", "{between}", {", ".join(map(json.dumps, labels))})'
    return f'label_replace({spaced}, "{label}", "$1", "{label}", "(?:{between})*(.*?)(?:{between})*")'


def ranked(expr: str) -> str:
    """With a severity that begins with its rank: by its name alone, info would stand before warning."""
    for number, name in enumerate(RANKS, 1):
        expr = f'label_replace({expr}, "severity", "{number} {name}", "severity", "{name}")'
    return expr


def firing(severity: str, selector: str = "") -> str:
    return f'{FIRING}, severity="{severity}"{selector}}}'


def now() -> list[dict]:
    def fire(severity: str) -> dict:
        return instant(f"count({firing(severity)}) or {NO_ALERTS}", severity)

    dead = f"sum(max by (redis, queue) (increase(asynq_tasks_dead_lettered_total{{{QUEUES}}}[$__range])))"
    return [
        stat("Firing alerts", "Begin with the critical ones: the table Alerts has the runbook of each.",
             [fire("critical"), fire("warning")], "short", width=4, height=3, alerts=ALL_ALERTS,
             overrides=[override("critical", thresholds=steps((None, GOOD), (1, CRITICAL))),
                        override("warning", thresholds=ANY)]),
        stat("Oldest task", "If a running queue has an old task, open that queue; the tasks of a paused queue wait until it is unpaused.",
             [query(f"max({oldest(paused=False)}) or {ZERO}", "running"), query(f"max({oldest(paused=True)}) or {ZERO}",
                                                                                  "paused")], "s", width=4, height=3, thresholds=AGES,
             overrides=[override("paused", thresholds=PAUSED_AGES)],
             alerts=("AsynqOldestPendingTooOld",)),
        stat("Failing", "If many attempts fail, open the queue and look at its failures by type.",
             [query(failure_ratio(), "failing")], "percentunit", width=4, height=3, decimals=1, thresholds=FAILURES,
             alerts=("AsynqFailureRatioHigh",), instead=idle()),
        stat("Dead letters", "Tasks that died in the time range: repair the cause, then run or delete them.",
             [instant(f"{dead} or {ZERO}", "dead")], "short", width=4, height=3, whole=True, thresholds=ANY, alerts=("AsynqDeadLetters",)),
        stat("Workers busy", "At 100 % no worker is free: add workers, or look for tasks that hang.",
             [query(f"sum({BUSY}) / (sum({WORKERS}) > 0)", "busy")], "percentunit", width=4, height=3,
             thresholds=steps((None, GOOD), (0.8, WARNING), (0.95, CRITICAL)), instead=("no server", REDIS_READ)),
        stat("Objective met", "Share of tasks that started in time, in the worst queue: below the objective, open that queue.",
             objective_met(), "percentunit", width=4, height=3, decimals=1, thresholds=MET, alerts=("AsynqWaitBudgetBurningFast", "AsynqWaitBudgetBurningSlow"),
             instead=NO_SPANS),
    ]


def queues() -> dict:
    # The gravest alert of a queue decides, the age of its oldest task among equals.
    gravest = " or ".join(f"{weight} * {firing(severity, ', ' + RECORDED)}" for weight, severity in
                          ((100, "critical"), (10, "warning"), (1, "info")))
    trouble = (f"max by ({OF_ONE_REDIS}) ({gravest} or 0 * asynq_queue_paused{{{QUEUES}}}) "
               f"+ on ({OF_ONE_REDIS}) clamp_max({from_redis('asynq_queue_latency_seconds')} / 1e6, 0.9)")
    verdicts = ranges((0, 0.99, "no alert", GOOD), (1, 1.99, "info", INFO), (10, 10.99, "warning", WARNING),
                      (100, 100.99, "critical", CRITICAL))
    columns = [
        ("Trouble", "short", verdicts, trouble),
        ("Oldest", "s", AGES, oldest(paused=False)),
        ("Pending", "short", steps((None, GOOD), (1000, WARNING)), size("pending")),
        ("Retry", "short", steps((None, GOOD), (50, WARNING)), size("retry")),
        ("Archived", "short", ANY, size("archived")),
        ("Finished", TASKS_PER_SECOND, f"sum by ({OF_ONE_REDIS}) ({processed()})"),
        ("Failing", "percentunit", FAILURES, failure_ratio(OF_ONE_REDIS)),
        ("Wait p95", "s", AGES, quantile(0.95, WAIT, QUEUES, OF_ONE_REDIS)),
        ("Met in 1 h", "percentunit", MET, f"1 - {slow_share('1h', OF_ONE_REDIS)}"),
        ("Budget left, 3 d", "percentunit", steps((None, CRITICAL), (0, WARNING), (0.5, GOOD)),
         f"1 - {slow_share('3d', OF_ONE_REDIS)} / (1 - scalar({OBJECTIVE_RATIO}))"),
        ("Servers", "short", steps((None, CRITICAL), (1, GOOD)), from_redis("asynq_queue_consumers")),
        ("Paused", "s", steps((None, UNFILLED), (0, WARNING)), UNKNOWN, f"{oldest(paused=True)} or {from_redis('asynq_queue_paused')} - 1"),
    ]
    return table("Queues, worst first", "Click the name of a queue in trouble: its page opens for this time range; Paused is the age of the "
                 "oldest task of a paused queue.",
                 [column[-1] for column in columns], [column[:-1] for column in columns],
                 rows=from_redis("asynq_queue_paused", function="last_over_time"), key=("redis", "queue"), sort=("Trouble",), height=7, widths={"Trouble": 95, "Finished": 105, "Budget left, 3 d": 130, "Servers": 80, "Paused": 80},
                 links={"Queue": ("Open this queue", QUEUE_PAGE.format("${__value.text:percentencode}"))},
                 alerts=("AsynqQueueWithoutConsumers", "AsynqQueueStalled", "AsynqQueuePausedWithBacklog"))


def alerts() -> list[dict]:
    # Of a queue, or of a collector; and what tells its alerts apart: the windows of a budget, a reason, a state.
    places, details = ("redis", "queue", "instance"), ("code", "reason", "state", "task_type", "spec", "entry_id", "windows")
    # As one text, 6h 30m would be a duration.
    windows = ("long", "short")
    age = joined(f'time() - ALERTS_FOR_STATE{{alertname=~"Asynq.*"}} and ignoring (alertstate) {FIRING}}}', "windows", windows, " & ")
    parts = [
        (f"min(asynq_redis_up{{{COLLECTORS}}})", "Redis"),
        (f"min(asynq_collector_tempo_up{{{COLLECTORS}}})", "Tempo"),
        (disk(), "Spool disk"),
        (f'min(up{{job=~"$job", instance=~"$instance"}} and {WAS_COLLECTOR})', "Collectors"),
    ]
    return [
        table("Alerts", "Click an alert for its section of the runbook; the detail of a burning budget is its two windows.",
              [ranked(joined(joined(age, "place", places), "detail", details))], [("For", "s")],
              key=("alertname", "severity", "place", "detail"), titles={"alertname": "Alert", "place": "Where"},
              width=11, height=7, sort=("Severity",), descending=False,
              fills={"Severity": {f"{number} {name}": (name, SEVERITIES[name]) for number, name in enumerate(RANKS, 1)}},
              widths={"Alert": 235, "Severity": 100, "Where": 124, "For": 82}, hide=("job", *places, *details, *windows),
              links={"Alert": ("Runbook", f"{RUNBOOK}#${{__value.text}}")},
              alerts=ALL_ALERTS, no_value="No alert fires, or the rules of prometheus/rules are not loaded."),
        timeline("Alerts over time", "Begin with the alert that fired first: it is often the cause.",
                 [query(alert_strip(), "{{alertname}}")], FIRED, width=9, height=7, alerts=ALL_ALERTS,
                 no_value="No alert fired in this time range, or the rules of prometheus/rules are not loaded."),
        timeline("Dependencies", "If one of these is not up, repair it before anything else.",
                 [query(expression, name) for expression, name in parts],
                 values(_0=("down", CRITICAL), _1=("up", GOOD), _2=("errors", WARNING)),
                 width=4, height=7, alerts=("AsynqRedisUnreachable", "AsynqCollectorDown", "AsynqCollectorAbsent")),
    ]


def course() -> list[dict]:
    open_queue = [{"title": "Open this queue", "url": QUEUE_PAGE.format("${__field.labels.queue:percentencode}")}]
    return [
        lines("Backlog by state", "If pending grows while active stands still, workers are missing.",
              [query(f"sum by (state) ({from_redis('asynq_queue_size', NONE_LEFT, 'state')})", "{{state}}")], "short", stack=True,
              width=6, height=7),
        lines("Arrivals and completions", "If arrivals stay above completions, the backlog grows: add workers.",
              [query(arriving(), "arriving"), query(f"sum by (status) ({processed()})", "{{status}}")], TASKS_PER_SECOND,
              width=6, height=7),
        lines("Oldest task by queue", "Click the queue whose tasks grow old.",
              [query(from_redis("asynq_queue_latency_seconds"), "{{queue}}")], "s", height=7, links=open_queue,
              alerts=("AsynqOldestPendingTooOld",)),
    ]


def make() -> dict:
    return dashboard(
        "asynq-overview", "Asynq: overview", "Is anything wrong, where, and since when.",
        [row("", [*now(), queues(), *alerts(), *course()])],
        [*data_sources("prometheus"), queue_variable(), *collector_variables()], [])
