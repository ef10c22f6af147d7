"""Queues spread over a Cluster, two on each master, whose numbers tell them apart."""

from redis.crc import key_slot

from support.redis_cluster import MASTERS, RedisCluster

QUEUES_EACH = 2
DEAD_EACH = 5
DEATH_UNIX_SECONDS = 1_795_000_000


def slot_of(queue: str) -> int:
    return key_slot(f"asynq:{{{queue}}}:pending".encode())


class ClusterQueues:
    """Queue n (counted from 1) has n pending tasks and five dead ones."""

    def __init__(self, cluster: RedisCluster):
        self._cluster = cluster
        by_master: dict[int, list[str]] = {number: [] for number in range(MASTERS)}
        number = 0
        while any(len(names) < QUEUES_EACH for names in by_master.values()):
            name, number = f"queue-{number}", number + 1
            names = by_master[cluster.number_of(f"asynq:{{{name}}}:pending")]
            if len(names) < QUEUES_EACH:
                names.append(name)
        self.by_master = by_master
        self.names = sorted(name for names in by_master.values() for name in names)
        self.pending = {name: n for n, name in enumerate(self.names, start=1)}

    def write(self) -> None:
        for name in self.names:
            with self._cluster.holder_of(f"asynq:{{{name}}}:pending").client() as client:
                ids = [f"task-{n}" for n in range(self.pending[name])]
                client.lpush(f"asynq:{{{name}}}:pending", *ids)
                for identifier in ids:
                    client.hset(f"asynq:{{{name}}}:t:{identifier}", mapping={"state": "pending", "pending_since": "1"})
                client.zadd(f"asynq:{{{name}}}:archived", {f"dead-{n}": DEATH_UNIX_SECONDS + n for n in range(DEAD_EACH)})
                client.set(f"asynq:{{{name}}}:processed", 10 * self.pending[name])
        with self._cluster.holder_of("asynq:queues").client() as client:
            client.sadd("asynq:queues", *self.names)

    def without(self, master: int) -> dict[str, int]:
        return {name: count for name, count in self.pending.items() if name not in self.by_master[master]}


def pending(page) -> dict[str, float]:
    """Of the queues whose size is known."""
    sizes = page.by("asynq_queue_size", "queue", "state")
    return {queue: count for (queue, state), count in sizes.items() if state == "pending"}
