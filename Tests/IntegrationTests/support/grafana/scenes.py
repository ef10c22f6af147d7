"""What there is to see: the demo with a real Redis, PostgreSQL, their exporters and Prometheus with the shipped rules.

Tempo is the stub that takes spans as Tempo does; what it took is searched by `traces`, and counted by `span_metrics`.
"""

import time
from pathlib import Path

import requests

from support.deadline import eventually
from support.grafana.span_metrics import SpanMetrics
from support.grafana.traces import Traces
from support.ports import free_port
from support.stack import AsynqQueue, Demo, OtherServices, Postgres, PostgresExporter, Process, Prometheus
from support.syncs import Syncs
from support.tempo_stub import TempoStub

SCRAPE_SECONDS = 1.0  # of `support.stack.Prometheus`
TASKS_PER_SECOND = 20
WAIT_SECONDS = 240
# A queue that no server serves.
LOST = "billing"
PAUSED = "emails"


class Scene:
    """Everything is well. It ends by `with`."""

    name = "healthy"

    def __init__(self, directory: Path):
        self._directory = directory
        self._started: list = []

    def __enter__(self) -> "Scene":
        try:
            self._start()
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(self, *_) -> None:
        self._stop()

    def start(self, thing):
        self._started.append(thing)
        return thing

    def _start(self) -> None:
        self.tempo = TempoStub()
        self.tempo.__enter__()
        self.traces = Traces(lambda: self.tempo.stored)
        metrics = self.start(SpanMetrics(self.traces))
        # What is pushed to it is not looked at.
        self._backend = self.start(OtherServices())
        self.demo = self.start(Demo(self._directory, self.tempo.endpoint, TASKS_PER_SECOND, push_endpoint=self._backend.url,
                                    **self._demo_options()))
        port = free_port()
        self.start(Process("redis-exporter", ["prometheus-redis-exporter", f"-redis.addr=unix://{self.demo.socket}",
                                              f"-web.listen-address=127.0.0.1:{port}"], self._directory))
        self.prometheus = self.start(Prometheus(self._directory, {
            "asynq-collector": [self.demo.port], "redis": [port], "postgres": self._postgres(), "tempo": [metrics.port]}, free_port()))
        self._began = time.time()

    def _demo_options(self) -> dict:
        return {}

    def _postgres(self) -> list[int]:
        """The ports of PostgreSQL's exporters."""
        postgres = self.start(Postgres(self._directory))
        postgres.execute("shop", "CREATE EXTENSION pg_stat_statements")
        return [self.start(PostgresExporter(postgres, self._directory)).port]

    def _stop(self) -> None:
        for thing in reversed(self._started):
            thing.stop()
        self.tempo.__exit__()

    def began(self, seconds: float) -> float:
        """When it began, once that is so long ago."""
        self._wait(seconds)
        return self._began

    def _wait(self, seconds: float) -> None:
        """Until so long after the start."""
        time.sleep(max(0, self._began + seconds - time.time()))


class Trouble(Scene):
    """A paused queue, a queue without servers and with dead letters, a Tempo that takes no more spans, a backend of metrics that is
    down, a disk that refuses and for a while hangs, no exporter of PostgreSQL. Before, all was well for some time."""

    name = "trouble"

    def _demo_options(self) -> dict:
        self._syncs = Syncs(self._directory)
        return {"env": self._syncs.environment}

    def _postgres(self) -> list[int]:
        return []

    def _plant(self) -> None:
        with self.demo.redis() as client:
            client.set(f"asynq:{{{PAUSED}}}:paused", str(int(time.time())))
        lost = AsynqQueue(self.demo.redis(), LOST)
        for number in range(30):
            lost.add("pending", f"p{number}")
            lost.add("archived", f"dead{number}", score=time.time())
        lost.add("active", "orphan", score=time.time() - 60)
        lost.add("scheduled", "overdue", score=time.time() - 60)
        self.tempo.go_down()
        self._started.remove(self._backend)
        self._backend.stop()
        self._syncs.fail()

    def began(self, seconds: float) -> float:
        self._wait(seconds / 3)
        self._plant()
        self._wait(seconds * 2 / 3)
        for what, expression in (
            ("the paused queue", f'asynq_queue_paused{{queue="{PAUSED}"}} == 1'),
            ("the queue without servers", f'ALERTS{{alertname="AsynqQueueWithoutConsumers", queue="{LOST}", alertstate="firing"}}'),
            ("Tempo is down", "asynq_collector_tempo_up == 0"),
            ("the disk refuses", "asynq_collector_spool_errors_total > 0"),
        ):
            eventually(what, lambda: self.prometheus.instant(expression), seconds=WAIT_SECONDS, every=0.5)
        # A disk that refuses is written to once a second, one that works all the time.
        self._syncs.work()
        eventually("the disk works", lambda: self._page("-/ready").ok, seconds=WAIT_SECONDS)
        self._syncs.hang()
        # Not asked of Prometheus: on a machine that is busy, no scrape is in time while the disk hangs.
        eventually("the disk hangs", lambda: "\nasynq_collector_spool_stalled 1\n" in self._page("metrics").text, seconds=WAIT_SECONDS,
                   every=0.5)
        time.sleep(seconds / 10)
        # While it hangs, pages take a second, which is all the time that a scrape has here: it does not hang for long.
        self._syncs.work()
        self._syncs.fail()
        return super().began(seconds)

    def _page(self, path: str) -> requests.Response:
        return requests.get(f"http://127.0.0.1:{self.demo.port}/{path}", timeout=10)

    def _stop(self) -> None:
        self._syncs.work()
        super()._stop()


SCENES = {scene.name: scene for scene in (Scene, Trouble)}
