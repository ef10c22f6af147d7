"""A Prometheus of our own: private directory, random port, one scrape job per target."""

import json
import os
import subprocess
import urllib.parse
from pathlib import Path

import yaml

from support.deadline import eventually
from support.http_client import ask
from support.metrics_server import MetricsServer

FEATURES = "native-histograms,exemplar-storage"
# Newer ones than Debian's, where there are any: see README.md.
NEWER = [program for program in os.environ.get("ASYNQ_COLLECTOR_TEST_PROMETHEUS", "").split(":") if program]


def version(program: str) -> tuple[int, int]:
    said = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=60).stdout
    major, minor = said.split()[2].split(".")[:2]
    return int(major), int(minor)


def keeps_classic_histograms(version: tuple[int, int]) -> dict[str, bool]:
    """The line of a job that stores classic histograms beside native ones: docs/METRICS.md."""
    if version < (2, 45):
        return {}
    return {"always_scrape_classic_histograms" if version >= (3, 0) else "scrape_classic_histograms": True}


def takes_native_histograms(version: tuple[int, int]) -> dict[str, bool]:
    """The line of a job that asks for native histograms, where no feature flag does so any more."""
    return {"scrape_native_histograms": True} if version >= (3, 8) else {}


def _has_receiver(program: str) -> bool:
    # Its help has the word [no-] in the middle of the flag.
    said = subprocess.run([program, "--help"], capture_output=True, text=True, timeout=60)
    return "web.enable-otlp-receiver" in said.stdout + said.stderr


# Those that take OTLP; Debian builds it without.
RECEIVER = "--web.enable-otlp-receiver"
WITH_RECEIVER = [program for program in NEWER if _has_receiver(program)]


class Prometheus(MetricsServer):
    NAME = "Prometheus"
    READY_PATH = "/-/ready"

    def __init__(self, directory: Path, jobs: dict[str, int], program: str = "prometheus", per_job: dict = {},
                 features: str = FEATURES, rules: Path | None = None, flags: tuple[str, ...] = ()):
        """`jobs`: name to port of this machine; `per_job`: more of each job's configuration; `flags`: more of them."""
        super().__init__(directory)
        self._program = program
        self._jobs = jobs
        self._features = features
        self._flags = flags
        configuration = {
            "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
            "rule_files": [f"{rules}/*.yml"] if rules else [],
            "scrape_configs": [
                {"job_name": name, "static_configs": [{"targets": [f"127.0.0.1:{port}"]}]} | per_job
                for name, port in jobs.items()]}
        (directory / "prometheus.yml").write_text(yaml.safe_dump(configuration))

    def _command(self) -> list[str]:
        return [self._program, f"--config.file={self._directory / 'prometheus.yml'}",
                f"--storage.tsdb.path={self._directory / 'data'}", f"--web.listen-address=127.0.0.1:{self.endpoint.port}",
                f"--enable-feature={self._features}", *self._flags]

    def get(self, path: str, **parameters):
        answer = ask(self.endpoint, "GET", f"/api/v1/{path}?{urllib.parse.urlencode(parameters)}")
        content = json.loads(answer.body)
        assert content["status"] == "success", content
        return content["data"]

    def until_scraped_again(self, times: int = 2) -> None:
        """Each job has had as many good scrapes more as that."""
        before = self._scrapes()
        eventually(f"{times} more scrapes of each of {list(self._jobs)}",
                   lambda: all(count >= before.get(job, 0) + times for job, count in self._scrapes().items()) and
                   len(self._scrapes()) == len(self._jobs), every=0.2)

    def _scrapes(self) -> dict[str, float]:
        bad = [t for t in self.get("targets")["activeTargets"] if t["health"] == "down"]
        assert not bad, f"a scrape failed: {bad[0]['lastError']}"
        result = self.query("sum by (job) (count_over_time(up[10m]))")
        return {series["metric"]["job"]: float(series["value"][1]) for series in result}

    def query(self, expression: str) -> list[dict]:
        return self.get("query", query=expression)["result"]

    def scalar(self, expression: str) -> float:
        result = self.query(expression)
        assert len(result) == 1, f"expected one series of {expression}, got {result}"
        return float(result[0]["value"][1])

    def exemplars(self, selector: str, start: float, end: float) -> list[dict]:
        return self.get("query_exemplars", query=selector, start=start, end=end)
