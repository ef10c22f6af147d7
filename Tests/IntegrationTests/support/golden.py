"""The states that real Asynq wrote (Tests/Fixtures/asynq) and what Asynq's own Inspector says of them."""

import json
from dataclasses import dataclass
from pathlib import Path

from support.programs import FIXTURES

VERSIONS = ("0.25.1", "0.26.0")
STATES = ("pending", "active", "scheduled", "retry", "archived", "completed", "aggregating")


@dataclass(frozen=True)
class Golden:
    version: str
    dump: Path
    unix_nanoseconds: int
    queues: list[dict]

    def sizes(self) -> dict[tuple[str, str], float]:
        return {(queue["queue"], state): queue[state] for queue in self.queues for state in STATES}

    def latencies(self) -> dict[str, float]:
        """Asynq lets a clock that is ahead make the latency negative; here it is 0 then."""
        return {queue["queue"]: max(0, int(queue["latency_ns"]) / 1e9) for queue in self.queues}

    def paused(self) -> dict[str, float]:
        return {queue["queue"]: float(queue["paused"]) for queue in self.queues}

    def groups(self) -> dict[str, float]:
        return {queue["queue"]: queue["groups"] for queue in self.queues}

    def processed(self) -> dict[tuple[str, str], float]:
        """Asynq's total of processed tasks includes the failed ones."""
        counts = {}
        for queue in self.queues:
            counts[queue["queue"], "completed"] = queue["processed_total"] - queue["failed_total"]
            counts[queue["queue"], "failed"] = queue["failed_total"]
        return counts


def load(version: str) -> Golden:
    folder = FIXTURES / "asynq"
    content = json.loads((folder / f"{version}.json").read_text(encoding="utf-8"))
    return Golden(
        version=version,
        dump=folder / f"{version}.persist.rdb",
        unix_nanoseconds=int(content["snapshot"]["unix_ns"]),
        queues=content["queues"],
    )
