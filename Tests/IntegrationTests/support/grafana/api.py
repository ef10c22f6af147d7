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
import yaml

from support.grafana.data_frames import Asked, PrometheusSource
from support.grafana.front_end import DataSource, FrontEnd
from support.grafana.logs import Logs
from support.grafana.traces import NotUnderstood, Traces
from support.ports import free_port
from support.programs import REPOSITORY

# The data sources are those of dashboards/provisioning.
PROVISIONED = REPOSITORY / "dashboards" / "provisioning" / "datasources" / "asynq.yml"
PROMETHEUS, TEMPO, LOKI = "asynq-prometheus", "asynq-tempo", "asynq-loki"
# What the page of imports wants of its visitor.
IMPORTING = ("dashboards:create", "dashboards:write", "folders:create")
RIGHTS = {f"can{right}": False for right in ("Save", "Edit", "Admin", "Star", "Delete")}
# What is answered with nothing, because there is none of it here.
EMPTY_OBJECTS = ("/api/user/preferences", "/api/frontend-metrics", "/api/live/publish", "/api/login/ping",
                 "/api/user/auth-tokens/rotate")
EMPTY_LISTS = ("/api/annotations", "/api/access-control/teams/roles", "/api/ruler", "/api/library-elements", "/api/user/orgs",
               "/api/folders")


class GrafanaAPI:
    """Serves until `stop`. Prometheus is a real one; in place of Tempo and Loki are `traces`, and log lines made of them."""

    def __init__(self, front_end: FrontEnd, prometheus_url: str, scrape_interval: float, traces: Traces | None = None):
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.unknown: Counter[str] = Counter()
        self._front_end = front_end
        self._dashboards: dict[str, dict] = {}
        self._asked: dict[int, list[Asked]] = defaultdict(list)
        # What the page of imports posted last.
        self.imported: dict = {}
        self._lock = threading.Lock()
        self._running, self._last = 0, time.monotonic()
        self._prometheus_url = prometheus_url
        self._prometheus = PrometheusSource(prometheus_url, scrape_interval)
        self._traces = traces or Traces()
        self._logs = Logs(self._traces)
        self._settings = front_end.settings(_provisioned(f"{scrape_interval:g}s"), f"{self.url}/")
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
            permissions = IMPORTING if path == "/dashboard/import" else ()
            return 200, "text/html; charset=utf-8", self._front_end.page(self._settings, theme, permissions).encode()
        if path == "/api/dashboards/import":
            return 200, "application/json", json.dumps(self._import(json.loads(body))).encode()
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

    def _import(self, body: dict) -> dict:
        self.imported = body
        self.show(body["dashboard"])
        uid = body["dashboard"]["uid"]
        return {"uid": uid, "title": body["dashboard"]["title"], "imported": True, "importedUri": f"db/{uid}",
                "importedUrl": f"/d/{uid}", "slug": uid, "dashboardId": 1, "folderId": 0, "folderUid": "", "pluginId": "",
                "importedRevision": 1, "revision": 1, "description": "", "path": "", "removed": False}

    def _queries(self, headers, body: dict) -> tuple[int, str, bytes]:
        start, end = (float(body[key]) / 1000 for key in ("from", "to"))
        results = {}
        for query in body["queries"]:
            results[query["refId"]], asked = self._ask(query, start, end)
            # Annotations and variables are of no panel.
            with self._lock:
                self._asked[int(headers.get("X-Panel-Id") or 0)].append(asked)
        failed = any(result["status"] != 200 for result in results.values())
        return 400 if failed else 200, "application/json", json.dumps({"results": results}).encode()

    def _ask(self, query: dict, start: float, end: float) -> tuple[dict, Asked]:
        uid = (query.get("datasource") or {}).get("uid")
        if uid == PROMETHEUS:
            return self._prometheus.ask(query, start, end)
        try:
            if uid not in (TEMPO, LOKI):
                raise NotUnderstood("data source not found")
            answer = (self._traces if uid == TEMPO else self._logs).ask(query, start, end)
        except NotUnderstood as error:
            answer = {"status": 400, "error": str(error), "frames": []}
        rows = [float(len(frame["data"]["values"][0])) for frame in answer["frames"]]
        return answer, Asked(query["refId"], query.get("expr") or query.get("query") or "",
                             [({}, [count]) for count in rows if count], answer.get("error", ""))

    def _proxied(self, method: str, uid: str, rest: str, headers, body: bytes) -> tuple[int, str, bytes]:
        if uid == PROMETHEUS:
            sent = {"Content-Type": headers["Content-Type"]} if headers.get("Content-Type") else {}
            answer = requests.request(method, f"{self._prometheus_url}/{rest}", data=body or None, headers=sent, timeout=60)
            return answer.status_code, answer.headers.get("Content-Type", "application/json"), answer.content
        path, _, arguments = rest.partition("?")
        asked = {name: values[0] for name, values in parse_qs(arguments).items()}
        try:
            status, content = 200, self._resource(uid, path, asked)
        except NotUnderstood as error:
            status, content = 400, {"message": str(error)}
        if content is None:
            self.unknown[f"{uid}: {path}"] += 1
            status, content = 404, {"message": "Not found"}
        return status, "application/json", json.dumps(content).encode()

    def _resource(self, uid: str, path: str, asked: dict[str, str]) -> object:
        """What Tempo and Loki answer beside queries; nothing where that is not known here."""
        if (uid, path) == (TEMPO, "api/search"):
            return self._traces.search(asked["q"], float(asked["start"]), float(asked["end"]), int(asked["limit"]))
        if (uid, path) == (TEMPO, "api/status/buildinfo"):
            return {"version": "3.0.3"}
        if (uid, path) == (LOKI, "label/service_name/values"):
            return {"status": "success", "data": self._logs.services()}
        return None


def _provisioned(scrape_interval: str) -> list[DataSource]:
    """As Grafana reads the file: $$ is a dollar there."""
    content = yaml.safe_load(PROVISIONED.read_text(encoding="utf-8").replace("$$", "$"))
    return [DataSource(one["uid"], one["type"], one["name"], one["url"],
                       one["jsonData"] | ({"timeInterval": scrape_interval} if one["type"] == "prometheus" else {}),
                       is_default=one.get("isDefault", False)) for one in content["datasources"]]


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
