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

    def orphans(self) -> dict[str, float]:
        return {queue["queue"]: sum(task["is_orphaned"] for task in queue["tasks"]["active"]) for queue in self.queues}

    def longest_running(self) -> dict[str, float]:
        """Of the queues in which a worker of a live server runs a task."""
        starts: dict[str, int] = {}
        for worker in (worker for server in self.servers for worker in server["active_workers"]):
            started = int(worker["started"]["unix_ns"])
            starts[worker["queue"]] = min(started, starts.get(worker["queue"], started))
        return {queue: (self.unix_nanoseconds - started) / 1e9 for queue, started in starts.items()}

    def overdue(self) -> dict[tuple[str, str], float]:
        """Asynq compares with whole seconds."""
        now = self.unix_nanoseconds // 1_000_000_000
        return {(queue["queue"], state): sum(score <= now for score in queue["zset_scores"][state].values())
                for queue in self.queues for state in ("scheduled", "retry")}

    def archive_fill(self) -> dict[str, float]:
        return {queue["queue"]: queue["archived"] / 10_000 for queue in self.queues}

    def consumers(self) -> dict[str, tuple[float, float]]:
        """Active servers of each queue, and their concurrency."""
        serving = {queue["queue"]: [server for server in self.servers
                                    if server["status"] == "active" and queue["queue"] in server["queues"]]
                   for queue in self.queues}
        return {queue: (len(servers), sum(server["concurrency"] for server in servers))
                for queue, servers in serving.items()}

    def servers_by_id(self) -> dict[tuple[str, str, str], tuple[float, float]]:
        """Concurrency and busy workers."""
        return {(server["host"], str(server["pid"]), server["id"]): (server["concurrency"], self.busy_workers[server["id"]])
                for server in self.servers}

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
