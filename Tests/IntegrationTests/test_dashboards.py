"""dashboards/: what can be said of them without Grafana. test_stack.py runs their queries."""

import copy
import itertools
import json
import math
import re
import subprocess
import sys

import pytest
import yaml
from grafana_foundation_sdk.cog import plugins
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard

from support import alert_rules, dashboards
from support.dashboards import FILES, FOLDER
from support.grafana import colours
from support.programs import FIXTURES

sys.path.insert(0, str(FOLDER))
from source import palette  # noqa: E402

EXPECTED = {"asynq-overview", "asynq-queues", "asynq-workers", "asynq-collector"}


@pytest.fixture(params=FILES, ids=lambda file: file.stem)
def dashboard(request) -> dict:
    return dashboards.load(request.param)


def test_the_files_are_what_their_source_makes():
    checked = subprocess.run([sys.executable, FOLDER / "generate", "--check"], capture_output=True, text=True)
    assert checked.returncode == 0, checked.stderr


def test_a_file_that_was_changed_by_hand_is_found(tmp_path):
    for part in ("generate", "source"):
        subprocess.run(["cp", "-r", FOLDER / part, tmp_path], check=True)
    for file in FILES:
        (tmp_path / file.name).write_text(file.read_text(encoding="utf-8").replace("Pending", "Pnding", 1), encoding="utf-8")
    checked = subprocess.run([sys.executable, tmp_path / "generate", "--check"], capture_output=True, text=True)
    assert checked.returncode == 1 and "asynq-queues.json" in checked.stderr, checked


def test_each_dashboard_has_its_fixed_uid_in_its_name():
    assert {dashboards.load(file)["uid"] for file in FILES} == {file.stem for file in FILES} == EXPECTED
    assert alert_rules.DASHBOARD_UIDS == EXPECTED


@pytest.mark.parametrize("check", dashboards.CHECKS, ids=lambda check: check.__name__)
def test_static_check(check, dashboard):
    assert check(dashboard) == []


def test_links_between_dashboards_lead_somewhere(dashboard):
    text = json.dumps(dashboard)
    assert set(re.findall(r'"/d/([\w-]+)', text)) <= EXPECTED
    # A link sets variables that the dashboard it leads to has.
    for uid, arguments in re.findall(r'"/d/([\w-]+)\?([^"]*)"', text):
        target = next(other for other in map(dashboards.load, FILES) if other["uid"] == uid)
        names = {variable["name"] for variable in dashboards.variables(target)}
        assert set(re.findall(r"var-(\w+)=", arguments)) <= names


# What README.md calls them.
PAGES = {"overview": "asynq-overview", "queue": "asynq-queues", "workers": "asynq-workers", "collector": "asynq-collector"}


def _places(cell: str) -> list[tuple[str, str]]:
    """(dashboard, panel) of a cell like `overview, queue: Dead letters; queue: Wait (dashed), Errors`."""
    parts = (part.strip().split(": ", 1) for part in cell.split(";"))
    return [(PAGES[page], re.sub(r" \(.*", "", title)) for pages, titles in parts for page in pages.split(", ")
            for title in re.split(r", (?=[A-Z])", titles)]


def test_the_panels_of_before_are_where_the_table_says():
    table = (FOLDER / "README.md").read_text(encoding="utf-8").partition("| before | panel | now |\n|---|---|---|\n")[2]
    rows = [[cell.strip() for cell in row.strip("|").split("|")] for row in table.splitlines()]
    assert len(rows) > 80 and {len(row) for row in rows} == {3}
    there = {(file.stem, panel["title"]) for file in FILES for panel in dashboards.panels(dashboards.load(file))}
    assert [(before, place) for _, before, now in rows for place in _places(now) if place not in there] == []


def _families() -> set[str]:
    """What the collector exposes, by the golden page; counters and info with their suffix."""
    page = (FIXTURES / "metrics-page" / "openmetrics.txt").read_text(encoding="utf-8")
    suffixes = {"counter": "_total", "info": "_info"}
    found = {name + suffixes.get(kind, "") for name, kind in re.findall(r"^# TYPE (\S+) (\S+)$", page, re.MULTILINE)}
    assert len(found) >= 70
    return found


def test_everything_that_the_collector_tells_is_shown_somewhere():
    shown = {re.sub(r"_(bucket|count|sum)$", "", metric) for file in FILES
             for _, expression in dashboards.expressions(dashboards.load(file))
             for metric, _ in dashboards.selectors(dashboards.filled_in(expression, dashboards.everything(dashboards.load(file))))}
    assert sorted(_families() - shown) == []
    assert sorted(name for name in shown - _families() if re.match("asynq_(?!postgres)", name)) == []


# --- Grafana's own schema --------------------------------------------------------------------------------------------

# What the SDK does not know and Grafana does: the Prometheus data source's own keys of annotations and variables, "no id", and
# a false that the SDK takes for unset.
UNKNOWN_TO_THE_SDK = re.compile(
    r"/id|/annotations/list/\d+/(expr|titleFormat|textFormat|useValueForTime)|/templating/list/\d+/definition"
    r"|(/panels/\d+)+/fieldConfig/defaults/custom/spanNulls")


def _lost(before: object, after: object, path: str = "") -> list[str]:
    """What a round trip took away or changed. Defaults that it added are no matter."""
    if isinstance(before, dict) and isinstance(after, dict):
        return [finding for key, value in before.items()
                for finding in (_lost(value, after[key], f"{path}/{key}") if key in after else [f"{path}/{key}"])]
    if isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        return [finding for number, pair in enumerate(zip(before, after)) for finding in _lost(*pair, f"{path}/{number}")]
    return [] if before == after else [path]


def _misspelled(dashboard: dict) -> list[str]:
    plugins.register_default_plugins()
    parsed = Dashboard.from_json(copy.deepcopy(dashboard))
    again = json.loads(JSONEncoder(sort_keys=True).encode(parsed))
    return [path for path in _lost(dashboard, again) if not UNKNOWN_TO_THE_SDK.fullmatch(path)]


def test_the_sdk_of_grafana_reads_and_writes_it_unchanged(dashboard):
    assert _misspelled(dashboard) == []


# --- The checks find what they look for ------------------------------------------------------------------------------


def _panel(dashboard: dict, kind: str = "timeseries") -> dict:
    return next(panel for panel in dashboards.panels(dashboard) if panel["type"] == kind)


def _target(dashboard: dict) -> dict:
    return _panel(dashboard)["targets"][0]


def _bars(dashboard: dict) -> dict:
    return next(panel for panel in dashboards.panels(dashboard) if panel["targets"][0]["datasource"]["type"] == "prometheus"
                and panel["fieldConfig"]["defaults"].get("custom", {}).get("drawStyle") == "bars")


def _swap(holder: dict, key: str, value: object) -> None:
    holder[key] = value


FAULTS = {
    "editable": (dashboards.frame_problems, lambda d: _swap(d, "editable", True)),
    "schema version": (dashboards.frame_problems, lambda d: _swap(d, "schemaVersion", 16)),
    "exported": (dashboards.frame_problems, lambda d: _swap(d, "__inputs", [])),
    "no link": (dashboards.frame_problems, lambda d: d["links"].clear()),
    "same id twice": (dashboards.number_problems, lambda d: _swap(_panel(d), "id", 1)),
    "same refId twice": (dashboards.number_problems, lambda d: _panel(d)["targets"].append(_target(d))),
    "overlap": (dashboards.grid_problems, lambda d: _panel(d)["gridPos"].update(h=30)),
    "too wide": (dashboards.grid_problems, lambda d: _panel(d)["gridPos"].update(x=20, w=12)),
    "undeclared variable": (dashboards.variable_problems, lambda d: _swap(_target(d), "expr", 'up{a="$nothing"}')),
    "undeclared variable in braces": (dashboards.variable_problems,
                                      lambda d: _swap(_target(d), "expr", 'up{a="${nothing:regex}"}')),
    "unused variable": (dashboards.variable_problems,
                        lambda d: d["templating"]["list"].append(d["templating"]["list"][-1] | {"name": "unused"})),
    "variable used before it is declared": (dashboards.variable_problems, lambda d: d["templating"]["list"].reverse()),
    "variable declared twice": (dashboards.variable_problems,
                                lambda d: d["templating"]["list"].append(d["templating"]["list"][-1])),
    "variable without a label": (dashboards.variable_problems, lambda d: d["templating"]["list"][-1].pop("label")),
    "variable not multi": (dashboards.variable_problems,
                           lambda d: next(v for v in d["templating"]["list"] if v["name"] == "job").update(multi=False)),
    "no title": (dashboards.panel_problems, lambda d: _swap(_panel(d), "title", "")),
    "no description": (dashboards.panel_problems, lambda d: _swap(_panel(d), "description", " ")),
    "no unit": (dashboards.panel_problems, lambda d: _panel(d)["fieldConfig"]["defaults"].pop("unit")),
    "old panel": (dashboards.panel_problems, lambda d: _swap(_panel(d), "type", "graph")),
    "tooltip": (dashboards.panel_problems, lambda d: _panel(d)["options"].update(tooltip={"mode": "single", "sort": "none"})),
    "legend without the last value": (dashboards.panel_problems,
                                      lambda d: _panel(d)["options"]["legend"]["calcs"].remove("last")),
    "lonely points": (dashboards.panel_problems,
                      lambda d: _panel(d)["fieldConfig"]["defaults"]["custom"].update(showPoints="never")),
    "row twice": (dashboards.panel_problems,
                  lambda d: d["panels"].append(next(panel for panel in d["panels"] if panel["type"] == "row"))),
    "no query": (dashboards.panel_problems, lambda d: _swap(_panel(d), "targets", [])),
    "hard-coded data source": (dashboards.data_source_problems,
                               lambda d: _swap(_target(d), "datasource", {"type": "prometheus", "uid": "abc"})),
    "data source by name": (dashboards.data_source_problems, lambda d: _swap(_panel(d), "datasource", "Prometheus")),
    "data source of a variable": (dashboards.data_source_problems,
                                  lambda d: next(v for v in d["templating"]["list"] if v["name"] == "job").update(
                                      datasource={"type": "prometheus", "uid": "abc"})),
    "fixed interval": (dashboards.promql_problems, lambda d: _swap(_target(d), "expr", "rate(x_total[5m])")),
    "bare counter": (dashboards.promql_problems, lambda d: _swap(_target(d), "expr", "sum(x_total)")),
    "bare counter in a quotient": (dashboards.promql_problems,
                                   lambda d: _swap(_target(d), "expr", "rate(x_total[$__rate_interval]) / y_total")),
    "rate of a gauge": (dashboards.promql_problems, lambda d: _swap(_target(d), "expr", "rate(x_bytes[$__rate_interval])")),
    "bars of fifteen seconds": (dashboards.bar_problems, lambda d: _bars(d).pop("interval")),
    "bars that overlap": (dashboards.bar_problems,
                          lambda d: _swap(_bars(d)["targets"][0], "expr", "sum(increase(x_total[$__rate_interval]))")),
    "bars of a rate": (dashboards.bar_problems,
                       lambda d: _swap(_bars(d)["targets"][0], "expr", "sum(rate(x_total[$__rate_interval]))")),
    "bars of fractions": (dashboards.bar_problems, lambda d: _swap(
        _bars(d)["targets"][0], "expr", _bars(d)["targets"][0]["expr"].replace("round(", "(", 1))),
    "a column half a minute late": (dashboards.bar_problems, lambda d: _bars(d)["fieldConfig"]["defaults"]["custom"].pop("barAlignment")),
    "a column that begins late": (dashboards.bar_problems, lambda d: _bars(d)["fieldConfig"]["defaults"]["custom"].pop("barWidthFactor")),
    "a red line of no log lines": (dashboards.bar_problems, lambda d: next(
        p for p in dashboards.panels(d) if p["title"] == "Log lines by level")["fieldConfig"]["defaults"]["custom"].update(lineWidth=1)),
    "three columns of tasks/s": (dashboards.panel_problems, lambda d: next(
        p for p in dashboards.panels(d) if p["title"] == "Unmeasured waits")["options"]["legend"]["calcs"].insert(0, "mean")),
    "a column of what was before": (dashboards.bar_problems, lambda d: _swap(
        _bars(d)["targets"][0], "expr", _bars(d)["targets"][0]["expr"].partition(" and on () ")[0])),
    "few in the last minute": (dashboards.panel_problems, lambda d: _bars(d)["options"]["legend"].update(sortBy="Last *")),
    "none in the last minute": (dashboards.panel_problems, lambda d: _bars(d)["options"]["legend"].update(
        displayMode="list", calcs=["lastNotNull"])),
    "an axis with fractions of tasks": (dashboards.bar_problems, lambda d: _bars(d)["fieldConfig"]["defaults"].pop("decimals")),
    "the worst last": (dashboards.panel_problems, lambda d: next(
        p for p in dashboards.panels(d) if p["title"] == "Objective met" and p["type"] == "timeseries")["options"]["legend"].update(
            sortDesc=True)),
    "columns of fifteen seconds": (dashboards.bar_problems, lambda d: _panel(d, "heatmap").pop("interval")),
    "lines that overlap": (dashboards.bar_problems,
                           lambda d: _swap(_target(d), "expr", "sum(increase(x_total[$__rate_interval]))")),
    "no PromQL": (dashboards.promql_problems, lambda d: _swap(_target(d), "expr", "sum by (a (x)")),
    "misspelled key": (_misspelled, lambda d: _panel(d)["options"].update(legnd=_panel(d)["options"].pop("legend"))),
    "misspelled value": (_misspelled, lambda d: _panel(d)["fieldConfig"]["defaults"].update(minn=0)),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_planted_fault_is_found(fault):
    check, plant = FAULTS[fault]
    dashboard = dashboards.load(FOLDER / "asynq-queues.json")
    assert check(dashboard) == []
    plant(dashboard)
    assert check(dashboard) != []


def test_planted_fault_is_found_in_what_only_some_dashboards_have():
    dashboard = dashboards.load(FOLDER / "asynq-queues.json")
    panel = next(p for p in dashboards.panels(dashboard) if p["targets"][0].get("queryType") == "traceql")
    panel["targets"].append(panel["targets"][0] | {"refId": "B"})
    assert any("TraceQL" in finding for finding in dashboards.panel_problems(dashboard))
    dashboard = dashboards.load(FOLDER / "asynq-queues.json")
    panel = next(p for p in dashboards.panels(dashboard) if p["targets"][0]["datasource"]["type"] == "loki")
    panel["targets"][0]["expr"] = panel["targets"][0]["expr"].replace("$__auto", "5m")
    assert any("[5m]" in finding for finding in dashboards.logql_problems(dashboard))
    panel["targets"][0]["expr"] = '{job="x"}'
    assert any("service_name" in finding for finding in dashboards.logql_problems(dashboard))
    panel = next(p for p in dashboards.panels(dashboard) if "histogram_quantile" in p["targets"][0].get("expr", "")
                 and p["targets"][0].get("exemplar") and p["type"] == "timeseries")
    del panel["targets"][0]["exemplar"]
    assert any("exemplars" in finding for finding in dashboards.panel_problems(dashboard))
    dashboard = dashboards.load(FOLDER / "asynq-collector.json")
    panel = next(p for p in dashboards.panels(dashboard) if p["title"] == "Requests to Tempo")
    panel["fieldConfig"]["defaults"]["custom"]["lineWidth"] = 1
    assert any("edge" in finding for finding in dashboards.bar_problems(dashboard))


def _trace_table(dashboard: dict) -> dict:
    return next(panel for panel in dashboards.panels(dashboard) if "tableType" in panel["targets"][0]
                and panel["type"] == "table")


def _first_override(dashboard: dict) -> dict:
    return _trace_table(dashboard)["fieldConfig"]["overrides"][0]


TRACE_FAULTS = {
    "a field of another table": lambda d: _first_override(d)["matcher"].update(options="traceID"),
    "a hidden field": lambda d: _first_override(d)["matcher"].update(options="traceIdHidden"),
    "a link with a field that is not there": lambda d: _first_override(d)["properties"][0]["value"][0].update(
        url="/d/asynq-queues?var-traceId=${__data.fields.traceID}"),
    "no link": lambda d: _trace_table(d)["fieldConfig"]["overrides"].clear(),
    "the id of the trace is seen": lambda d: next(
        one for one in _trace_table(d)["fieldConfig"]["overrides"] if one["matcher"]["options"] == "traceIdHidden")["properties"].pop(),
    "the first matches for the newest": lambda d: _trace_table(d)["targets"][0].update(query="{ status = error }"),
}


@pytest.mark.parametrize("fault", TRACE_FAULTS)
def test_planted_fault_of_a_table_of_traces_is_found(fault):
    dashboard = dashboards.load(FOLDER / "asynq-queues.json")
    assert dashboards.trace_table_problems(dashboard) == []
    TRACE_FAULTS[fault](dashboard)
    assert dashboards.trace_table_problems(dashboard) != []


def test_planted_fault_of_a_box_that_is_empty_is_found():
    dashboard = dashboards.load(FOLDER / "asynq-queues.json")
    target = next(t for p in dashboards.panels(dashboard) for t in p["targets"] if "$traceId" in t.get("expr", ""))
    target["expr"] = target["expr"].replace('| trace_id!="" ', "")
    assert any("empty box" in finding for finding in dashboards.logql_problems(dashboard))


def test_the_link_to_the_runbook_finds_its_section():
    """Grafana can't write the alert's name in small letters, as the headings' own anchors are, and anchors are case-sensitive."""
    text = (FOLDER / "asynq-overview.json").read_text(encoding="utf-8")
    assert "https://runbooks.example.com/asynq#${__value.text}" in text
    files = alert_rules.RuleFiles.read()
    names = sorted({alert["alert"] for alert in files.alerts})
    assert names == sorted(re.findall(r'^<a id="(\w+)"></a>\n\n### \1$', files.runbook, re.MULTILINE))


def test_each_alert_has_a_panel_that_links_to_its_section_of_the_runbook():
    alerts = {alert["alert"] for alert in alert_rules.RuleFiles.read().alerts}
    linked = set()
    for file in FILES:
        for panel in dashboards.panels(dashboards.load(file)):
            for link in panel.get("links", []):
                _, _, name = link["title"].partition("Runbook: ")
                section = f"#{name}" if name else ""
                assert link["url"] == f"https://runbooks.example.com/asynq{section}" and link["targetBlank"], panel["title"]
                linked.add(name)
    assert linked - {""} == alerts


def test_each_panel_of_alerts_links_to_the_runbook(dashboard):
    for panel in dashboards.panels(dashboard):
        if any("ALERTS{" in target.get("expr", "") for target in panel["targets"]):
            assert any(link["title"].startswith("Runbook") for link in panel["links"]), panel["title"]


# --- Colours ---------------------------------------------------------------------------------------------------------

# Machado, Oliveira and Fernandes (2009), severity 1.0: what is seen of linear RGB.
SIGHTS = {
    "normal": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    "protanopia": ((0.152286, 1.052583, -0.204868), (0.114503, 0.786281, 0.099216), (-0.003882, -0.048116, 1.051998)),
    "deuteranopia": ((0.367322, 0.860646, -0.227968), (0.280085, 0.672501, 0.047413), (-0.011820, 0.042940, 0.968881)),
    "tritanopia": ((1.255528, -0.076749, -0.178779), (-0.078411, 0.930809, 0.147602), (0.004733, 0.691367, 0.303900)),
}


def _lab(color: str, sight: str) -> tuple[float, float, float]:
    """CIE L*a*b* (D65) of what that sight sees of a colour #RRGGBB."""
    rgb = [int(color[at:at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in rgb]
    seen = [min(1, max(0, sum(weight * part for weight, part in zip(row, linear)))) for row in SIGHTS[sight]]
    matrix = ((0.4124, 0.3576, 0.1805, 0.9505), (0.2126, 0.7152, 0.0722, 1), (0.0193, 0.1192, 0.9505, 1.089))
    x, y, z = (sum(weight * part for weight, part in zip(row, seen)) / row[3] for row in matrix)
    x, y, z = (part ** (1 / 3) if part > 0.008856 else 7.787 * part + 16 / 116 for part in (x, y, z))
    return 116 * y - 16, 500 * (x - y), 200 * (y - z)


def _distance(one: str, other: str, sight: str) -> float:
    return math.dist(_lab(one, sight), _lab(other, sight))


@pytest.mark.parametrize("sight", SIGHTS)
def test_colours_of_a_group_are_told_apart(sight):
    for group in palette.GROUPS.values():
        for one, other in itertools.combinations(group, 2):
            assert _distance(group[one], group[other], sight) >= 20, f"{one} and {other}"


def test_severities_and_neighbours_in_a_stack_are_told_apart_without_colours():
    def lightness(color: str) -> float:
        return _lab(color, "normal")[0]

    for one, other in [*itertools.combinations(("good", "critical"), 2), ("warning", "critical")]:
        assert abs(lightness(palette.SEVERITIES[one]) - lightness(palette.SEVERITIES[other])) >= 10
    stack = [name for name in palette.STATES if name not in ("archived", "completed")]
    for below, above in itertools.pairwise(sorted(stack)):
        assert abs(lightness(palette.STATES[below]) - lightness(palette.STATES[above])) >= 10, f"{below} and {above}"


def test_each_colour_of_the_table_means_one_thing():
    means: dict[str, set[str]] = {}
    for group in palette.GROUPS.values():
        for name, color in group.items():
            means.setdefault(color, set()).add(name)
    assert [names for names in means.values() if len(names) > 1] == []


def test_colours_come_from_the_table_alone(dashboard):
    table = {color for group in palette.GROUPS.values() for color in group.values()}
    found = set(re.findall(r'"(?:color|fixedColor)": "([^"]+)"', json.dumps(dashboard["panels"]))) - {"rgba(255,0,255,0.7)"}
    assert found and found <= table | {palette.UNFILLED}


# As Grafana writes on a fill that is not light (getTextColorForAlphaBackground).
TEXT_ON_FILL = "#F7F8FA"


@pytest.mark.parametrize("severity", palette.SEVERITIES)
def test_text_on_a_severity_and_a_severity_on_white_can_be_read(severity):
    color = colours.rgb(palette.SEVERITIES[severity], "light")
    assert sum(weight * part for weight, part in zip((0.299, 0.587, 0.114), color)) <= 180, "Grafana writes on it in black"
    for text in (TEXT_ON_FILL, "#FFFFFF"):
        assert colours.contrast(color, colours.rgb(text, "light")) >= 4.5


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_no_name_has_the_colour_of_a_severity_by_its_place(theme):
    """Grafana's classic palette begins so."""
    for name in ("green", "yellow", "blue", "orange", "red", "purple"):
        by_place = "#{:02X}{:02X}{:02X}".format(*map(int, colours.rgb(name, theme)))
        for severity, color in palette.SEVERITIES.items():
            assert _distance(color, by_place, "normal") >= 20, f"{severity} and {name}"


# --- Provisioning ----------------------------------------------------------------------------------------------------


def test_data_sources_refer_to_each_other():
    text = (FOLDER / "provisioning" / "datasources" / "asynq.yml").read_text(encoding="utf-8")
    sources = {source["uid"]: source for source in yaml.safe_load(text)["datasources"]}
    assert {source["type"] for source in sources.values()} == {"prometheus", "tempo", "loki"}
    assert set(re.findall(r"datasourceUid: (\S+)", text)) <= set(sources)
    # Grafana replaces $X by an environment variable: its own dollars are doubled.
    comments_out = re.sub(r"#.*", "", text)
    assert not re.search(r"(?<!\$)\$(?!\$)\{?\w", comments_out.replace("$$", "")), "a single $"
    scrape = yaml.safe_load((alert_rules.FOLDER / "prometheus.yml").read_text(encoding="utf-8"))["global"]["scrape_interval"]
    prometheus = next(source for source in sources.values() if source["type"] == "prometheus")
    assert prometheus["jsonData"]["timeInterval"] == scrape
    assert prometheus["jsonData"]["exemplarTraceIdDestinations"] == [{"name": "trace_id", "datasourceUid": "asynq-tempo"}]


def test_dashboards_are_provisioned_from_a_folder():
    text = (FOLDER / "provisioning" / "dashboards" / "asynq.yml").read_text(encoding="utf-8")
    provider, = yaml.safe_load(text)["providers"]
    assert provider["type"] == "file" and provider["allowUiUpdates"] is False
