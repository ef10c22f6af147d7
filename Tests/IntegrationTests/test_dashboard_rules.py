"""dashboards/: what only drawing them shows, as far as the JSON can say it."""

import copy

import pytest

from support import dashboard_rules, dashboards
from support.dashboard_rules import palette
from support.dashboards import FILES


@pytest.fixture(params=FILES, ids=lambda file: file.stem)
def dashboard(request) -> dict:
    return dashboards.load(request.param)


@pytest.mark.parametrize("rule", dashboard_rules.RULES, ids=lambda rule: rule.__name__)
def test_rule(rule, dashboard):
    assert rule(dashboard) == []


@pytest.mark.parametrize("rule", dashboard_rules.ALL_TOGETHER, ids=lambda rule: rule.__name__)
def test_rule_of_all_together(rule):
    assert rule([dashboards.load(file) for file in FILES]) == []


# --- The rules find what they look for -----------------------------------------------------------------------------------

WELL = {
    "uid": "asynq-overview", "annotations": {"list": [{"name": "Alerts", "expr": "ALERTS", "enable": False}]},
    "templating": {"list": [{"name": "prometheus_datasource", "type": "datasource", "hide": 2}]},
    "panels": [{
        "type": kind, "title": kind, "description": "If it is wrong, mend it: now.",
        "gridPos": {"h": 10, "w": 12, "x": 12 * (number % 2), "y": 10 * (number // 2)},
        "targets": [{"datasource": {"type": "prometheus"}, "refId": "A", "expr": expression, "legendFormat": "{{queue}}"}],
        "fieldConfig": {"defaults": {"unit": unit, "min": 0, "noValue": "no task",
                                     "custom": {"axisSoftMax": 1, "fillOpacity": 100, "stacking": {"mode": "normal"},
                                                "thresholdsStyle": {"mode": "dashed"}},
                                     "thresholds": {"steps": [{"color": "gray", "value": None}]}, "mappings": [
            {"type": "value", "options": {"0": {"text": "down", "color": "red"}}},
            {"type": "special", "options": {"match": "null+nan", "result": {"text": "no task", "color": "transparent"}}}]}, "overrides": []},
        "transformations": [{"id": "organize", "options": {"excludeByName": {"long": True, "job": True, "Time": True}}}],
        "options": {"colorMode": "background_solid", "mergeValues": False, "sortBy": [{"displayName": "For", "desc": True}], "legend": {"displayMode": "table", "placement": "bottom", "sortBy": "Last", "sortDesc": True}},
        "links": [{"url": "https://runbooks.example.com/asynq#AsynqDeadLetters"}],
    } for number, (kind, unit, expression) in enumerate((("timeseries", "suffix: tasks/s", "rate(asynq_tasks_processed_total[1m])"),
                                     ("state-timeline", "none", "asynq_queue_paused + (asynq_queue_consumers == bool 0)"),
                                     ("heatmap", "short", "x_bucket"),
                                     ("table", "none", 'label_join(ALERTS{a="b"}, "detail", " ", "long", "short")'), ("stat", "none", "asynq_redis_up"),
                                     ("stat", "none", "asynq_collector_tempo_up")))],
}
for _stat in WELL["panels"][-2:]:
    _stat["targets"][0]["instant"] = True
    _stat["fieldConfig"]["defaults"]["noValue"] = "no data"


def _panel(dashboard: dict, kind: str) -> dict:
    return next(panel for panel in dashboard["panels"] if panel["type"] == kind)


def _defaults(dashboard: dict, kind: str = "timeseries") -> dict:
    return _panel(dashboard, kind)["fieldConfig"]["defaults"]


def _row(collapsed: bool) -> dict:
    return {"type": "row", "title": "Row", "collapsed": collapsed, "panels": [], "gridPos": {"h": 1, "w": 24, "x": 0, "y": 20}}


def _show_memory_by_part(dashboard: dict) -> None:
    panel = _panel(dashboard, "timeseries")
    panel["targets"][0].update(expr="asynq_collector_memory_bytes", legendFormat="{{part}}")
    panel["options"]["legend"].update(placement="right")


def _show_alerts_over_time(dashboard: dict) -> None:
    panel = _panel(dashboard, "state-timeline")
    panel["targets"][0].update(expr='2 * ALERTS{severity="critical"} or ALERTS{severity="warning"} or ALERTS{severity="info"}')
    panel["fieldConfig"]["defaults"]["mappings"][0]["options"].update(
        {"1": {"text": "warning", "color": "orange"}, "2": {"text": "critical", "color": "red"}})


def _narrow(dashboard: dict) -> None:
    panel = _panel(dashboard, "table")
    panel["options"].update(sortBy=[{"displayName": "In the time range", "desc": True}])
    panel["fieldConfig"]["overrides"].append({"matcher": {"options": "In the time range"}, "properties": [{"id": "custom.width", "value": 135}]})


def _fix_all_widths(dashboard: dict) -> None:
    panel = _panel(dashboard, "table")
    panel["transformations"][0]["options"].update(indexByName={"alertname": 0})
    panel["fieldConfig"]["overrides"].append({"matcher": {"options": "alertname"}, "properties": [{"id": "custom.width", "value": 235}]})


def _show_traces(dashboard: dict) -> None:
    panel = _panel(dashboard, "table")
    panel["targets"][0].update(datasource={"type": "tempo"})
    panel["transformations"][0]["options"].update(indexByName={"Trace Name": 0})


def _sort_by_rate(dashboard: dict, expression: str) -> None:
    panel = _panel(dashboard, "table")
    panel["targets"][0].update(expr=expression, refId="A")
    panel["transformations"][0]["options"].update(renameByName={"Value #A": "Rate"})
    panel["options"].update(sortBy=[{"displayName": "Rate", "desc": True}])


FAULTS = {
    "a number in green": (dashboard_rules.coloured_text, lambda d: _panel(d, "stat")["options"].update(colorMode="value")),
    "a bar's number in red": (dashboard_rules.coloured_text, lambda d: _panel(d, "stat")["options"].update(valueMode="color")),
    "a cell's text in orange": (dashboard_rules.coloured_text, lambda d: _panel(d, "table")["fieldConfig"]["overrides"].append(
        {"properties": [{"id": "custom.cellOptions", "value": {"type": "color-text"}}]})),
    "a pale state": (dashboard_rules.coloured_text, lambda d: _defaults(d, "state-timeline")["custom"].update(fillOpacity=80)),
    "nothing in green": (dashboard_rules.coloured_absence, lambda d: _defaults(d, "stat")["mappings"].pop()),
    "a red limit": (dashboard_rules.severities_among_names, lambda d: _defaults(d)["thresholds"]["steps"].append(
        {"color": palette.CRITICAL, "value": 1})),
    "the same alert twice": (dashboard_rules.rows_alike,
                             lambda d: _panel(d, "table")["transformations"][0]["options"]["excludeByName"].update(reason=True)),
    "it runs without servers": (dashboard_rules.pauses_without_servers,
                                lambda d: _panel(d, "state-timeline")["targets"][0].update(expr="asynq_queue_paused")),
    "a disk that refuses is up": (dashboard_rules.disks_with_errors, lambda d: _panel(d, "state-timeline")["targets"][0].update(
        expr="1 - asynq_collector_spool_stalled")),
    "a key": (dashboard_rules.keys_as_titles, lambda d: _panel(d, "heatmap").update(title="Wait over metrics.quantile-window")),
    "an odd title": (dashboard_rules.odd_titles, lambda d: _panel(d, "heatmap").update(title="Names that were cut")),
    "spans of dead letters": (dashboard_rules.spans_of_every_kind, lambda d: _panel(d, "heatmap")["targets"][0].update(
        expr="sum by (service) (rate(traces_spanmetrics_calls_total[1m]))")),
    "spans of dead letters among errors": (dashboard_rules.spans_of_every_kind, lambda d: _panel(d, "heatmap")["targets"][0].update(
        expr='rate(traces_spanmetrics_calls_total{status_code="STATUS_CODE_ERROR"}[1m])')),
    "half a trace": (dashboard_rules.narrow_boxes, lambda d: d["templating"]["list"].append(
        {"name": "traceId", "type": "textbox", "hide": 0})),
    "the worst last": (dashboard_rules.poor_legends,
                       lambda d: _panel(d, "timeseries")["targets"][0].update(expr="1 - (queue:asynq_task_wait_slow:ratio_rate1h)")),
    "two lines for each queue": (dashboard_rules.poor_legends,
                                 lambda d: _panel(d, "timeseries")["targets"].append(_panel(d, "timeseries")["targets"][0])),
    "a line for each state of each queue": (dashboard_rules.poor_legends, lambda d: _panel(d, "timeseries")["targets"][0].update(
        legendFormat="{{queue}}: {{state}}")),
    "info before warning": (dashboard_rules.severities_by_name, lambda d: _panel(d, "table")["options"].update(
        sortBy=[{"displayName": "Severity", "desc": False}])),
    "info is a warning": (dashboard_rules.severities_without_state, _show_alerts_over_time),
    "nothing fails now": (dashboard_rules.rows_in_no_order, lambda d: _sort_by_rate(d, "rate(x[1m]) > 0")),
    "all succeed": (dashboard_rules.rows_in_no_order, lambda d: _sort_by_rate(d, "rate(x[1m]) / (rate(y[1m]) > 0)")),
    "a full archive below the edge": (dashboard_rules.unsorted_rows, lambda d: _panel(d, "heatmap").update(
        type="bargauge", targets=[{"expr": "asynq_queue_archive_fill_ratio", "instant": True}])),
    "bars over a range": (dashboard_rules.unsorted_rows, lambda d: _panel(d, "heatmap").update(
        type="bargauge", targets=[{"expr": "sort_desc(asynq_queue_archive_fill_ratio)"}])),
    "an overdue entry below the edge": (dashboard_rules.unsorted_rows, lambda d: _panel(d, "table")["options"].update(sortBy=[])),
    "an empty strip": (dashboard_rules.empty_strips, _fix_all_widths),
    "an arrow on the title": (dashboard_rules.narrow_sorted_columns, _narrow),
    "no server": (dashboard_rules.absence_as_fact, lambda d: _defaults(d, "stat").update(noValue="no server")),
    "0 s without Redis": (dashboard_rules.zeros_without_redis, lambda d: _panel(d, "stat")["targets"][0].update(
        expr='max(x) or 0 * max(asynq_redis_up{job=~"$job"})')),
    "no task of any type": (dashboard_rules.zeros_of_refused_spans, lambda d: _panel(d, "timeseries")["targets"][0].update(
        expr="sum by (task_type) (rate(asynq_task_attempts_total[1m]))")),
    "no task of any service": (dashboard_rules.zeros_of_refused_spans, lambda d: _panel(d, "timeseries")["targets"][0].update(
        expr='sum by (service) (rate(traces_spanmetrics_calls_total{span_kind="SPAN_KIND_SERVER"}[1m]))')),
    "yellow here and blue there": (dashboard_rules.names_of_two_colours, lambda d: _panel(d, "timeseries")["targets"][0].update(
        expr="max by (queue) (asynq_queue_longest_running_seconds)")),
    "only queues that fail": (dashboard_rules.names_of_two_colours, lambda d: _panel(d, "timeseries")["targets"][0].update(
        expr="max by (queue) (asynq_queue_size) > 0")),
    "colours after a limit": (dashboard_rules.names_of_two_colours, lambda d: _panel(d, "timeseries")["targets"].insert(
        0, {"expr": "x", "legendFormat": "limit", "datasource": {"type": "prometheus"}})),
    "the busiest server has ended": (dashboard_rules.names_of_two_colours, lambda d: _panel(d, "timeseries")["targets"][0].update(
        expr="max by (host, pid) (asynq_server_busy_workers)", legendFormat="{{host}} {{pid}}")),
    "an empty strip beside traces": (dashboard_rules.empty_strips, _show_traces),
    "three columns": (dashboard_rules.vanishing_rows, lambda d: _panel(d, "table")["targets"][0].update(
        expr="asynq_queue_size or NaN * max by (redis, queue) (asynq_queue_paused)")),
    "thirteen parts, and room for nine": (dashboard_rules.crowded_legends, _show_memory_by_part),
    "a legend without curves": (dashboard_rules.squeezed_curves, lambda d: _panel(d, "timeseries")["options"]["legend"].update(
        placement="right")),
    "a brown block": (dashboard_rules.murky_areas, lambda d: _defaults(d)["custom"].update(stacking={"mode": "none"})),
    "merged": (dashboard_rules.merged_states, lambda d: _panel(d, "state-timeline")["options"].update(mergeValues=True)),
    "merged, as is the default": (dashboard_rules.merged_states, lambda d: _panel(d, "state-timeline")["options"].pop("mergeValues")),
    "flood": (dashboard_rules.flooding_annotations, lambda d: d["annotations"]["list"][0].update(enable=True)),
    "exemplars": (dashboard_rules.covered_heatmaps, lambda d: _panel(d, "heatmap")["targets"][0].update(exemplar=True)),
    "ops": (dashboard_rules.wrong_units, lambda d: _defaults(d).update(unit="ops")),
    "yes": (dashboard_rules.wrong_units, lambda d: _defaults(d).update(unit="bool_yes_no")),
    "yes in a column": (dashboard_rules.wrong_units, lambda d: _panel(d, "table")["fieldConfig"]["overrides"].append(
        {"properties": [{"id": "unit", "value": "bool_yes_no"}]})),
    "a list": (dashboard_rules.poor_legends, lambda d: _panel(d, "timeseries")["options"]["legend"].update(displayMode="list")),
    "121 dead letters below 0": (dashboard_rules.poor_legends, lambda d: _defaults(d)["custom"].update(drawStyle="bars")),
    "unsorted": (dashboard_rules.poor_legends, lambda d: _panel(d, "timeseries")["options"]["legend"].pop("sortBy")),
    "low": (dashboard_rules.poor_legends, lambda d: _panel(d, "timeseries")["gridPos"].update(h=8)),
    "sixteen panels": (dashboard_rules.too_many_panels, lambda d: d["panels"].extend(d["panels"] * 2)),
    "a collapsed row": (dashboard_rules.too_many_panels, lambda d: d["panels"].append(_row(True))),
    "no 0": (dashboard_rules.floating_axes, lambda d: _defaults(d).pop("min")),
    "no top": (dashboard_rules.floating_axes, lambda d: _defaults(d)["custom"].pop("axisSoftMax")),
    "numbers of one digit": (dashboard_rules.narrow_axes, lambda d: _defaults(d).update(unit="short")),
    "a grey box": (dashboard_rules.empty_tracks, lambda d: _panel(d, "heatmap").update(
        type="bargauge", options={"colorMode": "none", "showUnfilled": True})),
    "no runbook": (dashboard_rules.missing_runbook_links, lambda d: _panel(d, "table")["links"].clear()),
    "another runbook": (dashboard_rules.missing_runbook_links, lambda d: _panel(d, "table")["links"][0].update(
        url="https://runbooks.example.com/asynq#AsynqNothing")),
    "no reason": (dashboard_rules.silent_panels, lambda d: _defaults(d).pop("noValue")),
    "no data": (dashboard_rules.silent_panels, lambda d: _defaults(d).update(noValue="No data")),
    "two sentences": (dashboard_rules.long_descriptions, lambda d: _panel(d, "heatmap").update(description="It is. (Mend it.)")),
    "no sentence": (dashboard_rules.long_descriptions, lambda d: _panel(d, "heatmap").update(description="Mend it")),
    "the last of the range": (dashboard_rules.old_numbers, lambda d: _panel(d, "stat")["targets"][0].pop("instant")),
    "a made up zero": (dashboard_rules.old_numbers, lambda d: _panel(d, "stat")["targets"][0].update(expr="max(x) or vector(0)")),
    "what is missing of each line": (dashboard_rules.ended_lines, lambda d: _defaults(d)["mappings"].pop()),
    "2 K twice": (dashboard_rules.rough_counts, lambda d: _defaults(d).update(decimals=0)),
    "2 Mil": (dashboard_rules.rough_counts, lambda d: _defaults(d, "stat").update(decimals=0)),
    "a hole": (dashboard_rules.holes, lambda d: d["panels"].pop(1)),
    "a data source": (dashboard_rules.shown_data_sources, lambda d: d["templating"]["list"][0].update(hide=0)),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_planted_fault_is_found(fault):
    rule, plant = FAULTS[fault]
    dashboard = copy.deepcopy(WELL)
    assert rule(dashboard) == []
    plant(dashboard)
    assert len(rule(dashboard)) == 1


def test_differences_may_cross_0():
    dashboard = copy.deepcopy(WELL)
    _defaults(dashboard).pop("min")
    _defaults(dashboard)["custom"].update(axisSoftMin=-1, axisSoftMax=1)
    assert dashboard_rules.floating_axes(dashboard) == []


def test_a_row_that_is_open_may_be_on_the_overview():
    assert dashboard_rules.too_many_panels(WELL | {"panels": [*WELL["panels"], _row(False)]}) == []


def test_a_state_of_two_colours_is_found():
    other = copy.deepcopy(WELL)
    assert dashboard_rules.colours_of_two_meanings([WELL, other]) == []
    _defaults(other)["mappings"][0]["options"]["0"]["color"] = "orange"
    assert dashboard_rules.colours_of_two_meanings([WELL, other]) == ["the state 'down' has the colours orange, red; one"]


def test_an_alert_that_no_panel_leads_to_is_found():
    found = dashboard_rules.alerts_without_panel([WELL])
    assert found and not any("AsynqDeadLetters:" in finding for finding in found)
