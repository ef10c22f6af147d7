"""Rows on Redis and PostgreSQL, which two dashboards have."""

from source.builder import GREEN, RED, bar_gauge, instant, lines, query, row, steps
from source.common import COLLECTORS, counted, from_redis

EXPORTER = 'instance=~"$redis_instance"'
SERVER = 'instance=~"$postgres_instance"'
DATABASES = SERVER + ', datname=~"$datname"'
STATEMENTS = "asynq_postgres_statements"


def redis() -> dict:
    def of_collector(name: str) -> str:
        return f"max by (redis) ({name}{{{COLLECTORS}}})"

    calls = f"sum by (cmd) (rate(redis_commands_total{{{EXPORTER}}}[$__rate_interval]))"
    seconds = f"sum by (cmd) (rate(redis_commands_duration_seconds_total{{{EXPORTER}}}[$__rate_interval]))"
    hits = f"sum(rate(redis_keyspace_hits_total{{{EXPORTER}}}[$__rate_interval]))"
    misses = f"sum(rate(redis_keyspace_misses_total{{{EXPORTER}}}[$__rate_interval]))"
    return row("Redis", [
        lines("Memory", "As Redis tells the collector. Dashed: maxmemory; without a limit it is 0 and not drawn.",
              [query(of_collector("asynq_redis_used_memory_bytes"), "used"),
               query(f"{of_collector('asynq_redis_max_memory_bytes')} > 0", "limit")], "bytes", width=8, limits=("limit",)),
        lines("Evicted keys", "Each one may be a task or a whole queue. Has to be 0.",
              [query(f"max by (redis) ({counted(f'asynq_redis_evicted_keys_total{{{COLLECTORS}}}')})", "evicted")],
              "short", width=8, bars=True),
        lines("Memory by queue", "Estimated from samples, where redis.memory-sampling is on.",
              [query(from_redis("asynq_queue_memory_usage_approx_bytes"), "{{queue}}")], "bytes", width=8, stack=True),
        lines("Commands", "The ten most frequent ones.", [query(f"topk(10, {calls})", "{{cmd}}")], "ops", width=8),
        lines("Mean duration of a command", "The ten slowest ones.", [query(f"topk(10, {seconds} / ({calls} > 0))", "{{cmd}}")],
              "s", width=8),
        lines("Clients", "Connections to Redis, as it tells the collector and its exporter; blocked ones apart.",
              [query(of_collector("asynq_redis_connected_clients"), "told to the collector"),
               query(f"sum by (instance) (redis_connected_clients{{{EXPORTER}}})", "{{instance}} connected"),
               query(f"sum by (instance) (redis_blocked_clients{{{EXPORTER}}})", "{{instance}} blocked")], "short", width=8),
        lines("Hit ratio", "Of all reads of keys, by whomever.", [query(f"{hits} / ({hits} + {misses} > 0)", "hits")],
              "percentunit", width=8, maximum=1),
        lines("Fragmentation", "Memory that the system gave Redis, of what Redis uses. Far above 1: fragmented; below 1: swapped. "
              "Means little below 100 MB.",
              [query(f"redis_mem_fragmentation_ratio{{{EXPORTER}}}", "{{instance}}")], "none", width=8),
        lines("Clock", "Redis' clock minus the collector's. Servers, leases and ages are judged by Redis' clock; has to be near 0.",
              [query(f"asynq_redis_clock_offset_seconds{{{COLLECTORS}}}", "{{instance}}")], "s", width=8, minimum=None),
        lines("Scrapes by the collector", "How long one look at all queues takes.",
              [query(f"asynq_redis_scrape_duration_seconds{{{COLLECTORS}}}", "{{instance}}")], "s", width=8),
    ])


def database() -> dict:
    used = f"sum by (instance) (pg_stat_activity_count{{{SERVER}}})"
    return row("Database (PostgreSQL)", [
        lines("Connections by state", "Those in the state active run a statement; idle in transaction hold locks and do nothing.",
              [query(f"sum by (state) (pg_stat_activity_count{{{DATABASES}}})", "{{state}}")], "short", width=8, stack=True),
        lines("Connections of those allowed", "Of max_connections, all databases of a server. At 100 % workers can't connect.",
              [query(f"{used} / max by (instance) (pg_settings_max_connections{{{SERVER}}})", "{{instance}}")], "percentunit",
              width=8, maximum=1, thresholds=steps((None, GREEN), (0.8, RED))),
        lines("Mean duration of a statement", "By pg_stat_statements (without the extension: no data). Only the mean: no exporter "
              "of PostgreSQL has percentiles; they are in the panel beside it and among the traces.",
              [query(f"sum by (datname) (rate({STATEMENTS}_seconds_total{{{DATABASES}}}[$__rate_interval])) / "
                     f"(sum by (datname) (rate({STATEMENTS}_calls_total{{{DATABASES}}}[$__rate_interval])) > 0)", "{{datname}}")],
              "s", width=8),
        lines("Duration of database calls, p95 and p99", "As the application measures them: the histogram "
              "db_client_operation_duration_seconds of OpenTelemetry's database instrumentation. Without it: the panel with the "
              "same name in Asynq: unified observability has them from spans.",
              [query(f"histogram_quantile({share}, sum by (le) "
                     f"(rate(db_client_operation_duration_seconds_bucket[$__rate_interval])))", f"p{round(share * 100)}",
                     exemplar=True) for share in (0.95, 0.99)], "s", width=8),
        lines("Database size", "On disk, with indexes.",
              [query(f"max by (instance, datname) (pg_database_size_bytes{{{DATABASES}}})", "{{datname}}")], "bytes", width=8),
        bar_gauge("Largest tables", "The ten largest, with indexes and TOAST (prometheus/postgres-queries.yml).",
                  [instant(f"topk(10, max by (datname, schemaname, relname) "
                           f"(asynq_postgres_table_size_bytes{{{DATABASES}}}))", "{{schemaname}}.{{relname}}")],
                  "bytes", width=8, thresholds=steps((None, GREEN))),
        lines("Transactions", "Committed and rolled back.",
              [query(f"sum by (datname) (rate(pg_stat_database_xact_commit{{{DATABASES}}}[$__rate_interval]))",
                     "{{datname}} committed"),
               query(f"sum by (datname) (rate(pg_stat_database_xact_rollback{{{DATABASES}}}[$__rate_interval]))",
                     "{{datname}} rolled back")], "ops", width=8),
        lines("Statements", "Calls a second, by pg_stat_statements.",
              [query(f"sum by (datname) (rate({STATEMENTS}_calls_total{{{DATABASES}}}[$__rate_interval]))", "{{datname}}")], "ops",
              width=8),
        lines("Deadlocks and conflicts", "Transactions that PostgreSQL broke off. Each one is a task that failed.",
              [query(f"sum by (datname) ({counted(f'pg_stat_database_deadlocks{{{DATABASES}}}')})",
                     "{{datname}} deadlocks"),
               query(f"sum by (datname) ({counted(f'pg_stat_database_conflicts{{{DATABASES}}}')})",
                     "{{datname}} conflicts")], "short", width=8, bars=True),
    ])
