"""tempo/tempo.yaml. Tempo is in no package that a test could install: what is checked here is that the settings without
which spans get lost or hidden (seen on a real Tempo 3.0.3) are there, and that none of 2.x's is, with which it would not
start."""

import yaml

from support.programs import REPOSITORY

FILE = REPOSITORY / "tempo" / "tempo.yaml"


def _settings() -> dict[str, object]:
    """All leaves, by dotted path."""
    found = {}

    def walk(path: str, node: object) -> None:
        if isinstance(node, dict) and node:
            for key, value in node.items():
                walk(f"{path}.{key}" if path else key, value)
        else:
            found[path] = node

    walk("", yaml.safe_load(FILE.read_text(encoding="utf-8")))
    return found


def test_a_replayed_spool_is_found_by_search():
    settings = _settings()
    assert settings["live_store.wal.ingestion_time_range_slack"] == "48h"
    assert settings["storage.trace.wal.ingestion_time_range_slack"] == "48h"


def test_no_limit_drops_spans_behind_a_200():
    settings = _settings()
    assert settings["overrides.defaults.ingestion.max_traces_per_user"] == 0
    # A request of the collector has at most tempo.batch.max-bytes, 1 MiB as shipped.
    assert settings["overrides.defaults.ingestion.burst_size_bytes"] > 2**20
    assert settings["overrides.defaults.global.max_bytes_per_trace"] > 5_000_000


def test_a_kill_loses_two_seconds_of_traces_and_not_eight():
    settings = _settings()
    assert settings["live_store.max_trace_idle"] == "1s"
    assert settings["live_store.flush_check_period"] == "1s"


def test_comments_say_what_looks_like_trouble_and_is_none():
    text = " ".join(line.strip().lstrip("# ") for line in FILE.read_text(encoding="utf-8").splitlines())
    for sentence in ("kill -9 of Tempo loses", "takes the whole grace period", '"no jobs found"'):
        assert sentence in text, f"tempo.yaml does not say: {sentence}"


def test_what_is_off_by_default_is_on():
    settings = _settings()
    assert settings["distributor.receivers.otlp.protocols.http.endpoint"] == "0.0.0.0:4318"
    assert settings["metrics_generator.storage.path"].startswith("/var/tempo/")
    assert settings["overrides.defaults.metrics_generator.processors"] == ["service-graphs", "span-metrics"]
    assert settings["metrics_generator.processor.service_graphs.enable_messaging_system_latency_histogram"] is True
    assert settings["overrides.defaults.metrics_generator.trace_id_label_name"] == "trace_id"


def test_retention_is_the_same_in_both_places():
    settings = _settings()
    assert (settings["backend_worker.compaction.block_retention"]
            == settings["backend_scheduler.provider.compaction.compaction.block_retention"])


def test_nothing_of_version_2():
    top = {path.split(".")[0] for path in _settings()}
    assert top.isdisjoint({"ingester", "compactor", "ingester_client", "metrics_generator_client"})
    assert all(path.startswith("overrides.defaults.") for path in _settings() if path.startswith("overrides."))
