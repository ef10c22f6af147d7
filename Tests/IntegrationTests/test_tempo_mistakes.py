"""Mistakes of a configuration that no waiting mends: each is an error with the endpoint, what was seen and what to change."""

import itertools
import json
import re
import socket
import ssl
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import pytest

from support.deadline import eventually
from support.otlp import numbered_keys, numbered_request
from support.ports import free_port
from support.tempo_stub import TempoStub

SPANS = range(3)
FAST = {"tempo.retry.initial": "50ms", "tempo.retry.max": "300ms"}


class Server:
    """Listens, and does the same to each connection."""

    def __init__(self, serve):
        self._serve = serve
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            threading.Thread(target=self._one, args=(connection,), daemon=True).start()

    def _one(self, connection: socket.socket) -> None:
        with connection:
            try:
                self._serve(connection)
            except OSError:
                pass

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._socket.close()


def as_grpc(connection: socket.socket) -> None:
    """What a gRPC server sends at once: SETTINGS."""
    connection.sendall(b"\0\0\x06\x04\0\0\0\0\0\0\x05\0\0\x40\0")
    connection.recv(1 << 16)


def with_tls(certificates, wants_certificate: bool):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates["server.pem"], certificates["server.key"])
    if wants_certificate:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(certificates["ca.pem"])

    def serve(connection: socket.socket) -> None:
        with context.wrap_socket(connection, server_side=True) as wrapped:
            while wrapped.recv(1 << 16):
                pass
    return serve


def log_lines(collector) -> list[dict]:
    return [json.loads(line) for line in collector.stderr().splitlines() if line.startswith("{")]


def error_line(collector) -> dict:
    def found():
        return next((line for line in log_lines(collector) if line["level"] == "error"), None)
    return eventually("an error in the log", found)


def openssl_server(certificates, tmp_path) -> subprocess.Popen:
    port = free_port()
    server = subprocess.Popen(["openssl", "s_server", "-quiet", "-accept", f"127.0.0.1:{port}", "-cert", certificates["server.pem"],
                               "-key", certificates["server.key"]], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL)
    server.port = port
    eventually("it listens", lambda: not socket.create_connection(("127.0.0.1", port)).close())
    return server


@pytest.mark.parametrize("server", ["Python's", "one that wants a certificate", "OpenSSL's"])
def test_a_port_for_tls_that_gets_http_is_a_mistake_whatever_it_says(start_collector, certificates, tmp_path, server):
    if server == "OpenSSL's":
        running = openssl_server(certificates, tmp_path)
    else:
        running = Server(with_tls(certificates, server != "Python's"))
    with running:
        endpoint = f"http://joe:hush@127.0.0.1:{running.port}"
        collector = start_collector(options={"tempo.endpoint": endpoint, "metrics.push.endpoint": endpoint,
                                             "metrics.push.interval": "1s"} | FAST)
        collector.post(numbered_request(SPANS))
        for key in ("tempo", "metrics.push"):
            advice = f"{key}.endpoint is a TLS port: write https:// in place of http://"
            line = eventually(advice, lambda: next((line for line in log_lines(collector) if line.get("advice") == advice), None))
            assert line["level"] == "error" and "joe:<redacted>@" in line["endpoint"], line
        assert "hush" not in collector.stderr()
        assert collector.count("spool_spans") == len(SPANS)
        if server == "OpenSSL's":
            running.terminate()


def test_a_server_that_breaks_off_each_connection_is_an_outage(start_collector):
    """With http:// as well as where a handshake is tried: nothing says that it is a mistake."""
    with Server(lambda connection: connection.recv(1 << 16)) as server:
        collector = start_collector(options={"tempo.endpoint": f"http://127.0.0.1:{server.port}"} | FAST)
        collector.post(numbered_request(SPANS))
        eventually("several tries", lambda: collector.metrics().sum(
            "asynq_collector_forward_requests_total", {"code": "broken"}) >= 3)
        lines = [line for line in log_lines(collector) if "forwarding" in line["message"]]
        assert lines and all(line["level"] == "warning" and "advice" not in line for line in lines), lines


def begins_with_tls(connection: socket.socket) -> bool:
    """Whether a handshake is what comes; all that has come stays to be read."""
    return connection.recv(1, socket.MSG_PEEK) == b"\x16"


def ends(connection: socket.socket, how: str) -> None:
    """`closes` (what has come is read before), `resets`, or `is silent` until the other side closes."""
    if how != "resets":
        connection.recv(1 << 16)
    while how == "is silent" and connection.recv(1 << 16):
        pass


def plain_port(how: str, answer: bytes, requests: list[bytes]):
    """HTTP without TLS, which has no answer to a handshake."""
    def serve(connection: socket.socket) -> None:
        if begins_with_tls(connection):
            return ends(connection, how)
        requests.append(connection.recv(1 << 16))
        connection.sendall(answer)
    return serve


def tls_port(certificates, how: str, protocols: list[str], mute_without: bool = False, names: list | None = None):
    """TLS, which ends after the handshake, or (`mute_without`) does not answer what is none. `names` gets those that are asked for."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    if names is not None:
        context.sni_callback = lambda _, name, __: names.append(name)
    context.load_cert_chain(certificates["server.pem"], certificates["server.key"])
    if protocols:
        context.set_alpn_protocols(protocols)

    def serve(connection: socket.socket) -> None:
        if mute_without and not begins_with_tls(connection):
            return ends(connection, how)
        with context.wrap_socket(connection, server_side=True) as wrapped:
            if not mute_without:
                ends(wrapped, how)
    return serve


def assert_mistake(start_collector, endpoint: str, words: str, options: dict) -> None:
    """Both that send requests say it, with the endpoint and without its password."""
    scheme, rest = endpoint.split("://")
    endpoint = f"{scheme}://joe:hush@{rest}"
    collector = start_collector(options={"tempo.endpoint": endpoint, "tempo.timeout": "1s", "metrics.push.endpoint": endpoint,
                                         "metrics.push.interval": "1s", "metrics.push.timeout": "1s"} | options | FAST)
    collector.post(numbered_request(SPANS))
    for key in ("tempo", "metrics.push"):
        advice = f"{key}.endpoint {words}"
        line = eventually(advice, lambda: next((line for line in log_lines(collector) if line.get("advice") == advice), None))
        assert line["level"] == "error" and "joe:<redacted>@" in line["endpoint"], line
    assert "hush" not in collector.stderr()
    assert collector.count("spool_spans") == len(SPANS)


NO_HTTP1 = "does not speak HTTP/1.1 there: use the OTLP/HTTP port, usually 4318 (4317 is for gRPC)"


def trusting(certificates) -> dict:
    return {"tempo.tls.ca-file": certificates["ca.pem"], "metrics.push.tls.ca-file": certificates["ca.pem"]}


def test_the_grpc_port_of_a_real_server_with_tls_is_a_mistake(start_collector, certificates):
    server = grpc.server(ThreadPoolExecutor(1))
    key, certificate = (Path(certificates[name]).read_bytes() for name in ("server.key", "server.pem"))
    port = server.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials([(key, certificate)]))
    server.start()
    try:
        assert_mistake(start_collector, f"https://127.0.0.1:{port}", NO_HTTP1, trusting(certificates))
    finally:
        server.stop(None)


@pytest.mark.parametrize("how", ["closes", "resets", "is silent"])
def test_a_port_for_http2_alone_is_a_mistake(start_collector, certificates, how):
    with Server(tls_port(certificates, how, ["h2"])) as server:
        assert_mistake(start_collector, f"https://127.0.0.1:{server.port}", NO_HTTP1, trusting(certificates))


def test_a_port_is_asked_by_the_name_of_the_server(start_collector, certificates):
    names = []
    with Server(tls_port(certificates, "closes", ["h2"], names=names)) as server:
        assert_mistake(start_collector, f"https://127.0.0.1:{server.port}", NO_HTTP1, trusting(certificates)
                       | {"tempo.tls.server-name": "localhost", "metrics.push.tls.server-name": "localhost"})
    assert set(names) == {"localhost"}, names


@pytest.mark.parametrize("how", ["closes", "resets", "is silent"])
def test_https_to_a_port_without_tls_is_a_mistake_whatever_it_does(start_collector, how):
    requests = []
    with Server(plain_port(how, b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", requests)) as server:
        assert_mistake(start_collector, f"https://127.0.0.1:{server.port}",
                       "is not a TLS port: write http:// in place of https://", {"tempo.headers": "X-Token=hush"})
    # Each of both asks once, without credentials.
    assert len(requests) == 2 and all(request.startswith(b"GET / HTTP/1.1\r\n") for request in requests), requests
    assert not any(b"hush" in request or b"Authorization" in request for request in requests), requests


@pytest.mark.parametrize("how", ["closes", "resets", "is silent"])
def test_http_to_a_port_for_tls_is_a_mistake_whatever_it_does(start_collector, certificates, how):
    with Server(tls_port(certificates, how, [], mute_without=True)) as server:
        assert_mistake(start_collector, f"http://127.0.0.1:{server.port}", "is a TLS port: write https:// in place of http://", {})


@pytest.mark.parametrize("how", ["closes", "resets", "is silent"])
@pytest.mark.parametrize("kind", ["TLS for both protocols", "TLS without ALPN", "a TLS port that is down", "nothing"])
def test_https_to_a_server_that_breaks_down_is_an_outage(start_collector, certificates, kind, how):
    serve = {
        "TLS for both protocols": tls_port(certificates, how, ["h2", "http/1.1"]), "TLS without ALPN": tls_port(certificates, how, []),
        "a TLS port that is down": plain_port(how, b"HTTP/1.0 400 Bad Request\r\nConnection: close\r\n\r\n"
                                              b"Client sent an HTTP request to an HTTPS server.\n", []),
        "nothing": lambda connection: ends(connection, how),
    }[kind]
    with Server(serve) as server:
        collector = start_collector(options={"tempo.endpoint": f"https://127.0.0.1:{server.port}", "tempo.timeout": "500ms"}
                                    | trusting(certificates) | FAST)
        collector.post(numbered_request(SPANS))
        eventually("several tries", lambda: collector.metrics().sum("asynq_collector_forward_requests_total") >= 3)
        lines = [line for line in log_lines(collector) if "forwarding" in line["message"]]
        assert lines and all(line["level"] == "warning" and "advice" not in line for line in lines), lines


@pytest.mark.parametrize("situation, scheme, advice", [
    ("the gRPC port", "http", "use the OTLP/HTTP port, usually 4318 (4317 is for gRPC)"),
    ("TLS to a port without", "https", "tempo.endpoint is not a TLS port: write http:// in place of https://"),
    ("a client certificate is wanted", "https", "the server wants a client certificate: set tempo.tls.cert-file"),
    ("an unknown authority", "https", "set tempo.tls.ca-file"),
    ("another name", "https", "the server's certificate is for another name"),
])
def test_a_mistake_has_advice_that_names_the_key(start_collector, certificates, situation, scheme, advice):
    serve = {
        "the gRPC port": as_grpc, "TLS to a port without": lambda connection: (
            connection.recv(1 << 16), connection.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")),
        "a client certificate is wanted": with_tls(certificates, True),
    }.get(situation, with_tls(certificates, False))
    options = {} if situation == "an unknown authority" else {"tempo.tls.ca-file": certificates["ca.pem"]}
    if situation == "another name":
        options["tempo.tls.server-name"] = "other.example"
    with Server(serve) as server:
        endpoint = f"{scheme}://joe:hush@127.0.0.1:{server.port}"
        collector = start_collector(options={"tempo.endpoint": endpoint} | options | FAST)
        collector.post(numbered_request(SPANS))
        line = error_line(collector)
        assert advice in line["advice"], line
        assert line["endpoint"] == f"{scheme}://joe:<redacted>@127.0.0.1:{server.port}/v1/traces"
        assert "hush" not in collector.stderr()
        assert collector.count("spool_spans") == len(SPANS)


def test_the_endpoint_that_is_in_use_is_named_when_its_file_changes(start_collector, tmp_path):
    """The same line comes once in ten seconds."""
    file, ports = tmp_path / "endpoint", (free_port(), free_port())
    file.write_text(f"http://joe:hush@127.0.0.1:{ports[0]}")
    collector = start_collector(options={"tempo.endpoint-file": file} | FAST)
    collector.post(numbered_request(SPANS))

    def endpoints() -> list[str]:
        lines = [json.loads(line) for line in collector.stderr().splitlines() if line.startswith("{")]
        return [line["endpoint"] for line in lines if line["message"].startswith("forwarding failed")]

    first, second = (f"http://joe:<redacted>@127.0.0.1:{port}/v1/traces" for port in ports)
    eventually("a failure of the first", lambda: endpoints() == [first])
    file.write_text(f"http://joe:hush@127.0.0.1:{ports[1]}")
    eventually("a failure of the second", lambda: endpoints()[-1:] == [second])
    assert json.loads(collector.get("/api/v1/overview").body)["collector"]["tempo"] == second
    assert "hush" not in collector.stderr()


def test_a_wrong_path_has_advice(start_collector, tempo):
    tempo.answer(404, message="404 page not found")
    collector = start_collector(options={"tempo.endpoint": tempo.endpoint + "/api"} | FAST)
    collector.post(numbered_request(SPANS))
    assert "is the path of tempo.endpoint right?" in error_line(collector)["advice"]


def test_a_redirect_shows_its_address_without_secrets(start_collector):
    def serve(connection: socket.socket) -> None:
        connection.recv(1 << 20)
        connection.sendall(b"HTTP/1.1 302 Found\r\nLocation: https://u:hush@other.example/v1/traces?sas=hush\r\n"
                           b"Content-Length: 0\r\nConnection: close\r\n\r\n")

    with Server(serve) as server:
        collector = start_collector(options={"tempo.endpoint": f"http://127.0.0.1:{server.port}"} | FAST)
        collector.post(numbered_request(SPANS))
        line = error_line(collector)
        assert line["reason"] == "302 to https://other.example/v1/traces?<redacted>"
        assert line["advice"] == "the endpoint redirects: set tempo.endpoint to the address in the answer"
        assert "hush" not in collector.stderr()


@pytest.mark.parametrize("location, advice", [
    (b"/login/hush@x", "the address that its Location names"), (b"//other\x1b[31m.example/", "the address that its Location names"),
    (b"", "which the answer does not name")], ids=["may hold a password", "no URL", "empty"])
def test_a_redirect_to_an_address_that_is_not_shown_says_so(start_collector, location, advice):
    def serve(connection: socket.socket) -> None:
        connection.recv(1 << 20)
        connection.sendall(b"HTTP/1.1 307 Found\r\nLocation: " + location + b"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")

    with Server(serve) as server:
        collector = start_collector(options={"tempo.endpoint": f"http://127.0.0.1:{server.port}"} | FAST)
        collector.post(numbered_request(SPANS))
        line = error_line(collector)
        assert line["reason"] == "307" and advice in line["advice"]
        assert "hush" not in collector.stderr()


def test_words_that_take_turns_behind_one_status_are_all_told(start_collector):
    answers = itertools.cycle([b"alpha is bad", b"beta gamma"])

    def serve(connection: socket.socket) -> None:
        connection.recv(1 << 20)
        body = next(answers)
        connection.sendall(b"HTTP/1.1 503 x\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s" % (len(body), body))

    with Server(serve) as server:
        collector = start_collector(options={"tempo.endpoint": f"http://127.0.0.1:{server.port}"} | FAST)
        collector.post(numbered_request(SPANS))
        for words in ("503: alpha is bad", "503: beta gamma"):
            eventually(words, lambda: words in collector.stderr(), seconds=9)


def test_mistakes_that_take_turns_are_all_told(start_collector):
    answers = itertools.cycle([b"401 Unauthorized", b"404 Not Found"])

    def serve(connection: socket.socket) -> None:
        connection.recv(1 << 20)
        connection.sendall(b"HTTP/1.1 " + next(answers) + b"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")

    with Server(serve) as server:
        collector = start_collector(options={"tempo.endpoint": f"http://127.0.0.1:{server.port}"} | FAST)
        collector.post(numbered_request(SPANS))
        for advice in ("check tempo.headers", "is the path of tempo.endpoint right?"):
            eventually(advice, lambda: advice in collector.stderr(), seconds=9)


def test_an_answer_without_end_is_cut_and_counts_by_its_status(start_collector):
    """The connection ends once 64 KiB are read, long before tempo.timeout."""
    sent = []

    def serve(connection: socket.socket) -> None:
        connection.recv(1 << 20)
        connection.sendall(b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n")
        total = 0
        try:
            while True:
                connection.sendall(b"1000\r\n" + b"x" * 4096 + b"\r\n")
                total += 4096
        finally:
            sent.append(total)

    with Server(serve) as server:
        collector = start_collector(options={"tempo.endpoint": f"http://127.0.0.1:{server.port}", "tempo.timeout": "1h"} | FAST)
        collector.post(numbered_request(SPANS))
        eventually("several tries", lambda: collector.metrics().sum(
            "asynq_collector_forward_requests_total", {"code": "503"}) >= 3)
        # What the kernel has taken into its buffers counts as sent.
        assert max(sent) < 8 << 20, sent


@pytest.mark.parametrize("text, shown", [
    ("evil \x1b[2J", "evil \\u{1B}[2J"), ("\u202egnp.exe", "\\u{202E}gnp.exe"), ("c1 \u009b2J", "c1 \\u{9B}2J"),
    ("two\nlines", "two lines"),
])
def test_control_and_direction_characters_of_an_answer_are_escaped(start_collector, tempo, text, shown):
    tempo.answer(403, message=text)
    collector = start_collector(options={"tempo.endpoint": tempo.endpoint} | FAST)
    collector.post(numbered_request(SPANS))
    assert error_line(collector)["reason"] == f"403: {shown}"
    page = collector.get("/").body.decode()
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", page)


def test_in_an_outage_the_end_comes_after_one_more_try(start_collector, tempo):
    collector = start_collector(options={"tempo.endpoint": tempo.endpoint, "tempo.retry.initial": "100ms"})
    tempo.answer(503)
    collector.post(numbered_request(SPANS))
    eventually("an outage", lambda: collector.metrics().value("asynq_collector_tempo_up") == 0)
    before = len(tempo.requests)
    collector.stop()
    # One may have been under way.
    assert len(tempo.requests) - before in (1, 2), "it is asked once more"


# --- A name server that fails while the backend is well ---

RESOLVED = """nameserver 127.0.0.77
options timeout:1 attempts:1
"""


class NameServer(threading.Thread):
    """Answers each question for an address with `address`, or with SERVFAIL."""

    def __init__(self):
        super().__init__(daemon=True)
        self.address: str | None = "127.0.0.1"
        self.questions = 0
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.77", 53))

    def run(self) -> None:
        while True:
            question, sender = self._socket.recvfrom(512)
            self.questions += 1
            end = question.index(b"\0", 12) + 5
            kind = int.from_bytes(question[end - 4:end - 2], "big")
            if self.address is None:
                self._socket.sendto(question[:2] + b"\x81\x82\0\1\0\0\0\0\0\0" + question[12:end], sender)
            elif kind == 1:
                self._socket.sendto(question[:2] + b"\x81\x80\0\1\0\1\0\0\0\0" + question[12:end]
                                    + b"\xc0\x0c\0\1\0\1\0\0\0\5\0\4" + socket.inet_aton(self.address), sender)
            else:
                self._socket.sendto(question[:2] + b"\x81\x80\0\1\0\0\0\0\0\0" + question[12:end], sender)


@pytest.mark.slow
def test_a_name_server_that_fails_does_not_keep_spans_from_a_backend_that_is_well(start_collector, tmp_path):
    """With a resolv.conf of the collector's own. Connections are given up after 30 s, so that it has to connect anew."""
    resolv = tmp_path / "resolv.conf"
    resolv.write_text(RESOLVED)
    in_own_space = ["unshare", "-rm", "sh", "-c", f'mount --bind {resolv} /etc/resolv.conf && exec "$@"', "sh"]
    try:
        names = NameServer()
    except OSError:
        pytest.skip("port 53 of 127.0.0.77 can't be had")
    if subprocess.run([*in_own_space, "true"], capture_output=True).returncode != 0:
        pytest.skip("no mount namespaces here")
    names.start()
    with TempoStub() as tempo:
        collector = start_collector(options={"tempo.endpoint": f"http://tempo.test:{tempo.port}"} | FAST,
                                    launcher=tuple(in_own_space))
        collector.post(numbered_request([0]))
        tempo.until_stored(numbered_keys([0]))
        names.address = None
        asked, began, number = names.questions, time.monotonic(), 0
        while time.monotonic() - began < 45:
            number += 1
            collector.post(numbered_request([number]))
            tempo.until_stored(numbered_keys([number]), seconds=15)
            time.sleep(0.3)
        assert names.questions > asked, "it has looked the name up again"
        assert "its last address is used" in collector.stderr()
        names.address = "127.0.0.1"
        tempo.assert_each_once(numbered_keys(range(number + 1)))
