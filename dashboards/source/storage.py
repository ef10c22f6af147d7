"""Rows on Redis and PostgreSQL."""

from source.builder import BAR_NOTE, bar_gauge, lines, query, row, values_of
from source.common import COLLECTORS, counted, from_redis, with_all
from source.palette import CRITICAL, WARNING

EXPORTER = 'instance=~"$redis_instance"'
SERVER = 'instance=~"$postgres_instance"'
# Not PostgreSQL's templates, of which each server has two.
DATABASES = SERVER + ', datname=~"$datname", datname!~"template0|template1"'
STATEMENTS = "asynq_postgres_statements"
COMMANDS_PER_SECOND = "suffix:cmd/s"


def variables() -> list[dict]:
    return [
        values_of("redis_instance", "Redis", "redis_up", "instance"),
        values_of("postgres_instance", "PostgreSQL", "pg_up", "instance"),
        values_of("datname", "Database", 'pg_database_size_bytes{instance=~"$postgres_instance"}', "datname"),
    ]


def redis() -> dict:
    def of_collector(name: str) -> str:
        return f"max by (redis) ({name}{{{COLLECTORS}}})"

    def by_command(name: str, range_: str = "[$__rate_interval]") -> str:
        return f"sum by (cmd) (rate(redis_commands{name}_total{{{EXPORTER}}}{range_}))"

    def mean(range_: str = "[$__rate_interval]") -> str:
        return f"{by_command('_duration_seconds', range_)} / ({by_command('', range_)} > 0)"

    def of_eight(expr: str, whole: str) -> str:
        """The same ones all the time: `topk` at each step would have others, and more in the legend than it has room for."""
        return f"{expr} and topk(8, {whole})"

    whole = "[$__range] @ end()"
    most_frequent, slowest = of_eight(by_command(""), by_command("", whole)), of_eight(mean(), mean(whole))
    hits = f"sum(rate(redis_keyspace_hits_total{{{EXPORTER}}}[$__rate_interval]))"
    misses = f"sum(rate(redis_keyspace_misses_total{{{EXPORTER}}}[$__rate_interval]))"
    all_commands = f"sum by (instance) (rate(redis_commands_processed_total{{{EXPORTER}}}[$__rate_interval]))"
    return row("Redis", [
        lines("Memory", "Near the dashed maxmemory, give Redis more; without a limit none is drawn.",
              [query(of_collector("asynq_redis_used_memory_bytes"), "used"),
               query(f"{of_collector('asynq_redis_max_memory_bytes')} > 0", "limit")], "bytes", limits=("limit",),
              alerts=("AsynqRedisMemoryNearLimit",)),
        lines("Memory by queue", "Look for the queue that fills Redis; estimated from samples.",
              [query(from_redis("asynq_queue_memory_usage_approx_bytes"), "{{queue}}")], "bytes", stack=True),
        lines("Commands by kind", "The eight most frequent ones: a step up without more tasks is a client that polls.",
              [query(with_all(most_frequent, f"({slowest})"), "{{cmd}}")], COMMANDS_PER_SECOND),
        lines("Mean duration by command", "The eight slowest ones: if simple commands are slow, Redis is short of CPU or swaps.",
              [query(with_all(slowest, f"({most_frequent})"), "{{cmd}}")], "s", soft_maximum=0.001),
        lines("Clients", "If connections only rise, a client leaks them; the numbers differ by the connections of those who ask.",
              [query(of_collector("asynq_redis_connected_clients"), "as the collector sees them"),
               query(f"sum by (instance) (redis_connected_clients{{{EXPORTER}}})", "{{instance}} connected"),
               query(f"sum by (instance) (redis_blocked_clients{{{EXPORTER}}})", "{{instance}} blocked")], "short", width=24, height=7),
        lines("Commands", "Compare with the arrivals of tasks: Redis should follow them.",
              [query(all_commands, "{{instance}}")], COMMANDS_PER_SECOND),
        lines("Evicted keys", "Any evicted key may be a task: set maxmemory-policy to noeviction" + BAR_NOTE,
              [query(f"max by (redis) ({counted(f'asynq_redis_evicted_keys_total{{{COLLECTORS}}}')})", "evicted")], "short",
              width=6, bars=True, colours={"evicted": CRITICAL}, alerts=("AsynqRedisEvictingKeys",)),
        lines("Hit ratio", "If it falls, look for a client that asks for keys that are gone.",
              [query(f"{hits} / ({hits} + {misses} > 0)", "hits")], "percentunit", width=6, maximum=1),
        lines("Fragmentation", "Far above 1, defragment or restart; below 1, Redis swaps: give it memory; below 100 MB it means little.",
              [query(f"redis_mem_fragmentation_ratio{{{EXPORTER}}}", "{{instance}}")], "none"),
    ])


def database() -> dict:
    used = f"sum by (instance) (pg_stat_activity_count{{{SERVER}}})"
    every_database = f"max by (datname) (pg_database_size_bytes{{{DATABASES}}})"
    any_statement = f"rate({STATEMENTS}_calls_total{{{DATABASES}}}[$__range] @ end())"
    latency = "rate(db_client_operation_duration_seconds_bucket[$__rate_interval])"

    def rate(name: str) -> str:
        return f"sum by (datname) (rate({name}{{{DATABASES}}}[$__rate_interval]))"

    return row("PostgreSQL", [
        lines("Connections by state", "If many are idle in transaction, look for the service that leaves them open: they hold locks.",
              [query(f"sum by (state) (pg_stat_activity_count{{{DATABASES}}})", "{{state}}")], "short", stack=True),
        lines("Connections used", "At 100 % of max_connections workers can't connect: above the dashed 80 %, raise it or pool connections.",
              [query(f"{used} / max by (instance) (pg_settings_max_connections{{{SERVER}}})", "{{instance}}")], "percentunit",
              maximum=1, limit=0.8),
        lines("Mean duration of a statement", "If it rose, look for a missing index or a lock; PostgreSQL has no percentiles.",
              [query(with_all(f"{rate(STATEMENTS + '_seconds_total')} / ({rate(STATEMENTS + '_calls_total')} > 0)", every_database,
                              any_statement), "{{datname}}")], "s",
              soft_maximum=0.01),
        lines("Database calls, p95 and p99", "Click a dot to open the trace of a slow call, as the application measured it.",
              [query(with_all(f"histogram_quantile({share}, sum by (le) ({latency})) >= 0", f"sum({latency})"), f"p{round(share * 100)}",
                     exemplar=share == 0.99)
               for share in (0.99, 0.95)], "s"),
        lines("Statements", "Look for a step up without more tasks.",
              [query(with_all(rate(STATEMENTS + "_calls_total"), every_database, any_statement), "{{datname}}")], "suffix:calls/s"),
        lines("Transactions", "If many are rolled back, look at the failing tasks.",
              [query(rate("pg_stat_database_xact_commit"), "{{datname}} committed"),
               query(rate("pg_stat_database_xact_rollback"), "{{datname}} rolled back")], "suffix:tx/s"),
        lines("Deadlocks and conflicts", "Each one is a task that failed: look for tasks that lock the same rows in another order"
              + BAR_NOTE,
              [query(f"sum by (datname) ({counted(f'pg_stat_database_deadlocks{{{DATABASES}}}')})", "{{datname}} deadlocks"),
               query(f"sum by (datname) ({counted(f'pg_stat_database_conflicts{{{DATABASES}}}')})", "{{datname}} conflicts")],
              "short", bars=True, stack=True, colours={"/ deadlocks$/": CRITICAL, "/ conflicts$/": WARNING}),
        lines("Database size", "If it only grows, delete or partition old rows.",
              [query(f"max by (instance, datname) (pg_database_size_bytes{{{DATABASES}}})", "{{datname}}")], "bytes"),
    ], collapsed=True)


def tables() -> dict:
    size = f"max by (datname, schemaname, relname) (asynq_postgres_table_size_bytes{{{DATABASES}}})"
    return row("PostgreSQL tables", [
        bar_gauge("Largest tables", "The ten largest with indexes and TOAST: vacuum or partition those that grow.",
                  f"topk(10, {size})", "{{schemaname}}.{{relname}}", "bytes", width=24),
    ], collapsed=True)
