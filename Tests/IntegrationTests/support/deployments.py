"""One saved state of Redis behind everything that `redis.url` can name.

Each property starts what it needs and is the options by which the collector reaches it.
"""

import shutil
from contextlib import ExitStack
from functools import cached_property
from pathlib import Path

import pytest

from support import acl
from support.certificates import Certificates
from support.deadline import eventually
from support.ports import free_port
from support.redis_cluster import RedisCluster
from support.redis_server import RedisServer
from support.sentinel import MASTER, Sentinel

Options = dict[str, object]


class Deployments:
    """The cluster is shared with others: what it holds is replaced."""

    def __init__(self, directory: Path, dump: Path, certificates: Certificates, cluster: RedisCluster):
        self._directory = directory
        self._dump = dump
        self._certificates = certificates
        self._shared_cluster = cluster
        self._stack = ExitStack()
        self._guarded: list[RedisServer] = []
        self._tls_port = free_port()
        self._master = self._started(RedisServer(
            directory / "master", dump=dump,
            flags=["--repl-diskless-sync-delay", "0", "--tls-port", str(self._tls_port), *certificates.server_flags()]))

    def close(self) -> None:
        self._stack.close()

    def _started(self, server: RedisServer) -> RedisServer:
        return self._stack.enter_context(server)

    def assert_nothing_denied(self) -> None:
        """By any Redis that has the documented user."""
        for server in self._guarded:
            with server.client() as client:
                acl.assert_nothing_denied(client)

    # --- One Redis ---

    @property
    def unix_socket(self) -> Options:
        return {"redis.url": self._master.url}

    @property
    def tcp(self) -> Options:
        return {"redis.url": self._master.tcp_url}

    @property
    def tls(self) -> Options:
        return {"redis.url": f"rediss://localhost:{self._tls_port}/0"} | self._authority

    @cached_property
    def documented_user(self) -> Options:
        return {"redis.url": self._master.tcp_url} | self._guard(self._master)

    @cached_property
    def replica(self) -> Options:
        replica = self._started(RedisServer(
            self._directory / "replica", flags=["--replicaof", "127.0.0.1", str(self._master.port)]))
        with replica.client() as client:
            eventually("a replica in sync", lambda: client.info("replication")["master_link_status"] == "up")
        return {"redis.url": replica.tcp_url}

    @cached_property
    def valkey(self) -> Options:
        if not shutil.which("valkey-server"):
            pytest.skip("no valkey-server here (apt-get install valkey-server, from Debian 13 on)")
        valkey = RedisServer(self._directory / "valkey", dump=self._dump, program="valkey-server")
        return {"redis.url": self._started(valkey).tcp_url}

    # --- Several ---

    @cached_property
    def sentinel(self) -> Options:
        port = self._sentinel("sentinel", self._master.port)
        return {"redis.url": f"redis-sentinel://127.0.0.1:{port}/0?master={MASTER}"}

    @cached_property
    def sentinel_by_tls(self) -> Options:
        """Sentinel and master alike; a sentinel that is to reach its master by TLS does so for replication's sake."""
        port = free_port()
        lines = ["tls-replication yes", f"tls-port {port}"]
        flags = self._certificates.server_flags()
        lines += [f"{name.removeprefix('--')} {value}" for name, value in zip(flags[::2], flags[1::2])]
        self._sentinel("sentinel-tls", self._tls_port, lines)
        return {"redis.url": f"rediss-sentinel://127.0.0.1:{port}/0?master={MASTER}"} | self._authority

    @property
    def cluster(self) -> Options:
        self._shared_cluster.load(self._dump)
        return {"redis.url": self._shared_cluster.url}

    @property
    def cluster_by_tls_with_the_documented_user(self) -> Options:
        self._shared_cluster.load(self._dump)
        return {"redis.url": self._shared_cluster.tls_url} | self._authority | self._guard(*self._shared_cluster.nodes)

    # --- What they share ---

    @property
    def _authority(self) -> Options:
        return {"redis.tls.ca-file": self._certificates["ca.pem"]}

    def _guard(self, *servers: RedisServer) -> Options:
        for server in servers:
            with server.client() as client:
                acl.make_user(client)
        self._guarded += servers
        return {"redis.username": acl.USER, "redis.password": acl.PASSWORD}

    def _sentinel(self, name: str, master_port: int, lines: list[str] = []) -> int:
        """Its plain port. It answers once it has read its configuration."""
        sentinel = Sentinel(self._directory / name, master_port, lines=lines)
        self._stack.callback(sentinel.stop)
        eventually("the sentinel watches", lambda: f"+monitor master {MASTER}" in sentinel.log())
        return sentinel.port
