"""What is wrong with a dashboard as it is shown: each finding is a sentence, and begins with the panel's title."""

import math
import re
from collections import Counter
from collections.abc import Iterator
from urllib.parse import unquote

from support.grafana.browser import ShownDashboard, ShownPanel
from support.grafana.colours import RGB, alike, contrast, css, rgb
from support.grafana.data_frames import Asked

# A state shorter than this share of the time is too narrow to be looked for, and a colour of fewer pixels is an edge.
STATE_SHARE_MIN = 0.04
STATE_PIXELS_MIN = 60
STATE_ALPHA_MIN = 40
OVERVIEW_PIXELS_MAX = 1080
ONE_LINE_FROM_PIXELS = 1440
# Panels with names or numbers beside their axes. Under the curve of a stat they are there, too, and not to be seen.
WITH_AXES = {"timeseries", "state-timeline", "heatmap"}
# Panels that write on colours of values. WCAG 2.2, 1.4.3; large is what is 18 points high.
WITH_FILLS = {"stat", "table", "bargauge"}
CONTRAST_MIN, CONTRAST_OF_LARGE_MIN, LARGE_PIXELS = 4.5, 3, 24
# Panels whose text for "nothing there" is their own.
WITHOUT_NO_VALUE = {"logs", "traces", "nodeGraph"}


def findings(dashboard: dict, shown: ShownDashboard, asked: dict[int, list[Asked]], theme: str, width: int) -> list[str]:
    found = [f"the page: {problem}" for problem in shown.problems]
    if width >= ONE_LINE_FROM_PIXELS and shown.bar_lines > 1:
        found.append(f"the page: the variables and links take {shown.bar_lines} lines at {width} px")
    if dashboard["uid"].endswith("-overview") and width >= 1920 and shown.bottom > OVERVIEW_PIXELS_MAX:
        found.append(f"the page: ends at {shown.bottom:.0f} px, below a screen of {OVERVIEW_PIXELS_MAX} px")
    seen = {panel.key: panel for panel in shown.panels}
    for panel in dashboard["panels"]:
        if panel["type"] == "row":
            continue
        on_screen = seen.get(f"panel-{panel['id']}") or next((one for one in shown.panels if one.title == panel["title"]), None)
        if not on_screen:
            found.append(f"{panel['title']}: is not drawn")
            continue
        for check in CHECKS:
            found += [f"{panel['title']}: {what}" for what in check(panel, on_screen, asked.get(panel["id"], []), theme)]
    return found


def error_findings(panel: dict, shown: ShownPanel, asked: list[Asked], theme: str) -> Iterator[str]:
    errors = [one.error for one in asked if one.error]
    if errors or shown.error:
        yield f"has an error mark{': ' + errors[0] if errors else ''}"


def no_data_findings(panel: dict, shown: ShownPanel, asked: list[Asked], theme: str) -> Iterator[str]:
    words = [word[0] for word in shown.words]
    with_numbers = [one for one in asked if one.has_numbers]
    if "No data" in words and with_numbers:
        yield f"says \"No data\" where {with_numbers[0].reference} has numbers: {with_numbers[0].expression}"
    elif "No data" in words and panel["type"] not in WITHOUT_NO_VALUE:
        yield "says \"No data\", not what is missing (noValue)"
    instead = panel["fieldConfig"]["defaults"].get("noValue")
    if instead and any(letter.isalpha() for letter in instead) and instead in words and asked and len(with_numbers) == len(asked):
        yield f"says {instead!r} where every query has numbers: {asked[0].expression}"


def text_findings(panel: dict, shown: ShownPanel, asked: list[Asked], theme: str) -> Iterator[str]:
    wrong = sorted({text for text in shown.texts if "∞" in text or text in ("NaN", "undefined", "null", "Invalid date")})
    if wrong:
        yield f"shows {', '.join(map(repr, wrong))}"


def cut_findings(panel: dict, shown: ShownPanel, asked: list[Asked], theme: str) -> Iterator[str]:
    # Lines of a log are scrolled; where the duration of a span stands is Grafana's own choice.
    cut = set(shown.cut) if panel["type"] not in ("logs", "traces") else set()
    if panel["type"] in WITH_AXES:
        cut |= {text for canvas in shown.drawn for text, _, is_cut in canvas["texts"] if is_cut}
    if panel["type"] == "timeseries":
        cut |= set(shown.below)
    if cut:
        yield f"has no room for {', '.join(map(repr, sorted(cut)))}"


def axis_findings(panel: dict, shown: ShownPanel, asked: list[Asked], theme: str) -> Iterator[str]:
    """An axis below 0 under values that never are; one that is told to begin there shows differences of either sign."""
    numbers = [value for one in asked for _, values in one.series for value in values if not math.isnan(value)]
    if panel["type"] != "timeseries" or not numbers or min(numbers) < 0:
        return
    if panel["fieldConfig"]["defaults"].get("custom", {}).get("axisSoftMin", 0) < 0:
        return
    below = sorted({text for canvas in shown.drawn for text, *_ in canvas["texts"] if text[:1] in "-−" and text[1:2].isdigit()})
    if below:
        yield f"has {', '.join(below)} on an axis whose values are never below 0"


def state_findings(panel: dict, shown: ShownPanel, asked: list[Asked], theme: str) -> Iterator[str]:
    """Each state that lasts is drawn in its colour, and no colour of a state is drawn that did not occur."""
    if panel["type"] not in ("state-timeline", "status-history"):
        return
    defaults = panel["fieldConfig"]["defaults"]
    lasting: dict[str, tuple[str, RGB]] = {}
    occurred: list[RGB] = []
    for one in asked:
        for _, values in one.series:
            for value, count in Counter(value for value in values if not math.isnan(value)).items():
                text, colour = state_of(value, defaults)
                if drawn := rgb(colour, theme):
                    occurred.append(drawn)
                    if count / len(values) >= STATE_SHARE_MIN:
                        lasting[text] = (colour, drawn)
    pixels = [colour for canvas in shown.drawn for colour in canvas["colours"] if colour[3] >= STATE_ALPHA_MIN]

    def count(wanted: RGB) -> int:
        return sum(colour[4] for colour in pixels if alike(colour[:3], wanted))

    for text, (name, wanted) in lasting.items():
        if count(wanted) < STATE_PIXELS_MIN:
            yield f"{text!r} occurs, and its colour {name} is not drawn"
    for text, name in sorted(set(states_of(defaults))):
        wanted = rgb(name, theme)
        if wanted and not any(alike(wanted, other) for other in occurred) and count(wanted) >= STATE_PIXELS_MIN:
            yield f"{text!r} does not occur, and its colour {name} is drawn"


def stat_findings(panel: dict, shown: ShownPanel, asked: list[Asked], theme: str) -> Iterator[str]:
    """The number of a stat stands on the colour of its value."""
    options, defaults = panel["options"], panel["fieldConfig"]["defaults"]
    single = len(asked) == 1 and len(asked[0].series) == 1 and asked[0].has_numbers
    if panel["type"] != "stat" or not single or options.get("colorMode") != "background_solid" or panel["fieldConfig"]["overrides"]:
        return
    if options["reduceOptions"]["calcs"] not in (["lastNotNull"], ["last"]) or options.get("textMode") == "name":
        return
    value = [value for value in asked[0].series[0][1] if not math.isnan(value)][-1]
    _, colour = state_of(value, defaults)
    wanted = rgb(colour, theme)
    if wanted and not any(alike(css(fill), wanted) for _, _, fill, _ in shown.words):
        yield f"its value {value:g} is not on {colour}"


def contrast_findings(panel: dict, shown: ShownPanel, asked: list[Asked], theme: str) -> Iterator[str]:
    if panel["type"] in WITH_FILLS:
        pale = sorted({text for text, colour, fill, pixels in shown.words
                       if contrast(css(colour), css(fill)) < (CONTRAST_OF_LARGE_MIN if pixels >= LARGE_PIXELS else CONTRAST_MIN)})
        if pale:
            yield f"can't be read for want of contrast: {', '.join(map(repr, pale))}"


def link_findings(panel: dict, shown: ShownPanel, asked: list[Asked], theme: str) -> Iterator[str]:
    """A link that the front end could not fill in, or that leaves out what it is for."""
    wrong = sorted({unquote(link) for link in shown.links
                    if re.search(r"\$\{|\$__(?!all\b)|undefined|\bnull\b|[?&]var-\w+=(&|$)", unquote(link))})
    if wrong:
        yield f"links to {', '.join(wrong)}"


def trace_findings(panel: dict, shown: ShownPanel, asked: list[Asked], theme: str) -> Iterator[str]:
    """The trace that was clicked is drawn."""
    if panel["type"] == "traces" and any(one.expression and not one.has_numbers for one in asked):
        yield f"finds no trace {asked[0].expression}"


def state_of(value: float, defaults: dict) -> tuple[str, str]:
    """Text and colour that a panel's mappings and thresholds give to a value."""
    text, colour = f"{value:g}", ""
    for step in defaults.get("thresholds", {}).get("steps", []):
        if step["value"] is None or value >= step["value"]:
            colour = step["color"]
    for mapping in defaults.get("mappings", []):
        options = mapping["options"]
        result = options.get(f"{value:g}") if mapping["type"] == "value" else None
        if mapping["type"] == "range" and (options.get("from") is None or value >= options["from"]) and (
                options.get("to") is None or value <= options["to"]):
            result = options["result"]
        if result:
            return result.get("text", text), result.get("color", colour)
    return text, colour


def states_of(defaults: dict) -> Iterator[tuple[str, str]]:
    """Text and colour of every state that a panel knows."""
    for mapping in defaults.get("mappings", []):
        results = mapping["options"].values() if mapping["type"] == "value" else [mapping["options"].get("result", {})]
        yield from ((result.get("text", ""), result["color"]) for result in results if result.get("color"))


CHECKS = (error_findings, no_data_findings, text_findings, cut_findings, axis_findings, state_findings, stat_findings,
          contrast_findings, link_findings, trace_findings)
