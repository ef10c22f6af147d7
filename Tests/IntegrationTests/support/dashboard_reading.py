"""What people mistook who read pictures of the dashboards, as rules over their JSON. Each rule returns its findings."""

import re
from collections.abc import Iterator

from support.dashboard_rules import KNOWN_VALUES, SEVERITIES, palette
from support.dashboards import COLUMNS, is_bars, panels

# A label of these is as long as half of a legend on the right of half a screen; with another beside it, it has no room.
LONG_LABELS = {"instance", "spec", "client", "server"}


def _where(panel: dict) -> str:
    return f"panel {panel['title']!r}"


def _queries(dashboard: dict, *kinds: str) -> Iterator[tuple[dict, str, str]]:
    """(panel, PromQL, legend) of the panels of those kinds, or of all."""
    for panel in panels(dashboard):
        if not kinds or panel["type"] in kinds:
            yield from ((panel, target["expr"], target.get("legendFormat", "")) for target in panel["targets"] if "expr" in target)


def _titles(panel: dict) -> dict[str, str]:
    """Of a table, by the letter of the query, the title of its column."""
    renamed = {name: title for step in panel.get("transformations", []) for name, title in step["options"].get("renameByName", {}).items()}
    return {target["refId"]: renamed.get(f"Value #{target['refId']}") or renamed.get("Value", "") for target in panel["targets"]}


def _columns(dashboard: dict) -> Iterator[tuple[dict, str, str, list[dict]]]:
    """(table, PromQL, title, properties) of each column that a query brings."""
    for panel in panels(dashboard):
        if panel["type"] == "table":
            titles = _titles(panel)
            for target in (target for target in panel["targets"] if "expr" in target):
                yield panel, target["expr"], titles[target["refId"]], [
                    part for one in panel["fieldConfig"]["overrides"] if one["matcher"]["options"] == titles[target["refId"]]
                    for part in one["properties"]]


def _overrides(panel: dict, name: str, matcher: str) -> list[dict]:
    return [part for one in panel["fieldConfig"]["overrides"] if one["matcher"] == {"id": matcher, "options": name}
            for part in one["properties"]]


def ended_numbers(dashboard: dict) -> list[str]:
    """Of a quantile without tasks, or a rate while all spans are refused, the legend had the last number as if it were that of now."""
    return [f"{_where(panel)}: a line that ends keeps its last number in the legend; ' or NaN * ' goes on without one"
            for panel, expression, _ in _queries(dashboard, "timeseries")
            if re.search(r"histogram_quantile|_(accepted|forwarded)_spans_total.* > 0\)", expression) and " or NaN * " not in expression]


def counts_in_green(dashboard: dict) -> list[str]:
    """Errors of a disk were columns in the first colour of Grafana's palette, which is green."""
    findings = []
    for panel, _, legend in _queries(dashboard, "timeseries"):
        word = re.sub(r"^\{\{\w+\}\}", "", legend)
        if is_bars(panel) and word and not any(part["id"] == "color" for part in [
                *_overrides(panel, word, "byName"), *_overrides(panel, f"/{word}$/", "byRegexp")]):
            findings.append(f"{_where(panel)}: {legend!r} has a colour by its place; it goes wrong, so it has one of a severity")
    return findings


def names_of_the_palette(dashboard: dict) -> list[str]:
    """What failed was green, for it was the first of the outcomes."""
    return sorted({f"{_where(panel)}: {value!r} has a colour by its place, and one of its own elsewhere"
                   for panel, expression, legend in _queries(dashboard, "timeseries")
                   for (metric, label), known in KNOWN_VALUES.items() for value in known & set(palette.BY_NAME)
                   if legend == f"{{{{{label}}}}}" and re.search(rf"\b{metric}\b", expression) and not _overrides(panel, value, "byName")})


def failures_in_green(dashboard: dict) -> list[str]:
    """Where no request succeeds, the first code is one of failure."""
    return [f"{_where(panel)}: codes have colours by their place; palette.CODES has that of success and those of failure"
            for panel, _, legend in _queries(dashboard, "timeseries") if legend == "{{code}}"
            if not all(_overrides(panel, pattern, "byRegexp") for pattern in palette.CODES)]


def levels_without_limit(dashboard: dict) -> list[str]:
    """Tables of any size were good."""
    return [f"{_where(panel)}: has the colour {steps[0]['color']} of a severity, whatever its value" for panel in panels(dashboard)
            for steps in [panel["fieldConfig"]["defaults"].get("thresholds", {}).get("steps", [])]
            if len(steps) == 1 and steps[0]["color"] in SEVERITIES]


def pauses_as_trouble(dashboard: dict) -> list[str]:
    """The oldest task of a queue that was paused on purpose was critical, beside the word "warning"."""
    findings = []
    for panel, expression, legend in _queries(dashboard, "stat"):
        steps = [part["value"]["steps"] for part in _overrides(panel, legend, "byName") if part["id"] == "thresholds"]
        steps = (steps or [panel["fieldConfig"]["defaults"]["thresholds"]["steps"]])[0]
        if re.search(r"_latency_seconds.* and .*asynq_queue_paused", expression) and palette.CRITICAL in {step["color"] for step in steps}:
            findings.append(f"{_where(panel)}: the age of a pause is critical; it is a warning at most")
    for panel, expression, title, properties in _columns(dashboard):
        colours = {step["color"] for part in properties if part["id"] == "thresholds" for step in part["value"]["steps"]}
        if expression.startswith("max by (redis, queue) (asynq_queue_latency_seconds") and palette.CRITICAL in colours and (
                " unless " not in expression):
            findings.append(f"{_where(panel)}: {title!r} has the age of pauses, and calls it critical")
    return findings


def silence_as_health(dashboard: dict) -> list[str]:
    """A queue of which 9.5 % failed was "fine", because no alert fired."""
    return [f"{_where(panel)}: says {mapping['options']['result']['text']!r} where no alert fires; 'no alert' is what is known"
            for panel, expression, _, properties in _columns(dashboard) if "ALERTS{" in expression
            for part in properties if part["id"] == "mappings" for mapping in part["value"]
            if mapping["type"] == "range" and mapping["options"]["result"]["color"] == palette.GOOD
            and "no alert" not in mapping["options"]["result"]["text"]]


def windows_without_name(dashboard: dict) -> list[str]:
    """98 % of an hour stood beside a budget of three days that was spent 18 times."""
    return [f"{_where(panel)}: {title!r} does not say of which time it is: {window}" for panel, expression, title, _ in _columns(dashboard)
            for window in [re.sub(r"(\d+)(\w)", r"\1 \2", found) for found in re.findall(r":ratio_rate(\w+)", expression)[:1]]
            if window not in title]


def windows_as_durations(dashboard: dict) -> list[str]:
    """The windows of six hours and thirty minutes read as one of 6.5 hours."""
    return [f"{_where(panel)}: joins two windows with a space, which is one duration; \" & \" is between them"
            for panel, expression, _ in _queries(dashboard, "table") if "ALERTS" in expression
            if '"long", "short")' in expression and '" & ", "long", "short")' not in expression]


def moments_that_look_alike(dashboard: dict) -> list[str]:
    """Of a tick and of the task after it, Grafana said "a few seconds ago" twice."""
    return [f"{_where(panel)}: {title!r} can't be compared; seconds until then, or since" for panel, _, title, properties in
            _columns(dashboard) if any(part == {"id": "unit", "value": "dateTimeFromNow"} for part in properties)]


def quick_failures(dashboard: dict) -> list[str]:
    """While each connection was refused, requests took 5 ms."""
    return [f"{_where(panel)}: does not say that what fails counts as well" for panel in panels(dashboard)
            if any(re.search(r"_(forward|push|scrape)_duration_seconds", target.get("expr", "")) for target in panel["targets"])
            and not re.search(r"\bfails?\b.*\bcounts? as well\b", panel["description"])]


def repeated_counts(dashboard: dict) -> list[str]:
    """A million spans were refused, and most of them were the same."""
    return [f"{_where(panel)}: does not say that what is sent again counts again" for panel in panels(dashboard)
            if any("refused_spans_total" in target.get("expr", "") and "accepted" not in target["expr"] for target in panel["targets"])
            and "sent again counts again" not in panel["description"]]


def cut_states(dashboard: dict) -> list[str]:
    """Where "no servers" had no room, the state of a queue was "no"."""
    return [f"{_where(panel)}: the state {state['text']!r} is cut to 'no'; a word of its own" for panel in panels(dashboard)
            if panel["type"] == "state-timeline" for mapping in panel["fieldConfig"]["defaults"]["mappings"] if mapping["type"] == "value"
            for state in mapping["options"].values() if re.search(r"\b(no|not) ", state["text"])]


def flat_curves(dashboard: dict) -> list[str]:
    """Beside a limit of an hour, tasks of seconds all lay on the axis."""
    return [f"{_where(panel)}: the limit presses the curves to the axis; its scale is log, and begins above 0" for panel, expression, legend in
            _queries(dashboard, "timeseries") if legend == "limit" and panel["fieldConfig"]["defaults"]["unit"] == "s"
            for defaults in [panel["fieldConfig"]["defaults"]]
            if defaults["custom"].get("scaleDistribution", {}).get("type") != "log" or not defaults["min"]]


def limits_of_no_alert(dashboard: dict) -> list[str]:
    """A push is as old as its interval and a scrape before the next one: all was well, above the dashed line."""
    return [f"{_where(panel)}: a healthy curve is above {expression}; the limit is that of the alert" for panel, expression, legend in
            _queries(dashboard) if legend == "limit" and "push_interval_seconds" in expression
            if not re.fullmatch(r"max\(clamp_min\(3 \* .*, 600\)\)", expression)]


def long_names(dashboard: dict) -> list[str]:
    """At 1440 pixels a legend of two labels took more than half of half a screen."""
    return [f"{_where(panel)}: the legend takes the place of the curves; the panel is {COLUMNS} columns wide"
            for panel, _, legend in _queries(dashboard, "timeseries")
            if panel["options"]["legend"]["placement"] == "right" and panel["gridPos"]["w"] < COLUMNS
            if LONG_LABELS & set(re.findall(r"\{\{(\w+)\}\}", legend)) and not re.fullmatch(r"\{\{\w+\}\}", legend)]


def names_in_capitals(dashboard: dict) -> list[str]:
    """Grafana's own names of the fields of a trace, beside ours."""
    return [f"{_where(panel)}: {name!r} has capitals; renameByName" for panel in panels(dashboard) for step in panel.get("transformations", [])
            for name in step["options"].get("indexByName", {})
            if re.search(r" [A-Z]", step["options"].get("renameByName", {}).get(name, name)) and not name.startswith("Value #")]


def template_databases(dashboard: dict) -> list[str]:
    """Four of eight lines of a legend were of PostgreSQL's templates."""
    return sorted({f"{_where(panel)}: shows PostgreSQL's templates" for panel, expression, _ in _queries(dashboard)
                   for selector in re.findall(r"\{([^{}]*datname=~[^{}]*)\}", expression) if 'datname!~"template0|template1"' not in selector})


RULES = [ended_numbers, counts_in_green, names_of_the_palette, failures_in_green, levels_without_limit, pauses_as_trouble, silence_as_health, windows_without_name,
         windows_as_durations, moments_that_look_alike, quick_failures, repeated_counts, cut_states, flat_curves, limits_of_no_alert,
         long_names, names_in_capitals, template_databases]
