"""Asynq: queues and storage."""

from source import storage
from source.builder import (GREEN, ORANGE, RED, YELLOW, bar_gauge, dashboard, heat, heatmap, instant, lines, log_label,
                            log_lines, logql, query, row, stat, states, steps, table)
from source.common import (COLLECTORS, QUEUES, RECORDED, TYPES, counted, data_sources, events, from_redis, processed,
                           quantile, queue_variables, storage_variables)

WAIT = "asynq_task_wait_duration_seconds"
RUN = "asynq_task_processing_duration_seconds"
OBJECTIVE_SECONDS = "asynq:task_wait_objective:seconds"
OBJECTIVE_RATIO = "asynq:task_wait_objective:ratio"
FAILURES = steps((None, GREEN), (0.05, YELLOW), (0.2, RED))
AGES = steps((None, GREEN), (10, YELLOW), (300, RED))
ANY = steps((None, GREEN), (1, ORANGE))
NONE_LEFT = 'state=~"pending|active|scheduled|retry|aggregating"'


def size(state: str) -> str:
    return from_redis("asynq_queue_size", f'state="{state}"')


def failure_ratio(by: str = "") -> str:
    head = f"sum by ({by})" if by else "sum"
    failed = processed('status="failed"')
    return f"{head} ({failed}) / ({head} ({processed()}) > 0)"


BUSY = f"max by (redis, host, pid, server_id) (asynq_server_busy_workers{{{COLLECTORS}}})"
SLOTS = f"max by (redis, host, pid, server_id) (asynq_server_concurrency{{{COLLECTORS}}})"


def now() -> dict:
    return row("Now", [
        stat("Pending", "Tasks that are ready to run and that no worker has taken.", [query(f"sum({size('pending')})", "pending")],
             "short", thresholds=steps((None, GREEN), (1000, YELLOW), (10_000, RED))),
        stat("Oldest", "Age of the next task to be dequeued, in the queue where it is highest; paused queues do not count.",
             [query(f"max({from_redis('asynq_queue_latency_seconds')} unless {from_redis('asynq_queue_paused')} == 1)",
                    "oldest")], "s", thresholds=AGES),
        stat("Wait p95", "95 % of the tasks started within this time of being ready to run. From spans.",
             [query(quantile(0.95, WAIT, TYPES), "p95")], "s", thresholds=AGES, decimals=2),
        stat("Finished", "Attempts that workers finished, in success or failure.", [query(f"sum({processed()})", "attempts")],
             "ops"),
        stat("Failing", "Share of the attempts that failed.", [query(failure_ratio(), "failed")], "percentunit",
             thresholds=FAILURES),
        stat("Alerts firing", "Alerts of asynq-collector that fire now, of all severities.",
             [instant('sum(ALERTS{alertname=~"Asynq.*", alertstate="firing"}) or vector(0)', "firing")], "short",
             thresholds=ANY),
        stat("Waiting for a retry", "Tasks that failed and will be tried again.", [query(f"sum({size('retry')})", "retry")],
             "short", thresholds=steps((None, GREEN), (50, YELLOW), (1000, RED))),
        stat("Died in this range", "Tasks that entered the archive in the time range of the dashboard, also those that were "
             "trimmed from it since. Where pods of the collector replaced each other: as many as one of them saw.",
             [instant(f"sum(max by (redis, queue) (increase(asynq_tasks_dead_lettered_total{{{QUEUES}}}[$__range])))", "dead")],
             "short", thresholds=ANY, decimals=0),
        stat("Workers busy", "Tasks that run, of all that could run at a time. At 100 % nothing more fits.",
             [query(f"sum({BUSY}) / (sum({SLOTS}) > 0)", "busy")], "percentunit",
             thresholds=steps((None, GREEN), (0.8, YELLOW), (0.95, RED))),
        stat("Servers", "Live servers of status active.",
             [query(f'sum(max by (redis) (asynq_servers{{{COLLECTORS}, status="active"}}))', "servers")], "short",
             thresholds=steps((None, RED), (1, GREEN))),
        stat("Paused", "Queues that are paused.", [query(f"sum({from_redis('asynq_queue_paused')})", "paused")], "short",
             thresholds=ANY),
        stat("Objective met", "Share of the tasks of the last hour that started within the objective, in the queue where it is "
             "lowest (recording rules asynq-wait-objective).",
             [query(f"1 - max(queue:asynq_task_wait_slow:ratio_rate1h{{{RECORDED}}})", "met")], "percentunit",
             thresholds=steps((None, RED), (0.95, YELLOW), (0.99, GREEN)), decimals=2),
    ])


def queue_table() -> dict:
    columns = [("Pending", "short", steps((None, GREEN), (1000, YELLOW))), ("Active", "short"), ("Scheduled", "short"),
               ("Retry", "short", steps((None, GREEN), (50, YELLOW))), ("Archived", "short", ANY), ("Oldest", "s", AGES),
               ("Wait p95", "s", AGES), ("Finished", "ops"), ("Failing", "percentunit", FAILURES), ("Servers", "short"),
               ("Paused", "bool_yes_no")]
    by_queue = [size("pending"), size("active"), size("scheduled"), size("retry"), size("archived"),
                from_redis("asynq_queue_latency_seconds"), quantile(0.95, WAIT, QUEUES, "queue"),
                f"sum by (queue) ({processed()})", failure_ratio("queue"), from_redis("asynq_queue_consumers"),
                from_redis("asynq_queue_paused")]
    targets = [instant(expr if expr.startswith(("sum by (queue)", "histogram")) else f"max by (queue) ({expr})", table=True)
               for expr in by_queue]
    return row("Queues", [
        table("Queues", "One line for each queue, now. Click a queue to see it alone.", targets, columns, key="queue",
              links={"queue": ("Only this queue", "/d/asynq-queues?var-queue=${__value.text}&${__url_time_range}"
                               "&${prometheus_datasource:queryparam}")}, sort="Pending"),
    ])


def backlog() -> dict:
    drain = f"{size('pending')} / (sum by (redis, queue) ({processed()}) > 0)"
    growth = f"sum by (redis, queue) ({from_redis('asynq_queue_size', NONE_LEFT, 'state', 'deriv', 'avg')})"
    return row("Backlog", [
        lines("Tasks by state", "All chosen queues together. Archived and completed tasks are no backlog and left out.",
              [query(f"sum by (state) ({from_redis('asynq_queue_size', NONE_LEFT, 'state')})", "{{state}}")], "short", stack=True),
        lines("Pending by queue", "Tasks that are ready to run.", [query(size("pending"), "{{queue}}")], "short"),
        lines("Oldest against the objective", "Age of the next task to be dequeued. Dashed: the time within which tasks should "
              "start. 0 for an empty queue, and for tasks that Asynq gave no time of readiness.",
              [query(from_redis("asynq_queue_latency_seconds"), "{{queue}}"), query(OBJECTIVE_SECONDS, "objective")], "s",
              limits=("objective",)),
        lines("Enqueued minus finished", "By how much the tasks that are not done yet become more each second (scheduled and "
              "retry included). Above 0: more comes than gets done.", [query(growth, "{{queue}}")], "ops", minimum=None),
        lines("Time to drain", "Pending tasks divided by the rate at which attempts finish: how long the workers would need if "
              "nothing more came. Where nothing finishes there is no line, because there is no such time.",
              [query(drain, "{{queue}}")], "s"),
        states("Pauses", "When which queue was paused.", [query(from_redis("asynq_queue_paused"), "{{queue}}")],
               {"0": ("running", GREEN), "1": ("paused", ORANGE)}),
        lines("Overdue", "Scheduled and retry tasks whose time has passed. A few come and go every five seconds; a number that "
              "only rises means that nobody forwards them.",
              [query(from_redis("asynq_queue_overdue_tasks", by="state"), "{{queue}} {{state}}")], "short"),
        states("In Redis' list of queues", "Whether asynq:queues has the queue. One that only its servers name is not seen by Asynq's own "
               "tools.", [query(from_redis("asynq_queue_registered"), "{{queue}}")],
               {"0": ("servers only", ORANGE), "1": ("listed", GREEN)}),
        lines("Aggregation groups", "Groups of the queue that collect tasks.",
              [query(from_redis("asynq_queue_groups"), "{{queue}}")], "short"),
    ])


def throughput() -> dict:
    attempts = f"rate(asynq_task_attempts_total{{{TYPES}}}[$__rate_interval])"
    failed = f'rate(asynq_task_attempts_total{{{TYPES}, status="failed"}}[$__rate_interval])'
    retries = f'rate(asynq_task_attempts_total{{{TYPES}, attempt="retry"}}[$__rate_interval])'
    return row("Throughput and failures", [
        lines("Attempts by outcome", "As Asynq counts them in Redis: a task that fails n times counts n times.",
              [query(f"sum by (status) ({processed()})", "{{status}}")], "ops", stack=True),
        lines("Attempts by queue", "Finished attempts, in success or failure.",
              [query(f"sum by (queue) ({processed()})", "{{queue}}")], "ops", stack=True),
        lines("Failing share by queue", "Failed attempts of all attempts.", [query(failure_ratio("queue"), "{{queue}}")],
              "percentunit", maximum=1, thresholds=steps((None, GREEN), (0.2, RED))),
        lines("Attempts by task type", "From spans.", [query(f"sum by (task_type) ({attempts})", "{{task_type}}")], "ops",
              stack=True),
        lines("Failures by task type", "Attempts that ended with an error, from spans.",
              [query(f"sum by (task_type) ({failed})", "{{task_type}}")], "ops", stack=True),
        lines("Share of retries", "Attempts that are not a task's first.",
              [query(f"sum by (queue) ({retries}) / (sum by (queue) ({attempts}) > 0)", "{{queue}}")], "percentunit", maximum=1),
    ])


def durations() -> dict:
    def percentiles(name: str, selector: str = TYPES) -> list[dict]:
        return [query(quantile(share, name, selector), f"p{round(share * 100)}", exemplar=True) for share in (0.5, 0.95, 0.99)]

    def burn(window: str) -> dict:
        return query(f"max by (queue) (queue:asynq_task_wait_slow:ratio_rate{window}{{{RECORDED}}}) / "
                     f"(1 - scalar({OBJECTIVE_RATIO}))", f"{{{{queue}}}} {window}")

    sampled = "asynq_queue_wait_sampled_seconds"
    return row("Wait and run time", [
        lines("Wait", "From ready to run until a worker started the task; time scheduled ahead and between retries is no wait. "
              "From spans; a dot opens the trace of a task.",
              [*percentiles(WAIT), query(OBJECTIVE_SECONDS, "objective")], "s", limits=("objective",)),
        heatmap("Wait, all tasks", "How many tasks waited how long. A dot opens a trace.",
                [heat(f"sum by (le) ({counted(f'{WAIT}_bucket{{{TYPES}}}')})") | {"exemplar": True}], "s"),
        lines("Wait p95 by queue", "From spans.", [query(quantile(0.95, WAIT, TYPES, "queue"), "{{queue}}", exemplar=True)], "s"),
        lines("Wait p95 by task type", "From spans.",
              [query(quantile(0.95, WAIT, TYPES, "task_type"), "{{task_type}}", exemplar=True)], "s"),
        lines("Run time", "Of one attempt, from spans; a dot opens its trace.", percentiles(RUN), "s"),
        lines("Run time p95 by task type", "Of one attempt, from spans.",
              [query(quantile(0.95, RUN, TYPES, "task_type"), "{{task_type}}", exemplar=True)], "s"),
        lines("Objective met", "Share of the tasks of the last hour that started in time. Dashed: the objective.",
              [query(f"1 - max by (queue) (queue:asynq_task_wait_slow:ratio_rate1h{{{RECORDED}}})", "{{queue}}"),
               query(OBJECTIVE_RATIO, "objective")], "percentunit", limits=("objective",), minimum=None, maximum=1),
        lines("Budget burn rate", "How many times faster than allowed the budget of late tasks is spent, over windows of 5 "
              "minutes to 3 days. 1 just lasts; 14.4 over an hour pages.",
              [burn(window) for window in ("5m", "1h", "6h", "3d")], "none",
              thresholds=steps((None, GREEN), (1, YELLOW), (14.4, RED))),
        lines("Wait seen in Redis alone, p95", "For workers that send no spans: the wait of tasks that the look-ahead saw "
              "pending. Shorter waits than redis.look-interval are mostly not seen, so it errs upwards.",
              [query(f"histogram_quantile(0.95, max by (redis, queue, le) "
                     f"(rate({sampled}_bucket{{{QUEUES}}}[$__rate_interval])))", "{{queue}}")], "s"),
        lines("Wait over the last minutes", "Quantiles over metrics.quantile-window (5 minutes as shipped), at most 5 % off; "
              "the highest of the collectors.",
              [query(f"max by (queue, quantile) (asynq_task_wait_quantile_seconds{{{QUEUES}}})", "{{queue}} p{{quantile}}")], "s"),
        lines("Wait not known", "Attempts whose wait can't be told, by reason. no_source: give the spans an enqueue stamp; "
              "clock_skew: set the clocks; retry is as it should be.",
              [query(f"sum by (reason) (rate(asynq_task_wait_unknown_total{{{QUEUES}}}[$__rate_interval]))", "{{reason}}")],
              "ops", stack=True),
        lines("Run time not known", "Attempts whose span has no plausible start and end, by reason: bad_stamp or clock_skew.",
              [query(f"sum by (reason) (rate(asynq_task_processing_unknown_total{{{QUEUES}}}[$__rate_interval]))", "{{reason}}")],
              "ops", stack=True),
    ])


def failures() -> dict:
    def errors(window: str, by: str = "queue, task_type, error_type", function: str = "rate") -> str:
        return f"sum by ({by}) ({function}(asynq_task_failures_total{{{TYPES}}}[{window}]))"

    dead = f"max by (redis, queue) ({counted(f'asynq_tasks_dead_lettered_total{{{QUEUES}}}')})"
    return row("Retry backlog and dead letters", [
        lines("Failures by error type", "Attempts that ended with an error, by error.type of the span, else the type in its last "
              "exception event. From spans.",
              [query(errors("$__rate_interval", "error_type"), "{{error_type}}")], "ops", stack=True),
        table("Errors now", "What fails now, the most frequent first, and how many attempts failed so in the time range of the "
              "dashboard. From spans.",
              [instant(f"{errors('$__rate_interval')} > 0", table=True),
               instant(f"{errors('$__range', function='increase')} and ({errors('$__rate_interval')} > 0)", table=True)],
              [("Rate", "ops"), ("In this range", "short")], key=("queue", "task_type", "error_type"), sort="Rate", width=12,
              height=8),
        lines("Waiting for a retry", "Tasks that failed and will be tried again.", [query(size("retry"), "{{queue}}")], "short",
              stack=True),
        lines("Dead letters", "Tasks that entered the archive, counted; the archive itself is trimmed at 10,000.",
              [query(dead, "{{queue}}")], "short", bars=True, stack=True),
        lines("Archived", "Tasks that lie in the archive.", [query(size("archived"), "{{queue}}")], "short"),
        bar_gauge("Archive, how full", "Of the 10,000 tasks that Asynq keeps in each queue. At 100 % each dead letter pushes out "
                  "an older one.", [instant(from_redis("asynq_queue_archive_fill_ratio"), "{{queue}}")], "percentunit",
                  thresholds=steps((None, GREEN), (0.5, YELLOW), (0.9, RED)), maximum=1),
    ])


def workers() -> dict:
    cron = f"max by (task_type, spec, entry_id) (asynq_scheduler_entry_{{}}_timestamp_seconds{{{{{COLLECTORS}}}}}) * 1000"
    return row("Workers", [
        lines("Busy of total", "Tasks that run now. Dashed: how many could.",
              [query(f"sum({BUSY})", "busy"), query(f"sum({SLOTS})", "slots")], "short", limits=("slots",)),
        lines("Busy by server", "Share of a server's slots in use.",
              [query(f"{BUSY} / ({SLOTS} > 0)", "{{host}} {{pid}}")], "percentunit", maximum=1),
        lines("Servers of each queue", "Live, active servers that consume the queue; 0 with pending tasks: nobody works.",
              [query(from_redis("asynq_queue_consumers"), "{{queue}}")], "short"),
        lines("Slots of each queue's servers", "Tasks that they run at a time, over all their queues: the most that this queue "
              "can get.", [query(from_redis("asynq_queue_concurrency"), "{{queue}}")], "short"),
        lines("Servers by status", "stopped: a server that was told to take no more tasks.",
              [query(f"max by (redis, status) (asynq_servers{{{COLLECTORS}}})", "{{status}}")], "short", width=6),
        lines("Cron entries", "Of live schedulers; falling: a scheduler died.",
              [query(f"max by (redis) (asynq_scheduler_entries{{{COLLECTORS}}})", "entries")], "short", width=6),
        lines("Orphaned", "Active tasks whose worker died. A live server takes them back within two minutes.",
              [query(from_redis("asynq_queue_orphaned_tasks"), "{{queue}}")], "short"),
        lines("Longest running", "How long the task that runs longest has been running, by its worker's heartbeat. Dashed: how "
              "long tasks may, in the queue with the lowest limit.",
              [query(from_redis("asynq_queue_longest_running_seconds"), "{{queue}}"),
               query(f"min(queue:asynq_task_run_limit:seconds{{{RECORDED}}})", "limit")], "s", limits=("limit",)),
        lines("Schedulers of each cron entry", "Live schedulers that have an entry with this spec and task type. Above 1: each of "
              "them enqueues at each tick.",
              [query(f"max by (redis, task_type, spec) (asynq_scheduler_entry_schedulers{{{COLLECTORS}}})",
                     "{{task_type}} {{spec}}")], "short"),
        table("Cron", "Entries of live schedulers: cron's next and last tick, and when the entry last enqueued a task. Enqueued "
              "before the last tick: enqueueing fails.",
              [instant(cron.format(name), table=True) for name in ("next_enqueue", "prev_enqueue", "last_enqueued")],
              [("Next tick", "dateTimeFromNow"), ("Last tick", "dateTimeFromNow"), ("Enqueued", "dateTimeFromNow")],
              key=("task_type", "spec", "entry_id"), height=8),
    ])


def logs() -> dict:
    stream = '{service_name=~"$service"} | json | queue=~"$queue"'
    return row("Logs", [
        lines("Log lines by level", "Of services that log as JSON with a field queue.",
              [logql(f"sum by (level) (count_over_time({stream} [$__auto]))", "{{level}}")], "short", bars=True, stack=True,
              width=24, height=6),
        log_lines("Log lines of these queues", "Of services that log as JSON with a field queue; a line with a trace id has a link "
                  "to its trace.", [logql(stream)]),
    ], collapsed=True)


def make() -> dict:
    return dashboard(
        "asynq-queues", "Asynq: queues and storage",
        "Backlog, throughput, wait and failures of Asynq's queues; the Redis and PostgreSQL beneath them.",
        [now(), queue_table(), backlog(), throughput(), durations(), failures(), workers(), storage.redis(), storage.database(),
         logs()],
        data_sources("prometheus", "loki") + queue_variables() + storage_variables() + [log_label("service", "Service",
                                                                                                "service_name")],
        events())
