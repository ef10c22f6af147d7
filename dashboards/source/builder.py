"""Makes Grafana's classic dashboard JSON (schema 39: Grafana 11 and newer) from short descriptions.

A panel is a dictionary as Grafana has it, without place and id; `dashboard` lays the panels of each row out from left to
right and numbers them. Everything that all panels share is set here and nowhere else.
"""

from __future__ import annotations

SCHEMA_VERSION = 39
PLUGIN_VERSION = "11.0.0"
COLUMNS = 24

PROMETHEUS = {"type": "prometheus", "uid": "${prometheus_datasource}"}
TEMPO = {"type": "tempo", "uid": "${tempo_datasource}"}
LOKI = {"type": "loki", "uid": "${loki_datasource}"}

# The least that a bar or a column of a heatmap stands for: four scrapes, as `common.counted` needs them.
BAR = "1m"
BAR_NOTE = " A bar stands for a minute, in longer time ranges for more."
COLUMN_NOTE = " A column stands for a minute, in longer time ranges for more."

GREEN, YELLOW, ORANGE, RED, BLUE = "green", "yellow", "orange", "red", "blue"

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
    return query(expr, "{{le}}") | {"format": "heatmap"}


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


PLAIN = steps((None, GREEN))


def _panel(kind: str, title: str, description: str, targets: list[dict], width: int, height: int, unit: str,
           thresholds: dict, defaults: dict, options: dict, overrides: list[dict]) -> dict:
    sources = [target["datasource"] for target in targets]
    assert all(source == sources[0] for source in sources), title
    return {
        "type": kind, "title": title, "description": description, "datasource": sources[0],
        "gridPos": {"h": height, "w": width, "x": 0, "y": 0}, "pluginVersion": PLUGIN_VERSION,
        "targets": [target | {"refId": chr(ord("A") + number)} for number, target in enumerate(targets)],
        "fieldConfig": {"defaults": {"unit": unit, "thresholds": thresholds} | defaults, "overrides": overrides},
        "options": options,
    }


def stat(title: str, description: str, targets: list[dict], unit: str, *, width: int = 4, height: int = 4,
         thresholds: dict = PLAIN, decimals: int | None = None, calculation: str = "lastNotNull",
         text: bool = False, no_value: str = "no data") -> dict:
    defaults = {"color": {"mode": "thresholds"}, "noValue": no_value} | ({} if decimals is None else {"decimals": decimals})
    options = {"colorMode": "value", "graphMode": "none" if text else "area", "justifyMode": "auto",
               "orientation": "auto", "textMode": "name" if text else "auto", "wideLayout": True,
               "reduceOptions": {"calcs": [calculation], "fields": "", "values": False}}
    return _panel("stat", title, description, targets, width, height, unit, thresholds, defaults, options, [])


def lines(title: str, description: str, targets: list[dict], unit: str, *, width: int = 12, height: int = 8,
          stack: bool = False, bars: bool = False, thresholds: dict | None = None, minimum: float | None = 0,
          maximum: float | None = None, limits: tuple[str, ...] = (), few: bool = True, decimals: int | None = None) -> dict:
    """A time series. `bars`: counts, each of its own time (`common.counted`); `limits`: legends of series that are limits and
    drawn dashed; `few`: legend as a table."""
    custom = {"drawStyle": "bars" if bars else "line", "fillOpacity": 60 if bars else 30 if stack else 8,
              "lineWidth": 1, "showPoints": "auto", "spanNulls": False, "axisSoftMin": 0,
              "stacking": {"group": "A", "mode": "normal" if stack else "none"},
              "thresholdsStyle": {"mode": "dashed" if thresholds else "off"}}
    defaults = {"color": {"mode": "palette-classic"}, "custom": custom}
    defaults |= {} if minimum is None else {"min": minimum}
    defaults |= {} if maximum is None else {"max": maximum}
    defaults |= {} if decimals is None else {"decimals": decimals}
    options = {"legend": {"calcs": ["mean", "max", "lastNotNull"] if few else [],
                          "displayMode": "table" if few else "list", "placement": "bottom", "showLegend": True},
               "tooltip": {"mode": "multi", "sort": "desc"}}
    overrides = [{"matcher": {"id": "byName", "options": limit},
                  "properties": [{"id": "custom.lineStyle", "value": {"dash": [8, 8], "fill": "dash"}},
                                 {"id": "custom.fillOpacity", "value": 0},
                                 {"id": "custom.stacking", "value": {"group": "limit", "mode": "none"}},
                                 {"id": "color", "value": {"fixedColor": RED, "mode": "fixed"}}]} for limit in limits]
    panel = _panel("timeseries", title, description + (BAR_NOTE if bars else ""), targets, width, height, unit,
                   thresholds or PLAIN, defaults, options, overrides)
    return panel | ({"interval": BAR} if bars else {})


def table(title: str, description: str, targets: list[dict], columns: list[tuple], *, width: int = 24, height: int = 9,
          key: str | tuple[str, ...] = (), links: dict[str, tuple[str, str]] = {}, sort: str | None = None,
          hide: tuple[str, ...] = ()) -> dict:
    """Instant queries joined by their labels. A column: (name, unit) or (name, unit, thresholds), one for each target in
    order. `key`: label, or label and title, of the columns in front; `links`: column -> (title, url)."""
    keys = [key] if isinstance(key, str) else list(key)
    values = [f"Value #{chr(ord('A') + number)}" for number in range(len(targets))] if len(targets) > 1 else ["Value"]
    rename = {value: column[0] for value, column in zip(values, columns, strict=True)}
    rename |= {label: label.replace("_", " ") for label in keys}
    order = {name: number for number, name in enumerate(keys + values)}
    overrides = []
    for column in columns:
        properties = [{"id": "unit", "value": column[1]}]
        if len(column) > 2:
            properties += [{"id": "thresholds", "value": column[2]},
                           {"id": "custom.cellOptions", "value": {"type": "color-text"}}]
        overrides.append({"matcher": {"id": "byName", "options": column[0]}, "properties": properties})
    for name, (text, url) in links.items():
        overrides.append({"matcher": {"id": "byName", "options": name},
                          "properties": [{"id": "links", "value": [{"title": text, "url": url}]}]})
    panel = _panel("table", title, description, targets, width, height, "short", PLAIN,
                   {"custom": {"align": "auto", "filterable": True, "cellOptions": {"type": "auto"}, "inspect": False}},
                   {"cellHeight": "sm", "showHeader": True, "footer": {"show": False, "reducer": ["sum"], "countRows": False,
                                                                       "fields": ""},
                    "sortBy": [{"desc": True, "displayName": sort}] if sort else []}, overrides)
    exclude = {name: True for name in ("Time", "__name__", *hide)}
    panel["transformations"] = [{"id": "merge", "options": {}},
                                {"id": "organize", "options": {"excludeByName": exclude, "indexByName": order,
                                                               "renameByName": rename}}]
    return panel


def bar_gauge(title: str, description: str, targets: list[dict], unit: str, *, width: int = 12, height: int = 8,
              thresholds: dict = PLAIN, maximum: float | None = None) -> dict:
    defaults = {"color": {"mode": "thresholds"}, "min": 0} | ({} if maximum is None else {"max": maximum})
    options = {"displayMode": "basic", "orientation": "horizontal", "showUnfilled": True, "valueMode": "color",
               "namePlacement": "auto", "sizing": "auto", "minVizWidth": 8, "minVizHeight": 16, "maxVizHeight": 300,
               "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False}}
    return _panel("bargauge", title, description, targets, width, height, unit, thresholds, defaults, options, [])


def heatmap(title: str, description: str, targets: list[dict], unit: str, *, width: int = 12, height: int = 8) -> dict:
    """Of a classic histogram: its buckets come as they are, nothing is calculated."""
    options = {"calculate": False, "cellGap": 1, "cellValues": {"unit": "short"},
               "color": {"exponent": 0.5, "fill": "dark-orange", "mode": "scheme", "reverse": False, "scale": "exponential",
                         "scheme": "Spectral", "steps": 64},
               "exemplars": {"color": "rgba(255,0,255,0.7)"}, "filterValues": {"le": 1e-9}, "legend": {"show": True},
               "rowsFrame": {"layout": "auto"}, "showValue": "never",
               "tooltip": {"mode": "single", "showColorScale": False, "yHistogram": True},
               "yAxis": {"axisPlacement": "left", "reverse": False, "unit": unit}}
    custom = {"hideFrom": {"legend": False, "tooltip": False, "viz": False}, "scaleDistribution": {"type": "linear"}}
    return _panel("heatmap", title, description + COLUMN_NOTE, targets, width, height, unit, PLAIN, {"custom": custom}, options,
                  []) | {"interval": BAR}


def states(title: str, description: str, targets: list[dict], mapping: dict[str, tuple[str, str]], *, width: int = 12,
           height: int = 8) -> dict:
    """A state timeline; `mapping`: value -> (text, colour)."""
    options = {value: {"text": text, "color": color, "index": number}
               for number, (value, (text, color)) in enumerate(mapping.items())}
    defaults = {"color": {"mode": "thresholds"}, "custom": {"fillOpacity": 70, "lineWidth": 0, "spanNulls": False},
                "mappings": [{"type": "value", "options": options}]}
    return _panel("state-timeline", title, description, targets, width, height, "none", PLAIN, defaults,
                  {"alignValue": "left", "mergeValues": True, "rowHeight": 0.8, "showValue": "auto",
                   "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True},
                   "tooltip": {"mode": "multi", "sort": "none"}}, [])


def log_lines(title: str, description: str, targets: list[dict], *, width: int = 24, height: int = 10) -> dict:
    return _panel("logs", title, description, targets, width, height, "none", PLAIN, {},
                  {"dedupStrategy": "none", "enableLogDetails": True, "prettifyLogMessage": False, "showCommonLabels": False,
                   "showLabels": False, "showTime": True, "sortOrder": "Descending", "wrapLogMessage": True}, [])


def trace_view(title: str, description: str, targets: list[dict], *, width: int = 24, height: int = 14) -> dict:
    return _panel("traces", title, description, targets, width, height, "none", PLAIN, {}, {}, [])


def trace_table(title: str, description: str, targets: list[dict], *, links: dict[str, tuple[str, str]] = {}, width: int = 12,
                height: int = 10) -> dict:
    """`links`: field of Grafana's -> (title, url)."""
    overrides = [{"matcher": {"id": "byName", "options": field},
                  "properties": [{"id": "links", "value": [{"title": text, "url": url}]}]}
                 for field, (text, url) in links.items()]
    return _panel("table", title, description, targets, width, height, "short", PLAIN,
                  {"custom": {"align": "auto", "filterable": False, "cellOptions": {"type": "auto"}, "inspect": False}},
                  {"cellHeight": "sm", "showHeader": True, "footer": {"show": False, "reducer": ["sum"], "countRows": False,
                                                                      "fields": ""}}, overrides)


def node_graph(title: str, description: str, targets: list[dict], *, width: int = 24, height: int = 12) -> dict:
    return _panel("nodeGraph", title, description, targets, width, height, "none", PLAIN, {}, {}, [])


# --- Variables -------------------------------------------------------------------------------------------------------


def data_source(kind: str) -> dict:
    return {"name": f"{kind}_datasource", "label": f"{kind.capitalize()} data source", "type": "datasource", "query": kind,
            "description": f"Where the {kind.capitalize()} queries of this dashboard go.", "current": {}, "hide": 0,
            "includeAll": False, "multi": False, "options": [], "refresh": 1, "regex": "", "skipUrlSync": False}


def values_of(name: str, label: str, series: str, of: str, *, all_value: str = ".+") -> dict:
    """The values of a Prometheus label: chosen by name, several or all."""
    text = f"label_values({series}, {of})"
    return {"name": name, "label": label, "type": "query", "datasource": PROMETHEUS, "definition": text,
            "description": f"Values of the label {of}; all where nothing is chosen.",
            "query": {"qryType": 1, "query": text, "refId": f"Variable-{name}"}, "current": {"selected": True, "text": ["All"],
                                                                                             "value": ["$__all"]},
            "allValue": all_value, "hide": 0, "includeAll": True, "multi": True, "options": [], "refresh": 2, "regex": "",
            "skipUrlSync": False, "sort": 1}


def log_label(name: str, label: str, of: str) -> dict:
    return {"name": name, "label": label, "type": "query", "datasource": LOKI, "definition": f"label_values({of})",
            "description": f"Values of Loki's label {of}; all where nothing is chosen.",
            "query": {"label": of, "refId": f"Variable-{name}", "stream": "", "type": 1},
            "current": {"selected": True, "text": ["All"], "value": ["$__all"]}, "allValue": ".+", "hide": 0,
            "includeAll": True, "multi": True, "options": [], "refresh": 2, "regex": "", "skipUrlSync": False, "sort": 1}


def text_box(name: str, label: str, description: str) -> dict:
    return {"name": name, "label": label, "type": "textbox", "description": description, "query": "", "hide": 0,
            "current": {"selected": False, "text": "", "value": ""}, "options": [], "skipUrlSync": False}


# --- Annotations, links, the whole ------------------------------------------------------------------------------------


def event(name: str, expr: str, title: str, text: str, color: str, *, value_is_time: bool = False) -> dict:
    return {"name": name, "datasource": PROMETHEUS, "enable": True, "hide": False, "iconColor": color, "expr": expr,
            "titleFormat": title, "textFormat": text, "useValueForTime": value_is_time}


BUILT_IN = {"builtIn": 1, "datasource": {"type": "grafana", "uid": "-- Grafana --"}, "enable": True, "hide": True,
            "iconColor": "rgba(0, 211, 255, 1)", "name": "Annotations & Alerts", "type": "dashboard"}


def row(title: str, panels: list[dict], *, collapsed: bool = False) -> dict:
    return {"type": "row", "title": title, "collapsed": collapsed, "panels": panels}


def dashboard(uid: str, title: str, description: str, rows: list[dict], variables: list[dict], events: list[dict]) -> dict:
    return {
        "uid": uid, "id": None, "title": title, "description": description, "tags": ["asynq"], "schemaVersion": SCHEMA_VERSION,
        "version": 1, "editable": False, "graphTooltip": 1, "refresh": "30s", "time": {"from": "now-1h", "to": "now"},
        "timezone": "browser", "weekStart": "", "fiscalYearStartMonth": 0, "liveNow": False,
        "timepicker": {"refresh_intervals": ["10s", "30s", "1m", "5m", "15m", "1h"]},
        "links": [{"type": "dashboards", "title": "Asynq", "tags": ["asynq"], "asDropdown": False, "includeVars": True,
                   "keepTime": True, "targetBlank": False, "icon": "external link", "tooltip": "", "url": ""}],
        "annotations": {"list": [BUILT_IN, *events]}, "templating": {"list": variables}, "panels": _laid_out(rows),
    }


def _laid_out(rows: list[dict]) -> list[dict]:
    """Places and numbers everything. Panels of a collapsed row lie inside it, others behind it."""
    result, y, number = [], 0, 0
    for described in rows:
        number += 1
        head = {"type": "row", "title": described["title"], "collapsed": described["collapsed"], "id": number,
                "gridPos": {"h": 1, "w": COLUMNS, "x": 0, "y": y}, "panels": []}
        y += 1
        x = line_height = 0
        placed = []
        for panel in described["panels"]:
            size = panel["gridPos"]
            if x + size["w"] > COLUMNS:
                x, y, line_height = 0, y + line_height, 0
            number += 1
            placed.append(panel | {"id": number, "gridPos": size | {"x": x, "y": y}})
            x, line_height = x + size["w"], max(line_height, size["h"])
        y += line_height
        if described["collapsed"]:
            result.append(head | {"panels": placed})
        else:
            result += [head, *placed]
    return result
