"""Which addresses of the machine a listener has, by how its address is written."""

import socket
from pathlib import Path

import pytest

from support.collector import Collector, flags, run_once
from support.http_client import Endpoint, post_traces
from support.otlp import numbered_request
from support.ports import free_port

HAS_IPV6 = Path("/proc/net/if_inet6").exists() and "00000000000000000000000000000001" in Path("/proc/net/if_inet6").read_text()
NAME_HAS_IPV6 = any(found[4][0] == "::1" for found in socket.getaddrinfo("localhost", 80, type=socket.SOCK_STREAM))
IPV4, IPV6 = "127.0.0.1", "::1"


def reachable(port: int) -> set[str]:
    found = set()
    for address in (IPV4, IPV6):
        try:
            with socket.create_connection((address, port), timeout=5):
                found.add(address)
        except OSError:
            pass
    return found


@pytest.mark.parametrize("written, expected", [
    ("127.0.0.1:{port}", {IPV4}),
    ("[::1]:{port}", {IPV6}),
    ("localhost:{port}", {IPV4, IPV6} if NAME_HAS_IPV6 else {IPV4}),
    (":{port}", {IPV4, IPV6}),
    ("*:{port}", {IPV4, IPV6}),
    ("0.0.0.0:{port}", {IPV4}),
    ("[::]:{port}", {IPV4, IPV6}),
    ("0.0.0.0:{port},[::]:{port}", {IPV4, IPV6}),
    ("[::]:{port},127.0.0.1:{port}", {IPV4, IPV6}),
    ("[::1]:{port},127.0.0.1:{port}", {IPV4, IPV6}),
    ("[::ffff:127.0.0.1]:{port}", {IPV4}),
])
def test_a_listener_has_the_addresses_that_it_is_written_with(start_collector, written, expected):
    if not HAS_IPV6 and IPV6 in expected:
        if expected == {IPV6} or "[::1]" in written:
            pytest.skip("this machine has no IPv6")
        expected = expected - {IPV6}
    otlp, metrics = free_port(), free_port()
    start_collector(options={"otlp.listen": written.format(port=otlp), "metrics.listen": written.format(port=metrics)},
                    web=Endpoint(port=metrics, host=IPV6 if expected == {IPV6} else IPV4))
    assert reachable(otlp) == expected
    assert reachable(metrics) == expected


def refused(**options: object) -> str:
    """What a start says that must fail, in its last line."""
    given = {"redis.url": "none", "otlp.socket": "none", "otlp.listen": "none"} | options
    ran = run_once("run", *flags(given))
    assert ran.returncode == 1, ran
    assert '"stopped"' not in ran.stderr, ran.stderr
    return ran.stderr.strip().splitlines()[-1]


def misconfigured(**options: object) -> str:
    """What `check-config` and a start say alike."""
    given = {"redis.url": "none", "otlp.socket": "none", "otlp.listen": "none"} | options
    said = [run_once(command, *flags(given)) for command in ("check-config", "run")]
    assert all(ran.returncode == 2 for ran in said) and said[0].stderr == said[1].stderr, said
    return said[0].stderr.strip().removeprefix("asynq-collector: ")


@pytest.mark.parametrize("key", ["otlp.listen", "metrics.listen"])
@pytest.mark.parametrize("written", ["127.0.0.1:{port}", ":{port}", "localhost:{port}", "127.0.0.1:{free},127.0.0.1:{port}"])
def test_an_address_in_use_is_named_with_its_key(key, written):
    with socket.socket() as taken:
        taken.bind((IPV4, 0))
        taken.listen()
        port = taken.getsockname()[1]
        others = {"metrics.listen": f"127.0.0.1:{free_port()}"} if key != "metrics.listen" else {}
        problem = refused(**others, **{key: written.format(port=port, free=free_port())})
    address = written.format(port=port, free=0).rpartition(",")[2]
    assert f"{key}: listening on {address}: the address is already in use" in problem, problem
    assert "bind(" not in problem and "errno" not in problem, problem


@pytest.mark.parametrize("written", [":{port},127.0.0.1:{port}", "127.0.0.1:{port},0.0.0.0:{port}", "127.0.0.1:{port},127.0.0.1:{port}"])
def test_an_address_that_another_entry_has_is_named_with_that_entry(written):
    written = written.format(port=free_port())
    first, second = written.split(",")
    problem = misconfigured(**{"metrics.listen": written})
    assert problem == (f'metrics.listen = "{written}" (--metrics-listen): {second}: the address is already in use, by {first} in the '
                       "same list")


@pytest.mark.parametrize("owner, taken", [
    ({"otlp.listen": "127.0.0.1:{port}"}, {"metrics.listen": "127.0.0.1:{port}"}),
    ({"otlp.listen": "localhost:{port}"}, {"metrics.listen": ":{port}"}),
    ({"otlp.socket": "{path}"}, {"metrics.listen": "unix://{path}"}),
    ({"otlp.socket": "{path}"}, {"otlp.listen": "unix://{path}"}),
])
def test_an_address_that_another_key_has_is_named_with_that_key(tmp_path, owner, taken):
    port = free_port()
    owner, taken = ({key: text.format(port=port, path=tmp_path / "s") for key, text in option.items()} for option in (owner, taken))
    problem = misconfigured(**owner, **taken)
    (key, value), (owner_key, _) = *taken.items(), *owner.items()
    assert problem.startswith(f'{key} = "{value}" (--{key.replace(".", "-")}): {value}: the address is already in use, by '), problem
    assert problem.endswith(f" in {owner_key}"), problem


@pytest.mark.parametrize("address, reason", [
    ("192.0.2.1:{port}", "this machine has no such address"),
    ("name.invalid:{port}", "the name can't be resolved: "),
])
def test_an_address_that_is_not_there_is_named_with_its_reason(address, reason):
    written = address.format(port=free_port())
    problem = refused(**{"metrics.listen": written})
    assert f"metrics.listen: listening on {written}: {reason}" in problem, problem


def test_the_web_endpoints_may_have_several_addresses_and_a_unix_socket(start_collector, tmp_path):
    path, port = tmp_path / "web.sock", free_port()
    collector: Collector = start_collector(options={"metrics.listen": f"127.0.0.1:{port},unix://{path}"},
                                           web=Endpoint(port=port))
    for endpoint in (collector.web, Endpoint(path=path)):
        collector.web = endpoint
        assert collector.get("/-/healthy").status == 200
    assert post_traces(collector.tcp, numbered_request([1])).status == 200
