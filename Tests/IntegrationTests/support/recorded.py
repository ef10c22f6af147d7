"""Expressions of the shipped rules and dashboards for a server that has no rules: recorded series are replaced by what records them."""

import re

from support import dashboards
from support.alert_rules import RuleFiles

# A test lasts for minutes: what looks further back finds no more.
LONGEST = {"h": 1, "d": 0}


def _shortened(expression: str) -> str:
    return re.sub(r"\[(\d+)([hd])\]", lambda m: m[0] if int(m[1]) <= LONGEST[m[2]] else "[1h]", expression)


def inlined(expression: str, records: dict[str, str]) -> str:
    """Records of records included; a range of a recorded series becomes a subquery."""
    if not records:
        return _shortened(expression)
    names = "|".join(map(re.escape, sorted(records, key=len, reverse=True)))

    def body(match: re.Match) -> str:
        inner = f"({inlined(records[match[1]], records)})"
        return inner + f"[{_shortened(match[2])[1:-1]}:5s]" if match[2] else inner

    # What dashboards select of them is all there is, as every variable is at All.
    return _shortened(re.sub(rf"(?<![\w:])({names})(?![\w:])(?:{{[^}}]*}})?(\[\w+\])?", body, expression))


def expressions(intervals: dict[str, str]) -> dict[str, str]:
    """By where they stand: rules first, then the queries of panels and annotations, with every variable at All."""
    files = RuleFiles.read()
    records = {rule["record"]: rule["expr"] for rule in files.records}
    found = {}
    for group in files.groups:
        for number, rule in enumerate(group["rules"]):
            found[f"{rule.get('alert') or rule['record']} ({group['name']} {number})"] = inlined(rule["expr"], records)
    for file in dashboards.FILES:
        dashboard = dashboards.load(file)
        values = dashboards.everything(dashboard) | intervals
        for where, expression in dashboards.expressions(dashboard):
            found[f"{file.stem}: {where}"] = inlined(dashboards.filled_in(expression, values), records)
    return found
