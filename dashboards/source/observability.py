"""Asynq: unified observability. From the objective to the trace of one task and its log lines."""

from source.builder import (GREEN, ORANGE, RED, YELLOW, dashboard, heat, heatmap, instant, lines, log_label, log_lines, logql,
                            node_graph, query, row, stat, states, steps, table, trace_table, trace_view, traceql, service_map)
from source.common import (COLLECTORS, QUEUES, RECORDED, TYPES, counted, data_sources, events, from_redis, processed, quantile,
                           queue_variables, storage_variables, trace_id)
from source.queues import FAILURES, OBJECTIVE_RATIO, OBJECTIVE_SECONDS, RUN, WAIT
from source.storage import DATABASES

FIRING = 'ALERTS{alertname=~"Asynq.*", alertstate="firing"}'
CALLS = "traces_spanmetrics_calls_total"
LATENCY = "traces_spanmetrics_latency"
TASKS = 'span.messaging.system = "asynq" && kind = consumer && span.messaging.destination.name =~ "$queue"'


def objective() -> dict:
    slow = f"max by (queue) (queue:asynq_task_wait_slow:ratio_rate{{}}{{{{{RECORDED}}}}})"
    return row("Objective and alerts", [
        stat("Critical alerts", "Alerts of severity critical that fire now.",
             [instant(f'sum({FIRING[:-1]}, severity="critical"}}) or vector(0)', "critical")], "short",
             thresholds=steps((None, GREEN), (1, RED))),
        stat("Warnings", "Alerts of severity warning that fire now.",
             [instant(f'sum({FIRING[:-1]}, severity="warning"}}) or vector(0)', "warning")], "short",
             thresholds=steps((None, GREEN), (1, ORANGE))),
        stat("Objective met, last hour", "Share of the tasks that started in time, in the queue where it is lowest.",
             [query(f"1 - max({slow.format('1h')})", "met")], "percentunit", decimals=2,
             thresholds=steps((None, RED), (0.95, YELLOW), (0.99, GREEN))),
        stat("Objective met, last 3 days", "Share of the tasks that started in time, in the queue where it is lowest.",
             [query(f"1 - max({slow.format('3d')})", "met")], "percentunit", decimals=2,
             thresholds=steps((None, RED), (0.95, YELLOW), (0.99, GREEN))),
        stat("Budget left", "Of the late tasks that the objective allows over the last three days. Below 0: spent.",
             [query(f"min(1 - {slow.format('3d')} / (1 - scalar({OBJECTIVE_RATIO})))", "left")], "percentunit", decimals=0,
             thresholds=steps((None, RED), (0, YELLOW), (0.5, GREEN))),
        stat("Objective", "Within how many seconds of being ready to run tasks should start.",
             [query(OBJECTIVE_SECONDS, "objective")], "s"),
        table("Firing alerts", "Click an alert for its page in the runbook.", [instant(FIRING, table=True)], [("firing", "bool_yes_no")],
              key=("alertname", "severity", "queue", "instance"), width=12, height=8, hide=("alertstate", "job", "long", "short"),
              links={"alertname": ("Runbook", "https://runbooks.example.com/asynq#${__value.text}")}),
        states("Alerts over time", "Which alert fired when, for all queues and collectors together.",
               [query(f"max by (alertname) ({FIRING})", "{{alertname}}")], {"1": ("firing", RED)}),
        lines("Budget burn rate", "How many times faster than allowed the budget of late tasks is spent. 1 just lasts; 14.4 over "
              "an hour and 6 over six hours page.",
              [query(f"{slow.format(window)} / (1 - scalar({OBJECTIVE_RATIO}))", f"{{{{queue}}}} {window}")
               for window in ("5m", "1h", "6h", "3d")], "none", width=24, thresholds=steps((None, GREEN), (1, YELLOW), (14.4, RED))),
    ])


def red() -> dict:
    attempts = f"rate(asynq_task_attempts_total{{{TYPES}}}[$__rate_interval])"
    failed = f'rate(asynq_task_attempts_total{{{TYPES}, status="failed"}}[$__rate_interval])'
    per_type = [f"sum by (queue, task_type) ({attempts})",
                f"sum by (queue, task_type) ({failed}) / (sum by (queue, task_type) ({attempts}) > 0)",
                quantile(0.95, WAIT, TYPES, "queue, task_type"), quantile(0.95, RUN, TYPES, "queue, task_type")]
    calls = f"rate({CALLS}[$__rate_interval])"
    errors = f'rate({CALLS}{{status_code="STATUS_CODE_ERROR"}}[$__rate_interval])'
    return row("Rate, errors, duration", [
        table("Task types", "One line for each task type, now.", [instant(expr, table=True) for expr in per_type],
              [("Rate", "ops"), ("Failing", "percentunit", FAILURES), ("Wait p95", "s"), ("Run time p95", "s")],
              key=("queue", "task_type"), sort="Rate"),
        lines("Rate by service", "Spans of servers and consumers, by Tempo's metrics generator.",
              [query(f'sum by (service) (rate({CALLS}{{span_kind=~"SPAN_KIND_SERVER|SPAN_KIND_CONSUMER"}}[$__rate_interval]))',
                     "{{service}}")], "ops", width=8, stack=True),
        lines("Errors by service", "Share of spans with an error, by Tempo's metrics generator.",
              [query(f"sum by (service) ({errors}) / (sum by (service) ({calls}) > 0)", "{{service}}")], "percentunit", width=8,
              maximum=1),
        lines("Duration by service, p95", "Of all spans of a service, by Tempo's metrics generator; a dot opens a trace.",
              [query(f"histogram_quantile(0.95, sum by (le, service) (rate({LATENCY}_bucket[$__rate_interval])))", "{{service}}",
                     exemplar=True)], "s", width=8),
        heatmap("Run time, all attempts", "How many attempts took how long. A dot opens a trace.",
                [heat(f"sum by (le) ({counted(f'{RUN}_bucket{{{TYPES}}}')})") | {"exemplar": True}], "s"),
        heatmap("Wait, all tasks", "How many tasks waited how long. A dot opens a trace.",
                [heat(f"sum by (le) ({counted(f'{WAIT}_bucket{{{TYPES}}}')})") | {"exemplar": True}], "s"),
    ])


def traces() -> dict:
    # The trace's id is in a field that the table hides. spanID has a link of Grafana's own as well (to Explore); traceName not.
    link = ("Show this trace below", "/d/asynq-observability?var-traceId=${__data.fields.traceIdHidden}&${__url_time_range}")
    links = {"spanID": link, "traceName": link}
    # Without the hint a search ends at the first matches that it finds, whichever those are.
    newest = " with (most_recent=true)"
    shown = trace_table("Slow attempts", "Attempts of these queues that took longer than a second, newest first. A click shows "
                        "the trace below.", [traceql(f"{{ {TASKS} && duration > 1s }}{newest}", table="spans")], links=links)
    failed = trace_table("Failed attempts", "Attempts of these queues that ended with an error, newest first. A click shows the "
                         "trace below.", [traceql(f"{{ {TASKS} && status = error }}{newest}", table="spans")], links=links)
    return row("Traces", [
        failed,
        shown,
        trace_view("Trace", "The trace whose id stands in the box Trace id above.", [traceql("${traceId}")]),
        node_graph("Service graph", "Who calls whom and who enqueues for whom, by Tempo's metrics generator over the time range.",
                   [service_map()]),
        lines("Duration of database calls, p95 and p99", "From spans with db.system, by TraceQL: for applications that have no "
              "histogram of their own. For time ranges up to query_frontend.metrics.max_duration of Tempo (tempo.yaml: a week).",
              [traceql('{ span.db.system != nil } | quantile_over_time(duration, .95, .99) by (span.db.system)')], "s"),
        lines("Time between producer and consumer, p95", "As Tempo's generator pairs them: only within its wait of 60 s, only by "
              "parent. The truth is the panel Wait of Asynq: queues and storage.",
              [query("histogram_quantile(0.95, sum by (le, client, server) "
                     "(rate(traces_service_graph_request_messaging_system_seconds_bucket[$__rate_interval])))",
                     "{{client}} → {{server}}")], "s"),
    ])


def logs() -> dict:
    return row("Logs", [
        log_lines("Log lines of the trace", "Lines with the trace id that stands in the box above, of all services.",
                  # An empty box means no lines, not all that have no trace id. Tempo's search drops leading zeros.
                  [logql('{service_name=~"$service"} | trace_id!="" | trace_id=~"0*$traceId"')], height=8),
        log_lines("Errors", "Lines of level error, of all services.",
                  [logql('{service_name=~"$service"} | json | level=~"(?i)error|fatal|panic"')], height=8),
    ])


def storage() -> dict:
    return row("Storage", [
        lines("Redis memory", "Dashed: maxmemory, where there is a limit.",
              [query(f"max by (redis) (asynq_redis_used_memory_bytes{{{COLLECTORS}}})", "used"),
               query(f"max by (redis) (asynq_redis_max_memory_bytes{{{COLLECTORS}}}) > 0", "limit")], "bytes", width=6,
              limits=("limit",)),
        lines("Redis commands", "Per second, by the exporter.",
              [query('sum by (instance) (rate(redis_commands_processed_total{instance=~"$redis_instance"}[$__rate_interval]))',
                     "{{instance}}")], "ops", width=6),
        lines("Database connections", "By state.",
              [query(f"sum by (state) (pg_stat_activity_count{{{DATABASES}}})", "{{state}}")], "short", width=6, stack=True),
        lines("Database size", "On disk, with indexes.",
              [query(f"max by (instance, datname) (pg_database_size_bytes{{{DATABASES}}})", "{{datname}}")], "bytes", width=6),
    ])


def health() -> dict:
    own = "asynq_collector"
    return row("Collector", [
        lines("Spans in", "Accepted and refused.",
              [query(f"sum(rate({own}_accepted_spans_total{{{COLLECTORS}}}[$__rate_interval]))", "accepted"),
               query(f"sum(rate({own}_refused_spans_total{{{COLLECTORS}}}[$__rate_interval]))", "refused")], "ops", width=6),
        lines("Spool", "How full it is; at 100 % senders are refused, or the oldest spans go.",
              [query(f"max by (instance) ({own}_spool_bytes{{{COLLECTORS}}} / {own}_spool_capacity_bytes{{{COLLECTORS}}})",
                     "{{instance}}")], "percentunit", width=6, maximum=1, thresholds=steps((None, GREEN), (0.8, RED))),
        lines("Dropped", "Accepted spans that were given up, by reason. Has to be 0; but unsynced is no loss, their sender was "
              "told to send them again.",
              [query(f"sum by (reason) ({counted(f'{own}_dropped_spans_total{{{COLLECTORS}}}')})", "{{reason}}")],
              "short", width=6, bars=True, stack=True),
        lines("Discarded by Tempo", "Spans that Tempo answered 200 for and did not store, in its own words.",
              [query("sum by (reason) (rate(tempo_discarded_spans_total[$__rate_interval]))", "{{reason}}")], "ops", width=6,
              stack=True),
    ])


def queues() -> dict:
    return row("Queues", [
        lines("Pending", "Tasks that are ready to run.", [query(from_redis("asynq_queue_size", 'state="pending"'), "{{queue}}")],
              "short", width=8),
        lines("Attempts by outcome", "As Asynq counts them in Redis.", [query(f"sum by (status) ({processed()})", "{{status}}")],
              "ops", width=8, stack=True),
        lines("Dead letters", "Tasks that entered the archive.",
              [query(f"max by (redis, queue) ({counted(f'asynq_tasks_dead_lettered_total{{{QUEUES}}}')})", "{{queue}}")],
              "short", width=8, bars=True, stack=True),
    ])


def make() -> dict:
    return dashboard(
        "asynq-observability", "Asynq: unified observability",
        "From the objective to the trace of one task and its log lines: metrics, traces and logs of queues, services and storage.",
        [objective(), queues(), red(), traces(), logs(), storage(), health()],
        data_sources("prometheus", "tempo", "loki") + queue_variables() + storage_variables()
        + [log_label("service", "Service", "service_name"), trace_id()],
        events())
