"""Secrets: never printed, and readable from files."""

import pytest

from support import golden
from support.collector import run_once
from support.configuration import check, refused, write
from support.metrics_page import MetricsPage
from support.redis_server import RedisServer

SECRET = "s3cret-Value"

PLACES = {
    "redis password": ["--redis-password", SECRET],
    "sentinel password": ["--redis-sentinel-password", SECRET],
    "password in the url": ["--redis-url", f"redis://user:{SECRET}@redis.example:6379/0"],
    "password alone in the url": ["--redis-url", f"redis://:{SECRET}@redis.example:6379/0"],
    "bearer token": ["--otlp-bearer-token", SECRET],
    "header": ["--tempo-headers", f"X-Scope-OrgID={SECRET}"],
    "second header": ["--tempo-headers", f"X-Plain=a,Authorization=Basic {SECRET}=="],
}


@pytest.mark.parametrize("place", PLACES)
def test_a_secret_is_not_in_the_effective_configuration(place):
    ran = run_once("check-config", *PLACES[place])
    assert ran.returncode == 0, ran
    assert SECRET not in ran.stdout + ran.stderr


def test_what_is_not_secret_about_a_secret_stays_readable():
    effective = check(*PLACES["password in the url"], *PLACES["header"])
    assert "redis.example:6379" in effective["redis.url"]
    assert "X-Scope-OrgID" in effective.text


@pytest.mark.parametrize("place", ["redis password", "password in the url", "bearer token", "header"])
def test_a_secret_is_not_in_the_list_of_problems(place):
    assert SECRET not in refused(*PLACES[place], "--log-format", "xml")


def test_a_secret_in_a_bad_url_is_not_printed():
    assert SECRET not in refused("--redis-url", f"http://user:{SECRET}@redis.example:6379")


@pytest.fixture(scope="module")
def guarded(tmp_path_factory):
    """A redis-server with a password."""
    directory = tmp_path_factory.mktemp("guarded")
    with RedisServer(directory, dump=golden.load("0.26.0").dump, password=SECRET) as server:
        yield server


@pytest.fixture
def secret_file(tmp_path):
    path = tmp_path / "secret"
    path.write_text(SECRET + "\n")  # as an editor leaves it
    return str(path)


@pytest.mark.parametrize("source", ["flag", "environment", "file", "flag of a file", "environment of a file",
                                    "file of a file", "url"])
def test_the_password_of_redis_reaches_redis_from_every_source(guarded, secret_file, tmp_path, source):
    flags, env, url = [], {}, guarded.tcp_url
    match source:
        case "flag": flags = ["--redis-password", SECRET]
        case "environment": env = {"ASYNQ_COLLECTOR_REDIS_PASSWORD": SECRET}
        case "file": flags = ["--config", write(tmp_path, {"redis": {"password": SECRET}})]
        case "flag of a file": flags = ["--redis-password-file", secret_file]
        case "environment of a file": env = {"ASYNQ_COLLECTOR_REDIS_PASSWORD_FILE": secret_file}
        case "file of a file": flags = ["--config", write(tmp_path, {"redis": {"password-file": secret_file}})]
        case "url": url = f"redis://:{SECRET}@127.0.0.1:{guarded.port}/0"
    ran = run_once("scrape", "--redis-url", url, *flags, env=env)
    assert ran.returncode == 0, ran
    assert MetricsPage(ran.stdout).value("asynq_redis_up") == 1


def test_the_password_key_overrides_the_one_in_the_url(guarded):
    url = f"redis://:mistaken@127.0.0.1:{guarded.port}/0"
    assert run_once("scrape", "--redis-url", url, "--redis-password", SECRET).returncode == 0


def test_a_file_of_a_secret_is_read_and_its_content_not_printed(secret_file):
    ran = run_once("check-config", "--otlp-bearer-token-file", secret_file)
    assert ran.returncode == 0, ran
    assert SECRET not in ran.stdout + ran.stderr


def test_a_file_of_a_secret_that_is_not_there_is_refused_by_name(tmp_path):
    path = str(tmp_path / "absent")
    assert path in refused("--redis-password-file", path)
