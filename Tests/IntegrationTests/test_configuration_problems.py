"""What is wrong with a configuration is said in full, with what would be right."""

import re

import pytest

from support.collector import run_once
from support.configuration import refused, write


def assert_names(said: str, *parts: str) -> None:
    missing = [part for part in parts if part not in said]
    assert not missing, f"expected {missing} in:\n{said}"


def assert_names_key(said: str, key: str) -> None:
    """In any of its forms: redis.interval, --redis-interval, ASYNQ_COLLECTOR_REDIS_INTERVAL."""
    pattern = re.escape(key).replace(r"\.", "[._-]").replace(r"\-", "[_-]")
    assert re.search(rf"(?<![A-Za-z]){pattern}(?![A-Za-z])|ASYNQ_COLLECTOR_{pattern}", said, re.IGNORECASE), (
        f"expected the key {key} in:\n{said}")


@pytest.mark.parametrize("typo, right", [("redis.intervl", "redis.interval"), ("spool.max-byte", "spool.max-bytes"),
                                         ("tempo.endpiont", "tempo.endpoint"), ("log.levle", "log.level")])
@pytest.mark.parametrize("source", ["file", "flag", "environment"])
def test_an_unknown_key_is_refused_and_the_nearest_known_one_named(tmp_path, source, typo, right):
    flag = "--" + typo.replace(".", "-")
    name = "ASYNQ_COLLECTOR_" + typo.replace(".", "_").replace("-", "_").upper()
    if source == "file":
        section, key = typo.split(".")
        said = refused("--config", write(tmp_path, {section: {key: "x"}}))
        assert_names(said, typo)
    elif source == "flag":
        said = refused(flag, "x")
        assert_names(said, flag)
    else:
        said = refused(env={name: "x"})
        assert_names(said, name)
    assert_names_key(said, right)


@pytest.mark.parametrize("flag", ["--redis-intervl=5s", "--frobnicate", "-x"])
def test_an_unknown_flag_is_refused_in_either_form(flag):
    assert_names(refused(flag), flag.split("=")[0])


BAD_VALUES = {
    "redis.url": "http://127.0.0.1:6379",
    "redis.interval": "soon",
    "redis.timeout": "-1s",
    "otlp.max-body": "16 potatoes",
    "otlp.socket-mode": "rw-rw----",
    "otlp.listen": "127.0.0.1:notaport",
    "tempo.endpoint": "ftp://tempo",
    "tempo.compression": "brotli",
    "tempo.batch.max-spans": "many",
    "spool.max-bytes": "lots",
    "spool.when-full": "panic",
    "spool.sync": "sometimes",
    "metrics.listen": "nowhere",
    "metrics.wait-buckets": "1,0.5",
    "log.level": "deafening",
    "log.format": "xml",
}


@pytest.mark.parametrize("key", BAD_VALUES)
def test_a_bad_value_is_refused_with_its_key_and_itself(key):
    said = refused("--" + key.replace(".", "-"), BAD_VALUES[key])
    if "://" not in BAD_VALUES[key]:  # of a bad URL nobody knows which part is the password
        assert_names(said, BAD_VALUES[key])
    assert_names_key(said, key)


@pytest.mark.parametrize("key, value, allowed", [
    ("spool-when-full", "panic", ("refuse", "drop-oldest")), ("tempo-compression", "brotli", ("gzip", "zstd", "none")),
    ("log-format", "xml", ("auto", "json", "text")),
])
def test_where_only_some_words_are_allowed_they_are_listed(key, value, allowed):
    assert_names(refused(f"--{key}", value), *allowed)


def test_every_problem_is_listed_wherever_it_comes_from(tmp_path):
    file = write(tmp_path, {"redis": {"interval": "soon"}, "spool": {"when-full": "panic"}, "nonsense": {"key": 1}})
    said = refused("--config", file, "--otlp-max-body", "16 potatoes", "--log-levle", "info",
                   env={"ASYNQ_COLLECTOR_TEMPO_COMPRESSION": "brotli", "ASYNQ_COLLECTOR_REDIS_TIMEOOT": "1s"})
    assert_names(said, "soon", "panic", "nonsense.key", "16 potatoes", "--log-levle", "brotli",
                 "ASYNQ_COLLECTOR_REDIS_TIMEOOT")
    assert len(said.splitlines()) >= 7, said


@pytest.mark.parametrize("command", ["run", "scrape", "demo"])
def test_the_other_commands_refuse_a_bad_configuration_likewise(command):
    said = refused("--redis-interval", "soon", "--log-format", "xml", command=command)
    assert_names(said, "soon", "xml")


@pytest.mark.parametrize("content", ["redis: [", "a: b: c", "\t- x", "- just\n- a list\n", "plain text"], ids=repr)
def test_a_file_that_is_no_configuration_is_refused_by_name(tmp_path, content):
    path = write(tmp_path, content)
    assert_names(refused("--config", path), path)


def test_a_file_that_is_not_there_is_refused_by_name(tmp_path):
    path = str(tmp_path / "absent.yaml")
    assert_names(refused("--config", path), path)


def test_a_flag_without_its_value_is_refused():
    assert_names(refused("--redis-interval"), "--redis-interval")


def test_an_argument_that_is_no_flag_is_refused():
    assert_names(refused("surplus"), "surplus")


# --- Commands ---

@pytest.mark.parametrize("arguments", [["--help"], ["run", "--help"], ["check-config", "--help"]], ids=" ".join)
def test_help_goes_to_stdout_and_is_a_success(arguments):
    ran = run_once(*arguments)
    assert (ran.returncode, ran.stderr) == (0, ""), ran
    if arguments == ["--help"]:
        assert_names(ran.stdout, "run", "scrape", "check-config", "demo")


def test_the_version_goes_to_stdout_and_is_a_success():
    ran = run_once("--version")
    assert (ran.returncode, ran.stderr) == (0, ""), ran
    assert re.search(r"\d+\.\d+", ran.stdout), f"expected a version number, got {ran.stdout!r}"


def test_an_unknown_command_is_refused_by_name():
    ran = run_once("frobnicate")
    assert ran.returncode == 2, ran
    assert_names(ran.stderr, "frobnicate")
