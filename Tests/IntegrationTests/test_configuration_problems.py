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


# --- What a new user is likely to get wrong: the whole line for each, which says what to write instead ---

DURATIONS, LISTENERS = "such as 250ms, 5s, 2m, 1h", "allowed are host:port, [::1]:port, :port for every address, and unix:///path"

MISTAKES_OF_FLAGS: dict[str, tuple[list[str], str]] = {
    "Redis without a scheme": (
        ["--redis-url", "localhost:6379"],
        'redis.url = "localhost:6379" (--redis-url): no scheme; allowed are redis://, redis-sentinel:// and redis-cluster:// '
        "(rediss…:// for TLS), and unix://, or none"),
    "the address of a web server for Redis": (
        ["--redis-url", "http://localhost:6379"],
        'redis.url = "http://localhost:6379" (--redis-url): unknown scheme http://: write redis://host:6379, the address of Redis '
        "itself; allowed are redis://, redis-sentinel:// and redis-cluster:// (rediss…:// for TLS), and unix://"),
    "a slash in the password": (
        ["--redis-url", "redis://:pa/ss@localhost:6379"],
        'redis.url = "redis://:<redacted>@localhost:6379" (--redis-url): a / or ? stands before the @: in a user or password write '
        "%2F for /, %3F for ?, %40 for @, or give them as redis.username and redis.password"),
    "several hosts of Redis": (
        ["--redis-url", "redis://h1:1,h2:2"],
        'redis.url = "redis://h1:1,h2:2" (--redis-url): several hosts: write redis-sentinel://host:port,host:port/0?master=NAME '
        "for sentinels, redis-cluster://host:port,host:port for a Cluster, or one of them"),
    "a database by name": (
        ["--redis-url", "redis://localhost:6379/mydb"],
        'redis.url = "redis://localhost:6379/mydb" (--redis-url): the database must be a number from 0 on'),
    "sentinels without the master": (
        ["--redis-url", "redis-sentinel://h:26379/0"],
        "redis.url = \"redis-sentinel://h:26379/0\" (--redis-url): the master's name is missing: ?master=NAME"),
    "a database of a Cluster": (
        ["--redis-url", "redis-cluster://h:1/3"],
        'redis.url = "redis-cluster://h:1/3" (--redis-url): a Cluster has database 0 only: what stands behind the nodes has to be '
        "left out"),
    "a file of authorities that is not there": (
        ["--redis-url", "rediss://localhost:6379", "--redis-tls-ca-file", "/nope.pem"],
        "redis.tls: reading redis.tls.ca-file /nope.pem: No such file or directory"),
    "the same for Tempo": (
        ["--tempo-endpoint", "https://tempo:4318", "--tempo-tls-ca-file", "/nope.pem"],
        "tempo.tls: reading tempo.tls.ca-file /nope.pem: No such file or directory"),
    "a file of a secret that is not there": (
        ["--redis-password-file", "/nope"],
        "redis.password-file: opening /nope: No such file or directory (--redis-password-file)"),
    "Tempo without a scheme": (
        ["--tempo-endpoint", "tempo:4318"],
        'tempo.endpoint = "tempo:4318" (--tempo-endpoint): allowed is http://host:port, https://host:port or none'),
    "Tempo by gRPC": (
        ["--tempo-endpoint", "grpc://tempo:4317"],
        'tempo.endpoint = "grpc://tempo:4317" (--tempo-endpoint): allowed is http://host:port, https://host:port or none'),
    "Tempo at the collector's own address": (
        ["--tempo-endpoint", "http://localhost:4318"],
        'tempo.endpoint = "http://localhost:4318" (--tempo-endpoint): the collector itself listens there, at 127.0.0.1:4318 in otlp.listen, '
        "and would send to itself; give the backend's address, or another one to otlp.listen"),
    "Tempo without a host": (
        ["--tempo-endpoint", "http://"],
        'tempo.endpoint = "http://" (--tempo-endpoint): allowed is http://host:port, https://host:port or none'),
    "a port beyond all ports": (
        ["--tempo-endpoint", "http://tempo:99999"],
        'tempo.endpoint = "http://tempo:99999" (--tempo-endpoint): Port number was not a decimal number between 0 and 65535'),
    "a header with a colon": (
        ["--tempo-headers", "Authorization: Bearer x"],
        "tempo.headers = (secret) (--tempo-headers): a name and its value have = between them; allowed is NAME=VALUE,…"),
    "a header without a value": (
        ["--tempo-headers", "X-Scope-OrgID"],
        "tempo.headers = (secret) (--tempo-headers): a name and its value have = between them; allowed is NAME=VALUE,…"),
    "a comma in a header's value": (
        ["--tempo-headers", "Authorization=Basic a,b"],
        'tempo.headers = (secret) (--tempo-headers): a value that holds a comma stands in quotes (NAME="a,b"); allowed is '
        "NAME=VALUE,…"),
    "a compression that Tempo lacks": (
        ["--tempo-compression", "snappy"], 'tempo.compression = "snappy" (--tempo-compression): allowed is gzip, zstd, none'),
    "batches larger than any": (
        ["--tempo-batch-max-bytes", "1GB"],
        'tempo.batch.max-bytes = "1GB" (--tempo-batch-max-bytes): allowed is a size from 1KiB to 256MiB, such as 512KiB, 64MiB, '
        "1GiB"),
    "a port alone": (
        ["--otlp-listen", "4317"], f'otlp.listen = "4317" (--otlp-listen): 4317: no address; {LISTENERS}'),
    "a listener without a port": (
        ["--otlp-listen", "0.0.0.0"], f'otlp.listen = "0.0.0.0" (--otlp-listen): 0.0.0.0: no address; {LISTENERS}'),
    "a listener as a URL": (
        ["--otlp-listen", "http://0.0.0.0:4318"],
        'otlp.listen = "http://0.0.0.0:4318" (--otlp-listen): http://0.0.0.0:4318: a listener has no scheme but unix://: write '
        "host:port"),
    "a listener beyond all ports": (
        ["--otlp-listen", "127.0.0.1:70000"],
        f'otlp.listen = "127.0.0.1:70000" (--otlp-listen): 127.0.0.1:70000: no address; {LISTENERS}'),
    "an IPv6 address without brackets": (
        ["--metrics-listen", "::1:9876"],
        'metrics.listen = "::1:9876" (--metrics-listen): ::1:9876: an IPv6 address stands in brackets: [::1]:port'),
    "the web endpoints by a port alone": (
        ["--metrics-listen", "9876"], f'metrics.listen = "9876" (--metrics-listen): 9876: no address; {LISTENERS}'),
    "a socket with a relative path": (
        ["--otlp-socket", "otlp.sock"],
        'otlp.socket = "otlp.sock" (--otlp-socket): allowed is an absolute path, @name for an abstract socket, or none'),
    "a mode that is no octal number": (
        ["--otlp-socket-mode", "999"],
        'otlp.socket-mode = "999" (--otlp-socket-mode): allowed is an octal mode from 0000 to 0777'),
    "a page of a browser without a scheme": (
        ["--otlp-cors-allowed-origins", "shop.example"],
        'otlp.cors.allowed-origins = "shop.example" (--otlp-cors-allowed-origins): shop.example: allowed is scheme://host, '
        "scheme://host:port, scheme://*.domain for its subdomains, null, or *"),
    "a page of a browser with a path": (
        ["--otlp-cors-allowed-origins", "https://shop.example/"],
        'otlp.cors.allowed-origins = "https://shop.example/" (--otlp-cors-allowed-origins): https://shop.example/: allowed is '
        "scheme://host, scheme://host:port, scheme://*.domain for its subdomains, null, or *"),
    "a size in a unit that is none": (
        ["--spool-max-bytes", "1GBit"],
        'spool.max-bytes = "1GBit" (--spool-max-bytes): allowed is a size from 1MiB to 1024TiB, such as 512KiB, 64MiB, '
        "1GiB"),
    "no spool at all": (
        ["--spool-max-bytes", "0"],
        'spool.max-bytes = "0" (--spool-max-bytes): allowed is a size from 1MiB to 1024TiB, such as 512KiB, 64MiB, '
        "1GiB"),
    "an age for ever": (
        ["--spool-max-age", "forever"],
        f'spool.max-age = "forever" (--spool-max-age): allowed is none, or a duration {DURATIONS}'),
    "no interval of syncs": (
        ["--spool-sync", "0"],
        'spool.sync = "0" (--spool-sync): allowed is always, never, or an interval such as 200ms'),
    "a policy by half its name": (
        ["--spool-when-full", "drop"], 'spool.when-full = "drop" (--spool-when-full): allowed is refuse, drop-oldest'),
    "a duration without a unit": (
        ["--redis-interval", "5"],
        f'redis.interval = "5" (--redis-interval): allowed is a duration of 100ms or more, {DURATIONS}'),
    "a unit that is none": (
        ["--shutdown-linger", "20sec"],
        f'shutdown.linger = "20sec" (--shutdown-linger): allowed is a duration {DURATIONS}'),
    "buckets with semicolons": (
        ["--metrics-wait-buckets", "0.1;0.5"],
        'metrics.wait-buckets = "0.1;0.5" (--metrics-wait-buckets): allowed are 1 to 100 ascending numbers of seconds'),
    "a shell's pattern": (
        ["--redis-queues-include", "*"],
        'redis.queues.include = "*" (--redis-queues-include): Invalid preceding regular expression; allowed is a regular '
        "expression as in grep -E"),
    "a level of another program": (
        ["--log-level", "verbose"],
        'log.level = "verbose" (--log-level): allowed is trace, debug, info, notice, warning, error'),
    "a format of another program": (
        ["--log-format", "logfmt"], 'log.format = "logfmt" (--log-format): allowed is auto, json, text'),
    "a password without a user": (
        ["--metrics-password", "x"], "metrics.password = (secret) (--metrics-password): needs metrics.username"),
    "a user without a password": (
        ["--metrics-username", "x"], 'metrics.username = "x" (--metrics-username): needs metrics.password'),
    "a URL of Redis that a shell cut in two": (
        ["--redis-url", "redis://:pa", "ss@h:1"],
        "unexpected argument after --redis-url; quote a value that holds blanks\n"
        'asynq-collector: redis.url = "redis://:<redacted>" (--redis-url): the port must be 1 to 65535'),
    "a URL of Redis without its host": (
        ["--redis-url", "redis://user:hush"],
        'redis.url = "redis://user:<redacted>" (--redis-url): the port must be 1 to 65535'),
    "a flag of another program": (
        ["-p", "hush"], "unexpected argument -p; flags have two hyphens, as --help lists them"),
    "a flag with a dash of a typeset page": (
        ["\u2014redis-password", "hush"],
        "unexpected argument \u2014redis-password; flags have two hyphens, as --help lists them"),
    "a flag with one hyphen": (
        ["-redis-url=redis://h"], "unexpected argument -redis-url=…; flags have two hyphens, as --help lists them"),
    "the port of the receiver for the web endpoints": (
        ["--metrics-listen", "127.0.0.1:4318"],
        'metrics.listen = "127.0.0.1:4318" (--metrics-listen): 127.0.0.1:4318: the address is already in use, by 127.0.0.1:4318 in '
        "otlp.listen"),
    "the same address twice": (
        ["--otlp-listen", ":4318,:4318"],
        'otlp.listen = ":4318,:4318" (--otlp-listen): :4318: the address is already in use, by :4318 in the same list'),
    "one socket for two listeners": (
        ["--otlp-socket", "/run/a.sock", "--metrics-listen", "unix:///run/a.sock"],
        'metrics.listen = "unix:///run/a.sock" (--metrics-listen): unix:///run/a.sock: the address is already in use, by '
        "unix:///run/a.sock in otlp.socket"),
    "a flag and its value in one argument": (
        ["--redis-password hush"], "unknown key --redis-password…; did you mean --redis-password?"),
    "a flag with a colon": (
        ["--redis-password:hush"], "unknown key --redis-password…; did you mean --redis-password?"),
    "a token of blanks": (
        ["--metrics-bearer-token", "  "],
        "metrics.bearer-token = (secret) (--metrics-bearer-token): a token does not begin or end with a blank"),
    "Tempo with a slash too many": (
        ["--tempo-endpoint", "http:///v1"],
        'tempo.endpoint = "http:///v1" (--tempo-endpoint): the host is missing: write http://host:port'),
    "Tempo with two schemes": (
        ["--tempo-endpoint", "http://http://tempo:4318"],
        'tempo.endpoint = "http://http://tempo:4318" (--tempo-endpoint): two schemes: write http://host:port'),
    "a port with a letter": (
        ["--tempo-endpoint", "http://tempo:43l8"],
        'tempo.endpoint = "http://tempo:43l8" (--tempo-endpoint): Port number was not a decimal number between 0 and 65535'),
    "a token with its word": (
        ["--otlp-bearer-token", "Bearer hush"],
        "otlp.bearer-token = (secret) (--otlp-bearer-token): the token stands without the word Bearer in front of it"),
    "Tempo on no port": (
        ["--tempo-endpoint", "http://tempo:0"], 'tempo.endpoint = "http://tempo:0" (--tempo-endpoint): the port must be 1 to 65535'),
    "a URL of Redis in another key": (
        ["--spool-directory", "redis://:hush"],
        'spool.directory = "redis://:<redacted>" (--spool-directory): allowed is an absolute path'),
    "a user and a password for a listener": (
        ["--metrics-listen", "user:hush"],
        f'metrics.listen = "user:<redacted>" (--metrics-listen): user:<redacted>: no address; {LISTENERS}'),
    "a file that is not there": (
        ["--config", "/nope.yaml"], "--config: opening /nope.yaml: No such file or directory"),
}

MISTAKES_IN_FILES: dict[str, tuple[str, str]] = {
    "a wrong indentation": (
        "redis:\n  url: redis://a\n interval: 5s\n",
        "FILE: line 3: no key where one is expected: a line begins in another column than the keys above it, or a value needs quotes"),
    "a tab": ("redis:\n\turl: x\n", "FILE: line 2: a tab; indent with blanks"),
    "every address, without quotes": (
        "metrics:\n  listen: *:9876\n", "FILE: line 2: metrics.listen: a value that begins with * stands in quotes"),
    "every IPv6 address, without quotes": (
        "otlp:\n  listen: [::]:4318\n", "FILE: line 2: otlp.listen: a value that begins with [ stands in quotes"),
    "a password that begins with an at sign": (
        "redis:\n  password: @hush\n", "FILE: line 2: redis.password: a value that begins with @ stands in quotes"),
    "a password that begins with a percent sign": (
        "redis:\n  password: %hush\n", "FILE: line 2: redis.password: a value that begins with % stands in quotes"),
    "a password that begins with a backquote": (
        "redis:\n  password: `hush`\n", "FILE: line 2: redis.password: a value that begins with ` stands in quotes"),
    "a password with a colon and a blank": (
        "redis:\n  password: hu: sh\n", "FILE: line 2: redis.password: a value that holds a colon and a blank stands in quotes"),
    "a password with a quote": (
        "redis:\n  password: 'hu'sh'\n", "FILE: line 2: redis.password: a ' within single quotes is written ''"),
    "a header as HTTP writes it": (
        "tempo:\n  headers: Authorization: Bearer hush\n",
        "FILE: line 2: tempo.headers: a value that holds a colon and a blank stands in quotes"),
    "no blank behind a colon": (
        "redis: {password:hush}\n", "unknown key redis.password… (FILE line 1); a blank is missing behind the colon"),
    "no blank behind the colon of a line": (
        "redis:\n  password:hush\n", "unknown key redis.password… (FILE line 2); a blank is missing behind the colon"),
    "no blank behind one colon of several": (
        "redis:\n  password:hush\n  username: x\n", "FILE: line 2: a blank is missing behind the colon"),
    "a list for one value": (
        "redis:\n  password:\n    - hush\n", "redis.password (FILE line 3): holds one value, no list"),
    "one pattern of a list that is none": (
        "redis:\n  queues:\n    include:\n      - ^critical\n      - '('\n",
        'redis.queues.include = "^critical\\n(" (FILE line 4): (: Unmatched ( or \\(; allowed is a regular expression as in grep -E'),
    "a value in the place of a section": (
        "redis: redis://localhost\n", "unknown key redis (FILE line 1); did you mean redis.url?"),
    "a key twice": ("redis:\n  url: redis://a\n  url: redis://b\n", "redis.url (FILE line 3): given twice"),
    "the configuration of the OpenTelemetry Collector": (
        "exporters:\n  otlp:\n    endpoint: tempo:4317\n",
        "unknown key exporters.otlp.endpoint (FILE line 3); did you mean tempo.endpoint?"),
    "a header's name that holds its value": (
        'tempo:\n  headers:\n    "Authorization=Basic": hush\n',
        "FILE: line 3: tempo.headers: a name with other characters than names have; write NAME: VALUE, with letters, digits and any "
        "of !#$%&'*+-.^_`|~ in the name"),
    "a password that begins with an exclamation mark": (
        "redis:\n  password: !hush\n",
        "FILE: line 2: tags are not read here; a value that begins with ! stands in quotes"),
    "a password in braces": ("redis:\n  password: {hush}\n", "redis.password (FILE line 2): holds a value, no keys"),
    "a URL that YAML cuts off": (
        "redis:\n  url: redis://:hu #sh@h:1\n",
        'redis.url = "redis://:<redacted>" (FILE line 2): the port must be 1 to 65535'),
    "a token that is a comment": (
        "otlp:\n  bearer-token: #hush\n",
        "otlp.bearer-token (FILE line 2): has no value; one that begins with # stands in quotes"),
    "a password that YAML takes for none": (
        "redis:\n  password: ~\n", "redis.password (FILE line 2): has no value; one that is ~ stands in quotes"),
    "a password in brackets": (
        "redis:\n  password: [hush]\n",
        "redis.password (FILE line 2): holds one value, no list; one that begins with [ stands in quotes"),
    "a header whose value is a comment": (
        "tempo:\n  headers:\n    Authorization: #hush\n",
        "FILE: line 3: tempo.headers: a name has no value; one that begins with # stands in quotes"),
    "a secret below a key that is none": (
        "tempo:\n  header: {hush: x}\n", "unknown key tempo.header (FILE line 2); did you mean tempo.headers?"),
    "a star in the middle of a host": (
        "metrics:\n  allowed-hosts: foo.*.com\n",
        'metrics.allowed-hosts = "foo.*.com" (FILE line 2): foo.*.com: allowed is a name as in the header Host, *.name for its '
        "subdomains, or *"),
    "a host with a scheme": (
        "metrics:\n  allowed-hosts: http://b\n",
        'metrics.allowed-hosts = "http://b" (FILE line 2): http://b: allowed is a name as in the header Host, *.name for its '
        "subdomains, or *"),
    "a list for a header": (
        "tempo:\n  headers:\n    Authorization: [a]\n",
        "FILE: line 3: tempo.headers holds names and plain values; one that begins with [ or { stands in quotes"),
    "a quote that is not closed": (
        'redis:\n  password: "hush\ntempo:\n  endpoint: "http://x:1"\n', "FILE: line 2: redis.password: a quote is not closed"),
    "an item without quotes": (
        "otlp:\n  listen: [*:4318]\n", "FILE: line 2: otlp.listen: what begins with * stands in quotes"),
    "a header that begins with an at sign": (
        "tempo:\n  headers:\n    X-Key: @hush\n", "FILE: line 3: tempo.headers: a value that begins with @ stands in quotes"),
    "a word that YAML would take for a truth": (
        "log:\n  level: yes\n", 'log.level = "yes" (FILE line 2): allowed is trace, debug, info, notice, warning, error'),
}


@pytest.mark.parametrize("mistake", MISTAKES_OF_FLAGS)
def test_a_likely_mistake_of_flags_has_its_line(mistake):
    flags, line = MISTAKES_OF_FLAGS[mistake]
    assert refused(*flags) == f"asynq-collector: {line}\n"


@pytest.mark.parametrize("mistake", MISTAKES_IN_FILES)
def test_a_likely_mistake_in_a_file_has_its_line(tmp_path, mistake):
    content, line = MISTAKES_IN_FILES[mistake]
    path = write(tmp_path, content)
    assert refused("--config", path) == f"asynq-collector: {line}\n".replace("FILE", path)
