"""Asynq: collector. The collector itself: what comes in, what lies in the spool, what goes out, what is lost."""

from source.builder import (BLUE, GREEN, RED, YELLOW, dashboard, instant, lines, query, row, stat, states, steps)
from source.common import COLLECTORS, collector_variables, counted, data_sources, events

OWN = "asynq_collector"
BY = "sum by (instance)"
# Unsynced ones are with their sender still, which was told to come again.
KEPT_BY_NOBODY = 'reason!="unsynced"'


def rate(name: str, selector: str = "") -> str:
    return f"rate({name}{{{COLLECTORS}{', ' + selector if selector else ''}}}[$__rate_interval])"


def own(name: str, selector: str = "") -> str:
    return f"{OWN}_{name}{{{COLLECTORS}{', ' + selector if selector else ''}}}"


def now() -> dict:
    good = steps((None, RED), (1, GREEN))
    return row("Now", [
        stat("Collectors", "Collectors that Prometheus can scrape, of those chosen.",
             [query('sum(up{job=~"$job", instance=~"$instance"})', "up")], "short", thresholds=good),
        stat("Redis", "1 if the last scrape of Redis worked, in the collector where it did not.",
             [query(f"min(asynq_redis_up{{{COLLECTORS}}})", "Redis")], "bool_yes_no", thresholds=good),
        stat("Tempo", "1 if Tempo answered the last request, in the collector where it did not.",
             [query(f"min({own('tempo_up')})", "Tempo")], "bool_yes_no", thresholds=good),
        stat("Spool", "How full the fullest spool is. At 100 % senders are refused, or the oldest spans go.",
             [query(f"max({own('spool_bytes')} / {own('spool_capacity_bytes')})", "spool")], "percentunit",
             thresholds=steps((None, GREEN), (0.5, YELLOW), (0.8, RED))),
        stat("Lost in this range", "Spans that were accepted and given up, for whatever reason (unsynced ones aside: their "
             "sender was told to send them again). Has to be 0.",
             [instant(f"sum(increase({own('dropped_spans_total', KEPT_BY_NOBODY)}[$__range]))", "lost")], "short", decimals=0,
             thresholds=steps((None, GREEN), (1, RED))),
        stat("Versions", "Running versions of the collector.",
             [instant(f"count by (version) ({own('build_info')})", "{{version}}")], "short", text=True,
             thresholds=steps((None, BLUE))),
    ])


def receiving() -> dict:
    return row("Receiving", [
        lines("Spans received", "By transport and encoding.",
              [query(f"sum by (transport, encoding) ({rate(OWN + '_received_spans_total')})", "{{transport}} {{encoding}}")],
              "ops", width=8, stack=True),
        lines("Spans accepted", "By collector. Accepted means: on disk and seen by the metrics.",
              [query(f"{BY} ({rate(OWN + '_accepted_spans_total')})", "{{instance}}")], "ops", width=8),
        lines("Spans refused", "By reason. spool_full, unavailable: the collector's doing; bad_id, too_large: the sender's.",
              [query(f"sum by (reason) ({rate(OWN + '_refused_spans_total')})", "{{reason}}")], "ops", width=8, stack=True),
        lines("Requests refused", "Before their spans were counted, by reason.",
              [query(f"sum by (reason) ({rate(OWN + '_refused_requests_total')})", "{{reason}}")], "ops", width=8, stack=True),
        lines("Connections refused", "Because as many as allowed were open.",
              [query(f"{BY} ({rate(OWN + '_refused_connections_total')})", "{{instance}}")], "ops", width=8),
        lines("Spans that came again", "Process spans with the same ids; they are forwarded and not observed a second time.",
              [query(f"{BY} ({rate(OWN + '_duplicate_spans_total')})", "{{instance}}")], "ops", width=8),
    ])


def spooling() -> dict:
    return row("Spool", [
        lines("Size", "Dashed: spool.max-bytes.",
              [query(f"max by (instance) ({own('spool_bytes')})", "{{instance}}"),
               query(f"max({own('spool_capacity_bytes')})", "limit")], "bytes", width=8, limits=("limit",)),
        lines("Spans waiting", "Those in flight included.", [query(f"{BY} ({own('spool_spans')})", "{{instance}}")], "short",
              width=8),
        lines("Age of the oldest", "How far Tempo lags behind the workers.",
              [query(f"max by (instance) ({own('spool_oldest_age_seconds')})", "{{instance}}")], "s", width=8),
        lines("In and out", "Spans accepted, and spans that left the spool.",
              [query(f"sum({rate(OWN + '_accepted_spans_total')})", "accepted"),
               query(f"sum({rate(OWN + '_forwarded_spans_total')})", "forwarded")], "ops", width=8),
        lines("Disk", "Reads, writes and syncs that failed, and frames with a wrong checksum. Has to be 0.",
              [query(f"{BY} ({counted(own('spool_errors_total'))})", "{{instance}} errors"),
               query(f"{BY} ({counted(own('spool_corrupt_frames_total'))})", "{{instance}} corrupt")],
              "short", width=8, bars=True),
        states("Does the disk answer?", "While it does not, senders are told to come again.",
               [query(f"max by (instance) ({own('spool_stalled')})", "{{instance}}")],
               {"0": ("answers", GREEN), "1": ("stalled", RED)}),
        lines("Found at the start, quarantined", "Spans that the spool held when the collector started; files that the disk "
              "does not give back.",
              [query(f"{BY} ({own('spool_recovered_spans')})", "{{instance}} recovered spans"),
               query(f"{BY} ({own('spool_quarantined_segments')})", "{{instance}} quarantined files")], "short"),
    ])


def forwarding() -> dict:
    duration = f"sum by (le) ({rate(OWN + '_forward_duration_seconds_bucket')})"
    return row("Forwarding", [
        lines("Requests to Tempo", "By HTTP status, or by what broke the connection.",
              [query(f"sum by (code) ({rate(OWN + '_forward_requests_total')})", "{{code}}")], "reqps", width=8, stack=True),
        lines("Duration of a request", "From sending it to its answer.",
              [query(f"histogram_quantile({share}, {duration})", f"p{round(share * 100)}") for share in (0.5, 0.95, 0.99)], "s",
              width=8),
        states("Tempo", "Whether it answered the last request.",
               [query(f"min by (instance) ({own('tempo_up')})", "{{instance}}")], {"0": ("down", RED), "1": ("up", GREEN)},
               width=8),
        lines("Losses", "Spans that were accepted and given up. evicted, expired: the spool's limits; rejected, refused: Tempo's "
              "word; unanswered: requests that Tempo never answered; corrupt, unreadable: the disk. unsynced is no loss: the "
              "disk did not take them, and their sender was told to send them again.",
              [query(f"sum by (reason) ({counted(own('dropped_spans_total'))})", "{{reason}}")], "short",
              width=8, bars=True, stack=True),
        lines("Refused requests kept aside", "Requests that Tempo refused for good, in refused/ below spool.directory. failed: the "
              "disk took no copy; too_large: there is no room for it.",
              [query(f"sum by (outcome) ({counted(own('set_aside_requests_total'))})", "{{outcome}}")],
              "short", width=8, bars=True, stack=True),
        lines("Discarded by Tempo", "Spans that Tempo answered 200 for and did not store, in its own words.",
              [query("sum by (reason) (rate(tempo_discarded_spans_total[$__rate_interval]))", "{{reason}}")], "ops", width=8,
              stack=True),
    ])


def tasks() -> dict:
    return row("Tasks and their traces", [
        lines("Traces carried on", "Process spans that came without parent and link and got back the context that their task "
              "carries, by what it became; none: the task carries no context, or is not known.",
              [query(f"sum by (relation) ({rate(OWN + '_relinked_spans_total')})", "{{relation}}"),
               query(f"sum({rate(OWN + '_unlinked_spans_total')})", "none")], "ops", width=8, stack=True),
        lines("Tasks looked up", "For their context, by what came of it; down, limit and skipped were not asked for.",
              [query(f"sum by (result) ({rate(OWN + '_task_lookups_total')})", "{{result}}")], "ops", width=8, stack=True),
        lines("Dead letters without message or span", "unread: they died too fast to be read, and are counted only; no span: the "
              "disk took none (with traces.dead-letter-span).",
              [query(f"sum({counted(own('unread_dead_letters_total'))})", "unread"),
               query(f"sum({counted(own('unsent_dead_letter_spans_total'))})", "no span")], "short", width=8,
              bars=True),
        lines("Spans that wait for their other half", "Producers and consumers whose partner is not here yet; 100,000 of each "
              "at most.", [query(f"sum by (role) ({own('pairing_open_spans')})", "{{role}}")], "short", width=8),
        lines("Halves forgotten", "For lack of room: the wait of their tasks is not known from them.",
              [query(f"sum by (role) ({rate(OWN + '_pairing_evicted_spans_total')})", "{{role}}")], "ops", width=8, stack=True),
        lines("Attempts forgotten", "For lack of room: a later attempt at one of their tasks with the same retry count counts as a "
              "first one. It rises under load, and matters where tasks come again after long.",
              [query(f"sum({rate(OWN + '_started_evicted_attempts_total')})", "forgotten")], "ops", width=8),
        lines("Waits from process_at", "Of scheduled tasks that the look-ahead did not see: up to five seconds of Asynq's forwarder are "
              "in them. wait.process-at leaves them out.",
              [query(f"sum({rate(OWN + '_process_at_waits_total')})", "waits")], "ops", width=8),
        lines("Names beyond the limit", "Spans counted under _other, by label: metrics.queues-max, metrics.task-types and "
              "metrics.error-types.",
              [query(f"sum by (label) ({rate(OWN + '_label_overflows_total')})", "{{label}}")], "ops", width=8, stack=True),
    ])


def scraping() -> dict:
    return row("Redis", [
        lines("Duration of a scrape", "All queues, in a fixed number of round trips. Above redis.timeout it is given up.",
              [query(f"asynq_redis_scrape_duration_seconds{{{COLLECTORS}}}", "{{instance}}")], "s", width=8),
        lines("Age of the data", "Since the last good scrape.",
              [query(f"time() - asynq_redis_last_scrape_timestamp_seconds{{{COLLECTORS}}}", "{{instance}}")], "s", width=8),
        lines("Errors", "Scrapes, or parts of one, that failed, by reason.",
              [query(f"sum by (reason) ({rate('asynq_redis_scrape_errors_total')})", "{{reason}}")], "ops", width=8, stack=True),
        lines("Look-ahead: tasks remembered", "Whose ready time and trace context are known from Redis.",
              [query(f"{BY} ({own('look_ahead_tasks')})", "{{instance}}")], "short"),
        lines("Look-ahead: tasks lost", "Evicted for lack of room before their span came, or lost sight of, by reason: their wait is not known from Redis.",
              [query(f"sum by (reason) ({rate(OWN + '_look_ahead_lost_tasks_total')})", "{{reason}}"),
               query(f"sum({rate(OWN + '_look_ahead_evicted_tasks_total')})", "evicted")], "ops", stack=True),
    ])


def process() -> dict:
    return row("Process", [
        lines("CPU", "Seconds of CPU time a second.", [query(f"{BY} ({rate('process_cpu_seconds_total')})", "{{instance}}")],
              "percentunit", width=6, decimals=1),
        lines("Resident memory", "What the collector keeps in RAM; what waits for Tempo is on disk.",
              [query(f"{BY} (process_resident_memory_bytes{{{COLLECTORS}}})", "{{instance}}")], "bytes", width=6),
        lines("Open files", "Dashed: as many as the system allows.",
              [query(f"{BY} (process_open_fds{{{COLLECTORS}}})", "{{instance}}"),
               query(f"min(process_max_fds{{{COLLECTORS}}})", "limit")], "short", width=6, limits=("limit",)),
        lines("Running since", "Time since the start; a fall is a restart.",
              [query(f"time() - process_start_time_seconds{{{COLLECTORS}}}", "{{instance}}")], "s", width=6),
    ])


def books() -> dict:
    came = f"sum({own('received_spans_total')}) - sum({own('accepted_spans_total')}) - sum({own('refused_spans_total')})"
    went = (f"sum({own('spool_recovered_spans')}) + sum({own('accepted_spans_total')}) - sum({own('forwarded_spans_total')}) "
            f"- sum({own('dropped_spans_total')}) - sum({own('spool_spans')})")
    return row("The books", [
        lines("Unaccounted for", "received − accepted − refused, and recovered + accepted − forwarded − dropped − in the spool. "
              "Both are 0 on every page of every collector, and so for all together.", [query(came, "in"), query(went, "through")], "short", width=24, height=6, minimum=None),
    ], collapsed=True)


def make() -> dict:
    return dashboard(
        "asynq-collector", "Asynq: collector",
        "The collector itself: what comes in, what lies in the spool, what goes out, what is lost.",
        [now(), receiving(), spooling(), forwarding(), tasks(), scraping(), process(), books()],
        data_sources("prometheus") + collector_variables(), events()[1:])
