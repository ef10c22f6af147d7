"""Makes Grafana's classic dashboard JSON (schema 39: Grafana 11 and newer) from short descriptions.

A panel is a dictionary as Grafana has it, without place and id; `dashboard` lays the panels of each row out from left to
right and numbers them. Everything that all panels share is set here and nowhere else.
"""

from __future__ import annotations

from source.missing import reason
from source.palette import BY_NAME, GOOD, LIMIT, UNFILLED

SCHEMA_VERSION = 39
PLUGIN_VERSION = "11.0.0"
COLUMNS = 24

PROMETHEUS = {"type": "prometheus", "uid": "${prometheus_datasource}"}
TEMPO = {"type": "tempo", "uid": "${tempo_datasource}"}
LOKI = {"type": "loki", "uid": "${loki_datasource}"}

# A placeholder, which the line of `sed` in README.md replaces.
RUNBOOK = "https://runbooks.example.com/asynq"
# For panels of alerts as such, which link to the whole runbook.
ALL_ALERTS = ("",)
# The least that a bar or a column of a heatmap stands for: four scrapes, as `common.counted` needs them.
BAR = "1m"
# Stands at the end of descriptions.
BAR_NOTE = "; each column counts the minute before its end, in long time ranges more."
# A cell in the colour of its value, all of it: as text, no colour can be read in both themes.
FILLED_CELL = {"type": "color-background", "mode": "basic"}
# Grafana writes numbers with these units as they are, without a prefix: 0.5 tasks/s, not 500 mtasks/s.
TASKS_PER_SECOND, SPANS_PER_SECOND = "suffix:tasks/s", "suffix:spans/s"

# --- Targets ---------------------------------------------------------------------------------------------------------


def query(expr: str, legend: str, *, exemplar: bool = False) -> dict:
    """PromQL over the range. `exemplar`: also ask for the exemplars of the series in it."""
    target = {"datasource": PROMETHEUS, "editorMode": "code", "expr": expr, "legendFormat": legend, "range": True}
    return target | ({"exemplar": True} if exemplar else {})


def instant(expr: str, legend: str = "__auto", *, table: bool = False) -> dict:
    """PromQL at the end of the range."""
    return {"datasource": PROMETHEUS, "editorMode": "code", "expr": expr, "legendFormat": legend, "instant": True,
            "range": False, "format": "table" if table else "time_series"}


def heat(expr: str) -> dict:
    return query(f"round({expr})", "{{le}}") | {"format": "heatmap"}


def traceql(text: str, *, limit: int = 20, table: str = "traces") -> dict:
    return {"datasource": TEMPO, "queryType": "traceql", "query": text, "limit": limit, "tableType": table}


def service_map() -> dict:
    return {"datasource": TEMPO, "queryType": "serviceMap", "serviceMapQuery": ""}


def logql(text: str, legend: str = "", *, lines: int = 500) -> dict:
    return {"datasource": LOKI, "editorMode": "code", "expr": text, "legendFormat": legend, "queryType": "range",
            "maxLines": lines}


# --- Panels ----------------------------------------------------------------------------------------------------------


def steps(*edges: tuple[float | None, str]) -> dict:
    """Thresholds: the colour from each value on; the first value is None."""
    return {"mode": "absolute", "steps": [{"color": color, "value": value} for value, color in edges]}


def values(**texts: tuple[str, str]) -> list[dict]:
    """Value mappings: _0=("down", CRITICAL)."""
    return [{"type": "value", "options": {value[1:]: {"text": text, "color": color, "index": number}
                                          for number, (value, (text, color)) in enumerate(texts.items())}}]


def texts(shown: dict[str, tuple[str, str]]) -> list[dict]:
    """Mappings of texts to what is shown, and its colour."""
    return [{"type": "value", "options": {text: {"text": instead, "color": color, "index": number}
                                          for number, (text, (instead, color)) in enumerate(shown.items())}}]


def ranges(*edges: tuple[float, float, str, str]) -> list[dict]:
    """Mappings of ranges of values: (from, to, text, colour)."""
    return [{"type": "range", "options": {"from": low, "to": high, "result": {"text": text, "color": color, "index": number}}}
            for number, (low, high, text, color) in enumerate(edges)]


PLAIN = steps((None, UNFILLED))
# Of a column in which -1 stands for what is not known: rows without a number would be in no order.
UNKNOWN = values(**{"_-1": ("–", UNFILLED)})
# Of a stat, whatever the reason: there is no room for more.
NOT_KNOWN = "no data"


def nothing(text: str = "–") -> list[dict]:
    """A mapping: without a number there is that text, in no colour of a level."""
    return [{"type": "special", "options": {"match": "null+nan", "result": {"text": text, "color": UNFILLED, "index": 99}}}]


def override(name: str, **properties: object) -> dict:
    """Properties of the field with that name, or of those that /.../ matches; a double underscore stands for a dot."""
    return {"matcher": {"id": "byRegexp" if name.startswith("/") else "byName", "options": name},
            "properties": [{"id": key.replace("__", "."), "value": value} for key, value in properties.items()]}


# What the collector counts from its start on, by all the names that there are; most of them never happen.
ENUMERATED = ("{{reason}}", "{{result}}")
# Legend and tooltip begin with what happened, and have room for it.
UNLISTED_ZEROS = {"matcher": {"id": "byValue", "options": {"reducer": "allIsZero", "op": "gte", "value": 0}},
                  "properties": [{"id": "custom.hideFrom", "value": {"legend": True, "tooltip": True, "viz": False}}]}


def link(title: str, url: str) -> list[dict]:
    return [{"title": title, "url": url}]


def panel(kind: str, title: str, description: str, targets: list[dict], *, width: int, height: int, unit: str = "none",
          defaults: dict = {}, options: dict = {}, overrides: list[dict] = [], alerts: tuple[str, ...] = (),
          no_value: str = "") -> dict:
    """`alerts`: those that fire on what the panel shows; it links to their sections of the runbook."""
    sources = [target["datasource"] for target in targets]
    assert all(source == sources[0] for source in sources), title
    defaults = {"unit": unit, "thresholds": PLAIN, "noValue": no_value or reason(targets)} | defaults
    made = {
        "type": kind, "title": title, "description": description, "datasource": sources[0],
        "gridPos": {"h": height, "w": width, "x": 0, "y": 0}, "pluginVersion": PLUGIN_VERSION,
        "targets": [target | {"refId": chr(ord("A") + number)} for number, target in enumerate(targets)],
        "fieldConfig": {"defaults": defaults, "overrides": overrides}, "options": options,
    }
    links = [{"title": f"Runbook: {alert}" if alert else "Runbook", "url": f"{RUNBOOK}#{alert}" if alert else RUNBOOK,
              "type": "link", "targetBlank": True} for alert in alerts]
    return made | ({"links": links} if links else {})


def stat(title: str, description: str, targets: list[dict], unit: str, *, width: int = 3, height: int = 4,
         thresholds: dict = PLAIN, mappings: list[dict] = [], decimals: int | None = None, whole: bool = False, text: bool = False,
         overrides: list[dict] = [], alerts: tuple[str, ...] = (), instead: tuple[str, str] = ("", "")) -> dict:
    """`whole`: a count, which `increase` estimates. `text`: the name of the series is what is to be read. `instead`: a text in
    place of a number that there is not, and a query that is 1 where that text is true; else nothing is known."""
    # The number of now: over a range, `lastNotNull` would show one that ended long ago.
    targets = [target | {"instant": True, "range": False} if target.get("range") else target for target in targets]
    # Rounded here: without decimals, 1.6 million would be 2 million.
    targets = [target | {"expr": f"round({target['expr']})"} for target in targets] if whole else targets
    told, where = instead
    if told:
        targets = [target | {"expr": f"{target['expr']} or -1 * ({where})"} for target in targets]
        mappings = mappings + values(**{"_-1": (told, UNFILLED)})
    defaults = {"color": {"mode": "thresholds"}, "thresholds": thresholds, "mappings": mappings + nothing(NOT_KNOWN)}
    defaults |= {} if decimals is None else {"decimals": decimals}
    several = len(targets) > 1
    # No curve: it would lie behind the number, in its colour.
    options = {"colorMode": "none" if thresholds is PLAIN and not overrides else "background_solid", "graphMode": "none", "justifyMode": "auto",
               "orientation": "auto", "textMode": "name" if text else "value_and_name" if several else "value",
               "wideLayout": False,
               "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False}}
    # Else the names are as small as the panel is low, and large numbers leave them no room.
    options |= {"text": {"titleSize": 14, "valueSize": 18}} if several else {}
    return panel("stat", title, description, targets, width=width, height=height, unit=unit, defaults=defaults, options=options,
                 overrides=overrides, alerts=alerts, no_value=NOT_KNOWN)


def lines(title: str, description: str, targets: list[dict], unit: str, *, width: int = 12, height: int = 8,
          stack: bool = False, bars: bool = False, limit: float | None = None, minimum: float | None = 0,
          maximum: float | None = None, soft_maximum: float | None = None, limits: tuple[str, ...] = (), links: list[dict] = [],
          colours: dict[str, str | dict] = {}, mappings: list[dict] = [], low_is_worse: bool = False, powers: bool = False,
          alerts: tuple[str, ...] = ()) -> dict:
    """A time series. `bars`: counts, each of its own time (`common.counted`); `limit`: a value, and `limits`: legends of series
    that others are held against, drawn dashed; `links`: where a click on a series leads; `colours`: of series by name or by
    /.../, where they have a meaning; `low_is_worse`: the legend begins with the lowest; `powers`: the axis has as much room from 1
    to 10 as from 10 to 100, since beside a limit of an hour curves of seconds would lie on the axis. Values of `maximum` that
    mappings name are no numbers: they have no mean."""
    # An area is an amount, and areas add up: those of lines would lie on each other, in colours that mean nothing.
    # Around a column of none there would be a line, in a colour that has a meaning. By status code, all that succeeded would have
    # the edge of what failed: a series that is 0, or not there yet, is a line on top of the others of a stack.
    unedged = bool(colours) if bars else stack and any(isinstance(color, dict) for color in colours.values())
    custom = {"drawStyle": "bars" if bars else "line", "fillOpacity": 60 if bars or unedged else 40 if stack else 0,
              "lineWidth": 0 if unedged else 1, "showPoints": "auto", "spanNulls": False,
              "stacking": {"group": "A", "mode": "normal" if stack else "none"},
              "thresholdsStyle": {"mode": "off" if limit is None else "dashed"}}
    if minimum is not None:
        # An axis that ends at a hundredth makes a mountain of nothing.
        soft = soft_maximum or {"percentunit": 0.1, "s": 0.1, "bytes": 1024}.get(unit, 1)
        custom |= ({} if powers else {"axisSoftMin": 0}) | ({} if maximum else {"axisSoftMax": soft})
    else:
        custom |= {"axisSoftMin": -1, "axisSoftMax": 1}
    if powers:
        # There is no 0 on such an axis; with Grafana's symlog there is, and -1 below it.
        minimum, custom = 0.1, custom | {"scaleDistribution": {"type": "log", "log": 10}}
    # A first time beside a narrow axis, 0 to 1, would be cut.
    custom |= {"axisWidth": 60} if unit in ("none", "short") else {}
    # Without the mapping, the tooltip would say `noValue` of each line that has ended.
    defaults = {"color": {"mode": "palette-classic"}, "custom": custom, "mappings": mappings + nothing()}
    defaults |= {} if limit is None else {"thresholds": steps((None, LIMIT), (limit, LIMIT))}
    if bars:
        # Scrapes are a little early or late, by which the count of a step would have a fraction. What the first step counts was
        # before the range: it can't be seen, and would be in the total.
        targets = [target | {"expr": f"round({target['expr']}) and on () (vector(time()) > $__from / 1000)"}
                   if target["datasource"] == PROMETHEUS else target for target in targets]
        # All digits: as 3 K and 2 K, two numbers of an axis would be the same.
        unit = "locale"
        # A step is counted at its end: a column around that time would begin before what it counts, and end after it.
        # Grafana makes none wider than 200 pixels: of few, each begins later than what it counts.
        defaults |= {"decimals": 0, "custom": custom | {"axisWidth": 75, "barAlignment": -1, "barWidthFactor": 0.95}}
    defaults |= {} if minimum is None else {"min": minimum}
    defaults |= {} if maximum is None else {"max": maximum}
    defaults |= {"links": links} if links else {}
    # Names that labels bring: beside the curves there is room for eight, and the worst come first. A few known names
    # stand below. The last of several counts says nothing of those before.
    if any("{{" in target.get("legendFormat", "") and not _is_of_the_palette(target) for target in targets):
        # Three columns of "spans/s" would be wider than the curves beside them.
        squeezed = width < COLUMNS and unit.startswith("suffix:")
        mean = [] if maximum and mappings or squeezed else ["sum"] if bars else ["mean"]
        legend = {"calcs": [*mean, "max", "last"], "displayMode": "table",
                  "placement": "right", "showLegend": True, "sortBy": "Total" if bars else "Last", "sortDesc": not low_is_worse}
        assert width >= 12, title
    else:
        legend = {"calcs": ["sum" if bars else "last"], "displayMode": "list", "placement": "bottom", "showLegend": True}
    overrides = [override(name, color={"mode": "fixed", "fixedColor": color}) for name, color in BY_NAME.items()
                 if any(_is_of_the_palette(target) or target.get("legendFormat") == name for target in targets)]
    overrides += [override(name, color=color if isinstance(color, dict) else {"mode": "fixed", "fixedColor": color})
                  for name, color in colours.items()]
    overrides += [UNLISTED_ZEROS] if any(target.get("legendFormat") in ENUMERATED for target in targets) else []
    overrides += [override(limit, custom__lineStyle={"dash": [8, 8], "fill": "dash"}, custom__fillOpacity=0,
                           custom__stacking={"group": "limit", "mode": "none"},
                           color={"fixedColor": LIMIT, "mode": "fixed"}) for limit in limits]
    made = panel("timeseries", title, description, targets, width=width, height=height, unit=unit, defaults=defaults,
                 options={"legend": legend, "tooltip": {"mode": "multi", "sort": "desc"}}, overrides=overrides, alerts=alerts)
    return made | ({"interval": BAR} if bars else {})


def _is_of_the_palette(target: dict) -> bool:
    """Its labels have no other values than names of the palette; of PostgreSQL's states that can't be said."""
    return target.get("legendFormat") in ("{{state}}", "{{status}}") and "pg_stat_activity" not in target["expr"]


def table(title: str, description: str, expressions: list[str], columns: list[tuple], *, rows: str = "", width: int = 24,
          height: int = 9, key: tuple[str, ...] = (), titles: dict[str, str] = {}, links: dict[str, tuple[str, str]] = {},
          sort: tuple[str, ...] = (), descending: bool = True, fills: dict[str, dict[str, tuple[str, str]]] = {},
          hide: tuple[str, ...] = (), widths: dict[str, int] = {}, alerts: tuple[str, ...] = (), no_value: str = "") -> dict:
    """Instant queries joined by their labels. A column: (name, unit), with thresholds or mappings in the third place, or both; one
    for each expression in order. `rows`: what has each row of the table, over a range: without it, a column in which nothing is
    known would not be there, and none after a scrape that failed. `key`: labels that are the columns in front, `titles` theirs;
    `links`: column -> (title, url); `fills`: column -> text -> (what is shown, colour); `sort`: columns, each for the rows that
    are alike in those before it. What is good has no fill, so that the rest is seen at once."""
    targets = [instant(f"{one} or NaN * {rows}" if rows else one, table=True) for one in expressions]
    named = [f"Value #{chr(ord('A') + number)}" for number in range(len(targets))] if len(targets) > 1 else ["Value"]
    rename = {value: column[0] for value, column in zip(named, columns, strict=True)}
    rename |= {label: titles.get(label, label.replace("_", " ").capitalize()) for label in key}
    overrides = []
    for name, unit, *colored in columns:
        properties = {"unit": unit, "noValue": "–", "mappings": nothing()}
        if colored and colored[0] is UNKNOWN:
            properties |= {"mappings": UNKNOWN + nothing()}
        elif colored and isinstance(colored[0], list):
            properties |= {"mappings": colored[0] + nothing(), "custom__cellOptions": FILLED_CELL, "custom__align": "left"}
        elif colored:
            properties |= {"thresholds": _unfilled_where_good(colored[0]), "color": {"mode": "thresholds"},
                           "custom__cellOptions": FILLED_CELL, "mappings": sum(colored[1:], []) + nothing()}
        overrides.append(override(name, **properties))
    overrides += [override(rename[label], noValue="–") for label in key]
    overrides += [override(name, mappings=texts(shown), custom__cellOptions=FILLED_CELL) for name, shown in fills.items()]
    overrides += [override(name, links=link(*to)) for name, to in links.items()]
    overrides += [override(name, custom__width=width_of) for name, width_of in widths.items()]
    made = panel("table", title, description, targets, width=width, height=height, unit="short",
                 # As narrow as the numbers: all columns are to be seen without scrolling.
                 defaults={"custom": {"align": "auto", "filterable": False, "cellOptions": {"type": "auto"}, "inspect": False,
                                      "minWidth": 60}},
                 options={"cellHeight": "sm", "showHeader": True,
                          "footer": {"show": False, "reducer": ["sum"], "countRows": False, "fields": ""},
                          "sortBy": [{"desc": descending, "displayName": name} for name in sort]},
                 overrides=overrides, alerts=alerts, no_value=no_value)
    made["transformations"] = [
        {"id": "merge", "options": {}},
        {"id": "organize", "options": {"excludeByName": {name: True for name in ("Time", "__name__", *hide)},
                                       "indexByName": {name: number for number, name in enumerate([*key, *named])},
                                       "renameByName": rename}}]
    return made


def _unfilled_where_good(thresholds: dict) -> dict:
    return thresholds | {"steps": [step | {"color": UNFILLED} if step["color"] == GOOD else step for step in thresholds["steps"]]}


def bar_gauge(title: str, description: str, expr: str, legend: str, unit: str, *, width: int = 12, height: int = 10,
              thresholds: dict = steps((None, LIMIT)), maximum: float | None = None, alerts: tuple[str, ...] = ()) -> dict:
    """A bar for each series, the longest first: with many of them, the last are below the edge. Without thresholds it is neither
    good nor bad, and grey."""
    targets = [instant(f"sort_desc({expr})", legend)]
    defaults = {"color": {"mode": "thresholds"}, "thresholds": thresholds, "mappings": nothing(reason(targets)), "min": 0, "decimals": 1}
    defaults |= {} if maximum is None else {"max": maximum}
    options = {"displayMode": "basic", "orientation": "horizontal", "showUnfilled": maximum is not None, "valueMode": "text",
               "namePlacement": "top", "text": {"titleSize": 14, "valueSize": 16}, "sizing": "auto",
               "minVizWidth": 8, "minVizHeight": 16, "maxVizHeight": 300,
               "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False}}
    return panel("bargauge", title, description, targets, width=width, height=height, unit=unit, defaults=defaults,
                 options=options, alerts=alerts)


def heatmap(title: str, description: str, targets: list[dict], unit: str, *, width: int = 12, height: int = 8) -> dict:
    """Of a classic histogram: its buckets come as they are, nothing is calculated. No exemplars: their dots would cover the
    cells; the panel of quantiles beside it has them."""
    options = {"calculate": False, "cellGap": 1, "cellValues": {"unit": "short"},
               "color": {"exponent": 0.5, "fill": "dark-orange", "mode": "scheme", "reverse": False, "scale": "exponential",
                         "scheme": "Viridis", "steps": 64},
               "exemplars": {"color": "rgba(255,0,255,0.7)"}, "filterValues": {"le": 1e-9}, "legend": {"show": True},
               "rowsFrame": {"layout": "auto"}, "showValue": "never",
               "tooltip": {"mode": "single", "showColorScale": False, "yHistogram": True},
               "yAxis": {"axisPlacement": "left", "reverse": False, "unit": unit}}
    custom = {"hideFrom": {"legend": False, "tooltip": False, "viz": False}, "scaleDistribution": {"type": "linear"}}
    return panel("heatmap", title, description, targets, width=width, height=height, unit=unit, defaults={"custom": custom},
                 options=options) | {"interval": BAR}


def timeline(title: str, description: str, targets: list[dict], mappings: list[dict], *, width: int = 12, height: int = 8,
             alerts: tuple[str, ...] = (), no_value: str = "") -> dict:
    """A state timeline. With colours by threshold Grafana would merge what is in the same threshold, and drop the mappings."""
    defaults = {"color": {"mode": "palette-classic"}, "custom": {"fillOpacity": 100, "lineWidth": 0, "spanNulls": False},
                "mappings": mappings}
    return panel("state-timeline", title, description, targets, width=width, height=height, defaults=defaults,
                 options={"alignValue": "left", "mergeValues": True, "rowHeight": 0.8, "showValue": "auto",
                          "legend": {"displayMode": "list", "placement": "bottom", "showLegend": False},
                          "tooltip": {"mode": "multi", "sort": "none"}}, alerts=alerts, no_value=no_value)


def log_lines(title: str, description: str, targets: list[dict], *, width: int = 24, height: int = 10) -> dict:
    return panel("logs", title, description, targets, width=width, height=height, options={
        "dedupStrategy": "none", "enableLogDetails": True, "prettifyLogMessage": False, "showCommonLabels": False,
        "showLabels": False, "showTime": True, "sortOrder": "Descending", "wrapLogMessage": True})


def trace_view(title: str, description: str, targets: list[dict], *, width: int = 24, height: int = 14) -> dict:
    return panel("traces", title, description, targets, width=width, height=height)


def trace_table(title: str, description: str, targets: list[dict], *, links: dict[str, tuple[str, str]] = {}, width: int = 12,
                height: int = 10) -> dict:
    """Of spans, newest first; `links`: field of Grafana's -> (title, url). The id of the trace is there for links alone: newer
    Grafanas know `hideFrom`, older ones `hidden`. The attributes in the conditions of a query come as columns, too."""
    hidden = override("traceIdHidden", custom__hidden=True, custom__hideFrom={"viz": True, "legend": False, "tooltip": False})
    made = panel("table", title, description, targets, width=width, height=height, unit="short",
                 defaults={"custom": {"align": "auto", "filterable": False, "cellOptions": {"type": "auto"}, "inspect": False}},
                 options={"cellHeight": "sm", "showHeader": True, "sortBy": [{"displayName": "Start time", "desc": True}],
                          "footer": {"show": False, "reducer": ["sum"], "countRows": False, "fields": ""}},
                 overrides=[*(override(field, links=link(*to)) for field, to in links.items()), hidden,
                            override("time", unit="time:MM-DD HH:mm:ss", custom__width=125),
                            # The name of the trace has the rest, in place of the width that Grafana gives it.
                            *(override(name, custom__width=width_of) for name, width_of in (
                                ("messaging.destination.name", 100), ("traceName", 0), ("duration", 85), ("spanID", 155)))])
    made["transformations"] = [{"id": "organize", "options": {
        "excludeByName": {name: True for name in ("Trace Service", "messaging.system", "kind", "status", "Name")},
        "indexByName": {name: number for number, name in enumerate(
            ("Start time", "messaging.destination.name", "Trace Name", "Duration", "Span ID"))},
        "renameByName": {"messaging.destination.name": "Queue", "Trace Name": "Trace name", "Span ID": "Span id"}}}]
    return made


def node_graph(title: str, description: str, targets: list[dict], *, width: int = 24, height: int = 12) -> dict:
    return panel("nodeGraph", title, description, targets, width=width, height=height)


# --- Variables -------------------------------------------------------------------------------------------------------


def data_source(kind: str) -> dict:
    """Hidden: where there is one source of a kind, nothing is to be chosen. README.md has the line that shows it."""
    return {"name": f"{kind}_datasource", "label": f"{kind.capitalize()} data source", "type": "datasource", "query": kind,
            "description": f"Where the {kind.capitalize()} queries of this dashboard go.", "current": {}, "hide": 2,
            "includeAll": False, "multi": False, "options": [], "refresh": 1, "regex": "", "skipUrlSync": False}


def values_of(name: str, label: str, series: str, of: str, *, all_value: str = ".+", hidden: bool = False) -> dict:
    """The values of a Prometheus label: chosen by name, several or all."""
    text = f"label_values({series}, {of})"
    return {"name": name, "label": label, "type": "query", "datasource": PROMETHEUS, "definition": text,
            "query": {"qryType": 1, "query": text, "refId": f"Variable-{name}"}, "current": {"selected": True, "text": ["All"],
                                                                                             "value": ["$__all"]},
            "allValue": all_value, "hide": 2 if hidden else 0, "includeAll": True, "multi": True, "options": [], "refresh": 2,
            "regex": "", "skipUrlSync": False, "sort": 1}


def log_label(name: str, label: str, of: str) -> dict:
    """Hidden: it would take the place of the id of a trace."""
    return {"name": name, "label": label, "type": "query", "datasource": LOKI, "definition": f"label_values({of})",
            "query": {"label": of, "refId": f"Variable-{name}", "stream": "", "type": 1},
            "current": {"selected": True, "text": ["All"], "value": ["$__all"]}, "allValue": ".+", "hide": 2,
            "includeAll": True, "multi": True, "options": [], "refresh": 2, "regex": "", "skipUrlSync": False, "sort": 1}


def text_box(name: str, label: str) -> dict:
    """A list without entries, which takes any text: Grafana's own box of text is too narrow for the id of a trace."""
    return {"name": name, "label": label, "type": "custom", "query": "", "hide": 0, "includeAll": False, "multi": False,
            "current": {"selected": False, "text": "", "value": ""}, "options": [], "skipUrlSync": False}


# --- Annotations, links, the whole ------------------------------------------------------------------------------------


def event(name: str, expr: str, title: str, text: str, color: str, *, value_is_time: bool = False) -> dict:
    """Off until it is chosen: Grafana draws what lasts as a region over every panel, and the lines can't be told apart."""
    return {"name": name, "datasource": PROMETHEUS, "enable": False, "hide": False, "iconColor": color, "expr": expr,
            "titleFormat": title, "textFormat": text, "useValueForTime": value_is_time}


BUILT_IN = {"builtIn": 1, "datasource": {"type": "grafana", "uid": "-- Grafana --"}, "enable": True, "hide": True,
            "iconColor": "rgba(0, 211, 255, 1)", "name": "Annotations & Alerts", "type": "dashboard"}


def row(title: str, panels: list[dict], *, collapsed: bool = False) -> dict:
    """Without a title: panels that stand in no row."""
    return {"type": "row", "title": title, "collapsed": collapsed, "panels": panels}


def dashboard(uid: str, title: str, description: str, rows: list[dict], variables: list[dict], events: list[dict]) -> dict:
    return {
        "uid": uid, "id": None, "title": title, "description": description, "tags": ["asynq"], "schemaVersion": SCHEMA_VERSION,
        "version": 1, "editable": False, "graphTooltip": 1, "refresh": "30s", "time": {"from": "now-1h", "to": "now"},
        "timezone": "browser", "weekStart": "", "fiscalYearStartMonth": 0, "liveNow": False,
        "timepicker": {"refresh_intervals": ["10s", "30s", "1m", "5m", "15m", "1h"]},
        "links": [{"type": "dashboards", "title": "Asynq", "tags": ["asynq"], "asDropdown": True, "includeVars": True,
                   "keepTime": True, "targetBlank": False, "icon": "external link", "tooltip": "", "url": ""}],
        "annotations": {"list": [BUILT_IN, *events]}, "templating": {"list": variables}, "panels": _laid_out(rows),
    }


def _laid_out(rows: list[dict]) -> list[dict]:
    """Places and numbers everything. The last panel of a line takes what is left of it. Panels of a collapsed row lie inside it,
    others behind it."""
    result, y, number = [], 0, 0
    for described in rows:
        head = None
        if described["title"]:
            number += 1
            head = {"type": "row", "title": described["title"], "collapsed": described["collapsed"], "id": number,
                    "gridPos": {"h": 1, "w": COLUMNS, "x": 0, "y": y}, "panels": []}
            y += 1
        x = line_height = 0
        placed = []
        for described_panel in described["panels"]:
            size = described_panel["gridPos"]
            if x + size["w"] > COLUMNS:
                placed[-1]["gridPos"]["w"] += COLUMNS - x
                x, y, line_height = 0, y + line_height, 0
            number += 1
            placed.append(described_panel | {"id": number, "gridPos": size | {"x": x, "y": y}})
            x, line_height = x + size["w"], max(line_height, size["h"])
        placed[-1]["gridPos"]["w"] += COLUMNS - x
        y += line_height
        if described["collapsed"]:
            result.append(head | {"panels": placed})
        else:
            result += [head, *placed] if head else placed
    return result
