"""dashboards/: what people mistook who read their pictures, as far as the JSON can say it."""

import json

import pytest

from support import dashboard_reading, dashboards
from support.dashboard_reading import palette
from support.dashboards import FILES, FOLDER


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
@pytest.mark.parametrize("rule", dashboard_reading.RULES, ids=lambda rule: rule.__name__)
def test_rule(rule, file):
    assert rule(dashboards.load(file)) == []


def _panel(dashboard: dict, title: str, kind: str = "") -> dict:
    return next(panel for panel in dashboards.panels(dashboard) if panel["title"] == title and kind in ("", panel["type"]))


def _uncolour(panel: dict) -> None:
    panel["fieldConfig"]["overrides"] = [one for one in panel["fieldConfig"]["overrides"]
                                         if all(part["id"] != "color" for part in one["properties"])]


def _without_names(panel: dict) -> None:
    for target in panel["targets"]:
        target["expr"] = target["expr"].partition(" or NaN * ")[0]


def _rename(panel: dict, name: str, title: str) -> None:
    """A column, and what is said of it."""
    made = json.loads(json.dumps(panel).replace(json.dumps(name), json.dumps(title)))
    panel.clear()
    panel.update(made)


def _replace(dashboard: dict, before: str, after: str) -> None:
    text = json.dumps(dashboard)
    assert before in text
    dashboard.update(json.loads(text.replace(before, after)))


FAULTS = {
    "a wait of then": ("queues", "ended_numbers", lambda d: _without_names(_panel(d, "Wait"))),
    "a rate of then": ("queues", "ended_numbers", lambda d: _without_names(_panel(d, "Unmeasured waits"))),
    "green errors": ("collector", "counts_in_green", lambda d: _uncolour(_panel(d, "Disk errors"))),
    "green unread dead letters": ("collector", "counts_in_green", lambda d: _uncolour(_panel(d, "Dead letters without message or span"))),
    "green deadlocks": ("workers", "counts_in_green", lambda d: _uncolour(_panel(d, "Deadlocks and conflicts"))),
    "green copies that failed": ("collector", "names_of_the_palette", lambda d: _uncolour(_panel(d, "Requests kept in refused/"))),
    "green refusals": ("collector", "failures_in_green", lambda d: _uncolour(_panel(d, "Requests to Tempo"))),
    "a good size": ("workers", "levels_without_limit", lambda d: _panel(d, "Largest tables")["fieldConfig"]["defaults"]["thresholds"][
        "steps"][0].update(color=palette.GOOD)),
    "a critical pause": ("queues", "pauses_as_trouble", lambda d: _panel(d, "Oldest task")["fieldConfig"]["overrides"].clear()),
    "a critical pause in a table": ("overview", "pauses_as_trouble", lambda d: _panel(d, "Queues, worst first")["targets"][1].update(
        expr='max by (redis, queue) (asynq_queue_latency_seconds{queue=~"$queue"})')),
    "fine": ("overview", "silence_as_health", lambda d: _replace(d, '"no alert"', '"fine"')),
    "a share of what": ("overview", "windows_without_name", lambda d: _rename(_panel(d, "Queues, worst first"), "Met in 1 h", "Objective met")),
    "six and a half hours": ("overview", "windows_as_durations", lambda d: _replace(d, r'\" & \", \"long\"', r'\" \", \"long\"')),
    "a few seconds ago": ("workers", "moments_that_look_alike", lambda d: _panel(d, "Cron entries", "table")["fieldConfig"]["overrides"][0][
        "properties"][0].update(value="dateTimeFromNow")),
    "quick requests": ("collector", "quick_failures", lambda d: _panel(d, "Duration of a request").update(description="Tempo is slow.")),
    "quick scrapes": ("collector", "quick_failures", lambda d: _panel(d, "Duration of a scrape").update(description="Redis is slow.")),
    "a million spans": ("collector", "repeated_counts", lambda d: _panel(d, "Refused spans").update(description="Look below.")),
    "no": ("queues", "cut_states", lambda d: _replace(d, '"unserved"', '"no servers"')),
    "flat tasks": ("queues", "flat_curves", lambda d: _panel(d, "Longest running task")["fieldConfig"]["defaults"]["custom"].pop(
        "scaleDistribution")),
    "-1 s": ("queues", "flat_curves", lambda d: _panel(d, "Longest running task")["fieldConfig"]["defaults"]["custom"][
        "scaleDistribution"].update(type="symlog")),
    "above the limit in health": ("collector", "limits_of_no_alert", lambda d: _panel(d, "Age of the last push")["targets"][1].update(
        expr="max(asynq_collector_push_interval_seconds)")),
    "a legend of entries": ("workers", "long_names", lambda d: _panel(d, "Schedulers of each entry")["gridPos"].update(w=12)),
    "a legend of clients": ("workers", "long_names", lambda d: _panel(d, "Clients")["gridPos"].update(w=12)),
    "Span ID": ("queues", "names_in_capitals", lambda d: _replace(d, '"Span ID": "Span id"', '"Span ID": "Span ID"')),
    "template1": ("workers", "template_databases", lambda d: _panel(d, "Transactions")["targets"][0].update(
        expr='rate(pg_stat_database_xact_commit{datname=~"$datname"}[$__rate_interval])')),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_planted_fault_is_found(fault):
    page, name, plant = FAULTS[fault]
    rule = getattr(dashboard_reading, name)
    dashboard = dashboards.load(FOLDER / f"asynq-{page}.json")
    assert rule(dashboard) == []
    plant(dashboard)
    assert rule(dashboard) != []


def test_each_rule_has_a_planted_fault():
    assert {name for _, name, _ in FAULTS.values()} == {rule.__name__ for rule in dashboard_reading.RULES}


def test_a_mean_of_what_is_capped_is_found():
    dashboard = dashboards.load(FOLDER / "asynq-queues.json")
    _panel(dashboard, "Time to drain")["options"]["legend"]["calcs"].insert(0, "mean")
    assert any("neither" in finding for finding in dashboards.panel_problems(dashboard))
