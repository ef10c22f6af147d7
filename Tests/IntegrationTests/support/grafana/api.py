"""The few calls of Grafana's HTTP API that its front end makes to show a provisioned dashboard."""

import copy
import json
import mimetypes
import re
import threading
import time
from collections import Counter, defaultdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import requests

from support.grafana.data_frames import Asked, PrometheusSource
from support.grafana.front_end import DataSource, FrontEnd
from support.ports import free_port

PROMETHEUS = "asynq-prometheus"
RIGHTS = {f"can{right}": False for right in ("Save", "Edit", "Admin", "Star", "Delete")}
# What is answered with nothing, because there is none of it here.
EMPTY_OBJECTS = ("/api/user/preferences", "/api/frontend-metrics", "/api/live/publish", "/api/login/ping",
                 "/api/user/auth-tokens/rotate")
EMPTY_LISTS = ("/api/annotations", "/api/access-control/teams/roles", "/api/ruler", "/api/library-elements", "/api/user/orgs")


class GrafanaAPI:
    """Serves until `stop`. Only Prometheus is there: Tempo and Loki are no data sources of this Grafana."""

    def __init__(self, front_end: FrontEnd, prometheus_url: str, scrape_interval: float):
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.unknown: Counter[str] = Counter()
        self._front_end = front_end
        self._dashboards: dict[str, dict] = {}
        self._asked: dict[int, list[Asked]] = defaultdict(list)
        self._lock = threading.Lock()
        self._running, self._last = 0, time.monotonic()
        options = {"timeInterval": f"{scrape_interval:g}s", "httpMethod": "POST", "prometheusType": "Prometheus"}
        self._urls = {PROMETHEUS: prometheus_url}
        self._prometheus = PrometheusSource(prometheus_url, scrape_interval)
        source = DataSource(PROMETHEUS, "prometheus", "Prometheus", prometheus_url, options, is_default=True)
        self._settings = front_end.settings([source], f"{self.url}/")
        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), _Handler)
        self._server.daemon_threads = True
        self._server.api = self
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def show(self, dashboard: dict) -> None:
        """The dashboard to be served from now on, and a new page of what is asked."""
        with self._lock:
            # Not refreshed while it is looked at: what was asked last is what is shown.
            self._dashboards[dashboard["uid"]] = copy.deepcopy(dashboard) | {"refresh": "1h"}
            self._asked.clear()

    def asked(self) -> dict[int, list[Asked]]:
        """The last queries of each panel, by its id."""
        with self._lock:
            return {panel: list({one.reference: one for one in queries}.values()) for panel, queries in self._asked.items()}

    def quiet_seconds(self) -> float:
        with self._lock:
            return 0 if self._running else time.monotonic() - self._last

    # --- For the handler ---

    def answer(self, method: str, target: str, headers, body: bytes) -> tuple[int, str, bytes]:
        with self._lock:
            self._running += 1
        try:
            return self._answer(method, urlsplit(target), headers, body)
        finally:
            with self._lock:
                self._running -= 1
                self._last = time.monotonic()

    def _answer(self, method: str, url, headers, body: bytes) -> tuple[int, str, bytes]:
        path = url.path
        if path.startswith("/public/"):
            file = self._front_end.file(path.removeprefix("/public/"))
            if not file:
                self.unknown[path] += 1
                return 404, "text/plain", b""
            return 200, mimetypes.guess_type(path)[0] or "application/octet-stream", file.read_bytes()
        if not path.startswith(("/api/", "/apis/")):
            theme = parse_qs(url.query).get("theme", ["dark"])[0]
            return 200, "text/html; charset=utf-8", self._front_end.page(self._settings, theme).encode()
        if path == "/api/ds/query":
            return self._queries(headers, json.loads(body))
        if match := re.fullmatch(r"/api/datasources/(?:uid|proxy/uid)/([^/]+)/(?:resources/)?(.*)", path):
            return self._proxied(method, match[1], f"{match[2]}?{url.query}", headers, body)
        status, content = self._document(path)
        return status, "application/json", json.dumps(content).encode()

    def _document(self, path: str) -> tuple[int, object]:
        if match := re.fullmatch(r"/api/dashboards/uid/([^/]+)", path):
            dashboard = self._dashboards.get(match[1])
            return (200, {"dashboard": dashboard | {"id": 1}, "meta": _meta(match[1])}) if dashboard else (
                404, {"message": "Dashboard not found"})
        if path == "/api/search":
            return 200, [{"id": number, "uid": uid, "title": one["title"], "url": f"/d/{uid}", "uri": f"db/{uid}",
                          "type": "dash-db", "tags": one["tags"], "isStarred": False}
                         for number, (uid, one) in enumerate(self._dashboards.items(), 1)]
        if match := re.fullmatch(r"/api/plugins/([^/]+)/settings", path):
            plugin = self._front_end.plugins.get(match[1])
            return (200, plugin | {"enabled": True, "pinned": True}) if plugin else (404, {"message": "Plugin not found"})
        if path == "/api/frontend/settings":
            return 200, self._settings
        if path.startswith("/api/prometheus/"):
            return 200, {"status": "success", "data": {"groups": []}}
        if path in EMPTY_OBJECTS:
            return 200, {}
        if path.startswith(EMPTY_LISTS):
            return 200, []
        self.unknown[path] += 1
        return 404, {"message": "Not found"}

    def _queries(self, headers, body: dict) -> tuple[int, str, bytes]:
        start, end = (float(body[key]) / 1000 for key in ("from", "to"))
        results = {}
        for query in body["queries"]:
            if (query.get("datasource") or {}).get("uid") != PROMETHEUS:
                results[query["refId"]] = {"status": 404, "error": "data source not found", "frames": []}
                continue
            results[query["refId"]], asked = self._prometheus.ask(query, start, end)
            # Annotations and variables are of no panel.
            with self._lock:
                self._asked[int(headers.get("X-Panel-Id") or 0)].append(asked)
        failed = any(result["status"] != 200 for result in results.values())
        return 400 if failed else 200, "application/json", json.dumps({"results": results}).encode()

    def _proxied(self, method: str, uid: str, rest: str, headers, body: bytes) -> tuple[int, str, bytes]:
        if uid not in self._urls:
            return 404, "application/json", b'{"message": "Data source not found"}'
        sent = {"Content-Type": headers["Content-Type"]} if headers.get("Content-Type") else {}
        answer = requests.request(method, f"{self._urls[uid]}/{rest}", data=body or None, headers=sent, timeout=60)
        return answer.status_code, answer.headers.get("Content-Type", "application/json"), answer.content


def _meta(uid: str) -> dict:
    long_ago = "2024-01-01T00:00:00Z"
    nothing = {"canAdd": False, "canEdit": False, "canDelete": False}
    return RIGHTS | {"type": "db", "slug": uid, "url": f"/d/{uid}", "created": long_ago, "updated": long_ago, "expires": long_ago,
                     "createdBy": "", "updatedBy": "", "version": 1, "hasAcl": False, "isFolder": False, "isSnapshot": False,
                     "folderId": 0, "folderUid": "", "folderTitle": "General", "folderUrl": "", "provisioned": True,
                     "provisionedExternalId": f"{uid}.json",
                     "annotationsPermissions": {"dashboard": nothing, "organization": nothing}}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        try:
            status, kind, content = self.server.api.answer(self.command, self.path, self.headers, body)
        except requests.RequestException as error:
            status, kind, content = 502, "application/json", json.dumps({"message": str(error)}).encode()
        try:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)
        except ConnectionError:
            pass  # the page was left

    do_POST = do_PUT = do_PATCH = do_DELETE = do_GET

    def log_message(self, *_) -> None:
        pass
