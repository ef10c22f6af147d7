"""What the dashboards share: label selectors, expressions, thresholds, the variables behind them, annotations."""

from source.builder import data_source, event, query, steps, text_box, values, values_of
from source.palette import CRITICAL, GOOD, INFO, WARNING

# The collectors that were chosen; then the queues, then the task types.
COLLECTORS = 'job=~"$job", instance=~"$instance"'
# 1 where it is known what there is not: where a collector is scraped, where it reads Redis.
SCRAPED = f"max(asynq_collector_build_info{{{COLLECTORS}}})"
REDIS_READ = f"max(asynq_redis_up{{{COLLECTORS}}}) == 1"
# A zero only where it is known: else there is no number, and none in green.
ZERO = f"0 * ({REDIS_READ})"
# What stands in place of a number, and the query that is 1 where that is so.
NO_SPANS = ("no spans", SCRAPED)
NO_SPOOL = ("no spool", f"{SCRAPED} unless max(asynq_collector_spool_stalled{{{COLLECTORS}}})")
QUEUES = COLLECTORS + ', queue=~"$queue"'
TYPES = QUEUES + ', task_type=~"$task_type"'
# Recording rules have aggregated the collectors away.
RECORDED = 'queue=~"$queue"'
# All exporters have metrics of processes, and every target is up or not: only those of collectors. One that does not answer
# now, but did within the time range, is among them.
IS_COLLECTOR = f"on (job, instance) asynq_collector_build_info{{{COLLECTORS}}}"
WAS_COLLECTOR = f"on (job, instance) last_over_time(asynq_collector_build_info{{{COLLECTORS}}}[$__range])"

WAIT = "asynq_task_wait_duration_seconds"
RUN = "asynq_task_processing_duration_seconds"
# A queue's own objective, where the rules have one, and else that of all.
OBJECTIVE_SECONDS = f"max(queue:asynq_task_wait_objective:seconds{{{RECORDED}}}) or max(asynq:task_wait_objective:seconds)"
OBJECTIVE_RATIO = "asynq:task_wait_objective:ratio"
# The rules record the objective, whatever happens: without them no alert could fire.
NO_ALERTS = f"0 * max({OBJECTIVE_RATIO})"
FIRING = 'ALERTS{alertname=~"Asynq.*", alertstate="firing"'

FAILURES = steps((None, GOOD), (0.05, WARNING), (0.2, CRITICAL))
AGES = steps((None, GOOD), (10, WARNING), (300, CRITICAL))
# The age is that of a pause, which is meant.
PAUSED_AGES = steps((None, GOOD), (10, WARNING))
ANY = steps((None, GOOD), (1, WARNING))
MET = steps((None, CRITICAL), (0.95, WARNING), (0.99, GOOD))
FIRED = values(_1=("info", INFO), _2=("warning", WARNING), _3=("critical", CRITICAL))
SERVED = values(_0=("running", GOOD), _1=("paused", WARNING), _2=("unserved", CRITICAL), _3=("paused, unserved", WARNING))
NONE_LEFT = 'state=~"pending|active|scheduled|retry|aggregating"'


def from_redis(name: str, selector: str = "", by: str = "", function: str = "", one: str = "max") -> str:
    """The same in every collector that reads this Redis, so the largest stands for all. `one="avg"` for a slope, which errs
    to both sides: the largest of several would lean to one."""
    labels = ", ".join(filter(None, ["redis", "queue", by]))
    series = f"{name}{{{QUEUES}{', ' + selector if selector else ''}}}"
    return f"{one} by ({labels}) ({function}({series}[$__rate_interval]))" if function else f"{one} by ({labels}) ({series})"


def size(state: str) -> str:
    return from_redis("asynq_queue_size", f'state="{state}"')


def counted(series: str) -> str:
    """By how much a counter rose in each step: the bars add up to what it counted. `increase` would look back over
    $__rate_interval, which is a scrape longer than the step (and four times a step of one scrape), and each event would be
    in several bars."""
    return f"rate({series}[$__rate_interval]) * $__interval_ms / 1000"


def processed(selector: str = "", function: str = "rate") -> str:
    return from_redis("asynq_tasks_processed_total", selector, "status", function)


def spans(what: str) -> str:
    return f"sum(rate(asynq_collector_{what}_spans_total{{{COLLECTORS}}}[$__rate_interval]))"


def of_spans(expr: str) -> str:
    """A rate that is counted from spans. Where spans come and all are refused it is 0, however many tasks run: then it is not
    known."""
    return f"{expr} and on () ({spans('received')} == 0 or {spans('accepted')} > 0)"


def of_forwarded(expr: str) -> str:
    """A rate that Tempo counts. Where spans come and none is forwarded it is 0; what other ways bring is known."""
    return f"{expr} > 0 or {expr} and on () ({spans('received')} == 0 or {spans('forwarded')} > 0)"


def with_all(expr: str, names: str, known: str = "") -> str:
    """Also the series of `names` that `expr` lacks, without numbers. Grafana gives colours by place: with the same names on all
    panels of a page, each has one colour. And a line that has ended has no last number, by which it would be the first of the
    legend. `known`: what there is in the time range wherever `expr` is: else the panel says what is missing."""
    return f"{expr} or NaN * {names}" + (f" and on () {known}" if known else "")


def failure_ratio(by: str = "") -> str:
    head = f"sum by ({by})" if by else "sum"
    failed = processed('status="failed"')
    return f"{head} ({failed}) / ({head} ({processed()}) > 0)"


def idle() -> tuple[str, str]:
    """What stands in place of a ratio of attempts where there are none."""
    return "idle", f"1 + (sum({processed()}) == 0)"


def served() -> str:
    """The states of `SERVED`. A queue that is not paused does not run by that: without servers nothing takes its tasks."""
    paused = from_redis("asynq_queue_paused")
    return f"{paused} + 2 * ({from_redis('asynq_queue_consumers')} == bool 0) or {paused}"


def disk(by: str = "") -> str:
    """0 where the spool's disk does not answer, 2 where it answers with errors, 1 where it works. While it does not answer, its
    errors can't be read."""
    stalled = f"max {by}(asynq_collector_spool_stalled{{{COLLECTORS}}})"
    errors = f"sum {by}(rate(asynq_collector_spool_errors_total{{{COLLECTORS}}}[$__rate_interval]))"
    return f"(1 - {stalled}) * (1 + ({errors} > bool 0)) or 1 - {stalled}"


def oldest(paused: bool) -> str:
    """Age of the next task, by queue, as the alert AsynqOldestPendingTooOld and the status page have it. A paused queue's age
    is that of its pause: it is told apart, not left out."""
    return (f"{from_redis('asynq_queue_latency_seconds')} {'and' if paused else 'unless'} "
            f"{from_redis('asynq_queue_paused')} == 1")


def arriving() -> str:
    """Redis counts no arrivals: they are what the tasks that are not done yet became more, and what left them. Below 0 where
    tasks were deleted."""
    grown = f"sum({from_redis('asynq_queue_size', NONE_LEFT, 'state', 'deriv', 'avg')})"
    done = "sum({})".format(processed('status="completed"'))
    dead = f"sum({from_redis('asynq_tasks_dead_lettered_total', function='rate')})"
    return f"clamp_min({grown} + {done} + {dead}, 0)"


def quantile(share: float, name: str, selector: str, by: str = "") -> str:
    """Of a classic histogram of spans, which are summed over the collectors. What was not observed has no quantile, not NaN."""
    labels = f"le, {by}" if by else "le"
    return f"histogram_quantile({share}, sum by ({labels}) (rate({name}_bucket{{{selector}}}[$__rate_interval]))) >= 0"


def quantiles(name: str, selector: str) -> list[dict]:
    """The exemplars are those of the histogram, the same for each quantile: they are asked for once."""
    known = f"rate({name}_count{{{selector}}}[$__range] @ end())"
    return [query(with_all(quantile(share, name, selector), SCRAPED, known), f"p{round(share * 100)}", exemplar=share == 0.99)
            for share in (0.99, 0.95, 0.5)]


def objective_met() -> list[dict]:
    """In the worst queue."""
    return [query(f"1 - max({slow_share(window)})", name) for window, name in (("1h", "1 hour"), ("3d", "3 days"))]


def slow_share(window: str, by: str = "queue") -> str:
    """The share of tasks that waited too long in the window, by queue, where there were any."""
    return f"(max by ({by}) (queue:asynq_task_wait_slow:ratio_rate{window}{{{RECORDED}}}) >= 0)"


def data_sources(*kinds: str) -> list[dict]:
    return [data_source(kind) for kind in kinds]


def collector_variables(hidden: bool = False) -> list[dict]:
    """The job is hidden: a link may set it, and a collector is chosen by its instance."""
    return [
        values_of("job", "Job", "asynq_collector_build_info", "job", hidden=True),
        values_of("instance", "Collector", 'asynq_collector_build_info{job=~"$job"}', "instance", hidden=hidden),
    ]


def queue_variable() -> dict:
    return values_of("queue", "Queue", "asynq_queue_size", "queue")


def task_type_variable() -> dict:
    # metrics.task-types: 0 leaves the label out, and .+ does not match a label that is not there.
    return values_of("task_type", "Type", 'asynq_task_attempts_total{queue=~"$queue"}', "task_type", all_value=".*")


def trace_id() -> dict:
    return text_box("traceId", "Trace")


def alert_strip(selector: str = "") -> str:
    """The states of `FIRED`, by the name of the alert."""
    return (f'max by (alertname) (3 * {FIRING}, severity="critical"{selector}}} or 2 * {FIRING}, severity="warning"{selector}}} or '
            f'{FIRING}, severity="info"{selector}}})')


def collector_starts() -> dict:
    return event("Collector started", f"process_start_time_seconds{{{COLLECTORS}}} * 1000 and {IS_COLLECTOR}",
                 "asynq-collector started", "{{instance}}", INFO, value_is_time=True)
