"""What the servers of metrics have in common that scrape a collector in tests: a process, its data, its log."""

import os
import shutil
import subprocess
from pathlib import Path
from typing import Self

from support.deadline import eventually
from support.http_client import Endpoint, ask
from support.ports import free_port


class MetricsServer:
    """Runs while it is entered. Its data go at the end, its configuration and its log stay."""

    NAME: str
    READY_PATH: str

    def __init__(self, directory: Path):
        directory.mkdir(parents=True, exist_ok=True)
        self._directory = directory
        self._process: subprocess.Popen | None = None
        self.endpoint = Endpoint(port=free_port())

    @property
    def _log_file(self) -> Path:
        return self._directory / f"{self.NAME.lower()}.log"

    def _command(self) -> list[str]:
        raise NotImplementedError

    def __enter__(self) -> Self:
        with open(self._log_file, "wb") as log:
            self._process = subprocess.Popen(self._command(), stdout=log, stderr=log)
        eventually(f"{self.NAME} is ready", self._is_ready)
        return self

    def __exit__(self, *_) -> None:
        self._process.kill()
        self._process.wait()
        shutil.rmtree(self._directory / "data", ignore_errors=True)

    def cpu_seconds(self) -> float:
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def resident_mebibytes(self) -> float:
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        return next(int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("VmRSS:"))

    def log(self) -> str:
        return self._log_file.read_text(errors="replace")

    def _is_ready(self) -> bool:
        assert self._process.poll() is None, self.log()
        return ask(self.endpoint, "GET", self.READY_PATH).status == 200
