"""What drawing the dashboards in Grafana's front end taught (scripts/render-dashboards), as rules over their JSON.

Each rule returns its findings: the panel, what is wrong, and what is right.
"""

import json
import re
import sys
from collections.abc import Iterator

from support import alert_rules
from support.dashboards import COLUMNS, FOLDER, all_panels, is_bars, low_is_worse, panels, variables
from support.programs import REPOSITORY

sys.path.insert(0, str(FOLDER))
from source import palette  # noqa: E402

OVERVIEW = "asynq-overview"
OVERVIEW_PANELS_MAX = 15
# What is to be scrolled through where no row has been opened.
OPEN_PANELS_MAX = 50
# So high, a legend below its curves has eight lines.
LEGEND_HEIGHT_MIN = 10
# Of a row of Grafana's grid; of what is above the first name of a legend, and of each name.
GRID_PIXELS, LEGEND_HEAD_PIXELS, LEGEND_LINE_PIXELS = 38, 79, 24
# Of a letter in the title of a column, and of the rest: the arrow, and the place around them.
TITLE_PIXELS, ARROW_PIXELS = 7, 40
# What tells apart by a label whose values are many, and of which some are in trouble.
MANY = re.compile(r"\{\{\s*(queue|task_type)\s*\}\}")
# Names that are on several panels of a page, or end while others go on: a queue, a server that is ended.
NAMES = re.compile(r"\{\{(queue|task_type|error_type|service|instance|datname|cmd|host)\}\}( \{\{pid\}\})?")
# What each queue in Redis has all the time (docs/METRICS.md), if nothing is left out of it; and what each exporter has.
OF_EVERY_NAME = re.compile(r"\b(asynq_queue_(size|paused|latency_seconds|groups|registered|orphaned_tasks|overdue_tasks|consumers|concurrency"
                           r"|archive_fill_ratio|memory_usage_approx_bytes)|asynq_tasks_(processed|dead_lettered)_total|redis_\w+|pg_\w+)\b")
# Of dashboards/source/palette.py.
SEVERITIES = set(palette.SEVERITIES.values())
# What each of them has several of.
PARTS = re.compile(r"\{\{\s*(state|status|reason|quantile)\s*\}\}")
# Grafana's own texts of these panels can't be replaced.
WITHOUT_NO_VALUE = {"logs", "traces", "nodeGraph"}
# Grafana's own text, and ours where there is room for a sentence.
NO_REASON = {True: ("", "No data"), False: ("", "No data", "no data")}
RUNBOOK = "https://runbooks.example.com/asynq#"


def _where(panel: dict) -> str:
    return f"panel {panel['title']!r}"


def _prometheus(panel: dict) -> str:
    """All PromQL of a panel."""
    return " ".join(target.get("expr", "") for target in panel["targets"] if target["datasource"].get("type") == "prometheus")


def _properties(panel: dict, name: str) -> Iterator[object]:
    """The values of a property of fields, by default and in overrides."""
    defaults = panel["fieldConfig"]["defaults"]
    if name in defaults:
        yield defaults[name]
    yield from (part["value"] for override in panel["fieldConfig"]["overrides"] for part in override["properties"]
                if part["id"] == name)


def merged_states(dashboard: dict) -> list[str]:
    """Values are merged by threshold then: all of them are one green state, "-∞+"."""
    return [f"{_where(panel)}: states are merged and lose their colours; mergeValues is false, or the colour mode palette-classic"
            for panel in panels(dashboard) if panel["type"] == "state-timeline" and panel["options"].get("mergeValues") is not False
            and panel["fieldConfig"]["defaults"].get("color", {}).get("mode") != "palette-classic"]


def flooding_annotations(dashboard: dict) -> list[str]:
    """An alert is a region over every time series for as long as it fires."""
    return [f"annotation {annotation['name']!r}: alerts are drawn over every time series; enable is false"
            for annotation in dashboard["annotations"]["list"] if "ALERTS" in annotation.get("expr", "") and annotation["enable"]]


def covered_heatmaps(dashboard: dict) -> list[str]:
    return [f"{_where(panel)}: exemplars cover the heatmap; they belong on the panel of the quantiles"
            for panel in panels(dashboard) if panel["type"] == "heatmap" and any(t.get("exemplar") for t in panel["targets"])]


def wrong_units(dashboard: dict) -> list[str]:
    findings = []
    for panel in panels(dashboard):
        for unit in _properties(panel, "unit"):
            if unit == "ops" and re.search(r"\basynq_|\btraces_spanmetrics", _prometheus(panel)):
                findings.append(f"{_where(panel)}: tasks and spans are no ops; the unit is 'suffix: tasks/s' or the like")
            if unit in ("bool_yes_no", "bool"):
                findings.append(f"{_where(panel)}: {unit} says Yes and No; mappings to 'up' and 'down' say what is")
    return findings


def poor_legends(dashboard: dict) -> list[str]:
    """With five queues, the only sick one was below the fold."""
    findings = []
    for panel in panels(dashboard):
        if panel["type"] != "timeseries" or not any(MANY.search(t.get("legendFormat", "")) for t in panel["targets"]):
            continue
        legend = panel["options"]["legend"]
        descending = not low_is_worse(panel)
        sort = "Total" if is_bars(panel) else "Last"
        if legend["displayMode"] != "table" or (legend.get("sortBy"), legend.get("sortDesc")) != (sort, descending):
            findings.append(f"{_where(panel)}: the legend of many series is a table, sorted by {sort!r}, the worst first")
        elif [bool(PARTS.search(t["legendFormat"])) for t in panel["targets"] if MANY.search(t["legendFormat"])] != [False]:
            findings.append(f"{_where(panel)}: the legend has several lines for each name, and no room for eight names")
        elif legend["placement"] != "right" and panel["gridPos"]["h"] < LEGEND_HEIGHT_MIN:
            findings.append(f"{_where(panel)}: the legend has no room for eight series; it stands on the right, or the panel is "
                            f"{LEGEND_HEIGHT_MIN} rows high")
    return findings


def known_values() -> dict[tuple[str, str], set[str]]:
    """By metric and label, the values that docs/METRICS.md lists."""
    found: dict[tuple[str, str], set[str]] = {}
    metrics, label = [], ""
    for line in (REPOSITORY / "docs" / "METRICS.md").read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.split("|")[1:-1]]
        if len(cells) != 4 or not cells[2].startswith("`"):
            continue
        if cells[0]:
            metrics = [name if name.startswith("asynq_") else f"asynq_collector_{name}" for name in re.findall(r"`(\w+)`", cells[0])]
        label = cells[1] or label
        for metric in metrics:
            found.setdefault((metric, label), set()).update(re.findall(r"`(\w+)`", cells[2]))
    return found


KNOWN_VALUES = known_values()


def crowded_legends(dashboard: dict) -> list[str]:
    """What is below the edge may be what happened. A name that the collector counts from the start on may never happen."""
    findings = []
    for panel in panels(dashboard):
        if panel["type"] != "timeseries" or panel["options"]["legend"]["placement"] != "right":
            continue
        names = len({value for target in panel["targets"] for (metric, label), values in KNOWN_VALUES.items() for value in values
                     if target.get("legendFormat") == f"{{{{{label}}}}}" and re.search(rf"\b{metric}\b", target["expr"])})
        room = (panel["gridPos"]["h"] * GRID_PIXELS - LEGEND_HEAD_PIXELS) // LEGEND_LINE_PIXELS
        leaves_out = any(override["matcher"] == {"id": "byValue", "options": {"reducer": "allIsZero", "op": "gte", "value": 0}}
                         for override in panel["fieldConfig"]["overrides"])
        if names > room and not leaves_out:
            findings.append(f"{_where(panel)}: the legend has room for {room} of {names} names; the panel is higher, or what is always 0 "
                            "is hidden in the legend")
    return findings


def squeezed_curves(dashboard: dict) -> list[str]:
    """Beside three columns of "tasks/s", curves had a quarter of half a screen, too little for a time below the axis."""
    return [f"{_where(panel)}: the legend takes the place of the curves; the panel is {COLUMNS} columns wide" for panel in panels(dashboard)
            if panel["type"] == "timeseries" and panel["options"]["legend"]["placement"] == "right" and panel["gridPos"]["w"] < COLUMNS
            and panel["fieldConfig"]["defaults"]["unit"].startswith("suffix:") and any(
                MANY.search(target.get("legendFormat", "")) for target in panel["targets"])]


def murky_areas(dashboard: dict) -> list[str]:
    """Six queues with one server each were one brown block: areas that lie on each other have colours that mean nothing."""
    return [f"{_where(panel)}: fills areas that do not add up; fillOpacity is 0" for panel in panels(dashboard)
            if panel["type"] == "timeseries" for custom in [panel["fieldConfig"]["defaults"]["custom"]]
            if custom.get("fillOpacity") and custom.get("drawStyle") != "bars" and custom.get("stacking", {}).get("mode") != "normal"]


def too_many_panels(dashboard: dict) -> list[str]:
    shown = [panel for panel in dashboard["panels"] if panel["type"] != "row"]
    rows = [panel["title"] for panel in all_panels(dashboard) if panel["type"] == "row" and panel["collapsed"]]
    most = OVERVIEW_PANELS_MAX if dashboard["uid"] == OVERVIEW else OPEN_PANELS_MAX
    findings = [f"{len(shown)} panels outside of collapsed rows; at most {most}"] if len(shown) > most else []
    if dashboard["uid"] == OVERVIEW and rows:
        findings.append(f"rows that are collapsed on the overview: {', '.join(rows)}")
    return findings


def floating_axes(dashboard: dict) -> list[str]:
    """Without it a curve of one value is a line in the middle, with numbers below 0 beside it."""
    findings = []
    for panel in panels(dashboard):
        if panel["type"] != "timeseries":
            continue
        defaults = panel["fieldConfig"]["defaults"]
        soft = defaults["custom"].get("axisSoftMin")
        crosses = soft is not None and soft < 0 < defaults["custom"].get("axisSoftMax", 0)
        is_logarithmic = defaults["custom"].get("scaleDistribution", {}).get("type") == "log"
        if defaults.get("min") != 0 and soft != 0 and not crosses and not (is_logarithmic and defaults.get("min", 0) > 0):
            findings.append(f"{_where(panel)}: the axis does not begin at 0; min or axisSoftMin is 0, or both soft ends are set")
        if "max" not in defaults and "axisSoftMax" not in defaults["custom"]:
            findings.append(f"{_where(panel)}: nothing looks like a mountain; max or axisSoftMax is set")
    return findings


def narrow_axes(dashboard: dict) -> list[str]:
    """Beside numbers of one digit, the first time below the axis is cut."""
    return [f"{_where(panel)}: short numbers leave no room for the first time; axisWidth is 60" for panel in panels(dashboard)
            if panel["type"] == "timeseries" and panel["fieldConfig"]["defaults"]["unit"] in ("none", "short")
            and panel["fieldConfig"]["defaults"]["custom"].get("axisWidth", 0) < 60]


def empty_tracks(dashboard: dict) -> list[str]:
    """Without a bar, what is unfilled of it is a grey box that means nothing."""
    return [f"{_where(panel)}: has no end that a bar could reach; showUnfilled is false, or max is set" for panel in panels(dashboard)
            if panel["type"] == "bargauge" and panel["options"].get("showUnfilled", True)
            and "max" not in panel["fieldConfig"]["defaults"]]


def missing_runbook_links(dashboard: dict) -> list[str]:
    """A panel of alerts leads to the runbook, by a link of its own or of its data; and no link leads to an alert that is none."""
    known = {alert["alert"] for alert in alert_rules.RuleFiles.read().alerts}
    findings = []
    for panel in panels(dashboard):
        anchors = re.findall(re.escape(RUNBOOK) + r'([^"?]*)', json.dumps(panel))
        if "ALERTS" in _prometheus(panel) and panel["type"] == "table" and not anchors:
            findings.append(f"{_where(panel)}: shows alerts and has no link to {RUNBOOK}<alert>")
        findings += [f"{_where(panel)}: links to the runbook of {anchor}, which is no alert" for anchor in anchors
                     if not anchor.startswith("${") and anchor not in known]
    return findings


def silent_panels(dashboard: dict) -> list[str]:
    return [f"{_where(panel)}: says 'No data' where there is none; noValue says what is missing or what that means"
            for panel in panels(dashboard) if panel["type"] not in WITHOUT_NO_VALUE
            and panel["fieldConfig"]["defaults"].get("noValue", "") in NO_REASON[panel["type"] == "stat"]]


def shown_data_sources(dashboard: dict) -> list[str]:
    return [f"variable {variable['name']}: takes a place in the line of variables; hide is 2, or 1 without its label"
            for variable in variables(dashboard) if variable["type"] == "datasource" and variable["hide"] == 0]


def long_descriptions(dashboard: dict) -> list[str]:
    return [f"{_where(panel)}: the description is one sentence on what to do" for panel in panels(dashboard)
            if not re.fullmatch(r"(?:(?![.!?] [A-Z(]).)+\.", panel["description"])]


def holes(dashboard: dict) -> list[str]:
    """A line of panels that ends before the edge leaves a part of the screen empty."""
    findings = []
    for group in (dashboard["panels"], *(panel.get("panels", []) for panel in dashboard["panels"])):
        ends: dict[int, int] = {}
        for place in (panel["gridPos"] for panel in group):
            ends[place["y"]] = max(ends.get(place["y"], 0), place["x"] + place["w"])
        findings += [f"the panels at y = {y} end at column {end} of {COLUMNS}" for y, end in ends.items() if end != COLUMNS]
    return findings


def old_numbers(dashboard: dict) -> list[str]:
    """Over a range, a stat shows the last number there was, as if it were that of now; and a zero that is made up looks well."""
    stats = [panel for panel in panels(dashboard) if panel["type"] == "stat"]
    of_the_range = [f"{_where(panel)}: shows the last number of the range; its query is an instant one" for panel in stats
                    for target in panel["targets"] if "expr" in target and not target.get("instant")]
    return of_the_range + [f"{_where(panel)}: vector(0) is a number where none is known; 0 * what is scraped"
                           for panel in stats if "vector(0)" in _prometheus(panel)]


def absence_as_fact(dashboard: dict) -> list[str]:
    """After a scrape that failed, workers were "no server" and a Redis at its limit had "no limit"."""
    return [f"{_where(panel)}: says {said!r} also where nothing is scraped; a query that knows it is -1, with a mapping"
            for panel in panels(dashboard) if panel["type"] == "stat"
            if (said := panel["fieldConfig"]["defaults"].get("noValue")) != "no data"]


def zeros_without_redis(dashboard: dict) -> list[str]:
    """While Redis can't be read, its families are absent: "0 s" for the oldest task looked well."""
    return [f"{_where(panel)}: is 0 while Redis can't be read; 0 * (max(asynq_redis_up) == 1)" for panel in panels(dashboard)
            if re.search(r"\b0 \* max\(asynq_(redis_up|collector)", _prometheus(panel))]


def zeros_of_refused_spans(dashboard: dict) -> list[str]:
    """While a disk refused all spans, each type of task ran 0 times a second; while Tempo was down, each service. A share of
    attempts is not there then."""
    return [f"{_where(panel)}: is 0 while all spans are refused; only where some are accepted, or none come" for panel in panels(dashboard)
            for expression in [target.get("expr", "").split(" or NaN * ")[0] for target in panel["targets"]]
            if re.search(r"\brate\(asynq_task_\w+_total", expression)
            and "asynq_collector_accepted_spans_total" not in expression and not expression.endswith("> 0)")] + [
        f"{_where(panel)}: is 0 while Tempo gets no spans; only where some are forwarded, or none come" for panel in panels(dashboard)
        for expression in [target.get("expr", "").split(" or NaN * ")[0] for target in panel["targets"]]
        if re.search(r"\brate\(traces_\w+_total", expression)
        and "asynq_collector_forwarded_spans_total" not in expression and not expression.endswith("> 0)")]


def vanishing_rows(dashboard: dict) -> list[str]:
    """After a scrape that failed, the table of queues had three of its columns, and no order."""
    return [f"{_where(panel)}: is without rows after a scrape that failed; what has each row is a query over a range"
            for panel in panels(dashboard) if panel["type"] == "table"
            if any("[$__r" not in rows for rows in re.findall(r" or NaN \* (.*)", "\n".join(
                target.get("expr", "") for target in panel["targets"])))]


def rough_counts(dashboard: dict) -> list[str]:
    """1.6 million refused spans were "2 Mil", and an axis had 2 K twice."""
    return [f"{_where(panel)}: without decimals, large numbers have one digit; the query rounds, or the unit is locale"
            for panel in panels(dashboard) for defaults in [panel["fieldConfig"]["defaults"]]
            if defaults.get("decimals") == 0 and defaults["unit"] != "locale"]


def ended_lines(dashboard: dict) -> list[str]:
    """The tooltip says what is missing of a line that has a number at other times."""
    return [f"{_where(panel)}: says noValue of each line that has ended; a mapping of null is a dash" for panel in panels(dashboard)
            if panel["type"] == "timeseries"
            and not any(mapping["type"] == "special" for mapping in panel["fieldConfig"]["defaults"].get("mappings", []))]


def coloured_text(dashboard: dict) -> list[str]:
    """No colour can be read as text on a white and on a dark panel: numbers stand in the theme's colour, or on a fill."""
    findings = []
    for panel in panels(dashboard):
        options = panel["options"]
        cells = [cell.get("type") for cell in _properties(panel, "custom.cellOptions")]
        if options.get("colorMode") == "value" or options.get("valueMode") == "color" or "color-text" in cells:
            findings.append(f"{_where(panel)}: writes in a colour; the colour is behind the text")
        if panel["type"] == "state-timeline" and panel["fieldConfig"]["defaults"]["custom"]["fillOpacity"] != 100:
            findings.append(f"{_where(panel)}: writes on a fill that the panel shines through; fillOpacity is 100")
    return findings


def coloured_absence(dashboard: dict) -> list[str]:
    """"No spans" was green, as if all were well."""
    findings = []
    for panel in panels(dashboard):
        if panel["type"] not in ("stat", "bargauge") or panel["options"].get("colorMode") == "none":
            continue
        colours = [mapping["options"]["result"].get("color") for mapping in panel["fieldConfig"]["defaults"].get("mappings", [])
                   if mapping["type"] == "special" and "null" in mapping["options"]["match"]]
        if colours != ["transparent"]:
            findings.append(f"{_where(panel)}: has the colour of a value where there is none; a mapping of null is transparent")
    return findings


def severities_among_names(dashboard: dict) -> list[str]:
    """Names get colours by their place: a red limit beside them could be one of them."""
    findings = []
    for panel in panels(dashboard):
        defaults = panel["fieldConfig"]["defaults"]
        if panel["type"] != "timeseries" or defaults["custom"].get("thresholdsStyle", {}).get("mode", "off") == "off":
            continue
        if {step["color"] for step in defaults["thresholds"]["steps"]} & SEVERITIES:
            findings.append(f"{_where(panel)}: draws a limit in the colour of a severity; limits are grey")
    return findings


def rows_alike(dashboard: dict) -> list[str]:
    """Two alerts that differ in a hidden label are the same row twice."""
    findings = []
    for panel in panels(dashboard):
        if panel["type"] != "table" or "ALERTS" not in _prometheus(panel):
            continue
        excluded = {name for step in panel["transformations"] for name in step["options"].get("excludeByName", {})}
        joined = set(re.findall(r'"(\w+)"', "".join(re.findall(r'label_join\(.*?, "\w+", "[^"]*", (.*)\)', _prometheus(panel)))))
        findings += [f"{_where(panel)}: hides the label {name}, by which alerts differ; a column of joined labels has it"
                     for name in sorted(excluded - joined - {"Time", "__name__", "job"})]
    return findings


def severities_by_name(dashboard: dict) -> list[str]:
    """By their names, alerts of severity info stand before warnings, and below the edge is what has to be known."""
    return [f"{_where(panel)}: sorts severities by their names; label_replace puts their rank in front" for panel in panels(dashboard)
            if panel["type"] == "table" and "Severity" in {column["displayName"] for column in panel["options"].get("sortBy", [])}
            and not re.search(r'"severity", "1 critical", "severity", "critical"', _prometheus(panel))]


def severities_without_state(dashboard: dict) -> list[str]:
    """An alert of severity info was an orange "warning"."""
    known = {alert["labels"]["severity"] for alert in alert_rules.RuleFiles.read().alerts}
    return [f"{_where(panel)}: alerts of severity {severity} have no state" for panel in panels(dashboard)
            if panel["type"] == "state-timeline" and "ALERTS" in _prometheus(panel) for severity in sorted(known)
            if f'severity="{severity}"' not in _prometheus(panel)
            or severity not in {state["text"] for mapping in panel["fieldConfig"]["defaults"]["mappings"] if mapping["type"] == "value"
                                for state in mapping["options"].values()}]


def rows_in_no_order(dashboard: dict) -> list[str]:
    """Nothing failed any more, and the error with the most failures was the last of the table: rows without a number are not
    compared, not by a second column either."""
    findings = []
    for panel in panels(dashboard):
        sort = [column["displayName"] for column in panel["options"].get("sortBy", [])] if panel["type"] == "table" else []
        if not sort:
            continue
        names = {value: key for step in panel.get("transformations", [])
                 for key, value in step["options"].get("renameByName", {}).items()}
        known = {f"Value #{target['refId']}": target["expr"] for target in panel["targets"] if "expr" in target}
        expression = known.get(names.get(sort[0], ""), "")
        if re.search(r">=? 0( or NaN|$)", expression):
            findings.append(f"{_where(panel)}: rows without {sort[0]} are in no order; 0 where there is none")
        elif re.search(r">=? 0\)( or NaN|$)", expression) and len(sort) == 1:
            findings.append(f"{_where(panel)}: rows of the same {sort[0]} are in no order; a second column sorts them")
    return findings


def unsorted_rows(dashboard: dict) -> list[str]:
    """The fullest archive, or the entry that is overdue, may be below the edge."""
    findings = [f"{_where(panel)}: its rows are in the order of their names; sortBy is what is in trouble" for panel in panels(dashboard)
                if panel["type"] == "table" and not panel["options"].get("sortBy")]
    return findings + [f"{_where(panel)}: its bars are in the order of their names; sort_desc, and an instant query, which keeps the order"
                       for panel in panels(dashboard) if panel["type"] == "bargauge" for target in panel["targets"]
                       if not target["expr"].startswith("sort") or not target.get("instant")]


def empty_strips(dashboard: dict) -> list[str]:
    """Where the widths of all columns are given, the rest of the panel stays empty. Grafana gives the columns of traces theirs."""
    findings = []
    for panel in panels(dashboard):
        columns = {name for step in panel.get("transformations", []) for name in step["options"].get("indexByName", {})}
        widths = list(_properties(panel, "custom.width"))
        of_traces = any(target["datasource"].get("type") == "tempo" for target in panel["targets"])
        given = len([width for width in widths if width]) >= len(columns) or (of_traces and 0 not in widths)
        if panel["type"] == "table" and columns and given:
            findings.append(f"{_where(panel)}: no column has the place that is left; the one with the longest text has no width, or 0")
    return findings


def narrow_sorted_columns(dashboard: dict) -> list[str]:
    """The arrow took the place of the title's last word."""
    findings = []
    for panel in panels(dashboard):
        for name in [column["displayName"] for column in panel["options"].get("sortBy", [])]:
            room = TITLE_PIXELS * len(name) + ARROW_PIXELS
            findings += [f"{_where(panel)}: no room for {name!r} and the arrow of its order; the column is {room} px wide"
                         for override in panel["fieldConfig"]["overrides"] for part in override["properties"]
                         if override["matcher"]["options"] == name and part["id"] == "custom.width" and part["value"] < room]
    return findings


def pauses_without_servers(dashboard: dict) -> list[str]:
    """A queue without servers is not paused, and does not run either."""
    return [f"{_where(panel)}: a queue that nothing serves looks as if it ran; asynq_queue_consumers == 0 is a state of its own"
            for panel in panels(dashboard) if panel["type"] == "state-timeline" and "asynq_queue_paused" in _prometheus(panel)
            and "asynq_queue_consumers" not in _prometheus(panel)]


def disks_with_errors(dashboard: dict) -> list[str]:
    """A disk that refuses everything does answer, and was "up"."""
    return [f"{_where(panel)}: a disk with errors looks as if it worked; asynq_collector_spool_errors_total > 0 is a state of its own"
            for panel in panels(dashboard) if panel["type"] == "state-timeline" and "spool_stalled" in _prometheus(panel)
            and "spool_errors_total" not in _prometheus(panel)]


def keys_as_titles(dashboard: dict) -> list[str]:
    return [f"{_where(panel)}: the name of a setting says nothing to who reads the panel" for panel in panels(dashboard)
            if re.search(r"\b[a-z]+\.[a-z]+", panel["title"])]


def odd_titles(dashboard: dict) -> list[str]:
    """What an operator does not say."""
    return [f"{_where(panel)}: {found[0]!r} is not what an operator says" for panel in all_panels(dashboard)
            if (found := re.search(r"(?i)\b(books|forgotten|halves|so many\w*|that \w+|those|came again)\b", panel["title"]))]


def names_of_two_colours(dashboard: dict) -> list[str]:
    """Colours go by place. Where one queue waited for nothing, all after it had the colours of others; and a server that ended
    long ago was the busiest, by its last number."""
    findings = []
    for panel in panels(dashboard):
        if panel["type"] != "timeseries":
            continue
        for number, target in enumerate(panel["targets"]):
            if not NAMES.fullmatch(target.get("legendFormat", "")) or target["datasource"].get("type") != "prometheus":
                continue
            series, _, names = target["expr"].partition(" or NaN * ")
            of_every_name = OF_EVERY_NAME.search(series) and not re.search(r" [<>]=? (?!bool)|topk", series.partition(" and on () (vector(")[0])
            if number or not (names or of_every_name):
                findings.append(f"{_where(panel)}: has not all names of the page, in the order of the others; ' or NaN * ' brings them")
    return findings


def spans_of_every_kind(dashboard: dict) -> list[str]:
    """Spans of dead letters are all errors: their service was the worst of all, at 100 %."""
    return [f"{_where(panel)}: counts spans within services, too; span_kind selects what they were asked to do"
            for panel in panels(dashboard) if any("span_kind" not in selector for selector in
                                                  re.findall(r"\btraces_spanmetrics_\w+({[^}]*})?", _prometheus(panel)))]


def narrow_boxes(dashboard: dict) -> list[str]:
    return [f"variable {variable['name']}: a box of text shows 27 characters; the id of a trace has 32"
            for variable in variables(dashboard) if variable["type"] == "textbox" and "trace" in variable["name"].lower()]


RULES = [coloured_text, coloured_absence, severities_among_names, severities_by_name, severities_without_state,
         rows_in_no_order, unsorted_rows, empty_strips, narrow_sorted_columns, rows_alike, pauses_without_servers, disks_with_errors, keys_as_titles,
         odd_titles, names_of_two_colours, spans_of_every_kind, narrow_boxes, merged_states, flooding_annotations, covered_heatmaps, old_numbers,
         absence_as_fact, zeros_without_redis, zeros_of_refused_spans, vanishing_rows, rough_counts, ended_lines, wrong_units, poor_legends,
         crowded_legends, squeezed_curves, murky_areas, too_many_panels, floating_axes, narrow_axes, empty_tracks, missing_runbook_links,
         silent_panels, shown_data_sources, long_descriptions, holes]


# --- Of all dashboards together ----------------------------------------------------------------------------------------


def alerts_without_panel(dashboards: list[dict]) -> list[str]:
    """Where an alert is looked into, its section of the runbook is a click away."""
    text = json.dumps([panel.get("links", []) for dashboard in dashboards for panel in panels(dashboard)])
    return [f"alert {name}: no panel links to its section of the runbook"
            for name in sorted({alert["alert"] for alert in alert_rules.RuleFiles.read().alerts}) if f"{RUNBOOK}{name}\"" not in text]


def colours_of_two_meanings(dashboards: list[dict]) -> list[str]:
    """A state has the same colour wherever it is told."""
    colours: dict[str, set[str]] = {}
    for dashboard in dashboards:
        for panel in panels(dashboard):
            for mapping in (mapping for mappings in _properties(panel, "mappings") for mapping in mappings):
                options = mapping["options"]
                for result in options.values() if mapping["type"] == "value" else [options["result"]]:
                    if "color" in result and re.search(r"\w", result.get("text", "")):
                        colours.setdefault(result["text"], set()).add(result["color"])
    return [f"the state {text!r} has the colours {', '.join(sorted(found))}; one" for text, found in sorted(colours.items())
            if len(found) > 1]


ALL_TOGETHER = [alerts_without_panel, colours_of_two_meanings]
