"""A VictoriaMetrics of our own: scrapes jobs, takes OTLP, and answers queries as Prometheus does."""

import json
import os
import shutil
import subprocess
import urllib.parse
from pathlib import Path

import yaml

from support.deadline import eventually
from support.http_client import Endpoint, ask
from support.ports import free_port

PROGRAM = os.environ.get("ASYNQ_COLLECTOR_TEST_VICTORIA_METRICS", "")


class VictoriaMetrics:
    def __init__(self, directory: Path, jobs: dict[str, int]):
        directory.mkdir(parents=True, exist_ok=True)
        self._directory = directory
        self.endpoint = Endpoint(port=free_port())
        self.otlp = f"http://127.0.0.1:{self.endpoint.port}/opentelemetry"
        self._scrapes = {"global": {"scrape_interval": "1s"}, "scrape_configs": [
            {"job_name": name, "static_configs": [{"targets": [f"127.0.0.1:{port}"]}]} for name, port in jobs.items()]}

    def __enter__(self) -> "VictoriaMetrics":
        configuration = self._directory / "scrape.yml"
        configuration.write_text(yaml.safe_dump(self._scrapes))
        flags = [f"-storageDataPath={self._directory / 'data'}", f"-httpListenAddr=127.0.0.1:{self.endpoint.port}",
                 f"-promscrape.config={configuration}", "-opentelemetry.usePrometheusNaming",
                 "-opentelemetry.promoteAllResourceAttributes=false", "-opentelemetry.promoteScopeMetadata=false",
                 "-search.latencyOffset=0s", "-memory.allowedBytes=64MiB"]
        with open(self._directory / "log", "wb") as log:
            self._process = subprocess.Popen([PROGRAM, *flags], stdout=log, stderr=log)
        eventually("VictoriaMetrics is ready", self._is_ready)
        return self

    def __exit__(self, *_) -> None:
        self._process.kill()
        self._process.wait()
        shutil.rmtree(self._directory / "data", ignore_errors=True)

    def log(self) -> str:
        return (self._directory / "log").read_text(errors="replace")

    def _is_ready(self) -> bool:
        assert self._process.poll() is None, self.log()
        return ask(self.endpoint, "GET", "/health").status == 200

    def query(self, expression: str) -> list[dict]:
        parameters = urllib.parse.urlencode({"query": expression, "nocache": "1"})
        content = json.loads(ask(self.endpoint, "GET", f"/api/v1/query?{parameters}").body)
        assert content["status"] == "success", content
        return content["data"]["result"]
