"""A Redis Cluster of our own: three masters on random ports, replicas where asked for.

    slots      0 … 5460   5461 … 10921   10922 … 16383
    master          0              1               2

It forms within about three seconds: a new master refuses to serve for its first two. A node that is killed loses what
was not saved (`save`), and keeps its place.
"""

from contextlib import ExitStack
from pathlib import Path

from redis import ResponseError
from redis.crc import key_slot

from support.certificates import Certificates
from support.deadline import eventually
from support.ports import free_port
from support.redis_server import RedisServer, save

MASTERS = 3
SLOTS = 16_384
# Long enough that a node that waits for a busy machine is not taken for dead.
NODE_TIMEOUT_MILLISECONDS = 2500
# Redis gives a hand-over five seconds, and then forgets it.
HAND_OVER_SECONDS = 6


class RedisCluster:
    """`replicas`: number of the master that each is to follow. With certificates, nodes speak TLS and plain: clients are
    told the ports of the kind that they came by."""

    def __init__(self, directory: Path, replicas: tuple[int, ...] = (), certificates: Certificates | None = None):
        self.directory = directory
        self.nodes: list[RedisServer] = []
        self.tls_ports: list[int] = []
        self._replicas = replicas
        self._stack = ExitStack()
        for number in range(MASTERS + len(replicas)):
            flags = ["--cluster-enabled", "yes", "--cluster-port", str(free_port()), "--cluster-require-full-coverage", "no",
                     "--cluster-node-timeout", str(NODE_TIMEOUT_MILLISECONDS), "--repl-diskless-sync-delay", "0"]
            if certificates:
                self.tls_ports.append(free_port())
                flags += ["--tls-port", str(self.tls_ports[-1]), "--tls-cluster", "yes", *certificates.server_flags()]
            self.nodes.append(RedisServer(directory / f"node-{number}", flags=flags))

    def __enter__(self) -> "RedisCluster":
        with ExitStack() as stack:
            for node in self.nodes:
                stack.enter_context(node)
            self._form()
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_) -> None:
        self._stack.close()

    @property
    def masters(self) -> list[RedisServer]:
        """Those that were masters at the start."""
        return self.nodes[:MASTERS]

    @property
    def url(self) -> str:
        return self.url_of(*self.nodes)

    @staticmethod
    def url_of(*nodes: RedisServer) -> str:
        return "redis-cluster://" + ",".join(f"127.0.0.1:{node.port}" for node in nodes)

    @property
    def tls_url(self) -> str:
        return "rediss-cluster://" + ",".join(f"127.0.0.1:{port}" for port in self.tls_ports)

    # --- Forming it ---

    def _form(self) -> None:
        bounds = [SLOTS * number // MASTERS for number in range(MASTERS + 1)]
        for number, node in enumerate(self.nodes):
            cluster(node, "SET-CONFIG-EPOCH", number + 1)
            if number < MASTERS:
                cluster(node, "ADDSLOTSRANGE", bounds[number], bounds[number + 1] - 1)
        ports = self.tls_ports or [node.port for node in self.nodes]
        for node in self.nodes[1:]:
            cluster(node, "MEET", "127.0.0.1", ports[0], self._bus_port(self.nodes[0]))
        eventually("each node knows all others", lambda: all(self._knows_all(node) for node in self.nodes))
        for replica, master in zip(self.nodes[MASTERS:], self._replicas):
            cluster(replica, "REPLICATE", node_id(self.nodes[master]))
        self.until_well()

    @staticmethod
    def _bus_port(node: RedisServer) -> int:
        with node.client() as client:
            return int(client.config_get("cluster-port")["cluster-port"])

    def _knows_all(self, node: RedisServer) -> bool:
        known = [line for line in cluster(node, "NODES").decode().splitlines() if "handshake" not in line]
        return len(known) == len(self.nodes)

    def until_well(self) -> None:
        """Every node sees every slot served, and the replicas are in step."""
        eventually("a Cluster that is well", lambda: all(self._is_well(node) for node in self.nodes))

    @staticmethod
    def _is_well(node: RedisServer) -> bool:
        said = cluster(node, "INFO").decode()
        lines = dict(line.split(":", 1) for line in said.split("\r\n") if ":" in line)
        assert lines["cluster_state"] == "ok" and lines["cluster_slots_ok"] == str(SLOTS), f"{node.port}: {lines}"
        assert "fail" not in cluster(node, "NODES").decode(), f"{node.port} takes a node for dead"
        with node.client() as client:
            replication = client.info("replication")
        assert replication.get("master_link_status", "up") == "up", f"{node.port}: {replication}"
        return True

    def hand_over_to(self, replica: RedisServer) -> None:
        """The replica becomes master by agreement. It is asked again where Redis has refused or forgotten."""
        for _ in range(8):
            try:
                cluster(replica, "FAILOVER")
                eventually(f"{replica.port} is master", lambda: self._is_master(replica), seconds=HAND_OVER_SECONDS)
            except (ResponseError, AssertionError) as error:
                refusal = error
            if self._is_master(replica):
                return
        raise AssertionError(f"expected {replica.port} to become master: {refusal}")

    @staticmethod
    def _is_master(node: RedisServer) -> bool:
        with node.client() as client:
            return client.info("replication")["role"] == "master"

    # --- What lies where ---

    def number_of(self, key: bytes | str) -> int:
        """Of the master that held the key at the start."""
        slot = key_slot(key.encode() if isinstance(key, str) else key)
        return next(number for number in range(MASTERS) if slot < SLOTS * (number + 1) // MASTERS)

    def holder_of(self, key: bytes | str) -> RedisServer:
        return self.nodes[self.number_of(key)]

    def load(self, dump: Path) -> None:
        """What a single Redis has saved, and nothing else."""
        for node in self.masters:
            with node.client() as client:
                client.flushall()
        clients = [self._stack.enter_context(node.client()) for node in self.masters]
        with RedisServer(self.directory / f"from-{dump.stem}", dump=dump) as source, source.client() as client:
            for key in client.keys():
                clients[self.number_of(key)].restore(key, max(0, client.pttl(key)), client.dump(key))
            loaded = sum(client.dbsize() for client in clients)
            assert loaded == client.dbsize(), f"expected {client.dbsize()} keys in the Cluster, got {loaded}"

    def save(self) -> None:
        """What a node that is killed and started again will know."""
        for node in self.masters:
            with node.client() as client:
                save(client)


def cluster(node: RedisServer, *words: object):
    with node.client() as client:
        return client.execute_command("CLUSTER", *words)


def node_id(node: RedisServer) -> str:
    return cluster(node, "MYID").decode()


class SlotMove:
    """A slot on its way from one master to another, step by step as `redis-cli --cluster reshard` does it."""

    def __init__(self, slot: int, source: RedisServer, destination: RedisServer, others: list[RedisServer]):
        self.slot = slot
        self.source = source
        self.destination = destination
        self._others = [node for node in others if node not in (source, destination)]

    def begin(self) -> None:
        """From here on the source answers ASK for keys that it does not have."""
        cluster(self.destination, "SETSLOT", self.slot, "IMPORTING", node_id(self.source))
        cluster(self.source, "SETSLOT", self.slot, "MIGRATING", node_id(self.destination))

    def keys(self) -> list[bytes]:
        """Those that are still at the source."""
        return cluster(self.source, "GETKEYSINSLOT", self.slot, 10_000)

    def move_keys(self, keys: list[bytes]) -> None:
        with self.source.client() as client:
            client.execute_command("MIGRATE", "127.0.0.1", self.destination.port, "", 0, 5000, "KEYS", *keys)

    def end(self) -> None:
        """From here on every node but the destination answers MOVED."""
        for node in (self.destination, self.source, *self._others):
            cluster(node, "SETSLOT", self.slot, "NODE", node_id(self.destination))


def redirects(node: RedisServer, kind: str) -> int:
    """How often the node has answered MOVED or ASK."""
    with node.client() as client:
        return client.info("errorstats").get(f"errorstat_{kind}", {}).get("count", 0)
