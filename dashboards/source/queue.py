"""Asynq: queue. One queue, from its backlog to the trace of one task and its log lines."""

from source.builder import (ALL_ALERTS, BAR_NOTE, SPANS_PER_SECOND, TASKS_PER_SECOND, UNKNOWN, bar_gauge, dashboard, heat, heatmap,
                            instant, lines, log_label, log_lines, logql, node_graph, override, query, ranges, row, service_map, stat, steps, table,
                            timeline, trace_table, trace_view, traceql, values)
from source.common import (AGES, ANY, FAILURES, FIRED, MET, NONE_LEFT, NO_SPANS, OBJECTIVE_RATIO, OBJECTIVE_SECONDS, PAUSED_AGES, QUEUES,
                           RECORDED, RUN, SERVED, TYPES, WAIT, ZERO, alert_strip, arriving, collector_variables, counted,
                           data_sources, failure_ratio, from_redis, idle, objective_met, of_forwarded, of_spans, oldest, processed, quantile, quantiles,
                           queue_variable, served, size, slow_share, task_type_variable, trace_id, with_all)
from source.palette import CRITICAL, GOOD, LEVELS, STATES, UNFILLED, WARNING

CALLS = "traces_spanmetrics_calls_total"
TASKS = 'span.messaging.system = "asynq" && kind = consumer && span.messaging.destination.name =~ "$queue"'
ATTEMPTS = f"rate(asynq_task_attempts_total{{{TYPES}}}[$__rate_interval])"
FAILED = f'rate(asynq_task_attempts_total{{{TYPES}, status="failed"}}[$__rate_interval])'
# Seconds; longer ones are not told apart.
LONG_DRAIN = 3600
ERRORS = f"rate(asynq_task_failures_total{{{TYPES}}}[$__rate_interval])"
# What there is on all panels of the page.
EVERY_QUEUE, EVERY_QUEUE_OF_REDIS = f"max by (queue) (asynq_queue_paused{{{QUEUES}}})", from_redis("asynq_queue_paused")
EVERY_TYPE = f"sum by (task_type) ({ATTEMPTS})"
ANY_ATTEMPT = f"rate(asynq_task_attempts_total{{{TYPES}}}[$__range] @ end())"
RETRIES = f'rate(asynq_task_attempts_total{{{TYPES}, attempt="retry"}}[$__rate_interval])'


def now() -> dict:
    dead = f"sum(max by (redis, queue) (increase(asynq_tasks_dead_lettered_total{{{QUEUES}}}[$__range])))"
    return row("Now", [
        stat("Pending", "If tasks that are ready to run pile up, compare arrivals with completions below.",
             [query(f"sum({size('pending')})", "pending")], "short", width=4,
             thresholds=steps((None, GOOD), (1000, WARNING), (10_000, CRITICAL))),
        stat("Oldest task", "If the next task of a running queue is old, look whether its workers are busy or gone.",
             [query(f"max({oldest(paused=False)}) or {ZERO}", "running"),
              query(f"max({oldest(paused=True)}) or {ZERO}", "paused")], "s", width=4, thresholds=AGES,
             overrides=[override("paused", thresholds=PAUSED_AGES)],
             alerts=("AsynqOldestPendingTooOld",)),
        stat("Wait p95", "95 % of the tasks start within this time; if it is above the objective, look at arrivals and at busy "
             "workers.", [query(quantile(0.95, WAIT, TYPES), "p95")], "s", width=4, thresholds=AGES, instead=NO_SPANS),
        stat("Failing", "If many attempts fail, look at the failing types and errors below.",
             [query(failure_ratio(), "failing")], "percentunit", width=4, decimals=1, thresholds=FAILURES, instead=idle(),
             alerts=("AsynqFailureRatioHigh",)),
        stat("Dead letters", "Tasks that died in the time range: repair the cause, then run or delete them.",
             [instant(f"{dead} or {ZERO}", "dead")], "short", width=4, thresholds=ANY, whole=True, alerts=("AsynqDeadLetters",)),
        stat("Objective met", "Share of tasks that started in time in the last hour and in three days: below the objective, look "
             "at the wait.",
             objective_met(), "percentunit", width=4, decimals=1, thresholds=MET, instead=NO_SPANS,
             alerts=("AsynqWaitBudgetBurningFast", "AsynqWaitBudgetBurningSlow")),
        timeline("Alerts over time", "Begin with the alert that fired first: it is often the cause.",
                 [query(alert_strip(f", {RECORDED}"), "{{alertname}}")], FIRED, height=7, alerts=ALL_ALERTS,
                 no_value="No alert fired for this queue in this time range, or the rules of prometheus/rules are not loaded."),
        timeline("State of the queues", "If a pause outlived its reason, unpause the queue; if a queue is unserved, start workers for it.",
                 [query(served(), "{{queue}}")], SERVED, height=7, alerts=("AsynqQueuePausedWithBacklog", "AsynqQueueWithoutConsumers")),
    ])


def backlog() -> dict:
    # A queue that is paused or has no servers is not drained in the time of before.
    drain = (f"clamp_max({size('pending')} / (sum by (redis, queue) ({processed()}) > 0), {LONG_DRAIN}) "
             f"or {LONG_DRAIN} * ({size('pending')} > bool 0 and ({served()}) > 0)")
    return row("Backlog", [
        lines("Tasks by state", "If pending grows while active stands still, workers are missing; archived and completed tasks are "
              "no backlog and left out.",
              [query(f"sum by (state) ({from_redis('asynq_queue_size', NONE_LEFT, 'state')})", "{{state}}")], "short", stack=True),
        lines("Arrivals and completions", "If arrivals stay above completions, add workers; a task that fails n times fails n times "
              "here.", [query(arriving(), "arriving"), query(f"sum by (status) ({processed()})", "{{status}}")], TASKS_PER_SECOND),
        lines("Oldest task against the objective", "If the next task is older than the dashed objective, workers are missing or "
              "hang; the age is 0 where Asynq gave no time of readiness.",
              [query(from_redis("asynq_queue_latency_seconds"), "{{queue}}"), query(OBJECTIVE_SECONDS, "objective")], "s",
              limits=("objective",), alerts=("AsynqOldestPendingTooOld",)),
        lines("Time to drain", "If it rises, add workers: the pending tasks need this time at the present rate, and more than an hour if the "
              "queue is paused or has no servers.", [query(with_all(drain, EVERY_QUEUE_OF_REDIS), "{{queue}}")], "s",
              mappings=ranges((LONG_DRAIN, 1e9, "≥ 1 hour", UNFILLED)), maximum=LONG_DRAIN),
        lines("Pending by queue", "Look for the queue that grows.", [query(size("pending"), "{{queue}}")], "short"),
        lines("Overdue tasks", "Scheduled and retry tasks that are due: if their number only rises, no server of the queue forwards "
              "them.", [query(f"sum by (redis, queue) ({from_redis('asynq_queue_overdue_tasks', by='state')})", "{{queue}}")], "short",
              alerts=("AsynqOverdueTasks", "AsynqQueuePausedWithBacklog")),
        lines("Servers by queue", "If no server consumes the queue, start workers with it in their configuration.",
              [query(from_redis("asynq_queue_consumers"), "{{queue}}")], "short", low_is_worse=True,
              alerts=("AsynqQueueWithoutConsumers",)),
        lines("Workers by queue", "If they fell, servers of the queue are gone: these are the workers of its servers, over all their queues.",
              [query(from_redis("asynq_queue_concurrency"), "{{queue}}")], "short", low_is_worse=True),
        lines("Aggregation groups", "If their number only rises, no server aggregates them: start one with an aggregator.",
              [query(from_redis("asynq_queue_groups"), "{{queue}}")], "short"),
        timeline("Listed in Redis", "If it says servers only, follow the runbook: asynq:queues lacks the queue, and Asynq's own tools don't "
                 "show it.",
                 [query(from_redis("asynq_queue_registered"), "{{queue}}")],
                 values(_0=("servers only", WARNING), _1=("listed", GOOD)), alerts=("AsynqQueueNotRegistered",)),
    ])


def wait() -> dict:
    sampled = "asynq_queue_wait_sampled_seconds"
    return row("Wait", [
        lines("Wait", "Click a dot to open the trace of a task that waited long; schedule delay and retry delay don't count.",
              [*quantiles(WAIT, TYPES), query(OBJECTIVE_SECONDS, "objective")], "s", limits=("objective",)),
        heatmap("Wait of all tasks", "Two bands mean two kinds of tasks: choose a task type to tell them apart" + BAR_NOTE,
                [heat(f"sum by (le) ({counted(f'{WAIT}_bucket{{{TYPES}}}')})")], "s"),
        lines("Wait p95 by queue", "Look for the queue that waits.",
              [query(with_all(quantile(0.95, WAIT, TYPES, "queue"), EVERY_QUEUE, ANY_ATTEMPT), "{{queue}}", exemplar=True)], "s"),
        lines("Wait p95 by task type", "If one type waits longer than the others of its queue, its tasks come in bursts.",
              [query(with_all(quantile(0.95, WAIT, TYPES, "task_type"), EVERY_TYPE), "{{task_type}}", exemplar=True)], "s"),
        lines("Objective met", "Share of the last hour's tasks that started in time: below the dashed objective, the budget burns.",
              [query(with_all(f"1 - {slow_share('1h')}", EVERY_QUEUE, any_share('1h')), "{{queue}}"), query(OBJECTIVE_RATIO, "objective")], "percentunit",
              limits=("objective",), maximum=1, low_is_worse=True, alerts=("AsynqWaitObjectiveNotMeasured",)),
        lines("Budget burn rate", "At 1 the budget just lasts; above the dashed 14.4 of the last hour, add capacity at once.",
              [burn("1h")], "none", limit=14.4, alerts=("AsynqWaitBudgetBurningFast", "AsynqWaitBudgetBurningSlow")),
        lines("Wait seen in Redis, p95", "For workers that send no spans: it errs upwards, because waits below redis.look-interval "
              "are mostly not seen.",
              [query(with_all(f"histogram_quantile(0.95, max by (redis, queue, le) "
                              f"(rate({sampled}_bucket{{{QUEUES}}}[$__rate_interval]))) >= 0", EVERY_QUEUE_OF_REDIS,
                              f"(rate({sampled}_count{{{QUEUES}}}[$__range] @ end()) > 0)"), "{{queue}}")], "s"),
    ])


def burn(window: str) -> dict:
    rate = f"{slow_share(window)} / (1 - scalar({OBJECTIVE_RATIO}))"
    return query(with_all(rate, EVERY_QUEUE, any_share(window)), "{{queue}}")


def any_share(window: str) -> str:
    """What is NaN all the time is none."""
    return f"(max_over_time(queue:asynq_task_wait_slow:ratio_rate{window}{{{RECORDED}}}[$__range] @ end()) >= 0)"


def other_windows() -> dict:
    """One number of each queue a panel: several would have no room in its legend."""
    def recent(share: float) -> dict:
        series = f'asynq_task_wait_quantile_seconds{{{QUEUES}, quantile="{share}"}}'
        return lines(f"Recent wait p{round(share * 100)}", "Compare with the status page: this is its number, over the collector's "
                     "metrics.quantile-window, of the collector with the highest.",
                     [query(with_all(f"max by (queue) ({series})", EVERY_QUEUE, f"max_over_time({series}[$__range] @ end())"),
                            "{{queue}}")], "s")

    return row("Wait in other windows", [
        lines("Budget burn rate of 5 minutes", "If it is low while that of the hour is high, the trouble is over.", [burn("5m")], "none",
              limit=14.4, alerts=("AsynqWaitBudgetBurningFast",)),
        lines("Budget burn rate of 6 hours", "Above the dashed 6, add capacity at once.", [burn("6h")], "none", limit=6,
              alerts=("AsynqWaitBudgetBurningFast",)),
        lines("Budget burn rate of 3 days", "Above the dashed 1, the budget does not last: add capacity this week.", [burn("3d")],
              "none", limit=1, alerts=("AsynqWaitBudgetBurningSlow",)),
        *(recent(share) for share in (0.99, 0.95, 0.5)),
    ], collapsed=True)


def running() -> dict:
    by_type = [("Rate", TASKS_PER_SECOND, of_spans(f"sum by (queue, task_type) ({ATTEMPTS})")),
               ("Failing", "percentunit", FAILURES,
                f"sum by (queue, task_type) ({FAILED}) / (sum by (queue, task_type) ({ATTEMPTS}) > 0)"),
               ("Wait p95", "s", AGES, quantile(0.95, WAIT, TYPES, "queue, task_type")),
               ("Run time p95", "s", quantile(0.95, RUN, TYPES, "queue, task_type"))]
    failed = ("round(sum by (queue, task_type, error_type) "
              f"(increase(asynq_task_failures_total{{{TYPES}}}[$__range]))) > 0")
    errors = f"sum by (queue, task_type, error_type) ({ERRORS})"
    by_error = f"sum by (error_type) ({ERRORS})"
    longest = from_redis("asynq_queue_longest_running_seconds")
    return row("Run time and failures", [
        table("Task types", "Look for the type that fails or runs longest.",
              [column[-1] for column in by_type], [column[:-1] for column in by_type],
              rows=f"sum by (queue, task_type) ({ATTEMPTS})", key=("queue", "task_type"), sort=("Failing", "Rate"), width=24, height=7),
        lines("Run time", "If it rose, click a dot: the trace of that attempt shows what it waited for.", quantiles(RUN, TYPES), "s"),
        heatmap("Run time of all attempts", "A band that moves up means that something behind the workers became slow" + BAR_NOTE,
                [heat(f"sum by (le) ({counted(f'{RUN}_bucket{{{TYPES}}}')})")], "s"),
        lines("Longest running task", "Above the dashed limit a task does not end: look at its trace, and give it a timeout.",
              [query(with_all(longest, EVERY_QUEUE_OF_REDIS, f"last_over_time(asynq_queue_longest_running_seconds{{{QUEUES}}}[$__range] @ end())"),
                     "{{queue}}"),
               query(f"min(queue:asynq_task_run_limit:seconds{{{RECORDED}}})", "limit")], "s", limits=("limit",), powers=True,
              alerts=("AsynqTaskRunsTooLong",)),
        lines("Run time p95 by task type", "If one type became slow, look at a trace of it; slow types deserve their own queue.",
              [query(with_all(quantile(0.95, RUN, TYPES, "task_type"), EVERY_TYPE), "{{task_type}}", exemplar=True)], "s"),
        lines("Attempts by task type", "Look for the type that takes the workers' time.",
              [query(with_all(of_spans(EVERY_TYPE), EVERY_TYPE), "{{task_type}}")], TASKS_PER_SECOND, stack=True, width=24, height=7),
        lines("Attempts by queue", "Look for the queue whose attempts fell.",
              [query(f"sum by (queue) ({processed()})", "{{queue}}")], TASKS_PER_SECOND, stack=True, low_is_worse=True, width=24, height=7),
        lines("Failures by task type", "Look at a failed attempt of the type that fails most, in the table below.",
              [query(with_all(of_spans(f"(sum by (task_type) ({FAILED}) or 0 * {EVERY_TYPE})"), EVERY_TYPE), "{{task_type}}")], TASKS_PER_SECOND, stack=True, width=24, height=7,
              alerts=("AsynqFailureRatioHigh", "AsynqRetryBacklogGrowing")),
        lines("Failures by error type", "Look at a failed attempt with the most frequent error, in the table below.",
              [query(with_all(of_spans(by_error), by_error), "{{error_type}}")], TASKS_PER_SECOND, stack=True, width=24, height=10,
              alerts=("AsynqFailureRatioHigh",)),
        table("Errors", "Begin with the error that is the most frequent now; beside it is what failed in the time range.",
              [f"{of_spans(errors)} or 0 * {errors} - 1", failed],
              [("Rate", TASKS_PER_SECOND, UNKNOWN), ("In the time range", "short")], rows=f"({failed})",
              key=("queue", "task_type", "error_type"), sort=("Rate", "In the time range"),
              width=12, height=8, widths={"Queue": 105, "Rate": 105, "In the time range": 165}),
        lines("Failing share by queue", "Above the dashed line the alert fires: look for the type that fails.",
              [query(with_all(failure_ratio("queue"), EVERY_QUEUE), "{{queue}}")], "percentunit", maximum=1,
              limit=0.2, alerts=("AsynqFailureRatioHigh",)),
        lines("Share of retries", "If most attempts are retries, repair what fails: it keeps the workers busy.",
              [query(with_all(f"sum by (queue) ({RETRIES}) / (sum by (queue) ({ATTEMPTS}) > 0)", EVERY_QUEUE, ANY_ATTEMPT),
                     "{{queue}}")], "percentunit", maximum=1),
    ])


def unmeasured() -> dict:
    def by_reason(name: str) -> dict:
        series = f"asynq_task_{name}_unknown_total{{{QUEUES}}}"
        # Those that occurred: others are not in the legend.
        return query(with_all(of_spans(f"sum by (reason) (rate({series}[$__rate_interval]))"),
                              f"(sum by (reason) (increase({series}[$__range] @ end())) > 0)"), "{{reason}}")

    return row("Unmeasured", [
        lines("Unmeasured waits", "If no_source rises, give the spans an enqueue stamp; if clock_skew does, set the clocks; retry is normal.",
              [by_reason("wait")], TASKS_PER_SECOND, stack=True, colours={"retry": STATES["retry"]}),
        lines("Unmeasured run times", "If bad_stamp rises, repair the start and end of the spans; if clock_skew does, set the clocks.",
              [by_reason("processing")], TASKS_PER_SECOND, stack=True),
    ], collapsed=True)


def dead_letters() -> dict:
    dead = f"max by (redis, queue) ({counted(f'asynq_tasks_dead_lettered_total{{{QUEUES}}}')})"
    return row("Retries and dead letters", [
        lines("Waiting for a retry", "If it grows, repair what the tasks need: they are retried by themselves.",
              [query(size("retry"), "{{queue}}")], "short", stack=True, alerts=("AsynqRetryBacklogGrowing",)),
        lines("Retries due", "If they stay, no server of the queue forwards them: start one.",
              [query(from_redis("asynq_queue_overdue_tasks", 'state="retry"'), "{{queue}}")], "short", stack=True,
              alerts=("AsynqOverdueTasks",)),
        lines("Dead letters", "Repair the cause, then run them again" + BAR_NOTE, [query(dead, "{{queue}}")], "short", bars=True,
              stack=True, width=24, height=7, alerts=("AsynqDeadLetters",)),
        lines("Archived", "Run or delete what lies in the archive: Asynq deletes tasks of more than 90 days and the oldest beyond 10,000, "
              "but only when the next one dies.", [query(size("archived"), "{{queue}}")], "short", height=10),
        bar_gauge("Archive fill", "Empty it before 100 %: beyond 10,000 tasks each dead letter pushes out an older one.",
                  from_redis("asynq_queue_archive_fill_ratio"), "{{queue}}", "percentunit",
                  thresholds=steps((None, GOOD), (0.5, WARNING), (0.9, CRITICAL)), maximum=1,
                  alerts=("AsynqArchiveNearlyFull",)),
    ])


def traces() -> dict:
    # The trace's id is in a field that the table hides. spanID has a link of Grafana's own as well (to Explore); traceName not.
    link = ("Show this trace below", "/d/asynq-queues?var-traceId=${__data.fields.traceIdHidden}&${__url_time_range}"
            "&${queue:queryparam}")
    links = {"spanID": link, "traceName": link}
    # Without the hint a search ends at the first matches that it finds, whichever those are.
    newest = " with (most_recent=true)"
    return row("Traces (Tempo)", [
        trace_table("Failed attempts", "Click one of these attempts, newest first, to see its trace below.",
                    [traceql(f"{{ {TASKS} && status = error }}{newest}", table="spans")], links=links),
        trace_table("Slow attempts", "Click one of these attempts of more than a second, newest first, to see its trace below.",
                    [traceql(f"{{ {TASKS} && duration > 1s }}{newest}", table="spans")], links=links),
        trace_view("Trace", "Click an attempt, or put the 32 hexadecimal digits of its id into the box Trace above.", [traceql("${traceId}")]),
    ])


def logs() -> dict:
    stream = '{service_name=~"$service"} | json | queue=~"$queue"'
    return row("Logs (Loki)", [
        lines("Log lines by level", "If errors rise, read them below" + BAR_NOTE,
              [logql(f"sum by (level) (count_over_time({stream} [$__auto]))", "{{level}}")], "short", bars=True, stack=True,
              width=24, height=7, colours=LEVELS),
        log_lines("Log lines of the trace", "Choose a trace above to read what all services logged about it.",
                  # An empty box means no lines, not all that have no trace id. Tempo's search drops leading zeros.
                  [logql('{service_name=~"$service"} | trace_id!="" | trace_id=~"0*$traceId"')], width=12, height=9),
        log_lines("Log lines with errors", "Read what services log at level error; a line with a trace id has a link to its trace, and &var-service=NAME "
                  "in the address chooses a service.",
                  [logql('{service_name=~"$service"} | json | level=~"(?i)error|fatal|panic"')], width=12, height=9),
        log_lines("Log lines of the queue", "Read what services log as JSON with the field queue.", [logql(stream)]),
    ])


def services() -> dict:
    # What a service was asked to do. Among the others are spans of dead letters, all of which are errors.
    entry = 'span_kind=~"SPAN_KIND_SERVER|SPAN_KIND_CONSUMER"'
    calls = f"sum by (service) (rate({CALLS}{{{entry}}}[$__rate_interval]))"
    errors = f'sum by (service) (rate({CALLS}{{{entry}, status_code="STATUS_CODE_ERROR"}}[$__rate_interval]))'
    latency = f"rate(traces_spanmetrics_latency_bucket{{{entry}}}[$__rate_interval])"
    paired = "rate(traces_service_graph_request_messaging_system_seconds_bucket[$__rate_interval])"
    return row("Services (Tempo's metrics generator)", [
        node_graph("Service graph", "Look for a service in red, and at what calls it or enqueues for it.", [service_map()]),
        lines("Rate by service", "Look for the service whose rate changed.", [query(with_all(of_forwarded(calls), calls), "{{service}}")],
              SPANS_PER_SECOND, stack=True),
        lines("Errors by service", "Look for the service whose requests or tasks fail.",
              [query(with_all(f"({errors} or 0 * {calls}) / ({calls} > 0)", calls), "{{service}}")], "percentunit", maximum=1),
        lines("Duration p95 by service", "Click a dot of the service that became slow to open a trace.",
              [query(with_all(f"histogram_quantile(0.95, sum by (le, service) ({latency})) >= 0", calls), "{{service}}",
                     exemplar=True)], "s"),
        lines("Time between producer and consumer, p95", "Trust the panel Wait more: only pairs within 60 s are in here.",
              [query(with_all(f"histogram_quantile(0.95, sum by (le, client, server) ({paired})) >= 0",
                              f"sum by (client, server) ({paired})"), "{{client}} → {{server}}")], "s",
              width=24, height=7),
        lines("Database calls, p95 and p99", "If they became slow, look at the database before the workers; the range is limited by "
              "query_frontend.metrics.max_duration of Tempo.",
              [traceql('{ span.db.system != nil } | quantile_over_time(duration, .95, .99) by (span.db.system)')], "s", width=24),
    ], collapsed=True)


def make() -> dict:
    return dashboard(
        "asynq-queues", "Asynq: queue",
        "One queue: backlog, wait, run time, failures and dead letters, down to the trace of one task and its log lines.",
        [now(), backlog(), wait(), other_windows(), running(), unmeasured(), dead_letters(), traces(), logs(), services()],
        [*data_sources("prometheus", "tempo", "loki"), queue_variable(), task_type_variable(), trace_id(),
         log_label("service", "Service", "service_name"), *collector_variables(hidden=True)], [])
