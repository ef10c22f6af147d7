"""Browsers: pages of allowed origins may send spans, others may not. With the rules in plain requests, and in Chromium."""

import http.server
import json
import shutil
import subprocess
import threading

import pytest

from support import http_client, otlp, otlp_json
from support.ports import free_port

SHOP = "https://shop.example"
JSON = {"Content-Type": "application/json"}


def preflight(collector, origin: str, method: str = "POST", headers: str = "content-type", path: str = "/v1/traces"):
    return http_client.ask(collector.tcp, "OPTIONS", path, headers={
        "Origin": origin, "Access-Control-Request-Method": method, "Access-Control-Request-Headers": headers})


def post(collector, body: bytes, origin: str | None = None):
    return http_client.ask(collector.tcp, "POST", "/v1/traces", body, JSON | ({} if origin is None else {"Origin": origin}))


def test_a_preflight_of_an_allowed_origin_is_told_what_it_may_send(start_collector):
    collector = start_collector(options={
        "otlp.cors.allowed-origins": f"{SHOP},http://localhost:3000", "otlp.cors.allowed-headers": "X-Team",
        "otlp.bearer-token": "secret"})
    for origin in (SHOP, "http://localhost:3000"):
        answer = preflight(collector, origin)
        assert answer.status == 204, answer
        assert answer.headers.get_all("Access-Control-Allow-Origin") == [origin]
        assert answer.headers["Access-Control-Allow-Methods"] == "POST"
        allowed = {name.strip().lower() for name in answer.headers["Access-Control-Allow-Headers"].split(",")}
        assert {"content-type", "content-encoding", "authorization", "x-team"} <= allowed
        assert answer.headers["Vary"] == "Origin" and answer.headers["Access-Control-Allow-Credentials"] == "true"


def test_a_preflight_over_http2_has_no_length(start_collector, tmp_path):
    collector = start_collector(options={"otlp.cors.allowed-origins": SHOP})
    for version in ("--http1.1", "--http2-prior-knowledge"):
        done = subprocess.run(
            ["curl", "-sS", version, "-X", "OPTIONS", "-D", "-", "-H", f"Origin: {SHOP}", "-H",
             "Access-Control-Request-Method: POST", f"http://127.0.0.1:{collector.otlp_port}/v1/traces"],
            capture_output=True, text=True, timeout=60, check=True)
        status, *fields = done.stdout.strip().splitlines()
        assert status.split()[1] == "204", done
        names = {field.split(":")[0].lower() for field in fields}
        assert "access-control-allow-origin" in names
        assert not names & {"content-length", "transfer-encoding"}, done.stdout


@pytest.mark.parametrize("origin", ["https://evil.example", "http://shop.example", f"{SHOP}:8443", f"{SHOP}.evil.example",
                                    "null", f"{SHOP}/", ""])
def test_other_origins_are_refused_and_counted(start_collector, origin):
    collector = start_collector(options={"otlp.cors.allowed-origins": SHOP})
    answers = [preflight(collector, origin), post(collector, b"{}", origin)]
    for answer in answers:
        assert answer.status == 403, answer
        assert "Access-Control-Allow-Origin" not in answer.headers
    assert json.loads(answers[1].body)["code"] == 7
    assert collector.count("refused_requests_total", {"reason": "origin"}) == 2


def test_without_cors_no_page_may_send_and_everybody_else_may(start_collector):
    collector = start_collector()
    assert preflight(collector, SHOP).status == 403
    assert post(collector, b"{}", SHOP).status == 403
    assert post(collector, b"{}").status == 200
    # No preflight: without an Origin it is an ordinary wrong method.
    assert http_client.ask(collector.tcp, "OPTIONS", "/v1/traces").status == 405


def test_an_answer_to_an_allowed_page_can_be_read_by_it_whatever_it_says(start_collector):
    collector = start_collector(options={"otlp.cors.allowed-origins": SHOP, "otlp.max-body": "2KiB"})
    bodies = {200: b"{}", 400: b"{", 413: b" " * 3000}
    for status, body in bodies.items():
        answer = post(collector, body, SHOP)
        assert answer.status == status
        assert answer.headers["Access-Control-Allow-Origin"] == SHOP, f"status {status}"
    wrong = http_client.ask(collector.tcp, "GET", "/v1/traces", headers={"Origin": SHOP})
    assert wrong.status == 405 and wrong.headers["Access-Control-Allow-Origin"] == SHOP


def test_a_star_allows_all_and_reflects_headers_where_they_are_a_star_too(start_collector):
    collector = start_collector(options={"otlp.cors.allowed-origins": "*", "otlp.cors.allowed-headers": "*"})
    answer = preflight(collector, "https://anybody.example", headers="x-one, content-type")
    assert answer.status == 204 and answer.headers["Access-Control-Allow-Origin"] == "https://anybody.example"
    assert answer.headers["Access-Control-Allow-Credentials"] == "true" and answer.headers["Vary"] == "Origin"
    assert answer.headers["Access-Control-Allow-Headers"] == "x-one, content-type"
    assert preflight(collector, "https://anybody.example", path="/v1/metrics").status == 404


# --- A real browser ---

PAGE = """<!doctype html><title>waiting</title><script>
fetch("%(url)s", {method: "POST", headers: {"Content-Type": "application/json"}, body: %(body)s})
  .then(answer => answer.text().then(text => document.title = "status " + answer.status + " " + text))
  .catch(error => document.title = "refused " + error)
</script>"""


class PageServer:
    """Serves one page, from an origin of its own."""

    def __init__(self, page: str, port: int):
        content = page.encode()

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(200)
                self.send_header("Content-Type", "text/html")
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_):
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.origin = f"http://127.0.0.1:{port}"

    def __enter__(self):
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._server.server_close()


# What the OpenTelemetry exporters for browsers use: fetch, fetch with cookies, and, where no header is set, a beacon.
TRANSPORTS = """<!doctype html><title>waiting</title><script>
const [url, bodies] = ["%(url)s", %(bodies)s];
const headers = {"Content-Type": "application/json"};
const status = (body, options) => fetch(url, {method: "POST", headers, body, ...options}).then(a => a.status, String);
(async () => {
  const seen = [await status(bodies[0], {}), await status(bodies[1], {credentials: "include"}),
                navigator.sendBeacon(url, new Blob([bodies[2]], {type: "application/json"}))];
  document.title = "seen " + seen;
})();
</script>"""


def visit(page: PageServer, profile) -> str:
    """The page as it is after its script has run."""
    browser = shutil.which("chromium")
    assert browser, "chromium is missing; scripts/install-dependencies test installs it"
    ran = subprocess.run(
        [browser, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
         "--virtual-time-budget=10000", f"--user-data-dir={profile}", "--dump-dom", page.origin + "/"],
        capture_output=True, text=True, timeout=60)
    assert ran.returncode == 0, ran.stderr[-2000:]
    return ran.stdout


def test_chromium_sends_spans_from_the_allowed_origin_only(start_collector, tempo, tmp_path):
    friendly_port, foreign_port = free_port(), free_port()
    collector = start_collector(options={
        "otlp.cors.allowed-origins": f"http://127.0.0.1:{friendly_port}", "tempo.endpoint": tempo.endpoint,
        "tempo.batch.max-delay": "50ms"})
    body = otlp_json.from_protobuf(otlp.numbered_request([1])).decode()
    page = PAGE % {"url": f"http://127.0.0.1:{collector.otlp_port}/v1/traces", "body": json.dumps(body)}
    with PageServer(page, foreign_port) as foreign:
        seen = visit(foreign, tmp_path / "one")
    assert "<title>refused TypeError" in seen, seen
    assert collector.count("accepted_spans_total") == 0
    with PageServer(page, friendly_port) as friendly:
        seen = visit(friendly, tmp_path / "two")
    assert "<title>status 200 {}</title>" in seen, seen
    assert collector.count("accepted_spans_total") == 1
    tempo.until_stored(otlp.numbered_keys([1]))


@pytest.mark.parametrize("allowed", ["{origin}", "*", "http://{origin_host}:{port},https://*.shop.example"])
def test_every_transport_of_a_browser_arrives(start_collector, tempo, tmp_path, allowed):
    port = free_port()
    collector = start_collector(options={
        "otlp.cors.allowed-origins": allowed.format(origin=f"http://127.0.0.1:{port}", origin_host="127.0.0.1", port=port),
        "tempo.endpoint": tempo.endpoint, "tempo.batch.max-delay": "50ms"})
    bodies = [otlp_json.from_protobuf(otlp.numbered_request([n])).decode() for n in (1, 2, 3)]
    page = TRANSPORTS % {"url": f"http://127.0.0.1:{collector.otlp_port}/v1/traces", "bodies": json.dumps(bodies)}
    with PageServer(page, port) as server:
        seen = visit(server, tmp_path / "profile")
    assert "<title>seen 200,200,true</title>" in seen, seen
    tempo.until_stored(otlp.numbered_keys([1, 2, 3]))
    assert collector.count("accepted_spans_total") == 3
