"""A Redis Sentinel of our own, which watches one master."""

import subprocess
from pathlib import Path

import redis

from support.ports import free_port

MASTER = "mymaster"


class Sentinel:
    """`lines` go into its configuration before the master that it watches, such as those for TLS."""

    def __init__(self, directory: Path, master_port: int, password: str | None = None, lines: list[str] = [],
                 down_after_milliseconds: int = 1500):
        directory.mkdir(parents=True)
        self.port = free_port()
        self.directory = directory
        configuration = [f"port {self.port}", "bind 127.0.0.1", f"dir {directory}", *lines,
                         f"sentinel monitor {MASTER} 127.0.0.1 {master_port} 1",
                         f"sentinel down-after-milliseconds {MASTER} {down_after_milliseconds}", f"sentinel failover-timeout {MASTER} 2000"]
        if password:
            configuration.append(f"requirepass {password}")
        (directory / "sentinel.conf").write_text("\n".join(configuration) + "\n")
        with open(directory / "log", "wb") as log:
            self._process = subprocess.Popen(["redis-server", str(directory / "sentinel.conf"), "--sentinel"],
                                             stdout=log, stderr=log)

    def hurry(self) -> None:
        """By default it asks for roles and replicas every ten seconds, and leaves a deposed master alone for eight."""
        with redis.Redis(port=self.port) as client:
            client.execute_command("SENTINEL", "DEBUG", "INFO-PERIOD", "100", "PUBLISH-PERIOD", "100")

    def log(self) -> str:
        return (self.directory / "log").read_text()

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()
