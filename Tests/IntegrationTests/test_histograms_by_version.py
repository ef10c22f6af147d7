"""The shipped rules on real Prometheus servers of several versions, with classic histograms, native ones, and both: what
docs/METRICS.md and prometheus.yml say of each version."""

import itertools
import re
import threading
import time

import pytest
import yaml

from support.alert_rules import FOLDER
from support.collector import Collector
from support.deadline import eventually
from support.otlp import attributes, process_span, request
from support.programs import REPOSITORY
from support.prometheus_server import NEWER, Prometheus, keeps_classic_histograms, version
from support.stack import faster_rules

PROGRAMS = ["prometheus", *NEWER]
# Half of the waits are longer than the 10 s of the objective, and all shorter than the 300 s that `reports` has for itself.
WAITS = itertools.cycle([1.0, 20.0])
ALARM = "AsynqWaitObjectiveNotMeasured"


def _settings(program: str, histograms: str) -> tuple[str, dict]:
    """Feature flags, and the job's lines."""
    number = version(program)
    if histograms == "classic":
        return "exemplar-storage", {}
    kept = keeps_classic_histograms(number) if histograms == "both" else {}
    if number >= (3, 8):
        return "exemplar-storage", kept | {"scrape_native_histograms": True}
    return "native-histograms,exemplar-storage", kept


CASES = [(program, histograms) for program in PROGRAMS for histograms in ("classic", "native", "both")
         if histograms != "both" or keeps_classic_histograms(version(program))]


@pytest.fixture(scope="module")
def collector(tmp_path_factory):
    collector = Collector(tmp_path_factory.mktemp("collector"), {"tempo.endpoint": "none"}).start()
    done = threading.Event()
    numbers = itertools.count()

    def work() -> None:
        while not done.wait(0.2):
            spans = []
            for queue in ("emails", "reports"):
                for _ in range(4):
                    span = process_span(next(numbers), queue, "t", flags=1)
                    span.attributes.extend(attributes(asynq__task__wait_seconds=next(WAITS)))
                    spans.append(span)
            collector.post(request(*spans))

    worker = threading.Thread(target=work)
    worker.start()
    yield collector
    done.set()
    worker.join()
    problem = collector.close()
    assert not problem, problem


@pytest.fixture(scope="module")
def rules(tmp_path_factory):
    """The shipped ones, sooner, and with the example of a queue that has seconds of its own."""
    folder = tmp_path_factory.mktemp("rules")
    for file in (FOLDER / "rules").glob("*.yml"):
        content = faster_rules(yaml.safe_load(with_example(file.read_text(encoding="utf-8"))))
        (folder / file.name).write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
    return folder


def with_example(text: str) -> str:
    """With the commented rule `queue:asynq_task_wait_objective:seconds` as a rule."""
    return re.sub(r"^( +)# (- record: queue:asynq_task_wait_objective:seconds)\n +# (  expr: .*)\n +# (  labels: .*)$",
                  r"\1\2\n\1\3\n\1\4", text, flags=re.MULTILINE)


def test_the_example_is_a_rule():
    text = with_example((FOLDER / "rules" / "asynq-recording.yml").read_text(encoding="utf-8"))
    found, = [rule for group in yaml.safe_load(text)["groups"] for rule in group["rules"]
              if rule["record"] == "queue:asynq_task_wait_objective:seconds"]
    assert found["labels"] == {"queue": "reports"} and found["expr"] == "vector(300)"


@pytest.mark.parametrize("program, histograms", CASES, ids=lambda value: value.replace("/", "_"))
def test_the_wait_objective_is_measured_or_says_that_it_is_not(program, histograms, collector, rules, tmp_path):
    features, per_job = _settings(program, histograms)
    jobs = {"asynq-collector": collector.metrics_port}
    with Prometheus(tmp_path / "prometheus", jobs, program, per_job, features, rules) as server:
        def share(queue: str) -> float | None:
            found = server.query(f'queue:asynq_task_wait_slow:ratio_rate5m{{queue="{queue}"}}')
            return float(found[0]["value"][1]) if found else None

        def alarms(state: str) -> set[str]:
            return {series["metric"]["queue"] for series in server.query(f'ALERTS{{alertname="{ALARM}",alertstate="{state}"}}')}

        if histograms == "native":
            eventually(f"{ALARM} fires", lambda: alarms("firing") == {"emails", "reports"}, seconds=60)
            assert share("emails") is None and server.query("asynq_task_wait_duration_seconds_bucket") == []
        else:
            eventually("half of the tasks are slow", lambda: share("emails") == pytest.approx(0.5, abs=0.1), seconds=60)
            eventually("none is by the seconds of its own", lambda: share("reports") == pytest.approx(0, abs=0.01))
            server.until_scraped_again(3)
            assert alarms("pending") | alarms("firing") == set()
        # Native ones are there where they were asked for, or the test would prove nothing.
        assert bool(server.query("histogram_count(asynq_task_wait_duration_seconds)")) == (histograms != "classic")
        wrong = [f"{rule['name']}: {rule.get('lastError')}" for group in server.get("rules")["groups"]
                 for rule in group["rules"] if rule["health"] != "ok"]
        assert wrong == []


def _lines_by_version() -> dict[str, tuple[str, str]]:
    """The table of docs/METRICS.md."""
    text = (REPOSITORY / "docs" / "METRICS.md").read_text(encoding="utf-8")
    table = text.split("### Native histograms, by version of Prometheus")[1].split("\n## ")[0]
    rows = re.findall(r"^\| ([\w. ]+) \| (.+) \| (.+) \|$", table, re.MULTILINE)
    return {name: (how, kept) for name, how, kept in rows if name != "Prometheus"}


def test_the_documents_say_of_each_version_what_was_tried_here():
    rows = _lines_by_version()
    assert list(rows) == ["below 2.45", "2.45 to 2.55", "3.0 to 3.7", "3.8 and newer"]
    comment = (FOLDER / "prometheus.yml").read_text(encoding="utf-8")
    for (name, (how, kept)), number in zip(rows.items(), [(2, 42), (2, 53), (3, 5), (3, 8)]):
        line = next(iter(keeps_classic_histograms(number)), None)
        assert (f"`{line}: true`" if line else "nothing does") == kept, name
        assert ("`scrape_native_histograms: true`" == how) == (number >= (3, 8)), name
        assert not line or f"{line}: true" in comment, name
