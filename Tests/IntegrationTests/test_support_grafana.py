"""The support code that shows dashboards in Grafana's front end: what needs neither the front end nor a browser."""

import json
import os
import subprocess
import sys
from dataclasses import replace

import pytest
import requests

from support.grafana.api import GrafanaAPI
from support.grafana.browser import ShownDashboard, ShownPanel
from support.grafana.colours import alike, contrast, css, rgb
from support.grafana.data_frames import Asked, PrometheusSource, duration, rounded, sampled, seconds
from support.grafana.front_end import FrontEnd, NotAFrontEnd
from support.grafana.judgement import findings
from support.programs import REPOSITORY

# --- The front end and its API ---------------------------------------------------------------------------------------


@pytest.fixture
def public(tmp_path):
    """A folder as a release has it, with next to nothing in it."""
    folder = tmp_path / "grafana" / "public"
    entry = {"assets": {"js": ["public/build/x.js"], "css": ["public/build/x.css"]}}
    files = {"build/assets-manifest.json": {"entrypoints": {"app": entry, "dark": entry, "light": entry}}}
    for kind, names in (("datasource", ("prometheus", "tempo", "loki", "grafana", "mixed", "dashboard")), ("panel", ("stat",))):
        files |= {f"app/plugins/{kind}/{name}/plugin.json": {"id": name, "name": name, "type": kind} for name in names}
    for path, content in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(json.dumps(content))
    (folder / "build" / "x.js").write_text("1")
    (folder.parent / "VERSION").write_text("11.6.0\n")
    return folder


@pytest.fixture
def api(public):
    served = GrafanaAPI(FrontEnd(public), "http://127.0.0.1:1", scrape_interval=1)
    yield served
    served.stop()


def test_a_folder_without_a_built_front_end_is_refused(tmp_path):
    with pytest.raises(NotAFrontEnd, match="assets-manifest.json"):
        FrontEnd(tmp_path)


def test_the_version_is_that_of_the_release(public):
    front_end = FrontEnd(public)
    assert front_end.version == "11.6.0" and front_end.settings([], "")["buildInfo"]["version"] == "11.6.0"


def test_no_file_outside_of_the_folder_is_served(api, public):
    assert requests.get(f"{api.url}/public/build/x.js").text == "1"
    (public.parent / "secret").write_text("no")
    assert FrontEnd(public).file("../secret") is None and FrontEnd(public).file("build") is None
    assert requests.get(f"{api.url}/public/%2e%2e/secret").status_code == 404


def test_every_path_is_the_page_in_its_theme(api):
    page = requests.get(f"{api.url}/d/asynq-overview?theme=light").text
    assert 'class="theme-light' in page and '"datasources"' in page and "asynq-prometheus" in page


def test_the_dashboard_that_is_shown_is_served_and_no_other(api):
    api.show({"uid": "one", "title": "One", "tags": [], "panels": []})
    assert requests.get(f"{api.url}/api/dashboards/uid/one").json()["dashboard"]["title"] == "One"
    assert requests.get(f"{api.url}/api/dashboards/uid/two").status_code == 404


def test_a_data_source_that_is_missing_is_said_to_be(api):
    query = {"from": "0", "to": "1000", "queries": [{"refId": "A", "datasource": {"type": "tempo", "uid": "tempo"}}]}
    answer = requests.post(f"{api.url}/api/ds/query", json=query)
    assert answer.status_code == 400 and answer.json()["results"]["A"]["error"] == "data source not found"
    assert requests.get(f"{api.url}/api/datasources/uid/tempo/resources/x").status_code == 404


def test_data_sources_are_those_of_the_provisioning(api):
    sources = requests.get(f"{api.url}/api/frontend/settings").json()["datasources"]
    assert sources["Prometheus"]["jsonData"]["exemplarTraceIdDestinations"] == [{"name": "trace_id", "datasourceUid": "asynq-tempo"}]
    assert sources["Loki"]["jsonData"]["derivedFields"][0]["url"] == "${__value.raw}" and sources["Tempo"]["uid"] == "asynq-tempo"


def test_tempo_and_loki_answer_and_say_what_they_do_not_know(api):
    proxied, resources = f"{api.url}/api/datasources/proxy/uid/asynq-tempo", f"{api.url}/api/datasources/uid/asynq-loki/resources"
    asked = {"q": "{ status = error }", "start": 0, "end": 1, "limit": 20}
    assert requests.get(f"{proxied}/api/search", params=asked).json() == {"traces": [], "metrics": {}}
    assert requests.get(f"{proxied}/api/search", params=asked | {"q": "{ a || b }"}).status_code == 400
    assert requests.get(f"{resources}/label/service_name/values").json()["data"] == []
    assert requests.get(f"{proxied}/api/nothing").status_code == 404 and api.unknown["asynq-tempo: api/nothing"] == 1


def test_an_imported_dashboard_is_served(api):
    content = {"uid": "one", "title": "One", "tags": [], "panels": []}
    answer = requests.post(f"{api.url}/api/dashboards/import", json={"dashboard": content, "inputs": [], "overwrite": True}).json()
    assert answer["importedUrl"] == "/d/one" and api.imported["dashboard"] == content
    assert requests.get(f"{api.url}/api/dashboards/uid/one").json()["dashboard"]["title"] == "One"


def test_a_call_that_is_not_known_is_counted(api):
    assert requests.get(f"{api.url}/api/new").status_code == 404 and api.unknown["/api/new"] == 1


# --- Intervals and frames --------------------------------------------------------------------------------------------


def test_intervals_are_those_of_grafana():
    assert seconds("1m30s") == 90 and seconds("250ms") == 0.25 and seconds("") == 0
    assert [rounded(interval) for interval in (0.7, 3, 12, 13, 100, 1e9)] == [0.5, 2, 10, 15, 120, 86400]
    assert duration(60) == "60s" and duration(0.5) == "500ms"


class Answers(PrometheusSource):
    """In place of a server: keeps what is asked, and has one series."""

    def _post(self, path, **form):
        self.form = form
        points = [[0, "1"], [1, "NaN"], [2, "+Inf"]]
        return {"status": "success", "data": {"resultType": "matrix", "result": [{"metric": {"queue": "a"}, "values": points}]}}


@pytest.mark.parametrize("legend, name", [("{{queue}} x", "a x"), ("__auto", ""), ("", '{queue="a"}')])
def test_a_series_is_named_as_the_legend_says(legend, name):
    answer, asked = Answers("", 5).ask({"refId": "A", "expr": "x", "range": True, "legendFormat": legend}, 0, 1000)
    assert answer["frames"][0]["schema"]["name"] == name and asked.has_numbers


def test_what_json_has_no_number_for_is_told_beside_the_values():
    answer, _ = Answers("", 5).ask({"refId": "A", "expr": "x", "range": True}, 0, 1000)
    assert answer["frames"][0]["data"] == {"values": [[0, 1000, 2000], [1, None, None]],
                                           "entities": [None, {"NaN": [1], "Inf": [2]}]}


def test_intervals_in_an_expression_are_filled_in():
    source = Answers("", 5)
    _, asked = source.ask({"refId": "A", "expr": "rate(x[$__rate_interval]) * $__interval_ms + y[${__range}]", "range": True,
                           "interval": "1m", "maxDataPoints": 100}, 0, 3600)
    assert asked.expression == "rate(x[65s]) * 60000 + y[3600s]" and source.form["step"] == 60


def test_a_panel_with_an_interval_has_no_shorter_step():
    source = Answers("", 5)
    source.ask({"refId": "A", "expr": "x", "range": True, "intervalMs": 60_000, "maxDataPoints": 100}, 0, 600)
    assert source.form["step"] == 60


def test_of_the_exemplars_those_are_kept_that_stand_out():
    rows = [({}, {"timestamp": time, "value": value}) for time, value in ((0, 1), (1, 1.1), (2, 9), (60, 1), (61, 1.2))]
    assert sorted(row["value"] for _, row in sampled(rows, 60)) == [1.1, 1.2, 9] and sampled([], 60) == []


def test_colours_are_read_as_grafana_and_browsers_write_them():
    assert rgb("green", "dark") == rgb("#73BF69", "dark") != rgb("green", "light")
    assert rgb("text", "dark") is None and css("rgba(1, 2, 3, 0.5)") == (1, 2, 3)
    assert alike((10, 10, 10), (20, 10, 10)) and not alike((10, 10, 10), (40, 10, 10))
    assert contrast((0, 0, 0), (255, 255, 255)) == pytest.approx(21) and contrast((9, 9, 9), (9, 9, 9)) == 1


# --- What is found in what is shown ------------------------------------------------------------------------------------

UP = [{"type": "value", "options": {"0": {"text": "down", "color": "red"}, "1": {"text": "up", "color": "green"}}}]
STEPS = {"steps": [{"color": "#005000", "value": None}, {"color": "#A00000", "value": 10}]}
RED, GREEN = [*rgb("red", "dark"), 178, 500], [*rgb("green", "dark"), 178, 500]


def _panel(kind: str, **defaults) -> dict:
    return {"id": 1, "type": kind, "title": "P", "datasource": {"type": "prometheus"},
            "fieldConfig": {"defaults": {"thresholds": STEPS} | defaults, "overrides": []},
            "options": {"colorMode": "background_solid", "reduceOptions": {"calcs": ["lastNotNull"]}}}


def _shown(words=(), texts=(), colours=(), error=False, cut=(), links=(), below=()) -> ShownPanel:
    """`words`: a text, what is behind it, and its colour where that is not white."""
    drawn = [{"texts": [[text, "#fff", text == "cut"] for text in texts], "colours": list(colours), "pixels": 10_000}]
    words = [[text, colour[0] if colour else "rgb(255, 255, 255)", fill, 14.0] for text, fill, *colour in words]
    return ShownPanel("panel-1", "P", error, [0, 0, 10, 10], words, list(cut), drawn, list(links), list(below))


def _found(panel: dict, shown: ShownPanel, *values: float, uid="asynq-x", lines=1, error="", width=1440) -> list[str]:
    asked = {1: [Asked("A", "x", [({}, list(values))] if values else [], error)]}
    return findings({"uid": uid, "panels": [panel]}, ShownDashboard([shown], lines), asked, "dark", width)


STATES = _panel("state-timeline", mappings=UP)
STAT = _panel("stat", noValue="no queue")
LINES = _panel("timeseries")
WELL = {
    "states": (STATES, _shown(texts=["up", "down"], colours=[RED, GREEN]), (1, 0)),
    "stat": (STAT, _shown([("12", "rgb(160, 0, 0)")]), (3, 12)),
    "lines": (LINES, _shown(texts=["0", "5"]), (0, 5)),
    "lines below 0": (LINES, _shown(texts=["-5", "5"]), (-5, 5)),
    "nothing there": (STAT, _shown([("no queue", "rgb(0, 0, 0)")]), ()),
    "a trace": (_panel("traces"), _shown(links=["/d/x?var-queue=a%2Fb&from=1", "https://wiki.example/x#A"]), (3,)),
}
WRONG = {
    "is not drawn": (STATES, _shown(colours=[GREEN]), (1, 0)),
    "its colour red is drawn": (STATES, _shown(colours=[GREEN, RED]), (1, 1)),
    "shows '-∞+'": (STATES, _shown([("-∞+", "rgb(0, 0, 0)")], colours=[RED, GREEN]), (1, 0)),
    "is not on #A00000": (STAT, _shown([("12", "rgb(0, 80, 0)")]), (3, 12)),
    "want of contrast: '12'": (STAT, _shown([("12", "rgb(160, 0, 0)", "rgb(115, 191, 105)")]), (3, 12)),
    "has no room for 'sixth'": (LINES, _shown(below=["sixth"]), (0, 5)),
    "where A has numbers": (LINES, _shown([("No data", "rgb(0, 0, 0)")]), (0, 5)),
    "not what is missing": (LINES, _shown([("No data", "rgb(0, 0, 0)")]), ()),
    "where every query has numbers": (STAT, _shown([("no queue", "rgb(0, 80, 0)")]), (1,)),
    "finds no trace x": (_panel("traces"), _shown(), ()),
    "links to /d/x?var-queue=&": (LINES, _shown(links=["/d/x?var-queue=&from=1"]), (0, 5)),
    "links to /d/x?a=${__value": (LINES, _shown(links=["/d/x?a=$%7B__value.text%7D"]), (0, 5)),
    "an error mark": (LINES, _shown(error=True), (0, 5)),
    "-5 on an axis": (LINES, _shown(texts=["-5", "5"]), (0, 5)),
    "has no room for 'long'": (LINES, _shown(cut=["long"]), (0, 5)),
    "has no room for 'cut'": (LINES, _shown(texts=["cut"]), (0, 5)),
}


@pytest.mark.parametrize("case", WELL)
def test_what_is_well_is_not_found(case):
    panel, shown, values = WELL[case]
    assert _found(panel, shown, *values) == []


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_found(case):
    panel, shown, values = WRONG[case]
    found = _found(panel, shown, *values)
    assert len(found) == 1 and found[0].startswith("P: ") and case in found[0], found


def test_what_is_wrong_with_the_page_is_found():
    well = _shown(texts=["0"])
    assert "3 lines" in _found(LINES, well, 1, lines=3)[0]
    low = replace(well, box=[0, 0, 10, 1200])
    assert "below a screen" in _found(LINES, low, 1, uid="asynq-overview", width=1920)[0]
    assert _found(LINES, low, 1, uid="asynq-overview", width=1440) == []
    assert "is not drawn" in _found(LINES, replace(well, key="", title="Q"), 1)[0]
    assert "parse error" in _found(LINES, well, error="parse error")[0]


# --- The script --------------------------------------------------------------------------------------------------------


def _script(*arguments: str, public: str = "") -> subprocess.CompletedProcess:
    environment = {name: value for name, value in os.environ.items() if name != "GRAFANA_PUBLIC"}
    return subprocess.run([sys.executable, REPOSITORY / "scripts" / "render-dashboards", *arguments], capture_output=True, text=True,
                          env=environment | ({"GRAFANA_PUBLIC": public} if public else {}))


def test_without_a_front_end_it_says_so_in_one_line():
    ran = _script()
    assert ran.returncode == 0 and ran.stdout.count("\n") == 1 and "skipped" in ran.stdout and ran.stderr == ""


def test_a_dashboard_or_front_end_that_is_not_there_is_named(tmp_path, public):
    assert "assets-manifest.json" in _script(public=str(tmp_path)).stderr
    ran = _script("asynq-nothing", public=str(public))
    assert ran.returncode == 2 and "asynq-nothing" in ran.stderr
