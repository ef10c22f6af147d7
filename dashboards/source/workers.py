"""Asynq: workers, cron and storage. Who works, who enqueues by the clock, and the Redis and PostgreSQL beneath."""

from source import storage
from source.builder import dashboard, instant, lines, query, row, stat, steps, table
from source.common import (ANY, COLLECTORS, REDIS_READ, ZERO, collector_variables, data_sources, from_redis, queue_variable, with_all)
from source.palette import CRITICAL, GOOD, WARNING

SERVER = "redis, host, pid, server_id"
BUSY = f"max by ({SERVER}) (asynq_server_busy_workers{{{COLLECTORS}}})"
# Also those that ended in the time range.
EVERY_SERVER = f"max by ({SERVER}) (last_over_time(asynq_server_concurrency{{{COLLECTORS}}}[$__range] @ end()))"
WORKERS = f"max by ({SERVER}) (asynq_server_concurrency{{{COLLECTORS}}})"


def servers(status: str) -> str:
    return f'sum(max by (redis) (asynq_servers{{{COLLECTORS}, status="{status}"}}))'


def now() -> dict:
    memory = (f"max(max by (redis) (asynq_redis_used_memory_bytes{{{COLLECTORS}}}) "
              f"/ (max by (redis) (asynq_redis_max_memory_bytes{{{COLLECTORS}}}) > 0))")
    return row("Now", [
        stat("Servers", "If there is none, start workers.", [query(servers("active"), "active")], "short", width=4,
             thresholds=steps((None, CRITICAL), (1, GOOD)), alerts=("AsynqQueueWithoutConsumers",)),
        stat("Workers busy", "At 100 % no worker is free: add workers, or look for tasks that hang.",
             [query(f"sum({BUSY}) / (sum({WORKERS}) > 0)", "busy")], "percentunit", width=4,
             thresholds=steps((None, GOOD), (0.8, WARNING), (0.95, CRITICAL)), instead=("no server", REDIS_READ)),
        stat("Orphaned tasks", "If they stay for minutes, no live server of their queue takes them back: start one.",
             [query(f"sum({from_redis('asynq_queue_orphaned_tasks')})", "orphaned")], "short", width=4, thresholds=ANY,
             alerts=("AsynqOrphanedTasks",)),
        stat("Cron entries", "If they became fewer, a scheduler died: start it, and enqueue what was missed.",
             [query(f"sum(max by (redis) (asynq_scheduler_entries{{{COLLECTORS}}}))", "entries")], "short", width=4,
             alerts=("AsynqSchedulerEntriesMissing",)),
        stat("Redis memory", "Near 100 % of maxmemory Redis refuses writes or evicts tasks: give it more.",
             [query(memory, "used")], "percentunit", width=4, decimals=1,
             thresholds=steps((None, GOOD), (0.7, WARNING), (0.9, CRITICAL)),
             instead=("no limit", f"1 + (max(asynq_redis_max_memory_bytes{{{COLLECTORS}}}) == 0)"),
             alerts=("AsynqRedisMemoryNearLimit",)),
        stat("Evicted keys", "Any evicted key may be a task: set maxmemory-policy to noeviction.",
             [instant(f"sum(max by (redis) (increase(asynq_redis_evicted_keys_total{{{COLLECTORS}}}[$__range]))) or {ZERO}",
                      "evicted")], "short", width=4, whole=True, thresholds=steps((None, GOOD), (1, CRITICAL)),
             alerts=("AsynqRedisEvictingKeys",)),
    ])


def workers() -> dict:
    return row("Workers", [
        lines("Workers busy", "If busy workers stay at the dashed total, add workers.",
              [query(f"sum({BUSY})", "busy"), query(f"sum({WORKERS})", "workers")], "short", limits=("workers",)),
        lines("Workers busy by server", "If one server is full while others are idle, its queues have too few servers.",
              [query(with_all(f"{BUSY} / ({WORKERS} > 0)", EVERY_SERVER), "{{host}} {{pid}}")], "percentunit", maximum=1),
        lines("Servers by status", "If a server is stopped, it takes no more tasks: start it again or end it.",
              [query(f"max by (redis, status) (asynq_servers{{{COLLECTORS}}})", "{{status}}")], "short"),
        lines("Orphaned tasks by queue", "Tasks whose worker died: a live server of the queue takes them back within two minutes.",
              [query(from_redis("asynq_queue_orphaned_tasks"), "{{queue}}")], "short", alerts=("AsynqOrphanedTasks",)),
    ])


def cron() -> dict:
    def of_entries(name: str) -> str:
        return f"asynq_scheduler_entry_{name}_timestamp_seconds{{{COLLECTORS}}}"

    def tick(name: str) -> str:
        return f"max by (task_type, spec, entry_id) ({of_entries(name)})"

    return row("Cron", [
        table("Cron entries", "If the next tick stays below 0, restart the scheduler; if the entry was enqueued longer ago than its last tick, read "
              "the scheduler's log: enqueueing fails.",
              # Seconds, not moments: both of a tick and of a task after it Grafana says "a few seconds ago".
              [f"{tick('next_enqueue')} - time()", f"time() - {tick('prev_enqueue')}", f"time() - {tick('last_enqueued')}"],
              [("Next tick in", "s"), ("Last tick ago", "s"), ("Enqueued ago", "s")],
              rows=f"max by (task_type, spec, entry_id) (last_over_time({of_entries('next_enqueue')}[$__rate_interval]))",
              key=("task_type", "spec", "entry_id"), height=6, widths={"Entry id": 420},
              # What is overdue comes first.
              sort=("Next tick in",), descending=False,
              alerts=("AsynqSchedulerEntryOverdue", "AsynqSchedulerNotEnqueueing")),
        lines("Entries of live schedulers", "After a step down, look for a dead scheduler, or a release with fewer entries.",
              [query(f"max by (redis) (asynq_scheduler_entries{{{COLLECTORS}}})", "entries")], "short",
              alerts=("AsynqSchedulerEntriesMissing",)),
        lines("Schedulers of each entry", "Above 1, several schedulers enqueue the task at each tick: end all but one.",
              [query(f"max by (redis, task_type, spec) (asynq_scheduler_entry_schedulers{{{COLLECTORS}}})",
                     "{{task_type}} {{spec}}")], "short", width=24, height=7, alerts=("AsynqSchedulerEntryTwice",)),
    ])


def make() -> dict:
    return dashboard(
        "asynq-workers", "Asynq: workers, cron and storage",
        "Who works, who enqueues by the clock, and the Redis and PostgreSQL beneath.",
        [now(), workers(), cron(), storage.redis(), storage.database(), storage.tables()],
        [*data_sources("prometheus"), queue_variable(), *collector_variables(hidden=True), *storage.variables()],
        [])
