"""The real things around the collector: Prometheus, Alertmanager, the exporters of Redis and PostgreSQL, PostgreSQL.

Grafana, Tempo and Loki are in no package that a test could install. What Prometheus scrapes of Tempo's metrics and of an
instrumented application comes from `OtherServices`, under the names that Tempo 3.0 and OpenTelemetry use.
"""

import json
import os
import re
import shutil
import subprocess
import tempfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import redis
import requests
import yaml

from support.asynq_messages import task_message
from support.collector import COLLECTOR, environment
from support.deadline import SECONDS, eventually
from support.ports import free_port
from support.programs import REPOSITORY

PROMETHEUS = REPOSITORY / "prometheus"
# An hour of the rules is a minute here: ranges, waits and intervals alike.
FASTER = 60


class Process:
    """A program that runs until `stop`, with its output in a file."""

    def __init__(self, name: str, command: list, directory: Path, env: dict[str, str] = {}, cwd: Path | None = None):
        self.name = name
        self._log = directory / f"{name}.log"
        with open(self._log, "wb") as log:
            self._process = subprocess.Popen(list(map(str, command)), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                             env=environment(env), cwd=cwd)

    def log(self) -> str:
        return f"{self.name}:\n{self._log.read_text(errors='replace')}"

    def must_run(self) -> None:
        """No AssertionError: polling must not go on."""
        if self._process.poll() is not None:
            raise RuntimeError(f"{self.name} has ended with {self._process.returncode}; {self.log()[-3000:]}")

    def answers(self, url: str, seconds: float = SECONDS) -> "Process":
        def check() -> bool:
            self.must_run()
            return requests.get(url, timeout=10).status_code == 200
        eventually(f"{self.name} answers {url}", check, seconds)
        return self

    def stop(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


# --- PostgreSQL ------------------------------------------------------------------------------------------------------


def _postgres_programs() -> Path:
    """Debian keeps them out of PATH."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
    return found[-1] if found else Path(shutil.which("initdb") or "initdb").parent


class Postgres:
    """A server of its own, with a database `shop`. It refuses to run as root; then the user postgres runs it."""

    def __init__(self, directory: Path):
        self.port = free_port()
        self._programs = _postgres_programs()
        # Not below pytest's directory, which only its owner may enter.
        self._data = Path(tempfile.mkdtemp(prefix="asynq-postgres-"))
        self._as_user: list[str] = []
        if os.geteuid() == 0:
            self._as_user = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
            shutil.chown(self._data, "postgres", "postgres")
        self._run("initdb", "-D", self._data / "d", "-U", "admin", "-A", "trust", "--no-sync")
        self._server = Process("postgres", [
            *self._as_user, self._programs / "postgres", "-D", self._data / "d", "-k", self._data, "-p", self.port,
            "-c", "listen_addresses=127.0.0.1", "-c", "fsync=off", "-c", "shared_preload_libraries=pg_stat_statements",
        ], directory, cwd=self._data)
        eventually("PostgreSQL answers", lambda: self._try("postgres", "SELECT 1"))
        self.execute("postgres", "CREATE DATABASE shop")
        self.execute("postgres", "CREATE ROLE exporter LOGIN IN ROLE pg_monitor")
        self.execute("shop", "CREATE TABLE orders AS SELECT n AS id, repeat('x', 100) AS text FROM generate_series(1, 5000) n")
        self.execute("shop", "CREATE TABLE carts AS SELECT n AS id FROM generate_series(1, 100) n; ANALYZE")

    @property
    def exporter_url(self) -> str:
        return f"postgresql://exporter@127.0.0.1:{self.port}/shop?sslmode=disable"

    def execute(self, database: str, sql: str) -> None:
        done = self._try(database, sql)
        assert done, f"psql {sql!r} failed; {self._server.log()[-2000:]}"

    def _try(self, database: str, sql: str) -> bool:
        self._server.must_run()
        command = [self._programs / "psql", "-h", "127.0.0.1", "-p", self.port, "-U", "admin", "-d", database, "-qtc", sql]
        return subprocess.run(list(map(str, command)), capture_output=True, timeout=40).returncode == 0

    def _run(self, program: str, *arguments) -> None:
        command = [*self._as_user, self._programs / program, *arguments]
        done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=60, cwd=self._data)
        assert done.returncode == 0, f"{program}: {done.stdout}{done.stderr}"

    def stop(self) -> None:
        self._server.stop()
        shutil.rmtree(self._data, ignore_errors=True)


class PostgresExporter(Process):
    def __init__(self, postgres: Postgres, directory: Path, name: str = "postgres-exporter"):
        self.port = free_port()
        super().__init__(name, ["prometheus-postgres-exporter", f"--web.listen-address=127.0.0.1:{self.port}",
                                f"--extend.query-path={PROMETHEUS / 'postgres-queries.yml'}"], directory,
                         {"DATA_SOURCE_NAME": postgres.exporter_url})
        self.answers(f"http://127.0.0.1:{self.port}/metrics")

    def page(self) -> str:
        return requests.get(f"http://127.0.0.1:{self.port}/metrics", timeout=40).text


# --- The demo, and what it does not do -------------------------------------------------------------------------------


class Demo(Process):
    def __init__(self, directory: Path, tempo_endpoint: str, tasks_per_second: int = 40, env: dict[str, str] = {},
                 push_endpoint: str = "none"):
        self.port = free_port()
        # Short: the path of a unix socket has 107 bytes at most.
        self._temporary = Path(tempfile.mkdtemp(prefix="asynq-stack-"))
        super().__init__("demo", [
            COLLECTOR, "demo", "--metrics-listen", f"127.0.0.1:{self.port}", "--tempo-endpoint", tempo_endpoint,
            "--tasks-per-second", tasks_per_second, "--redis-memory-sampling", "1s", "--traces-dead-letter-span", "true",
            "--metrics-push-endpoint", push_endpoint, "--metrics-push-interval", "1s",
        ], directory, {"TMPDIR": str(self._temporary)} | env)
        self.answers(f"http://127.0.0.1:{self.port}/-/ready")
        self.socket = next(self._temporary.glob("*/redis.sock"))

    def redis(self) -> redis.Redis:
        return redis.Redis(unix_socket_path=str(self.socket))

    def stop(self) -> None:
        super().stop()
        shutil.rmtree(self._temporary, ignore_errors=True)


class AsynqQueue:
    """A queue that no server serves, written as Asynq writes it."""

    def __init__(self, client: redis.Redis, name: str):
        self._redis, self._name = client, name
        client.sadd("asynq:queues", name)

    def _key(self, suffix: str) -> str:
        return f"asynq:{{{self._name}}}:{suffix}"

    def add(self, state: str, task_id: str, score: float = 0) -> None:
        message = task_message("invoice:send", task_id, self._name)
        fields = {"msg": message, "state": state}
        if state == "pending":
            fields["pending_since"] = str(time.time_ns())
        self._redis.hset(self._key(f"t:{task_id}"), mapping=fields)
        if state in ("pending", "active"):
            self._redis.lpush(self._key(state), task_id)
        else:
            self._redis.zadd(self._key(state), {task_id: int(score)})
        if state == "active":
            self._redis.zadd(self._key("lease"), {task_id: int(score)})

    def aggregate(self, group: str, task_id: str) -> None:
        self._redis.sadd(self._key("groups"), group)
        self._redis.zadd(self._key(f"g:{group}"), {task_id: int(time.time())})

    def clear(self, state: str) -> None:
        self._redis.delete(self._key(state))


# --- Stubs -----------------------------------------------------------------------------------------------------------


class _Server:
    def __init__(self, handler: type):
        self.port = free_port()
        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), handler)
        self._server.owner = self
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class OtherServices(_Server):
    """What Tempo 3.0 and an application with OpenTelemetry's database instrumentation expose, as far as queries need it. Takes what is
    pushed, too."""

    def __init__(self):
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = self.server.owner.page().encode()
                self.send_response(200)
                self.send_header("Content-Type", "text/plain; version=0.0.4")
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_) -> None:
                pass

            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["Content-Length"]))
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

        self._count = 0
        super().__init__(Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def page(self) -> str:
        self._count += 1
        n = self._count
        span = 'service="shop-worker", span_name="process default", span_kind="SPAN_KIND_CONSUMER"'
        edge = 'client="shop-api", server="shop-worker", connection_type="messaging_system"'
        return "\n".join([
            *_histogram("db_client_operation_duration_seconds", 'db_system_name="postgresql"', n),
            *_histogram("traces_spanmetrics_latency", f'{span}, status_code="STATUS_CODE_UNSET"', n),
            *_histogram("traces_service_graph_request_messaging_system_seconds", edge, n),
            "# TYPE traces_spanmetrics_calls_total counter",
            f'traces_spanmetrics_calls_total{{{span}, status_code="STATUS_CODE_UNSET"}} {10 * n}',
            f'traces_spanmetrics_calls_total{{{span}, status_code="STATUS_CODE_ERROR"}} {n}',
            "# TYPE tempo_discarded_spans_total counter",
            f'tempo_discarded_spans_total{{tenant="single-tenant", reason="live_traces_exceeded"}} {n}',
        ]) + "\n"


def _histogram(name: str, labels: str, n: int) -> list[str]:
    buckets = [f'{name}_bucket{{{labels}, le="{edge}"}} {count * n}' for edge, count in
               (("0.01", 1), ("0.1", 8), ("1", 10), ("+Inf", 10))]
    return [f"# TYPE {name} histogram", *buckets, f"{name}_sum{{{labels}}} {n}", f"{name}_count{{{labels}}} {10 * n}"]


class Webhook(_Server):
    """Remembers what Alertmanager tells it."""

    def __init__(self):
        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                self.server.owner.alerts.extend(body["alerts"])
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_) -> None:
                pass

        self.alerts: list[dict] = []
        super().__init__(Handler)

    def told(self, status: str, **labels: str) -> list[dict]:
        return [alert for alert in list(self.alerts)
                if alert["status"] == status and labels.items() <= alert["labels"].items()]


# --- Alertmanager and Prometheus -------------------------------------------------------------------------------------


def faster(duration: str) -> str:
    """`15m` → `15000ms`; never less than a second, the scrape interval here."""
    unit = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86_400}
    seconds = sum(int(number) * unit[name] for number, name in re.findall(r"(\d+)(ms|[smhd])", duration))
    return f"{max(1000, round(1000 * seconds / FASTER))}ms"


def faster_rules(content: dict) -> dict:
    for group in content["groups"]:
        if "interval" in group:
            group["interval"] = faster(group["interval"])
        for rule in group["rules"]:
            rule["expr"] = re.sub(r"(\[|\boffset )(\d+[smhd])", lambda m: m[1] + faster(m[2]), rule["expr"])
            if "for" in rule:
                rule["for"] = faster(rule["for"])
    return content


class Alertmanager(Process):
    """With the shipped configuration, but sooner, and to our webhook."""

    def __init__(self, directory: Path, webhook: Webhook):
        self.port = free_port()
        text = (PROMETHEUS / "alertmanager.yml").read_text(encoding="utf-8")
        text, replaced = re.subn(r"url: http://\S+", f"url: http://127.0.0.1:{webhook.port}/", text)
        assert replaced == 1
        text = re.sub(r"(group_wait|group_interval|repeat_interval): (\S+)", lambda m: f"{m[1]}: {faster(m[2])}", text)
        file = directory / "alertmanager.yml"
        file.write_text(text, encoding="utf-8")
        super().__init__("alertmanager", ["prometheus-alertmanager", f"--config.file={file}",
                                          f"--storage.path={directory / 'alertmanager'}", "--cluster.listen-address=",
                                          f"--web.listen-address=127.0.0.1:{self.port}"], directory)
        self.answers(f"http://127.0.0.1:{self.port}/-/ready")


class Prometheus(Process):
    """With the shipped configuration and rules: our ports in place of the hosts, a scrape a second, rules sooner."""

    def __init__(self, directory: Path, targets: dict[str, list[int]], alertmanager: int, program: str = "prometheus"):
        self.port = free_port()
        (directory / "rules").mkdir(parents=True)
        for file in (PROMETHEUS / "rules").glob("*.yml"):
            content = faster_rules(yaml.safe_load(file.read_text(encoding="utf-8")))
            (directory / "rules" / file.name).write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
        text = (PROMETHEUS / "prometheus.yml").read_text(encoding="utf-8")
        config = yaml.safe_load("\n".join(line for line in text.splitlines() if not re.search(r"# 3\.\d and newer", line)))
        config["global"] = {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"}
        config["alerting"]["alertmanagers"][0]["static_configs"] = [{"targets": [f"127.0.0.1:{alertmanager}"]}]
        for job in config["scrape_configs"]:
            ports = targets.get(job["job_name"], [self.port])
            job["static_configs"] = [{"targets": [f"127.0.0.1:{port}" for port in ports]}]
        (directory / "prometheus.yml").write_text(yaml.safe_dump(config), encoding="utf-8")
        super().__init__("prometheus", [program, f"--config.file={directory / 'prometheus.yml'}",
                                        f"--storage.tsdb.path={directory / 'tsdb'}", "--enable-feature=exemplar-storage",
                                        f"--web.listen-address=127.0.0.1:{self.port}"], directory)
        self.url = f"http://127.0.0.1:{self.port}"
        self.answers(f"{self.url}/-/ready")

    def ask(self, path: str, **parameters: object) -> object:
        answer = requests.get(f"{self.url}/api/v1/{path}", params=parameters, timeout=40).json()
        if answer["status"] != "success":
            raise QueryError(f"{parameters}: {answer['error']}")
        return answer["data"]

    def instant(self, expression: str) -> list[dict]:
        data = self.ask("query", query=expression)
        return data["result"] if data["resultType"] == "vector" else [{"metric": {}, "value": data["result"]}]

    def over(self, expression: str, seconds: float) -> list[dict]:
        now = time.time()
        return self.ask("query_range", query=expression, start=now - seconds, end=now, step=1)["result"]

    def alerts(self, **labels: str) -> list[dict]:
        return [alert for alert in self.ask("alerts")["alerts"] if labels.items() <= alert["labels"].items()]


class QueryError(Exception):
    pass
