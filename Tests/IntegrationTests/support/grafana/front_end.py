"""A built front end of Grafana, 11 or newer, and what its server tells it at the start."""

import html
import json
from dataclasses import dataclass
from pathlib import Path

BUILT_IN_SOURCES = {"grafana": "-- Grafana --", "mixed": "-- Mixed --", "dashboard": "-- Dashboard --"}
# Keys of a plugin.json that the front end wants as they stand there.
PLUGIN_KEYS = ("id", "name", "type", "info", "metrics", "annotations", "logs", "tracing", "alerting", "streaming", "mixed",
               "builtIn", "queryOptions", "category", "backend", "hideFromList", "skipDataQuery", "state", "includes")
# The switches that a release has on by itself and that change how a dashboard is shown.
FEATURES = ("dashboardScene", "dashboardSceneForViewers", "dashboardSceneSolo", "publicDashboardsScene", "newVizTooltips",
            "transformationsRedesign", "dataplaneFrontendFallback", "panelMonitoring")
PERMISSIONS = ("dashboards:read", "folders:read", "datasources:query", "datasources:read", "datasources:explore",
               "annotations:read", "alert.rules:read")


class NotAFrontEnd(Exception):
    pass


@dataclass
class DataSource:
    uid: str
    kind: str
    name: str
    url: str
    options: dict
    is_default: bool = False


class FrontEnd:
    def __init__(self, public: Path):
        manifest = public / "build" / "assets-manifest.json"
        if not manifest.is_file():
            raise NotAFrontEnd(f"{public}: no {manifest.relative_to(public)}; expected the public folder of Grafana 11 or newer")
        self.public = public.resolve()
        self._entries = json.loads(manifest.read_text(encoding="utf-8"))["entrypoints"]
        version = public.resolve().parent / "VERSION"
        self.version = version.read_text().strip().lstrip("v") if version.is_file() else "12.0.0"
        self.plugins = {plugin["id"]: plugin for file in (public / "app" / "plugins").glob("*/*/plugin.json")
                        if (plugin := _plugin(file, public))["type"] in ("panel", "datasource")}

    def file(self, path: str) -> Path | None:
        """The file of the folder at this path, or nothing if it lies outside of it or is not there."""
        found = (self.public / path).resolve()
        return found if found.is_relative_to(self.public) and found.is_file() else None

    def settings(self, sources: list[DataSource], url: str) -> dict:
        known = [DataSource(name, kind, name, "", {}) for kind, name in BUILT_IN_SOURCES.items()]
        known[0].uid = "grafana"
        described = {source.name: self._described(number, source) for number, source in enumerate(known + sources, 1)}
        default = next((source.name for source in sources if source.is_default), BUILT_IN_SOURCES["grafana"])
        return {
            "appUrl": url, "appSubUrl": "", "defaultDatasource": default, "datasources": described, "minRefreshInterval": "5s",
            "panels": {name: plugin for name, plugin in self.plugins.items() if plugin["type"] == "panel"}, "apps": {},
            "buildInfo": {"version": self.version, "versionString": f"Grafana v{self.version}", "commit": "", "commitShort": "",
                          "buildstamp": 0, "edition": "Open Source", "env": "production", "hasUpdate": False,
                          "latestVersion": "", "hideVersion": False},
            "licenseInfo": {"edition": "Open Source", "enabledFeatures": {}, "expiry": 0, "stateInfo": "", "licenseUrl": ""},
            "featureToggles": {name: True for name in FEATURES}, "unifiedAlertingEnabled": True, "exploreEnabled": True,
            "unifiedAlerting": {"minInterval": "10s"}, "anonymousEnabled": True, "liveEnabled": False, "rbacEnabled": True,
            "expressionsEnabled": True, "namespace": "default", "auth": {}, "oauth": {}, "azure": {}, "licensing": {},
            "caching": {"enabled": False}, "analytics": {"enabled": False}, "reporting": {"enabled": False},
            "recordedQueries": {"enabled": False}, "grafanaJavascriptAgent": {"enabled": False},
            "awsAllowedAuthProviders": [], "pluginCatalogHiddenPlugins": [], "pluginCatalogManagedPlugins": [],
            "dashboardPerformanceMetrics": [], "pluginRestrictedAPIsAllowList": {}, "pluginsCDNBaseURL": "",
            "sqlConnectionLimits": {"maxOpenConns": 100, "maxIdleConns": 100, "connMaxLifetime": 14400},
            "rootFolderUID": "", "sharedWithMeFolderUID": "sharedwithme", "snapshotEnabled": False, "tokenExpirationDayLimit": -1,
            "exploreDefaultTimeOffset": "1h", "defaultDatasourceManageAlertsUiToggle": True,
            "defaultAllowRecordingRulesTargetAlertsUiToggle": True,
            "dateFormats": {"fullDate": "YYYY-MM-DD HH:mm:ss", "useBrowserLocale": False, "defaultTimezone": "browser",
                            "defaultWeekStart": "browser",
                            "interval": {"millisecond": "HH:mm:ss.SSS", "second": "HH:mm:ss", "minute": "HH:mm",
                                         "hour": "MM/DD HH:mm", "day": "MM/DD", "month": "YYYY-MM", "year": "YYYY"}},
        }

    def _described(self, number: int, source: DataSource) -> dict:
        plugin = self.plugins[source.kind]
        proxy = {"url": f"/api/datasources/proxy/uid/{source.uid}"} if source.url else {}
        return {"id": number, "uid": source.uid, "type": source.kind, "name": source.name, "meta": plugin, "readOnly": True,
                "isDefault": source.is_default, "access": "proxy", "preload": False, "jsonData": source.options,
                "module": plugin["module"], "cachingConfig": {"enabled": False, "TTLMs": 0}} | proxy

    def page(self, settings: dict, theme: str, permissions: tuple[str, ...] = ()) -> str:
        """The page that loads the front end, whatever the path in it. `permissions`: more than a viewer has."""
        app, styles = self._entries["app"]["assets"], self._entries[theme]["assets"]["css"]
        assets = {"contentDeliveryURL": "", "dark": self._entries["dark"]["assets"]["css"][0],
                  "light": self._entries["light"]["assets"]["css"][0],
                  "jsFiles": [{"filePath": path, "integrity": ""} for path in app["js"]],
                  "cssFiles": [{"filePath": path, "integrity": ""} for path in app.get("css", [])]}
        boot = {"user": _viewer(theme, permissions), "settings": settings, "assets": assets,
                "navTree": [{"id": "dashboards/browse", "text": "Dashboards", "url": "/dashboards", "icon": "apps"}]}
        links = "".join(f'<link rel="stylesheet" href="{html.escape(path)}">' for path in [*app.get("css", []), *styles])
        scripts = "".join(f'<script src="{html.escape(path)}" defer></script>' for path in app["js"])
        data = json.dumps(boot).replace("<", "\\u003c")
        return (f'<!DOCTYPE html><html lang="en-US"><head><meta charset="utf-8"><title>Grafana</title><base href="/">{links}'
                f'</head><body class="theme-{theme} app-grafana"><div id="reactRoot"></div>'
                f"<script>window.grafanaBootData = {data}; window.__grafana_load_failed = () => {{}};</script>{scripts}"
                "</body></html>")


def _plugin(file: Path, public: Path) -> dict:
    content = json.loads(file.read_text(encoding="utf-8"))
    folder = file.parent
    # A plugin is part of the front end's own scripts, or has a script of its own beside its description.
    own = folder / "dist" / "module.js"
    module = f"public/{own.relative_to(public)}" if own.is_file() else f"core:plugin/{folder.name}"
    return {key: content[key] for key in PLUGIN_KEYS if key in content} | {
        "module": module, "baseUrl": f"public/{folder.relative_to(public)}", "sort": 100, "signature": "internal",
        "loadingStrategy": "fetch", "aliasIDs": content.get("aliasIDs", []), "translations": {},
        "multiValueFilterOperators": content.get("multiValueFilterOperators", False),
        "angular": {"detected": False, "hideDeprecation": True},
        "dependencies": {"grafanaDependency": "", "grafanaVersion": "*", "plugins": [], "extensions": {"exposedComponents": []}},
        "extensions": {"addedLinks": [], "addedComponents": [], "addedFunctions": [], "exposedComponents": [],
                       "extensionPoints": []}}


def _viewer(theme: str, permissions: tuple[str, ...]) -> dict:
    return {"isSignedIn": True, "id": 1, "uid": "viewer", "login": "viewer", "name": "viewer", "email": "", "theme": theme,
            "lightTheme": theme == "light", "orgCount": 1, "orgId": 1, "orgName": "Main Org.", "orgRole": "Viewer",
            "isGrafanaAdmin": False, "gravatarUrl": "", "timezone": "browser", "weekStart": "browser", "locale": "en-US",
            "language": "en-US", "regionalFormat": "en-US", "permissions": dict.fromkeys(PERMISSIONS + permissions, True),
            "analytics": {"identifier": ""}, "authenticatedBy": "", "helpFlags1": 0, "hasEditPermissionInFolders": False}
