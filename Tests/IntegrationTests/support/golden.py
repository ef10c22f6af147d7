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
    servers: list[dict]
    busy_workers: dict[str, int]
    scheduler_entries: list[dict]
    scheduler_scores: dict[str, int]

    def sizes(self) -> dict[tuple[str, str], float]:
        return {(queue["queue"], state): queue[state] for queue in self.queues for state in STATES}

    def latencies(self) -> dict[str, float]:
        """Asynq lets a clock that is ahead make the latency negative; here it is 0 then."""
        return {queue["queue"]: max(0, int(queue["latency_ns"]) / 1e9) for queue in self.queues}

    def live_schedulers(self) -> int:
        """Programs, each with its cron entries."""
        return sum(score >= self.unix_nanoseconds // 1_000_000_000 for score in self.scheduler_scores.values())

    def scheduler_times(self, which: str) -> dict[tuple[str, str, str], float]:
        """`next` or `prev`; without the entries that have none."""
        return {(entry["type"], entry["spec"], entry["id"]): int(entry[which]["unix_ns"]) / 1e9
                for entry in self.scheduler_entries if entry[which]}

    def last_enqueued(self) -> dict[tuple[str, str, str], float]:
        """Of each entry the newest event of its history, whose score has whole seconds."""
        return {(entry["type"], entry["spec"], entry["id"]):
                max(int(event["enqueued_at"]["unix_ns"]) for event in entry["enqueue_events"]) // 1_000_000_000
                for entry in self.scheduler_entries if entry["enqueue_events"]}


def load(version: str) -> Golden:
    folder = FIXTURES / "asynq"
    content = json.loads((folder / f"{version}.json").read_text(encoding="utf-8"))
    return Golden(
        version=version,
        dump=folder / f"{version}.persist.rdb",
        unix_nanoseconds=int(content["snapshot"]["unix_ns"]),
        queues=content["queues"],
        servers=content["servers"],
        busy_workers={entry["server_id"]: entry["active_worker_count"]
                      for entry in content["server_info_active_worker_count"]},
        scheduler_entries=content["scheduler_entries"],
        scheduler_scores=content["index_zsets_after_inspector"]["asynq:schedulers"],
    )
