-- Runs once, when the database is made.
CREATE EXTENSION IF NOT EXISTS pg_stat_statements;
CREATE ROLE exporter LOGIN PASSWORD 'example' IN ROLE pg_monitor;
