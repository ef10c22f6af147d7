"""TCP ports nobody listens on."""

import os
import random
import socket

# Of the workers of pytest-xdist, gw0, gw1, …, each has ports of its own.
_WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:])
_WORKERS = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
# Below Linux's ephemeral range (32768 up), so that no outgoing connection takes one before its server binds it.
_CANDIDATES = range(20_000 + _WORKER, 32_000, _WORKERS)
_handed_out: set[int] = set()


def free_port() -> int:
    for port in random.SystemRandom().sample(_CANDIDATES, 200):
        if port in _handed_out:
            continue
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        _handed_out.add(port)
        return port
    raise AssertionError("expected a free TCP port between 20000 and 32000")
