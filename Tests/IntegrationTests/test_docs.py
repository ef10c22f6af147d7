"""docs/: what the pages for operators say is what the program does. Links and anchors are looked after by scripts/check-sources."""

import re
import subprocess
from pathlib import Path

import pytest
import yaml
from opentelemetry.proto.trace.v1.trace_pb2 import Status

from support.metrics_page import MetricsPage
from support.otlp import attributes, process_span, request
from support.programs import REPOSITORY
from support.redis_server import RedisServer

DOCS = REPOSITORY / "docs"


def text(page: str) -> str:
    return (DOCS / page).read_text(encoding="utf-8")


def section(page: str, title: str) -> str:
    """From this heading to the next one of the same level or above."""
    found = re.search(rf"^(#+) {re.escape(title)}\n(.*?)(?=^#{{1,2}} |\Z)", text(page), re.M | re.S)
    assert found, f"{page} has no section {title}"
    return found[2]


def table(of: str, first: str) -> list[list[str]]:
    """The rows of the table whose first column has this title; an empty cell is that of the row above."""
    lines = of.splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith(f"| {first} |"))
    rows: list[list[str]] = []
    for line in lines[start + 2:]:
        if not line.startswith("|"):
            break
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        rows.append([cell or (rows[-1][number] if rows and number < 2 else "") for number, cell in enumerate(cells)])
    return rows


def code(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", re.sub(r"```.*?```", "", cell, flags=re.S))


# --- The map ---


def test_every_page_is_on_the_map():
    linked = {(DOCS / target.split("#")[0]).resolve() for target in re.findall(r"\]\(([^)#]+)", text("README.md"))}
    pages = {page.resolve() for page in DOCS.glob("*.md")} - {(DOCS / "README.md").resolve()}
    assert pages - linked == set(), "each page needs a row in docs/README.md"


# --- Names ---


PAGES = sorted([*DOCS.glob("*.md"), *(REPOSITORY / path for path in (
    "README.md", "deploy/README.md", "prometheus/README.md", "dashboards/README.md", "tempo/README.md", "instrumentation/go/README.md"))])
# What looks like a setting: a member of a JSON document.
NO_SETTINGS = {"redis.state"}


def families() -> set[str]:
    names = {code(row[0])[0] for block in re.findall(r"<!-- generated: families-.*?<!-- end", text("METRICS.md"), re.S)
             for row in table(block, "family")}
    return names | {f"{name}_{suffix}" for name in names if name.endswith("_seconds") for suffix in ("bucket", "count", "sum")}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(REPOSITORY)))
def test_every_metric_and_setting_that_a_page_names_is_there(page):
    content = page.read_text(encoding="utf-8")
    # A name that goes on with `_`, `*`, `{` of alternatives or `…` is the beginning of several; recorded names have a colon.
    named = set(re.findall(r"(?<![\w:./-])asynq_[a-z0-9_]*[a-z0-9](?![\w:*…]|_)", content))
    assert {name for name in named if not any(known == name or known.startswith(f"{name}_") for known in families())} == set()
    keys = set(re.findall(r"^### `([^`]+)`$", text("CONFIGURATION.md"), re.M))
    sections = "redis|otlp|tempo|spool|metrics|memory|traces|wait|scale|shutdown|log|external-url"
    for name in re.findall(rf"`((?:{sections})\.[a-z][a-z.-]*)(?:: [^`]*)?`", content):
        name = name.rstrip(".")
        is_known = name in NO_SETTINGS or name in keys or name.removesuffix("-file") in keys
        assert is_known or any(key.startswith(name + ".") for key in keys), name


def blocks(page: Path, language: str) -> list[str]:
    return [re.sub(rf"^ {{{len(indent)}}}", "", block, flags=re.M)
            for indent, found, block in re.findall(r"^( *)```(\w*)\n(.*?)^ *```$", page.read_text(encoding="utf-8"), re.M | re.S)
            if found == language]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(REPOSITORY)))
def test_yaml_in_a_page_is_yaml_and_prometheus_takes_its_part(page, tmp_path):
    for block in blocks(page, "yaml"):
        content = yaml.safe_load(block)
        if isinstance(content, dict) and "scrape_configs" in content:
            (tmp_path / "prometheus.yml").write_text(block, encoding="utf-8")
            ran = subprocess.run(["promtool", "check", "config", "--syntax-only", tmp_path / "prometheus.yml"], capture_output=True, text=True)
            assert ran.returncode == 0, ran.stdout + ran.stderr


@pytest.mark.parametrize("page", ["MISSING-SPANS.md", "MIGRATING.md"])
def test_queries_in_a_page_are_queries(page, tmp_path):
    """A block has one in each line, or, where they are longer, one in each paragraph."""
    queries = []
    for block in blocks(DOCS / page, ""):
        if "asynq_" in block:
            paragraphs = re.sub(r"^#.*\n", "", block, flags=re.M).split("\n\n")
            queries += [query for paragraph in paragraphs for query in (
                [paragraph] if paragraph.count("\n  ") else paragraph.splitlines()) if query.strip()]
    assert len(queries) >= 7
    rules = [{"record": "query", "expr": query, "labels": {"number": str(number)}} for number, query in enumerate(queries)]
    (tmp_path / "rules.yml").write_text(yaml.safe_dump({"groups": [{"name": page, "rules": rules}]}), encoding="utf-8")
    ran = subprocess.run(["promtool", "check", "rules", tmp_path / "rules.yml"], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stdout + ran.stderr


# --- Values of labels ---


# Labels whose values come from elsewhere, and those that other pages explain.
OPEN = {"queue", "task_type", "error_type", "host", "pid", "server_id", "spec", "entry_id", "version", "quantile", "le", "code"}


def values_on(page: MetricsPage) -> dict[tuple[str, str], set[str]]:
    found: dict[tuple[str, str], set[str]] = {}
    for sample, samples in page.samples.items():
        name = re.sub("_(bucket|count|sum)$", "", sample)
        for labels in samples:
            for label, value in labels:
                if label not in OPEN:
                    found.setdefault((name, label), set()).add(value)
    return found


def test_the_table_of_labels_has_every_value_that_the_page_has(start_collector, tempo, tmp_path):
    documented: dict[tuple[str, str], set[str]] = {}
    for families, label, values, _ in table(section("METRICS.md", "Values of the labels"), "family"):
        for family in code(families):
            name = family if family.startswith("asynq_") else f"asynq_collector_{family}"
            documented.setdefault((name, label), set()).update(code(values))
    failed_retry = process_span(2, "emails", "t", status=Status(code=Status.STATUS_CODE_ERROR))
    failed_retry.attributes.extend(attributes(asynq__task__retry_count=1))
    with RedisServer(tmp_path / "redis") as redis:
        redis.client().sadd("asynq:queues", "emails")
        collector = start_collector(options={"redis.url": redis.url, "tempo.endpoint": tempo.endpoint})
        collector.post(request(process_span(1, "emails", "t"), failed_retry))
        found = values_on(collector.metrics())
    # Those that Asynq's servers report, and what stands for a text that is too long.
    found["asynq_servers", "status"] |= {"new", "stopped", "closed", "_other"}
    # Counted from the first span of the collector's own on.
    found["asynq_collector_received_spans_total", "transport"].add("internal")
    # Each part has a limit; one that is off here, or whose bytes are not told, has no sample.
    limit = ("asynq_collector_memory_limit_bytes", "part")
    found["asynq_collector_memory_bytes", "part"] = found[limit] = found[limit] | {"pushes", "recent_spans"}
    assert documented == found, "docs/METRICS.md, Values of the labels: a row for each value"


def test_reasons_of_redis_are_explained_where_the_scrape_is():
    reasons = {code(values)[0] for families, label, values, _ in table(section("METRICS.md", "Values of the labels"), "family")
               if code(families) == ["asynq_redis_scrape_errors_total"]}
    assert reasons <= set(code(text("REDIS.md")))


# --- Moving over ---


def joined_queries() -> list[str]:
    block = re.search(r"<!-- joined -->\n\n```\n(.*?)```", text("MIGRATING.md"), re.S)[1]
    return [re.sub(r"^#.*\n", "", query, flags=re.M) for query in block.split("\n\n")]


def test_joined_queries_go_on_from_one_exporter_to_the_other(tmp_path):
    """The old exporter for 40 minutes, the collector from minute 20 on: one task a second of two queues, one failure in ten."""
    series = []
    for queue, factor in (("emails", 1), ("reports", 2)):
        old, new = f'job="asynq-exporter",queue="{queue}"', f'job="asynq-collector",queue="{queue}"'
        both = [
            (f"asynq_queue_size{{{old}}}", f"{10 * factor}x40"),
            (f"asynq_queue_latency_seconds{{{old}}}", "-1x40"),
            (f"asynq_tasks_processed_total{{{old}}}", f"0+{60 * factor}x40"),
            (f"asynq_tasks_failed_total{{{old}}}", f"0+{6 * factor}x40"),
            (f"asynq_queue_latency_seconds{{{new}}}", "_x20 0x40"),
            (f'asynq_tasks_processed_total{{{new},status="completed"}}', f"_x20 {54 * factor * 20}+{54 * factor}x40"),
            (f'asynq_tasks_processed_total{{{new},status="failed"}}', f"_x20 {6 * factor * 20}+{6 * factor}x40")]
        for state, count in (("pending", 5), ("retry", 3), ("archived", 2)):
            both += [(f'asynq_tasks_enqueued_total{{{old},state="{state}"}}', f"{count * factor}x40"),
                     (f'asynq_queue_size{{{new},state="{state}"}}', f"_x20 {count * factor}x40")]
        series += [{"series": name, "values": values} for name, values in both]
    expected = {0: {"": 10}, 1: {"pending": 5, "retry": 3, "archived": 2}, 2: {"": 1}, 3: {"": 0.1}, 4: {"": 0}}
    cases = []
    for number, query in enumerate(joined_queries()):
        samples = [{"labels": f'{{queue="{queue}"' + (f',state="{state}"' if state else "") + "}", "value": value * factor}
                   for queue, factor in (("emails", 1), ("reports", 2)) for state, value in expected[number].items()]
        cases += [{"expr": query, "eval_time": when, "exp_samples": samples} for when in ("10m", "35m", "55m")]
    (tmp_path / "test.yml").write_text(yaml.safe_dump({"evaluation_interval": "1m", "tests": [
        {"interval": "1m", "input_series": series, "promql_expr_test": cases}]}), encoding="utf-8")
    ran = subprocess.run(["promtool", "test", "rules", tmp_path / "test.yml"], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stdout + ran.stderr


# --- Sizing ---


MEBIBYTES = {"Mi": 1, "MiB": 1, "M": 1, "Gi": 1024}


def mebibytes(limit: str) -> int:
    number, unit = re.fullmatch(r"(\d+) ?(\w+)", limit).groups()
    return int(number) * MEBIBYTES[unit]


def shipped_limits() -> dict[str, tuple[int, str]]:
    """Memory in MiB, and the CPU that is asked for."""
    values = yaml.safe_load((REPOSITORY / "deploy/helm/asynq-collector/values.yaml").read_text(encoding="utf-8"))
    found = {}
    for name in ("sidecar", "scraper", "gateway"):
        resources = values[name]["resources"]
        found[name] = mebibytes(resources["limits"]["memory"]), resources["requests"]["cpu"]
    unit = (REPOSITORY / "deploy/systemd/asynq-collector.service").read_text(encoding="utf-8")
    found["systemd"] = mebibytes(re.search(r"^MemoryMax=(\S+)$", unit, re.M)[1]), ""
    return found


def test_the_shipped_limits_follow_from_what_was_measured():
    """What is full, and a quarter more; the plain objects of Kubernetes are made from the chart's values."""
    measured = {row[0]: int(row[1]) for row in table(section("SIZING.md", "Memory"), "what")}
    idle, spans, look_ahead = (next(size for what, size in measured.items() if what.startswith(start))
                               for start in ("idle", "tables of spans", "look-ahead"))
    series = {size for what, size in measured.items() if what.startswith("series")}
    shipped = shipped_limits()
    rows = table(section("SIZING.md", "Memory"), "where")
    assert {row[0] for row in rows} == set(shipped)
    for where, *parts, together, limit, cpu in rows:
        parts = [int(part) for part in parts]
        assert parts[0] == idle and parts[1] in (0, spans) and parts[2] in (0, look_ahead) and parts[3] in series, where
        assert sum(parts) == int(together), where
        assert (mebibytes(limit), cpu) == shipped[where], where
        assert int(together) * 1.25 <= mebibytes(limit) <= int(together) * 2.5, where


def test_the_example_of_disk_is_the_formula():
    per_span = int(table(section("SIZING.md", "Disk"), "spans")[0][2])
    rows = table(section("SIZING.md", "Disk"), "spans/s")
    assert len(rows) >= 4
    for rate, outage, size in rows:
        wanted = int(rate.replace(",", "")) * int(outage.removesuffix(" h")) * 3600 * per_span * 1.25
        given = float(size.removesuffix("MiB").removesuffix("GiB")) * (2**30 if "GiB" in size else 2**20)
        assert wanted <= given <= wanted * 1.1, (rate, outage, size)


# --- Rules of one's own ---


def test_rules_of_ones_own_set_an_objective_and_an_alert(tmp_path):
    block, = re.findall(r"```yaml\n(groups:.*?)```", (REPOSITORY / "prometheus" / "README.md").read_text(encoding="utf-8"), re.S)
    (tmp_path / "own.yml").write_text(block, encoding="utf-8")
    rules = [str(path) for path in sorted((REPOSITORY / "prometheus" / "rules").glob("*.yml"))] + ["own.yml"]
    series = [{"series": 'asynq_redis_up', "values": "1x60"}]
    for queue in ("emails", "reports"):
        of = f'queue="{queue}"'
        # Every task waits longer than 10 s and less than 300 s; the next one has been ready for 310 s.
        series += [{"series": name, "values": values} for name, values in (
            (f"asynq_queue_latency_seconds{{{of}}}", "310x60"), (f"asynq_queue_paused{{{of}}}", "0x60"),
            (f'asynq_queue_size{{{of},state="retry"}}', "1001x60"),
            (f'asynq_task_wait_duration_seconds_bucket{{{of},le="10"}}', "0x60"),
            (f'asynq_task_wait_duration_seconds_bucket{{{of},le="300"}}', "0+60x60"),
            (f'asynq_task_wait_duration_seconds_bucket{{{of},le="+Inf"}}', "0+60x60"),
            (f"asynq_task_wait_duration_seconds_count{{{of}}}", "0+60x60"))]
    firing = [{"expr": 'count by (alertname, queue) (ALERTS{alertstate="firing",'
                       'alertname=~"ShopEmails.*|AsynqOldestPendingTooOld|AsynqWaitBudgetBurningFast"})',
               "eval_time": "50m", "exp_samples": [
                   {"labels": '{alertname="AsynqOldestPendingTooOld",queue="emails"}', "value": 1},
                   {"labels": '{alertname="AsynqWaitBudgetBurningFast",queue="emails"}', "value": 2},
                   {"labels": '{alertname="ShopEmailsRetry",queue="emails"}', "value": 1},
                   {"labels": '{alertname="ShopEmailsWait",queue="emails"}', "value": 1}]}]
    (tmp_path / "test.yml").write_text(yaml.safe_dump({
        "rule_files": rules, "evaluation_interval": "30s",
        "tests": [{"interval": "1m", "input_series": series, "promql_expr_test": firing}]}), encoding="utf-8")
    ran = subprocess.run(["promtool", "test", "rules", "test.yml"], cwd=tmp_path, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stdout + ran.stderr


# --- Words of the program ---


def test_what_the_program_says_is_quoted_as_it_says_it():
    """`…` stands for what differs."""
    said = "\n".join(file.read_text(encoding="utf-8") for file in (REPOSITORY / "Sources").rglob("*.swift"))
    quoted = [row[0] for row in table(section("TROUBLESHOOTING.md", "Not ready, or it does not start"), "body")]
    quoted += [row[1] for row in table(section("TROUBLESHOOTING.md", "Not ready, or it does not start"), "exit code")]
    quoted += re.findall(r'"([^"]+)"', section("TROUBLESHOOTING.md", "The web endpoints refuse"))
    quoted += [row[1] for row in table(section("TROUBLESHOOTING.md", "Senders get 429 or 503"), "answer") if "…" in row[1]]
    assert len(quoted) >= 12
    for words in quoted:
        for part in filter(None, (part.strip(" :;?") for part in words.split("…"))):
            assert part in said, part
