"""What a panel says when its query finds nothing: what is missing, and so what to set up."""

import re

# The first that fits one of the panel's queries wins.
REASONS = (
    (r"\bdb_client_operation_", "No histogram db_client_operation_duration_seconds: instrument the application's database calls."),
    (r"\basynq_postgres_statements_", "No statements: load pg_stat_statements, and scrape a postgres_exporter with postgres-queries.yml."),
    (r"\basynq_postgres_", "No table sizes: scrape a postgres_exporter with prometheus/postgres-queries.yml."),
    (r"\bpg_", "No postgres_exporter is scraped."),
    (r"\bredis_(?!datasource)\w+\{", "No redis_exporter is scraped."),
    (r"\btraces_(spanmetrics|service_graph)_", "Tempo's metrics generator writes nothing to Prometheus: see tempo/tempo.yaml."),
    (r"\btempo_discarded_", "Tempo discarded nothing, or is not scraped."),
    (r"\basynq_queue_longest_running_", "No task runs, or Redis can't be read."),
    (r"\basynq_task_failures_", "No attempt failed, or no spans of tasks come."),
    (r"\bqueue:asynq_|\basynq:", "No spans in this time range, or the rules of prometheus/rules are not loaded."),
    (r"\basynq_queue_wait_sampled_", "No task was seen to wait, redis.look-ahead is off, or no collector is scraped."),
    (r"\basynq_queue_memory_usage_", "redis.memory-sampling is off, or no collector is scraped."),
    (r"\basynq_task_", "No spans of tasks are counted in this time range: docs/INSTRUMENTING.md has the lines that workers need."),
    (r"\basynq_scheduler_entry_", "No live scheduler has cron entries, or Redis can't be read."),
    (r"\basynq_server_", "No live server, or Redis can't be read."),
    (r"\basynq_collector_(spool|forward|tempo|dropped|set_aside)", "No spool: tempo.endpoint is none, or no collector is scraped."),
    (r"\basynq_collector_push", "Nothing is pushed: metrics.push.endpoint is none, or no collector is scraped."),
    (r"\basynq_collector_|\bprocess_", "No collector is scraped by Prometheus."),
    (r"\basynq_", "Redis can't be read, or no collector that reads it is scraped by Prometheus."),
    (r"\bspan\.|status = error", "No such span in Tempo in this time range."),
    (r"service_name=", "No such log lines in Loki in this time range."),
)


def reason(targets: list[dict]) -> str:
    # Without what only has names (`common.with_all`).
    texts = " ".join((target.get("expr") or target.get("query") or "").partition(" or NaN * ")[0] for target in targets)
    return next((said for pattern, said in REASONS if re.search(pattern, texts)), "Nothing in this time range.")
