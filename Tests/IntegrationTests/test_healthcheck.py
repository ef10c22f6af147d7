"""`healthcheck`: one question, one line, exit code 0 or 1."""

import subprocess

import pytest

from support.collector import COLLECTOR, environment, run_once
from support.deadline import eventually
from support.ports import free_port
from support.redis_server import RedisServer


def healthcheck(*flags: str, **env: str) -> tuple[int, str, str]:
    ran = run_once("healthcheck", *flags, env=env)
    return ran.returncode, ran.stdout.strip(), ran.stderr.strip()


def test_a_collector_that_is_ready(start_collector):
    listen = f"127.0.0.1:{start_collector().metrics_port}"
    assert healthcheck("--metrics-listen", listen) == (0, "ready", "")
    assert healthcheck("--live", "--metrics-listen", listen) == (0, "healthy", "")
    assert healthcheck("--url", f"http://{listen}/") == (0, "ready", "")
    assert healthcheck(ASYNQ_COLLECTOR_METRICS_LISTEN=listen) == (0, "ready", "")


def test_a_collector_that_is_not_ready_says_why(start_collector, tmp_path):
    """It lives, and has not got an answer of Redis yet."""
    with RedisServer(tmp_path / "redis") as redis:
        redis.pause()
        collector = start_collector(options={"redis.url": redis.url, "redis.timeout": "30s"}, ready_path="/-/healthy")
        listen = f"127.0.0.1:{collector.metrics_port}"
        code, stdout, stderr = healthcheck("--metrics-listen", listen)
        assert (code, stdout) == (1, "") and "503" in stderr and "Redis" in stderr and "\n" not in stderr
        assert healthcheck("--live", "--metrics-listen", listen) == (0, "healthy", "")
        redis.resume()


def test_where_nothing_answers():
    port = free_port()
    code, stdout, stderr = healthcheck("--metrics-listen", f"127.0.0.1:{port}")
    assert (code, stdout) == (1, "") and str(port) in stderr and "\n" not in stderr


@pytest.mark.parametrize("listen", ["0.0.0.0:{port}", ":{port}", "127.0.0.1:{port}", "unix://{directory}/web.sock", "unix:@asynq-test-{port}"])
def test_every_form_of_the_listener_is_found(tmp_path, listen):
    listen = listen.format(port=free_port(), directory=tmp_path)
    flags = ["--metrics-listen", listen]
    command = [COLLECTOR, "run", "--redis-url", "none", "--otlp-listen", "none", "--otlp-socket", tmp_path / "otlp.sock", *flags]
    with subprocess.Popen(command, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            eventually(f"ready at {listen}", lambda: healthcheck(*flags) == (0, "ready", ""))
        finally:
            process.terminate()


@pytest.mark.parametrize("flags", [["--metrics-listen", "nonsense"], ["--metrics-listen", "127.0.0.1:0"], ["--url", "gopher://x"],
                                   ["--live", "extra"], ["--lives"]], ids=" ".join)
def test_wrong_flags_are_refused(flags):
    code, stdout, stderr = healthcheck(*flags)
    assert (code, stdout) == (2, "") and stderr


def test_a_proxy_of_the_environment_is_passed_by(start_collector):
    listen = f"127.0.0.1:{start_collector().metrics_port}"
    assert healthcheck("--metrics-listen", listen, http_proxy=f"http://127.0.0.1:{free_port()}") == (0, "ready", "")
