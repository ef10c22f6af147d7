"""What promtool does not check of prometheus/: alerts, their unit tests, and the runbook. Each check returns its findings."""

import re
from dataclasses import dataclass
from pathlib import Path

import yaml

from support.programs import REPOSITORY

FOLDER = REPOSITORY / "prometheus"
RUNBOOK = REPOSITORY / "docs" / "RUNBOOK.md"
SEVERITIES = {"critical", "warning", "info"}
ANNOTATIONS = {"summary", "description", "runbook_url", "dashboard_url"}
DASHBOARD_UIDS = {"asynq-overview", "asynq-queues", "asynq-workers", "asynq-collector"}
WINDOWS = {"long", "short"}  # labels that burn-rate alerts have besides the severity
FROM_REDIS = r"asynq_(queue|tasks|servers|server|scheduler)_\w+|asynq_redis_(used|max|evicted|connected)\w+"


@dataclass
class RuleFiles:
    groups: list[dict]
    tests: list[dict]
    runbook: str
    dashboard_uids: set[str]

    @classmethod
    def read(cls) -> "RuleFiles":
        groups = [group for file in sorted((FOLDER / "rules").glob("*.yml")) for group in _yaml(file)["groups"]]
        tests = [test for file in sorted((FOLDER / "tests").glob("*.yml")) for test in _yaml(file)["tests"]]
        return cls(groups, tests, RUNBOOK.read_text(encoding="utf-8"), set(DASHBOARD_UIDS))

    @property
    def alerts(self) -> list[dict]:
        return [rule for group in self.groups for rule in group["rules"] if "alert" in rule]

    @property
    def records(self) -> list[dict]:
        return [rule for group in self.groups for rule in group["rules"] if "record" in rule]


def _yaml(file: Path) -> dict:
    return yaml.safe_load(file.read_text(encoding="utf-8"))


def untested(files: RuleFiles) -> list[str]:
    """Alerts (burn-rate ones by window) that no unit test sees firing, and alerts that none sees quiet."""
    firing, quiet = set(), set()
    for test in files.tests:
        for check in test.get("alert_rule_test", []):
            name, expected = check["alertname"], check.get("exp_alerts") or []
            if not expected:
                quiet.add(name)
            firing |= {(name, alert["exp_labels"].get("long")) for alert in expected if alert.get("exp_annotations")}
    findings = []
    for alert in files.alerts:
        name, long = alert["alert"], alert["labels"].get("long")
        if (name, long) not in firing:
            findings.append(f"{name} {long or ''}: no test in which it fires")
        if name not in quiet:
            findings.append(f"{name}: no test in which it is quiet")
    return findings


def form_problems(files: RuleFiles) -> list[str]:
    findings = []
    for alert in files.alerts:
        name, labels, annotations = alert["alert"], alert.get("labels", {}), alert.get("annotations", {})
        if not re.fullmatch(r"Asynq([A-Z][a-z]+)+", name):
            findings.append(f"{name}: the name is not CamelCase that begins with Asynq")
        if labels.get("severity") not in SEVERITIES:
            findings.append(f"{name}: severity {labels.get('severity')!r}")
        if extra := set(labels) - {"severity"} - (WINDOWS if "BudgetBurning" in name else set()):
            findings.append(f"{name}: labels {sorted(extra)}")
        if set(annotations) != ANNOTATIONS:
            findings.append(f"{name}: annotations {sorted(annotations)}")
            continue
        # A summary names what it is about; numbers change, and would make one alert look like many.
        if re.search(r"\d|\$value", annotations["summary"]):
            findings.append(f"{name}: a number in the summary")
        if not annotations["runbook_url"].endswith(f"/asynq#{name.lower()}"):
            findings.append(f"{name}: runbook_url {annotations['runbook_url']}")
        uid = re.search(r"/d/([\w-]+)", annotations["dashboard_url"])
        if not uid or uid[1] not in files.dashboard_uids:
            findings.append(f"{name}: dashboard_url {annotations['dashboard_url']}")
    for rule in files.records:
        if not re.fullmatch(r"[a-z_]+:[a-zA-Z0-9_]+:[a-z0-9_]+", rule["record"]):
            findings.append(f"{rule['record']}: the name is not level:metric:operations")
    return findings


def _minutes(duration: str) -> float:
    number, unit = re.fullmatch(r"(\d+)([smhd])", duration).groups()
    return int(number) * {"s": 1 / 60, "m": 1, "h": 60, "d": 1440}[unit]


def brief_alerts(files: RuleFiles) -> list[str]:
    """Alerts that tell of an event (`increase(…) > 0`) and are over before Alertmanager has told of them: it waits for
    group_interval before it tells news of a group, and then tells what is over as resolved only."""
    interval = _minutes(_yaml(FOLDER / "alertmanager.yml")["route"]["group_interval"])
    findings = []
    for alert in files.alerts:
        ranges = re.findall(r"\bincrease\([^\[]*\[(\w+)\]\)(?: or increase\([^\[]*\[\w+\]\))*[) ]* > 0(?![.\d])",
                            " ".join(alert["expr"].split()))
        for duration in ranges:
            if _minutes(duration) - _minutes(alert.get("for", "0m")) < 2 * interval:
                findings.append(f"{alert['alert']}: over within two group_intervals of an event")
    return findings


def runbook_problems(files: RuleFiles) -> list[str]:
    """One section for each alert, with cause, check and cure."""
    sections = re.split(r"^### ", files.runbook, flags=re.MULTILINE)[1:]
    texts = {section.split("\n", 1)[0].strip(): section for section in sections}
    names = {alert["alert"] for alert in files.alerts}
    findings = [f"{name}: not in the runbook" for name in sorted(names - set(texts))]
    findings += [f"{name}: in the runbook, and no alert" for name in sorted(set(texts) - names)]
    for name, text in texts.items():
        if "**Cause, check, cure.**" in text:
            continue
        findings += [f"{name}: no {part}" for part in ("Cause", "Check", "Cure") if f"**{part}.**" not in text]
    return findings


def aggregation_problems(files: RuleFiles) -> list[str]:
    """What is read from Redis is the same in every collector: `max by`, never `sum` of the raw series. What comes from
    spans reached one collector only: `sum by`, never `max`."""
    from_spans = r"asynq_task_(wait|processing|attempts)\w+"
    aggregated = r"\b{how}\s*(?:by\s*\([^)]*\)\s*)?\(\s*(?:\w+\s*\(\s*)?(?:{names})"
    findings = []
    for rule in files.alerts + files.records:
        name = rule.get("alert") or rule["record"]
        expression = rule["expr"]
        if re.search(aggregated.format(how="sum", names=FROM_REDIS), expression):
            findings.append(f"{name}: sums over collectors what each of them reads from Redis")
        if re.search(aggregated.format(how="max", names=from_spans), expression):
            findings.append(f"{name}: takes one collector's spans for all")
        for match in re.finditer(rf"(?<![:\w])({FROM_REDIS}|{from_spans})", expression):
            # The least of their greatest is a comparison of collectors.
            if not re.search(r"\b((max|sum) by \([^)]*\) \((?:\w+\((?:[\d.]+, )?)?|min by \([^)]*\) \(max_over_time\()\s*$",
                             expression[:match.start()]):
                findings.append(f"{name}: {match[0]} is not aggregated over collectors")
    return findings


def unkept_alerts(files: RuleFiles) -> list[str]:
    """Alerts on what is read from Redis that would be told as resolved when Redis can't be read, or have no unit test of that.
    Burn rates come from spans; only the pause that silences them is Redis'."""
    tested = {check["alertname"] for test in files.tests for check in test.get("alert_rule_test", [])
              for alert in check.get("exp_alerts") or []
              if alert.get("exp_annotations", {}).get("description", "").startswith("Redis cannot be read; when it last was, ")}
    findings, meanings = [], set()
    for group in files.groups:
        recorded = None
        for rule in group["rules"]:
            name, expression = rule.get("alert"), re.sub(r"\(\s+|\s+\)|\s+", lambda m: m[0].strip() or " ", rule["expr"].strip())
            if rule.get("record", "").startswith("redis:asynq_redis_unread:"):
                recorded = rule["record"]
                meanings.add(expression)
            if not name or "BudgetBurning" in name or not re.search(rf"(?<![:\w])({FROM_REDIS})", expression):
                continue
            firing = f'-max without (alertname, alertstate, severity) (ALERTS{{alertname="{name}", alertstate="firing"}}) unless on (redis'
            if f" or ({firing}" not in expression or not expression.rstrip(")").endswith(f" and on (redis) {recorded}"):
                findings.append(f"{name}: resolved when Redis can't be read (see the top of asynq-alerts.yml)")
            if not rule["annotations"]["description"].startswith("{{ if lt $value 0.0 }}Redis cannot be read; when it last was, "):
                findings.append(f"{name}: the description does not say that Redis cannot be read")
            if name not in tested:
                findings.append(f"{name}: no test in which Redis cannot be read")
    if len(meanings) != 1:
        findings.append(f"not read whole means {len(meanings)} things: {meanings}")
    return findings
