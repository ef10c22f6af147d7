"""A connection on which anything may be sent, and what it must not do to anyone else.

What is sent is a list of steps: bytes, PAUSE, HALF_CLOSE, or a Flood. Sending and reading are threads of their own, so
that neither waits for the other and the test can look at the rest of the collector meanwhile.
"""

import json
import os
import re
import socket
import threading
import time
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from support import otlp_json
from support.collector import Collector
from support.deadline import SECONDS, eventually, fast_enough, seconds_of
from support.http_client import Connection, Endpoint
from support.otlp import numbered_request
from support.otlp_json import JSON

PAUSE = "pause"
HALF_CLOSE = "half close"
PAUSE_SECONDS = 0.05
END_SECONDS = SECONDS  # by when the collector must have ended a connection that it is to end
PROMPT_SECONDS = 1.0
_STATUS_LINE = re.compile(rb"HTTP/1\.[01] (\d{3}) ")


@dataclass(frozen=True)
class Flood:
    """Sent over and over until the connection ends. The rates that end one count frames a second: on a machine that is too busy
    to read that many, there is no flood (`Conversation.flood_frames_a_second`)."""
    data: bytes
    frames: int = 1
    seconds: float = END_SECONDS


Step = bytes | str | Flood


class Conversation:
    def __init__(self, endpoint: Endpoint, steps: list[Step], is_enough: Callable[[bytes], bool] = lambda _: False):
        """Once `is_enough` of what came, no more is waited for."""
        self.received = b""
        self.sent_bytes = 0
        self.flood_frames_a_second: float | None = None
        self._socket = endpoint.connect()
        self._socket.settimeout(END_SECONDS)
        self._is_enough = is_enough
        self._ended = threading.Event()
        self.is_closed = False
        # What the collector has written last may be lost then.
        self.is_reset = False
        self._threads = [threading.Thread(target=work, daemon=True) for work in (lambda: self._send(steps), self._read)]
        for thread in self._threads:
            thread.start()

    def _send(self, steps: list[Step]) -> None:
        try:
            for step in steps:
                match step:
                    case bytes():
                        self._socket.sendall(step)
                        self.sent_bytes += len(step)
                    case Flood():
                        start, sent = time.monotonic(), 0
                        while time.monotonic() < start + step.seconds and not self.is_closed:
                            self._socket.sendall(step.data)
                            self.sent_bytes += len(step.data)
                            sent += step.frames
                            self.flood_frames_a_second = sent / (time.monotonic() - start)
                    case "pause":
                        time.sleep(PAUSE_SECONDS)
                    case "half close":
                        self._socket.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # Whoever takes no garbage may say so early.

    def _read(self) -> None:
        try:
            while not self._is_enough(self.received):
                part = self._socket.recv(1 << 16)
                if not part:
                    self.is_closed = True
                    break
                self.received += part
        except TimeoutError:
            pass
        except OSError:
            self.is_closed = self.is_reset = True
        self._ended.set()

    def wait(self) -> bool:
        """Until the end, or enough. False if neither comes."""
        self._ended.wait(END_SECONDS)
        return self.is_closed or self._is_enough(self.received)

    def half_close(self) -> None:
        self._threads[0].join()
        self._socket.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        for thread in self._threads:
            thread.join()
        self._socket.close()


@contextmanager
def conversation(endpoint: Endpoint, steps: list[Step], is_enough: Callable[[bytes], bool] = lambda _: False):
    made = Conversation(endpoint, steps, is_enough)
    try:
        yield made
    finally:
        made.close()


def statuses(received: bytes) -> list[int]:
    """Of the answers of HTTP/1.1 that came, one behind the other, and nothing else."""
    found = []
    while received:
        start = _STATUS_LINE.match(received)
        assert start, f"expected an answer behind {found}, got {received[:80]!r}"
        found.append(int(start[1]))
        head, _, rest = received.partition(b"\r\n\r\n")
        length = next((int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")), 0)
        # The answer to HEAD says how long the body would be.
        received = rest if _STATUS_LINE.match(rest) else rest[length:]
    return found


class Neighbour:
    """A well-behaved client with a connection of its own, which sends JSON so that its spans are told from all others."""

    def __init__(self, collector: Collector):
        self._collector = collector
        self._connection = Connection(collector.tcp)
        self._body = otlp_json.from_protobuf(numbered_request([0]))
        self._sent = 0
        self.must_be_well("before all others")
        self._descriptors = self.descriptors()

    def must_be_well(self, when: str) -> None:
        """Answered, correctly, and soon."""
        def post() -> None:
            answer = self._connection.ask("POST", "/v1/traces", self._body, JSON)
            assert (answer.status, json.loads(answer.body)) == (200, {}), f"another client, {when}, got {answer}"
            self._sent += 1

        fast_enough(f"an answer to another client, {when},", PROMPT_SECONDS, lambda: seconds_of(post))

    def must_be_counted(self) -> None:
        found = self._collector.count("received_spans_total", {"encoding": "json"})
        assert found == self._sent, f"expected the {self._sent} spans of the well-behaved client, got {found}"

    def descriptors(self) -> int:
        """How many are open that clients are the reason of: neither the spool's files nor connections to Tempo, of which
        there may be several."""
        tempo_port = int(self._collector.options["tempo.endpoint"].rpartition(":")[2])
        table = [line.split() for line in Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()]
        to_tempo = {f"socket:[{row[9]}]" for row in table if row[2].endswith(f":{tempo_port:04X}")}
        links = [os.readlink(link) for link in Path(f"/proc/{self._collector.process.pid}/fd").iterdir()]
        return sum(link not in to_tempo and not link.startswith(str(self._collector.spool)) for link in links)

    def close(self) -> None:
        """After everything: what was open must be closed."""
        self.must_be_counted()
        eventually(f"{self._descriptors} open descriptors at most, as before the tests",
                   lambda: self.descriptors() <= self._descriptors)
        self._connection.close()


class Ledger:
    """What the collector has counted since: every request that it took for one is in here."""

    def __init__(self, collector: Collector):
        self._collector = collector
        self._before = self._now()

    def _now(self) -> tuple[int, int]:
        page = self._collector.balanced_metrics()
        return (int(page.sum("asynq_collector_received_spans_total", {"encoding": "protobuf"})),
                # What was no HTTP at all was no request either; it has a reason of its own.
                int(page.sum("asynq_collector_refused_requests_total")
                    - page.value("asynq_collector_refused_requests_total", {"reason": "protocol"})))

    @property
    def spans(self) -> int:
        return self._now()[0] - self._before[0]

    @property
    def refusals(self) -> int:
        return self._now()[1] - self._before[1]
