"""Flags, environment, file and defaults, as `check-config` understands them."""

import pytest

from support.configuration import check, write

DEFAULTS = {
    "redis.url": "redis://127.0.0.1:6379/0",
    "otlp.socket": "/run/asynq-collector/otlp.sock",
    "tempo.endpoint": "none",
    "tempo.compression": "gzip",
    "spool.directory": "/var/lib/asynq-collector",
    "spool.when-full": "refuse",
    "metrics.listen": "127.0.0.1:9876",
    "log.level": "info",
    "log.format": "auto",
}
DEFAULT_SECONDS = {"redis.interval": 5, "redis.timeout": 3, "tempo.timeout": 10, "tempo.batch.max-delay": 0.2,
                   "tempo.retry.initial": 1, "tempo.retry.max": 30, "spool.sync": 0.2}
DEFAULT_BYTES = {"otlp.max-body": 16 * 2**20, "tempo.batch.max-bytes": 2**20, "spool.max-bytes": 2**30}


def test_without_any_setting_the_defaults_are_in_effect():
    effective = check()
    assert {key: effective[key] for key in DEFAULTS} == DEFAULTS
    assert {key: effective.seconds(key) for key in DEFAULT_SECONDS} == DEFAULT_SECONDS
    assert {key: effective.bytes(key) for key in DEFAULT_BYTES} == DEFAULT_BYTES
    assert effective.listed("otlp.listen") == ["127.0.0.1:4317", "127.0.0.1:4318"]
    assert int(effective["tempo.batch.max-spans"]) == 1000


def test_a_flag_beats_the_environment_beats_the_file_beats_the_default(tmp_path):
    file = write(tmp_path, {"redis": {"interval": "11s"}})
    env = {"ASYNQ_COLLECTOR_REDIS_INTERVAL": "12s"}
    assert check().seconds("redis.interval") == 5
    assert check("--config", file).seconds("redis.interval") == 11
    assert check("--config", file, env=env).seconds("redis.interval") == 12
    assert check("--config", file, "--redis-interval", "13s", env=env).seconds("redis.interval") == 13


def test_each_source_sets_the_keys_that_no_stronger_one_sets(tmp_path):
    file = write(tmp_path, {"redis": {"interval": "11s", "timeout": "1s"}, "log": {"level": "debug"}})
    effective = check("--config", file, "--spool-max-bytes", "64MiB", env={"ASYNQ_COLLECTOR_REDIS_TIMEOUT": "2s"})
    assert (effective.seconds("redis.interval"), effective.seconds("redis.timeout")) == (11, 2)
    assert (effective["log.level"], effective.bytes("spool.max-bytes")) == ("debug", 64 * 2**20)


@pytest.mark.parametrize("form", [["--redis-interval", "7s"], ["--redis-interval=7s"]], ids=" ".join)
def test_a_flag_takes_its_value_in_either_form(form):
    assert check(*form).seconds("redis.interval") == 7


def test_a_value_may_hold_an_equals_sign():
    assert check("--redis-url=unix:///tmp/redis.sock?db=3")["redis.url"] == "unix:///tmp/redis.sock?db=3"


@pytest.mark.parametrize("key, value", [
    ("tempo.batch.max-spans", "77"), ("otlp.socket-mode", "0600"), ("spool.when-full", "drop-oldest"),
    ("metrics.listen", "127.0.0.1:1234"),
])
def test_every_key_has_three_forms_by_one_rule(tmp_path, key, value):
    tree = value
    for part in reversed(key.split(".")):
        tree = {part: tree}
    flag = "--" + key.replace(".", "-")
    name = "ASYNQ_COLLECTOR_" + key.replace(".", "_").replace("-", "_").upper()
    found = [check("--config", write(tmp_path, tree))[key], check(flag, value)[key], check(env={name: value})[key]]
    assert [_same(one, value) for one in found] == [True] * 3, found


def _same(printed, value: str) -> bool:
    """YAML may read 0600 as an octal number."""
    return str(printed) == value or (isinstance(printed, int) and value.startswith("0") and printed == int(value, 8))


@pytest.mark.parametrize("text, seconds", [("250ms", 0.25), ("5s", 5), ("2m", 120)])
def test_durations_have_a_unit(text, seconds):
    assert check("--redis-timeout", text).seconds("redis.timeout") == pytest.approx(seconds)


@pytest.mark.parametrize("key, text, size", [
    ("tempo.batch.max-bytes", "512KiB", 2**19), ("spool.max-bytes", "64MiB", 2**26), ("spool.max-bytes", "2GiB", 2**31),
])
def test_sizes_have_a_unit(key, text, size):
    assert check("--" + key.replace(".", "-"), text).bytes(key) == size


def test_a_comma_list_may_be_a_list_in_the_file(tmp_path):
    addresses = ["127.0.0.1:5001", "127.0.0.1:5002"]
    in_file = check("--config", write(tmp_path, {"otlp": {"listen": addresses}}))
    assert in_file.listed("otlp.listen") == addresses
    assert check("--otlp-listen", ",".join(addresses)).listed("otlp.listen") == addresses


def test_what_is_printed_is_a_configuration_file_with_the_same_effect(tmp_path):
    printed = check("--redis-interval", "7s", "--otlp-listen", "127.0.0.1:5001,127.0.0.1:5002", "--log-level", "debug")
    again = check("--config", write(tmp_path, printed.text))
    assert again.text == printed.text


@pytest.mark.parametrize("content", ["", "# nothing but a comment\n", "---\n"], ids=repr)
def test_an_empty_file_is_a_good_configuration(tmp_path, content):
    assert check("--config", write(tmp_path, content)).seconds("redis.interval") == 5
