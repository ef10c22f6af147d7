"""The dashboards as data, and what can be said of them without Grafana. Each check returns its findings."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import promql_parser

from support.programs import REPOSITORY

FOLDER = REPOSITORY / "dashboards"
FILES = sorted(FOLDER.glob("*.json"))
COLUMNS = 24

# As Grafana has them at the scrape interval of prometheus.yml; only here to make PromQL of the expressions.
INTERVALS = {"$__rate_interval": "1m", "$__range": "1h", "$__interval": "15s", "$__interval_ms": "15000",
             "$__from": "0"}
# The fields of Grafana's tables of spans and of traces (createTableFrameFromTraceQlQuery, …AsSpans in its Tempo data source),
# and whether they are to be seen. A span's attributes are fields as well, where a query selects them.
TRACE_TABLE_FIELDS = {
    "spans": {"traceIdHidden": False, "traceService": True, "traceName": True, "spanID": True, "time": True, "name": True,
              "duration": True},
    "traces": {"traceID": True, "startTime": True, "traceService": True, "traceName": True, "traceDuration": True},
}
DATA_SOURCES = {"prometheus", "tempo", "loki"}
GONE = {"graph", "table-old", "singlestat"}
# What is in trouble where its number is low: the legend begins with it.
LOW_IS_WORSE = re.compile(r"^1 - |^max by \([^)]*\) \(asynq_queue_(consumers|concurrency)\b"
                          r"|^sum by \(\w+\) \(rate\(asynq_collector_accepted_spans_total\b|\(process_start_time_seconds\b|^sum by \(queue\) \([^/]*asynq_tasks_processed_total[^/]*$")
# Panel types whose data has no unit.
WITHOUT_UNIT = {"logs", "traces", "nodeGraph", "state-timeline"}
# Counters whose name does not say so.
COUNTERS = re.compile(r"_(total|bucket|count|sum)$|^pg_stat_database_|^redis_keyspace_(hits|misses)")
NO_COUNTERS = {"pg_stat_activity_count"}
COUNTER_FUNCTIONS = {"rate", "irate", "increase"}
GAUGE_FUNCTIONS = {"deriv", "delta", "predict_linear"}


def load(file: Path) -> dict:
    return json.loads(file.read_text(encoding="utf-8"))


def all_panels(dashboard: dict) -> Iterator[dict]:
    """Rows and what lies in collapsed ones included."""
    for panel in dashboard["panels"]:
        yield panel
        yield from panel.get("panels", [])


def panels(dashboard: dict) -> Iterator[dict]:
    return (panel for panel in all_panels(dashboard) if panel["type"] != "row")


def variables(dashboard: dict) -> list[dict]:
    return dashboard["templating"]["list"]


def _where(panel: dict) -> str:
    return f"panel {panel.get('id')} {panel.get('title')!r}"


# --- PromQL ----------------------------------------------------------------------------------------------------------


def expressions(dashboard: dict) -> Iterator[tuple[str, str]]:
    """(where, PromQL) of panels and annotations; not those of variables."""
    for panel in panels(dashboard):
        for target in panel["targets"]:
            if target["datasource"].get("type") == "prometheus":
                yield f"{_where(panel)} {target['refId']}", target["expr"]
    for annotation in dashboard["annotations"]["list"]:
        if annotation["datasource"]["type"] == "prometheus":
            yield f"annotation {annotation['name']!r}", annotation["expr"]


def filled_in(expression: str, values: dict[str, str]) -> str:
    """With variables replaced, longest name first."""
    for name in sorted(values, key=len, reverse=True):
        expression = expression.replace(name, values[name])
    return expression


def everything(dashboard: dict) -> dict[str, str]:
    """Each variable with the value of All."""
    return INTERVALS | {f"${variable['name']}": variable.get("allValue") or "" for variable in variables(dashboard)}


def selectors(expression: str) -> Iterator[tuple[str, str | None]]:
    """(metric, innermost function around it) of each selector."""

    def walk(node, function: str | None) -> Iterator[tuple[str, str | None]]:
        kind = type(node).__name__
        if kind == "VectorSelector":
            yield node.name, function
        elif kind == "MatrixSelector":
            yield from walk(node.vector_selector, function)
        elif kind == "Call":
            for argument in node.args:
                yield from walk(argument, node.func.name)
        elif kind == "BinaryExpr":
            yield from walk(node.lhs, None)
            yield from walk(node.rhs, None)
        elif kind in ("AggregateExpr", "ParenExpr", "UnaryExpr", "SubqueryExpr"):
            yield from walk(node.expr, None)

    yield from walk(promql_parser.parse(expression), None)


# --- Checks ----------------------------------------------------------------------------------------------------------


def frame_problems(dashboard: dict) -> list[str]:
    expected = {"id": None, "editable": False, "graphTooltip": 1, "schemaVersion": 39, "refresh": "30s", "tags": ["asynq"]}
    findings = [f"{key} is {dashboard.get(key)!r}, not {value!r}" for key, value in expected.items()
                if dashboard.get(key, "absent") != value]
    if not re.fullmatch(r"asynq-[a-z]+", dashboard.get("uid") or ""):
        findings.append(f"uid {dashboard.get('uid')!r}")
    findings += [f"{key} is of an export, not of a provisioned dashboard" for key in ("__inputs", "__requires")
                 if key in dashboard]
    if not any(link["type"] == "dashboards" and link["includeVars"] and link["keepTime"] for link in dashboard["links"]):
        findings.append("no link to the other dashboards that keeps variables and time")
    return findings


def number_problems(dashboard: dict) -> list[str]:
    findings, seen = [], set()
    for panel in all_panels(dashboard):
        if panel["id"] in seen:
            findings.append(f"{_where(panel)}: the id is taken")
        seen.add(panel["id"])
        letters = [target.get("refId") for target in panel.get("targets", [])]
        if len(set(letters)) != len(letters) or not all(letters):
            findings.append(f"{_where(panel)}: refIds {letters}")
    return findings


def grid_problems(dashboard: dict) -> list[str]:
    findings = []

    def check(group: list[dict]) -> None:
        taken: dict[tuple[int, int], str] = {}
        for panel in group:
            place = panel["gridPos"]
            if place["x"] < 0 or place["w"] < 1 or place["h"] < 1 or place["x"] + place["w"] > COLUMNS:
                findings.append(f"{_where(panel)}: outside of the grid: {place}")
            for x in range(place["x"], place["x"] + place["w"]):
                for y in range(place["y"], place["y"] + place["h"]):
                    if (x, y) in taken:
                        findings.append(f"{_where(panel)}: overlaps {taken[x, y]}")
                        return
                    taken[x, y] = _where(panel)

    check(dashboard["panels"])
    for panel in dashboard["panels"]:
        check(panel.get("panels", []))
    return findings


def variable_problems(dashboard: dict) -> list[str]:
    """Declared = used; a variable is declared before others use it; data sources are variables."""
    declared = [variable["name"] for variable in variables(dashboard)]
    findings = [f"variable {name}: declared twice" for name in set(declared) if declared.count(name) > 1]
    pattern = re.compile(r"\$(?:\{(\w+)(?::\w+)?(?:\.[\w.]+)?\}|(\w+))")

    def used_in(part: object) -> set[str]:
        names = {a or b for a, b in pattern.findall(json.dumps(part))}
        # $1 is a group of label_replace.
        return {name for name in names if not name.startswith("__") and not name.isdigit()}

    body = {key: value for key, value in dashboard.items() if key != "templating"}
    used = used_in(body)
    for number, variable in enumerate(variables(dashboard)):
        in_this = used_in({key: variable[key] for key in ("query", "datasource") if key in variable})
        findings += [f"variable {variable['name']}: uses {name}, which is not declared before it"
                     for name in in_this - set(declared[:number])]
        used |= in_this
        if variable["type"] == "query" and (variable["refresh"] != 2 or not variable["includeAll"] or not variable["multi"]
                                            or not variable["allValue"] or variable["sort"] != 1):
            findings.append(f"variable {variable['name']}: not sorted, multi, all, refreshed on time range")
        if not variable.get("label"):
            findings.append(f"variable {variable['name']}: no label")
    findings += [f"variable {name}: used and not declared" for name in sorted(used - set(declared))]
    findings += [f"variable {name}: declared and not used" for name in sorted(set(declared) - used)]
    return findings


def panel_problems(dashboard: dict) -> list[str]:
    findings, titles = [], {}
    for panel in panels(dashboard):
        for key in ("title", "description"):
            if not panel.get(key, "").strip():
                findings.append(f"{_where(panel)}: no {key}")
        if panel["type"] in GONE:
            findings.append(f"{_where(panel)}: type {panel['type']} is gone from Grafana")
        unit = panel["fieldConfig"]["defaults"].get("unit")
        if not unit or (unit == "none" and panel["type"] not in WITHOUT_UNIT and not _is_a_ratio(panel)):
            findings.append(f"{_where(panel)}: unit {unit!r}")
        if panel["type"] == "timeseries":
            options = panel["options"]
            if options["tooltip"] != {"mode": "multi", "sort": "desc"}:
                findings.append(f"{_where(panel)}: the tooltip does not show all series, sorted")
            if panel["fieldConfig"]["defaults"]["custom"]["showPoints"] != "auto":
                findings.append(f"{_where(panel)}: a point without neighbours is not drawn")
            findings += [f"{_where(panel)}: {finding}" for finding in _legend_problems(panel)]
        if not panel["targets"]:
            findings.append(f"{_where(panel)}: no query")
        if sum(target.get("queryType") == "traceql" for target in panel["targets"]) > 1:
            findings.append(f"{_where(panel)}: more than one TraceQL query")
        # The exemplars of a histogram are the same for each of its quantiles.
        quantiles = [target for target in panel["targets"]
                     if "histogram_quantile" in target.get("expr", "") and "asynq_task_" in target["expr"]]
        if quantiles and panel["type"] == "timeseries" and [bool(t.get("exemplar")) for t in quantiles].count(True) != 1:
            findings.append(f"{_where(panel)}: no exemplars, or the same ones twice")
    for row in (panel for panel in dashboard["panels"] if panel["type"] == "row"):
        titles[row["title"]] = titles.get(row["title"], 0) + 1
    findings += [f"row {title!r}: there twice" for title, count in titles.items() if count > 1]
    return findings


def _legend_problems(panel: dict) -> Iterator[str]:
    """Names that labels bring may be many: a table with room for eight, the worst last value first."""
    legend = panel["options"]["legend"]
    sort, calcs = ("Total", ["sum", "max", "last"]) if is_bars(panel) else ("Last", ["mean", "max", "last"])
    # A last panel of a line that became wider has no mean either.
    squeezed = panel["fieldConfig"]["defaults"].get("unit", "").startswith("suffix:") and (
        panel["gridPos"]["w"] < COLUMNS or "mean" not in legend["calcs"])
    if squeezed or any("clamp_max(" in target.get("expr", "") for target in panel["targets"]):
        calcs = ["max", "last"]
    open_ended = any(re.search(r"{{(?!state}}|status}})", target.get("legendFormat", "")) for target in panel["targets"])
    if open_ended and legend["displayMode"] != "table":
        yield "the legend is no table"
    if legend["displayMode"] == "table":
        if legend["calcs"] != calcs:
            yield "the legend has not mean, or of counts the total, or of what is capped neither, max and last"
        if (legend.get("sortBy"), legend.get("sortDesc")) != (sort, not low_is_worse(panel)):
            yield f"the legend is not sorted by {sort}, the worst first"
        if legend["placement"] != "right" or panel["gridPos"]["w"] < 12 or panel["gridPos"]["h"] < 7:
            yield "the legend has no room for eight series"
    elif legend["calcs"] != (["sum"] if is_bars(panel) else ["last"]):
        yield "the legend has not the last value, or of counts the total"


def is_bars(panel: dict) -> bool:
    return panel["fieldConfig"]["defaults"].get("custom", {}).get("drawStyle") == "bars"


def low_is_worse(panel: dict) -> bool:
    return any(LOW_IS_WORSE.search(target.get("expr", "")) for target in panel["targets"])


def _is_a_ratio(panel: dict) -> bool:
    """Numbers that have no unit: burn rates, Redis' fragmentation."""
    return bool(re.search(r"burn rate|fragmentation", panel["title"], re.IGNORECASE))


def data_source_problems(dashboard: dict) -> list[str]:
    """No data source by name or id: always the variable of its kind."""
    findings = []
    allowed = [{"type": kind, "uid": f"${{{kind}_datasource}}"} for kind in DATA_SOURCES]
    holders = [(_where(panel), part) for panel in panels(dashboard) for part in (panel, *panel["targets"])]
    holders += [(f"variable {variable['name']}", variable) for variable in variables(dashboard) if variable["type"] == "query"]
    holders += [(f"annotation {annotation['name']}", annotation) for annotation in dashboard["annotations"]["list"]
                if not annotation.get("builtIn")]
    for where, holder in holders:
        if holder.get("datasource") not in allowed:
            findings.append(f"{where}: data source {holder.get('datasource')!r}")
    return findings


def promql_problems(dashboard: dict) -> list[str]:
    findings = []
    values = everything(dashboard)
    for where, expression in expressions(dashboard):
        for interval in re.findall(r"\[([^\]]*)\]", expression):
            if interval not in ("$__rate_interval", "$__range"):
                findings.append(f"{where}: the interval [{interval}] is fixed")
        try:
            found = list(selectors(filled_in(expression, values)))
        except ValueError as error:
            findings.append(f"{where}: {error}")
            continue
        for metric, function in found:
            is_counter = bool(COUNTERS.search(metric)) and metric not in NO_COUNTERS
            if is_counter and function not in COUNTER_FUNCTIONS and not balances(expression):
                findings.append(f"{where}: the counter {metric} outside of rate, irate, increase")
            if not is_counter and function in COUNTER_FUNCTIONS:
                findings.append(f"{where}: {function} of {metric}, which is no counter")
            if is_counter and function in GAUGE_FUNCTIONS:
                findings.append(f"{where}: {function} of the counter {metric}")
    return findings


def bar_problems(dashboard: dict) -> list[str]:
    """Bars and the columns of heatmaps are added up by the eye: each event has to be in one of them, once."""
    findings = []
    for panel in panels(dashboard):
        expressions_of = [target["expr"] for target in panel["targets"] if target["datasource"].get("type") == "prometheus"]
        findings += [f"{_where(panel)}: increase over $__rate_interval, which is longer than a step"
                     for expression in expressions_of
                     if re.search(r"\bincrease\([^\[]*\[\$__rate_interval\]", expression)]
        custom = panel["fieldConfig"]["defaults"].get("custom", {})
        if is_bars(panel) and custom.get("barAlignment") != -1:
            findings.append(f"{_where(panel)}: a column stands around the end of what it counts; barAlignment is -1")
        if is_bars(panel) and custom.get("barWidthFactor", 0) < 0.9:
            findings.append(f"{_where(panel)}: a column begins long after what it counts; barWidthFactor is 0.95")
        if "barMaxWidth" in custom:
            findings.append(f"{_where(panel)}: barMaxWidth is no option of Grafana's panel, which drops it")
        is_coloured = any(part["id"] == "color" for override in panel["fieldConfig"]["overrides"] for part in override["properties"])
        if is_bars(panel) and is_coloured and custom["lineWidth"]:
            findings.append(f"{_where(panel)}: a column of none is a line in the colour of a severity; lineWidth is 0")
        is_by_code = any(part["id"] == "color" and part["value"].get("mode") == "shades"
                         for override in panel["fieldConfig"]["overrides"] for part in override["properties"])
        if custom.get("stacking", {}).get("mode") == "normal" and is_by_code and custom["lineWidth"]:
            findings.append(f"{_where(panel)}: what failed 0 times is the edge of the whole stack; lineWidth is 0")
        if not expressions_of or not (is_bars(panel) or panel["type"] == "heatmap"):
            continue
        if panel.get("interval") != "1m":
            findings.append(f"{_where(panel)}: the interval {panel.get('interval')!r}, not a minute, is too short to count in")
        findings += [f"{_where(panel)}: {expression} is not what was counted in a step" for expression in expressions_of
                     if not re.search(r"\brate\([^\[]*\[\$__rate_interval\]\) \* \$__interval_ms / 1000\b", expression)]
        seen = " and on () (vector(time()) > $__from / 1000)" if is_bars(panel) else ""
        findings += [f"{_where(panel)}: {expression} counts what was before the range; its end is {seen!r}"
                     for expression in expressions_of if not expression.endswith(seen)]
        findings += [f"{_where(panel)}: {expression} counts fractions; round() is around it" for expression in expressions_of
                     if not re.fullmatch(r"round\(.*\)", expression.removesuffix(seen))]
        if is_bars(panel) and panel["fieldConfig"]["defaults"].get("decimals") != 0:
            findings.append(f"{_where(panel)}: counts have no decimals")
    return findings


def trace_table_problems(dashboard: dict) -> list[str]:
    """Grafana says nothing of an override or a link whose field is not there."""
    findings = []
    for panel in panels(dashboard):
        target = next(iter(panel["targets"]), {})
        if panel["type"] != "table" or target.get("queryType") != "traceql":
            continue
        fields = TRACE_TABLE_FIELDS[target["tableType"]]
        if "newest" in panel["description"] and not target["query"].endswith(" with (most_recent=true)"):
            findings.append(f"{_where(panel)}: newest first, where a search ends with the first matches that it finds")
        linked, hidden = 0, set()
        for override in panel["fieldConfig"]["overrides"]:
            name = override["matcher"]["options"]
            hides = any(part["id"] == "custom.hideFrom" and part["value"]["viz"] for part in override["properties"])
            hidden |= {name} if hides else set()
            is_attribute = f"span.{name} " in target["query"]
            if not (fields.get(name) or is_attribute or hides and name in fields):
                findings.append(f"{_where(panel)}: an override of {name}, which is no field to be seen")
            linked += any(part["id"] == "links" for part in override["properties"])
        findings += [f"{_where(panel)}: a link with the field {name}, which is not there"
                     for name in re.findall(r"__data\.fields\.(\w+)", json.dumps(panel["fieldConfig"]["overrides"]))
                     if name not in fields]
        findings += [f"{_where(panel)}: {name} is shown by newer Grafanas, which know hideFrom"
                     for name, is_seen in fields.items() if not is_seen and name not in hidden]
        if not linked:
            findings.append(f"{_where(panel)}: no link to the trace")
    return findings


def balances(expression: str) -> bool:
    """The one exception: the books, where counters are taken from each other and only 0 is right."""
    return expression.count(" - sum(asynq_collector_") >= 2


def logql_problems(dashboard: dict) -> list[str]:
    findings = []
    for panel in panels(dashboard):
        for target in panel["targets"]:
            if target["datasource"].get("type") == "loki":
                for interval in re.findall(r"\[([^\]]*)\]", target["expr"]):
                    if interval != "$__auto":
                        findings.append(f"{_where(panel)}: the interval [{interval}] is fixed")
                if '{service_name=~"$service"}' not in target["expr"]:
                    findings.append(f"{_where(panel)}: the stream is not chosen by service_name")
                if "$traceId" in target["expr"] and '| trace_id!=""' not in target["expr"]:
                    findings.append(f"{_where(panel)}: an empty box shows all lines that have no trace")
    return findings


CHECKS = [frame_problems, number_problems, grid_problems, variable_problems, panel_problems, data_source_problems,
          promql_problems, bar_problems, trace_table_problems, logql_problems]
