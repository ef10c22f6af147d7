"""What the dashboards share: label selectors, the variables behind them, annotations."""

from source.builder import BLUE, RED, data_source, event, text_box, values_of

# The collectors that were chosen; then the queues, then the task types.
COLLECTORS = 'job=~"$job", instance=~"$instance"'
QUEUES = COLLECTORS + ', queue=~"$queue"'
TYPES = QUEUES + ', task_type=~"$task_type"'
# Recording rules have aggregated the collectors away.
RECORDED = 'queue=~"$queue"'


def from_redis(name: str, selector: str = "", by: str = "", function: str = "", one: str = "max") -> str:
    """The same in every collector that reads this Redis, so the largest stands for all. `one="avg"` for a slope, which errs
    to both sides: the largest of several would lean to one."""
    labels = ", ".join(filter(None, ["redis", "queue", by]))
    series = f"{name}{{{QUEUES}{', ' + selector if selector else ''}}}"
    return f"{one} by ({labels}) ({function}({series}[$__rate_interval]))" if function else f"{one} by ({labels}) ({series})"


def counted(series: str) -> str:
    """By how much a counter rose in each step: the bars add up to what it counted. `increase` would look back over
    $__rate_interval, which is a scrape longer than the step (and four times a step of one scrape), and each event would be
    in several bars."""
    return f"rate({series}[$__rate_interval]) * $__interval_ms / 1000"


def processed(selector: str = "", function: str = "rate") -> str:
    return from_redis("asynq_tasks_processed_total", selector, "status", function)


def quantile(share: float, name: str, selector: str, by: str = "") -> str:
    """Of a classic histogram of spans, which are summed over the collectors."""
    labels = f"le, {by}" if by else "le"
    return f"histogram_quantile({share}, sum by ({labels}) (rate({name}_bucket{{{selector}}}[$__rate_interval])))"


def data_sources(*kinds: str) -> list[dict]:
    return [data_source(kind) for kind in kinds]


def collector_variables() -> list[dict]:
    return [
        values_of("job", "Job", "asynq_collector_build_info", "job"),
        values_of("instance", "Collector", 'asynq_collector_build_info{job=~"$job"}', "instance"),
    ]


def queue_variables() -> list[dict]:
    return collector_variables() + [
        values_of("queue", "Queue", f"asynq_queue_size{{{COLLECTORS}}}", "queue"),
        # metrics.task-types: 0 leaves the label out, and .+ does not match a label that is not there.
        values_of("task_type", "Task type", f"asynq_task_attempts_total{{{QUEUES}}}", "task_type", all_value=".*"),
    ]


def storage_variables() -> list[dict]:
    return [
        values_of("redis_instance", "Redis", "redis_up", "instance"),
        values_of("postgres_instance", "PostgreSQL", "pg_up", "instance"),
        values_of("datname", "Database", 'pg_database_size_bytes{instance=~"$postgres_instance"}', "datname"),
    ]


def trace_id() -> dict:
    return text_box("traceId", "Trace id", "32 hexadecimal digits; shows this trace and its log lines.")


def events() -> list[dict]:
    return [
        event("Alerts", 'ALERTS{alertname=~"Asynq.*", alertstate="firing"}', "{{alertname}}",
              "queue {{queue}}, severity {{severity}}", RED),
        event("Collector started", f"process_start_time_seconds{{{COLLECTORS}}} * 1000", "asynq-collector started",
              "{{instance}}", BLUE, value_is_time=True),
    ]
