"""A VictoriaMetrics of our own: scrapes jobs, takes OTLP, and answers queries as Prometheus does."""

import json
import os
import urllib.parse
from pathlib import Path

import yaml

from support.http_client import ask
from support.metrics_server import MetricsServer

PROGRAM = os.environ.get("ASYNQ_COLLECTOR_TEST_VICTORIA_METRICS", "")


class VictoriaMetrics(MetricsServer):
    NAME = "VictoriaMetrics"
    READY_PATH = "/health"

    def __init__(self, directory: Path, jobs: dict[str, int]):
        super().__init__(directory)
        self.otlp = f"http://127.0.0.1:{self.endpoint.port}/opentelemetry"
        scrapes = {"global": {"scrape_interval": "1s"}, "scrape_configs": [
            {"job_name": name, "static_configs": [{"targets": [f"127.0.0.1:{port}"]}]} for name, port in jobs.items()]}
        (directory / "scrape.yml").write_text(yaml.safe_dump(scrapes))

    def _command(self) -> list[str]:
        return [PROGRAM, f"-storageDataPath={self._directory / 'data'}", f"-httpListenAddr=127.0.0.1:{self.endpoint.port}",
                f"-promscrape.config={self._directory / 'scrape.yml'}", "-opentelemetry.usePrometheusNaming",
                "-opentelemetry.promoteAllResourceAttributes=false", "-opentelemetry.promoteResourceAttributes=job,instance",
                "-opentelemetry.promoteScopeMetadata=false",
                "-search.latencyOffset=0s", "-memory.allowedBytes=64MiB"]

    def query(self, expression: str) -> list[dict]:
        parameters = urllib.parse.urlencode({"query": expression, "nocache": "1"})
        content = json.loads(ask(self.endpoint, "GET", f"/api/v1/query?{parameters}").body)
        assert content["status"] == "success", content
        return content["data"]["result"]
