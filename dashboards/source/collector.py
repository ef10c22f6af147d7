"""Asynq: collector. The collector itself: what comes in, what lies in the spool, what goes out, what is lost."""

from source.builder import (BAR_NOTE, SPANS_PER_SECOND, dashboard, instant, lines, query, row, stat, steps, timeline, values)
from source.common import (COLLECTORS, IS_COLLECTOR, NO_SPOOL, WAS_COLLECTOR, collector_starts, collector_variables, counted,
                           data_sources, disk, with_all)
from source.palette import CODES, CRITICAL, FLOWS, GOOD, WARNING

OWN = "asynq_collector"
BY = "sum by (instance)"
# Unsynced ones are with their sender still, which was told to send them again.
LOST = 'reason!="unsynced"'
UP = values(_0=("down", CRITICAL), _1=("up", GOOD))


def rate(name: str, selector: str = "") -> str:
    return f"rate({name}{{{COLLECTORS}{', ' + selector if selector else ''}}}[$__rate_interval])"


def own(name: str, selector: str = "") -> str:
    return f"{OWN}_{name}{{{COLLECTORS}{', ' + selector if selector else ''}}}"


def process(name: str) -> str:
    return f"process_{name}{{{COLLECTORS}}} and {IS_COLLECTOR}"


# Also those that ended in the time range; what those have that keep spans, push metrics or read Redis.
EVERY_COLLECTOR = f"max by (instance) (last_over_time({own('build_info')}[$__range] @ end()))"
SPOOLS = f"last_over_time({own('spool_stalled')}[$__range] @ end())"
PUSHES = f"last_over_time({own('push_interval_seconds')}[$__range] @ end())"
READS_REDIS = f"last_over_time(asynq_redis_up{{{COLLECTORS}}}[$__range] @ end())"


def by_instance(expr: str, known: str = "") -> dict:
    return query(with_all(expr, EVERY_COLLECTOR, known), "{{instance}}")


def now() -> dict:
    good = steps((None, CRITICAL), (1, GOOD))
    return row("Now", [
        stat("Collectors", "If one is down, start it: what it acknowledged is in its spool.",
             [query(f'sum(up{{job=~"$job", instance=~"$instance"}} and {WAS_COLLECTOR})', "up")], "short", width=4, thresholds=good,
             alerts=("AsynqCollectorDown", "AsynqCollectorAbsent")),
        stat("Redis and Tempo", "If Redis is down, read the errors by reason below; if Tempo is down, repair it: spans wait in the "
             "spool.", [query(f"min(asynq_redis_up{{{COLLECTORS}}})", "Redis"), query(f"min({own('tempo_up')})", "Tempo")],
             "short", width=4, mappings=UP, thresholds=good,
             alerts=("AsynqRedisUnreachable", "AsynqScrapeStale", "AsynqForwardingFails", "AsynqCollectorsReadDifferentRedis")),
        stat("Spool fill", "Repair Tempo before 100 %: then senders are refused, or the oldest spans are dropped.",
             [query(f"max({own('spool_bytes')} / {own('spool_capacity_bytes')})", "spool")], "percentunit", width=4, decimals=1,
             thresholds=steps((None, GOOD), (0.5, WARNING), (0.8, CRITICAL)), instead=NO_SPOOL,
             alerts=("AsynqSpoolFilling", "AsynqSpoolWillBeFull")),
        stat("Lost spans", "Accepted spans that were dropped in the time range: the reasons are below.",
             [instant(f"sum(increase({own('dropped_spans_total', LOST)}[$__range]))", "lost")], "short", width=4, whole=True,
             thresholds=steps((None, GOOD), (1, CRITICAL)), instead=NO_SPOOL,
             alerts=("AsynqSpansDropped", "AsynqSpansRefusedByTempo")),
        stat("Refused spans", "Spans that collectors refused in the time range: the reasons are below; a span that is sent again counts again.",
             [instant(f"sum(increase({own('refused_spans_total')}[$__range]))", "refused")], "short", width=4, whole=True,
             thresholds=steps((None, GOOD), (1, WARNING)), alerts=("AsynqSpansNotAccepted",)),
        stat("Versions", "If there are several, finish the rollout.",
             [instant(f"count by (version) ({own('build_info')})", "{{version}}")], "short", width=4, text=True),
    ])


def flow() -> dict:
    return row("From received to forwarded", [
        lines("Spans received by transport", "If one falls to 0, look at the endpoint that its senders use.",
              [query(f"sum by (transport, encoding) ({rate(OWN + '_received_spans_total')})", "{{transport}} {{encoding}}")],
              SPANS_PER_SECOND, stack=True, width=24),
        lines("Spans accepted and forwarded", "If less is forwarded than accepted, Tempo is too slow or down.",
              [query(f"sum({rate(OWN + '_accepted_spans_total')})", "accepted"),
               query(f"sum({rate(OWN + '_forwarded_spans_total')})", "forwarded")], SPANS_PER_SECOND),
        lines("Spans accepted by collector", "If one collector has none, look at the endpoint of its workers.",
              [by_instance(f"{BY} ({rate(OWN + '_accepted_spans_total')})")], SPANS_PER_SECOND, low_is_worse=True),
        lines("Duplicate spans", "If it rises, raise the timeout of the sender, which repeats requests; duplicates count once.",
              [by_instance(f"{BY} ({rate(OWN + '_duplicate_spans_total')})")], SPANS_PER_SECOND),
    ])


def losses() -> dict:
    return row("Refused and dropped", [
        lines("Dropped spans", "evicted, expired: enlarge the spool; rejected, refused: read Tempo's answer in the log; unanswered: "
              "repair Tempo; corrupt, unreadable: look at the disk; unsynced is no loss" + BAR_NOTE,
              [query(f"sum by (reason) ({counted(own('dropped_spans_total'))})", "{{reason}}")], "short", bars=True, stack=True,
              alerts=("AsynqSpansDropped", "AsynqSpansRefusedByTempo")),
        lines("Refused spans", "spool_full: repair Tempo or raise spool.max-bytes; unavailable: look at the disk; bad_id, bad_value, "
              "too_large: repair the sender; a span that is sent again counts again.",
              [query(f"sum by (reason) ({rate(OWN + '_refused_spans_total')})", "{{reason}}")], SPANS_PER_SECOND, stack=True,
              alerts=("AsynqSpansNotAccepted",)),
        lines("Refused requests", "Repair the sender: these were refused before their spans were counted.",
              [query(f"sum by (reason) ({rate(OWN + '_refused_requests_total')})", "{{reason}}")], "suffix:req/s", stack=True),
        lines("Requests without spans", "Repair the sender: it sends logs, metrics or another form of spans; the log names it.",
              [by_instance(f"{BY} ({rate(OWN + '_empty_requests_total')})")], "suffix:req/s"),
        lines("Refused connections", "More are open than allowed: let senders keep fewer connections.",
              [by_instance(f"{BY} ({rate(OWN + '_refused_connections_total')})")], "suffix:conn/s"),
        lines("Requests kept in refused/", "Read Tempo's text beside them, below spool.directory; failed, too_large: no copy could "
              "be kept" + BAR_NOTE,
              [query(f"sum by (outcome) ({counted(own('set_aside_requests_total'))})", "{{outcome}}")], "short", bars=True,
              stack=True, colours={"kept": WARNING, "failed": FLOWS["failed"], "too_large": CRITICAL}, alerts=("AsynqSpansRefusedByTempo",)),
        lines("Spans discarded by Tempo", "Tempo answered 200 and did not store them: raise the limit that the reason names.",
              [query("sum by (reason) (rate(tempo_discarded_spans_total[$__rate_interval]))", "{{reason}}")], SPANS_PER_SECOND,
              stack=True, alerts=("AsynqSpansDiscardedByTempo",)),
    ])


def duration(of: str, share: float) -> dict:
    buckets = rate(f"{OWN}_{of}_duration_seconds_bucket")
    return query(with_all(f"histogram_quantile({share}, sum by (le) ({buckets})) >= 0", f"sum({buckets})"), f"p{round(share * 100)}")


def forwarding() -> dict:
    return row("Tempo", [
        lines("Requests to Tempo", "By status, or by what broke the connection: anything but 200 is to be repaired at Tempo.",
              [query(f"sum by (code) ({rate(OWN + '_forward_requests_total')})", "{{code}}")], "suffix:req/s", stack=True, colours=CODES,
              alerts=("AsynqForwardingFails",)),
        lines("Duration of a request", "If it rises, Tempo is overloaded; requests that fail count as well, and a refused connection is quick.",
              [duration("forward", share) for share in (0.99, 0.95, 0.5)], "s"),
        timeline("Tempo up", "If it is down, Tempo did not answer the last request: repair it, spans wait in the spool.",
                 [query(f"min by (instance) ({own('tempo_up')})", "{{instance}}")], UP, height=6, alerts=("AsynqForwardingFails",)),
        timeline("Disk responsiveness", "If it is stalled or answers with errors, repair the disk: senders are told to send again.",
                 [query(disk("by (instance) "), "{{instance}}")],
                 values(_0=("stalled", CRITICAL), _1=("answers", GOOD), _2=("errors", WARNING)), height=6, alerts=("AsynqSpansNotAccepted",)),
    ])


def pushing() -> dict:
    return row("Pushed metrics", [
        lines("Pushes", "By status, or by what broke the connection: for anything but 200 read the collector's log.",
              [query(f"sum by (code) ({rate(OWN + '_push_requests_total')})", "{{code}}")], "suffix:req/s", stack=True, colours=CODES,
              alerts=("AsynqMetricsNotPushed",)),
        lines("Duration of a push", "If it rises to metrics.push.timeout, the backend is overloaded; pushes that fail count as well, and a refused "
              "connection is quick.",
              [duration("push", share) for share in (0.99, 0.5)], "s"),
        lines("Age of the last push", "If it rises to the dashed limit, thrice metrics.push.interval and at least ten minutes, the backend has old "
              "numbers, or lacks some.",
              [by_instance(f"time() - max by (instance) ({own('push_last_success_timestamp_seconds')})", PUSHES),
               query(f"max(clamp_min(3 * {own('push_interval_seconds')}, 600))", "limit")], "s", limits=("limit",), powers=True,
              alerts=("AsynqMetricsNotPushed",)),
        lines("Rejected data points", "The backend left them out of pushes that it accepted: its reason is in the collector's log"
              + BAR_NOTE, [by_instance(f"{BY} ({counted(own('push_rejected_points_total'))})", PUSHES)], "short", bars=True,
              alerts=("AsynqMetricsNotPushed",)),
    ], collapsed=True)


def spool() -> dict:
    return row("Spool", [
        lines("Spool size", "Repair Tempo before the dashed spool.max-bytes is reached.",
              [by_instance(f"max by (instance) ({own('spool_bytes')})", SPOOLS),
               query(f"max({own('spool_capacity_bytes')})", "limit")], "bytes", limits=("limit",),
              alerts=("AsynqSpoolFilling", "AsynqSpoolWillBeFull")),
        lines("Spans waiting", "If their number rises, less is forwarded than accepted: look at Tempo; those in flight are among them.",
              [by_instance(f"{BY} ({own('spool_spans')})", SPOOLS)], "short"),
        lines("Age of the oldest span", "If it rises, Tempo falls behind the workers: repair Tempo.",
              [by_instance(f"max by (instance) ({own('spool_oldest_age_seconds')})", SPOOLS)], "s", width=24, height=7),
        lines("Disk errors", "Replace the disk: reads, writes or syncs failed, or a frame had a wrong checksum" + BAR_NOTE,
              [query(f"{BY} ({counted(own('spool_errors_total'))})", "{{instance}} errors"),
               query(f"{BY} ({counted(own('spool_corrupt_frames_total'))})", "{{instance}} corrupt frames")], "short", bars=True,
              stack=True, width=24, height=7, colours={"/ errors$/": WARNING, "/ corrupt frames$/": CRITICAL}, alerts=("AsynqSpansNotAccepted",)),
        lines("Recovered spans and quarantined files", "If files are quarantined, see docs/SPOOL.md: the disk does not give them back; "
              "recovered spans are what the spool held at the start.",
              [query(f"{BY} ({own('spool_recovered_spans')})", "{{instance}} recovered spans"),
               query(f"{BY} ({own('spool_quarantined_segments')})", "{{instance}} quarantined files")], "short", width=24,
              height=7),
    ])


def redis() -> dict:
    return row("Redis", [
        lines("Duration of a scrape", "Near redis.timeout, raise that or let each collector read fewer queues; a scrape that fails counts as well, and a "
              "refused connection is quick.",
              [by_instance(f"max by (instance) (asynq_redis_scrape_duration_seconds{{{COLLECTORS}}})", READS_REDIS)], "s", alerts=("AsynqScrapeStale",)),
        lines("Age of the data", "If it grows, scrapes fail: look at the errors beside it.",
              [by_instance(f"time() - max by (instance) (asynq_redis_last_scrape_timestamp_seconds{{{COLLECTORS}}})", READS_REDIS)], "s",
              soft_maximum=30, alerts=("AsynqScrapeStale", "AsynqRedisUnreachable")),
        lines("Scrape errors", "Look for the reason in the runbook: connection, authentication, permission and so on.",
              [query(f"sum by (reason) ({rate('asynq_redis_scrape_errors_total')})", "{{reason}}")], "suffix:errors/s",
              stack=True,
              alerts=("AsynqRedisUnreachable",)),
        lines("Clock offset", "Redis' clock minus the collector's: set the clocks if it is not near 0.",
              [by_instance(f"max by (instance) (asynq_redis_clock_offset_seconds{{{COLLECTORS}}})", READS_REDIS)], "s", minimum=None),
    ])


def memory() -> dict:
    return row("Process", [
        lines("Resident memory", "If it only rises, look at the tasks and spans remembered below; what waits for Tempo is on disk.",
              [by_instance(f"{BY} ({process('resident_memory_bytes')})")], "bytes"),
        lines("CPU", "Near 100 % of a core, divide the workers over more collectors.",
              [by_instance(f"{BY} ({rate('process_cpu_seconds_total')} and {IS_COLLECTOR})")], "percentunit"),
        lines("Memory by part", "At 100 % of its share a part refuses or forgets: raise memory.limit if its counter rises (docs/MEMORY.md).",
              [query(f"max by (part) ({own('memory_bytes')} / {own('memory_limit_bytes')})", "{{part}}")], "percentunit",
              soft_maximum=1, width=24, height=11),
        lines("Open files", "Near the dashed limit raise LimitNOFILE, or close idle connections.",
              [by_instance(f"{BY} ({process('open_fds')})"), query(f"min({process('max_fds')})", "limit")], "short",
              limits=("limit",)),
        lines("Uptime", "After a fall, look for the reason of the restart at the end of the log.",
              [by_instance(f"time() - max by (instance) (process_start_time_seconds{{{COLLECTORS}}} and {IS_COLLECTOR})")], "dtdhms", low_is_worse=True),
    ])


def tasks() -> dict:
    return row("Tasks and their traces", [
        lines("Traces continued", "If none rises, let producers inject their context: the tasks carry none, or are not known.",
              [query(f"sum by (relation) ({rate(OWN + '_relinked_spans_total')})", "{{relation}}"),
               query(f"sum({rate(OWN + '_unlinked_spans_total')})", "none")], SPANS_PER_SECOND, stack=True),
        lines("Tasks looked up", "If down, limit or skipped rises, look at Redis: the traces of these tasks are not continued.",
              [query(f"sum by (result) ({rate(OWN + '_task_lookups_total')})", "{{result}}")], "suffix:lookups/s", stack=True,
              colours={"failed": FLOWS["failed"]}),
        lines("Dead letters without message or span", "If unread rises, shorten redis.interval: they died too fast to be read; if no span does, look at "
              "the disk" + BAR_NOTE,
              [query(f"sum({counted(own('unread_dead_letters_total'))})", "unread"),
               query(f"sum({counted(own('unsent_dead_letter_spans_total'))})", "no span")], "short", bars=True,
              colours={"unread": WARNING, "no span": CRITICAL}),
        lines("Unpaired spans", "Near 100,000 of a role, give the spans an enqueue stamp: beyond, the oldest are evicted.",
              [query(f"sum by (role) ({own('pairing_open_spans')})", "{{role}}")], "short"),
        lines("Unpaired spans evicted", "If it rises, give the spans an enqueue stamp: the wait of these tasks is not known.",
              [query(f"sum by (role) ({rate(OWN + '_pairing_evicted_spans_total')})", "{{role}}")], SPANS_PER_SECOND, stack=True),
        lines("Names beyond the limit", "Spans counted under _other: raise metrics.queues-max, metrics.task-types or "
              "metrics.error-types; error is not of a metric, but of the status page's list of errors.",
              [query(f"sum by (label) ({rate(OWN + '_label_overflows_total')})", "{{label}}")], SPANS_PER_SECOND, stack=True),
        lines("Truncated names", "Look for the worker that puts payloads or ids into names: of more than 256 bytes the rest is "
              "lost" + BAR_NOTE,
              [query(f"sum by (label) ({counted(own('cut_labels_total'))})", "{{label}}")], "short", bars=True, stack=True),
        lines("Names in Redis without a label", "If there are any, look for the program that makes queues or servers with long or ever "
              "new names; they count under _other.",
              [query(f"max by (label) (asynq_redis_unlabeled_names{{{COLLECTORS}}})", "{{label}}")], "short"),
        lines("Series on /metrics", "Prometheus stores them for each collector: if there are too many, see docs/METRICS.md, Series.",
              [by_instance(f"{BY} ({own('page_series')})")], "short"),
        lines("Histogram bucket step", "Above 1, only every second, third or later bucket by task type is on the page, and quantiles are coarser: raise "
              "metrics.histogram-series-max, or take native histograms.",
              [by_instance(f"max by (instance) ({own('bucket_step')})")], "short"),
        lines("Attempts evicted", "If it rises, divide the workers over more collectors: a later attempt at such a task may count as a "
              "first one.", [query(f"sum({rate(OWN + '_started_evicted_attempts_total')})", "evicted")], "suffix:attempts/s"),
        lines("Waits from process_at", "To leave them out, set wait.process-at to false: up to five seconds of Asynq's forwarder are in them.",
              [query(f"sum({rate(OWN + '_process_at_waits_total')})", "waits")], "suffix:tasks/s"),
        lines("Look-ahead: tasks remembered", "Near 100,000, lower redis.look-ahead: beyond, the oldest are evicted.",
              [by_instance(f"{BY} ({own('look_ahead_tasks')})", READS_REDIS)], "short"),
        lines("Look-ahead: tasks lost", "If it rises, shorten redis.look-interval, or send stamps: the wait of these tasks is not known from Redis.",
              [query(f"sum by (reason) ({rate(OWN + '_look_ahead_lost_tasks_total')})", "{{reason}}"),
               query(f"sum({rate(OWN + '_look_ahead_evicted_tasks_total')})", "evicted")], "suffix:tasks/s", stack=True),
    ])


def books() -> dict:
    came = f"sum({own('received_spans_total')}) - sum({own('accepted_spans_total')}) - sum({own('refused_spans_total')})"
    went = (f"sum({own('spool_recovered_spans')}) + sum({own('accepted_spans_total')}) - sum({own('forwarded_spans_total')}) "
            f"- sum({own('dropped_spans_total')}) - sum({own('spool_spans')})")
    return row("Span accounting", [
        lines("Unaccounted spans", "Anything but 0 is a fault of the collector: report it.",
              [query(f"abs({came})", "received − accepted − refused"),
               query(f"abs({went})", "recovered + accepted − forwarded − dropped − in the spool")], "short", width=24, height=6),
    ], collapsed=True)


def make() -> dict:
    return dashboard(
        "asynq-collector", "Asynq: collector",
        "The collector itself: what comes in, what lies in the spool, what goes out, what is lost.",
        [now(), flow(), losses(), forwarding(), pushing(), spool(), redis(), memory(), tasks(), books()],
        [*data_sources("prometheus"), *collector_variables()],
        [collector_starts()])
