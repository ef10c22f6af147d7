"""The Helm chart, by Helm's own engine, and the kustomize base: they render, fit the schemas of Kubernetes, and the collector takes
the settings."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from urllib.parse import quote

import helm_python
import kubernetes_validate
import pytest
import yaml

from support.collector import run_once
from support.programs import REPOSITORY

HELM = REPOSITORY / "deploy" / "helm"
CHART = HELM / "asynq-collector"
KUBERNETES = REPOSITORY / "deploy" / "kubernetes"
SCHEMA = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
DEFAULT: dict = {}
EVERY_VALUE = yaml.safe_load((REPOSITORY / "Tests/Fixtures/helm/every-value.yaml").read_text(encoding="utf-8"))
# The oldest that has native sidecars, and the newest that kubernetes-validate knows.
KUBERNETES_VERSIONS = ["1.29", "1.37"]
CUSTOM = {"ServiceMonitor", "PodMonitor", "PrometheusRule", "ScaledObject", "TriggerAuthentication"}


def render(values: dict, chart: Path = CHART) -> list[dict]:
    with helm_python.Chart.load(chart) as loaded:
        files = loaded.render(values, name="queues", namespace="shop")
    return [thing for name, text in files.items() if name.endswith(".yaml") for thing in yaml.safe_load_all(text) if thing]


def one(objects: list[dict], kind: str) -> dict:
    found, = [thing for thing in objects if thing["kind"] == kind]
    return found


def check_settings(container: dict, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("X-A=s", encoding="utf-8")
    arguments = [re.sub(r"(-ca-file)=/.*", r"\1=/etc/ssl/certs/ca-certificates.crt", argument) for argument in container["args"]]
    arguments = [re.sub(r"(-(?:password|headers|token)-file)=/.*", rf"\1={tmp_path / 'secret'}", argument) for argument in arguments]
    assert arguments[0] == "run"
    checked = run_once("check-config", *arguments[1:])
    assert checked.returncode == 0, checked.stderr


# --- The chart ---


@pytest.mark.parametrize("values", [DEFAULT, EVERY_VALUE], ids=["default", "every value"])
def test_lint_finds_nothing(values):
    report = helm_python.lint(CHART, values, strict=True, namespace="shop")
    assert report["errors"] == [] and [message for message in report["messages"] if message["severity"] > 1] == []


def value_names(schema: dict) -> set[str]:
    found = set()
    for name, inner in schema.get("properties", {}).items():
        below = value_names(inner) or value_names(inner.get("items", {}))
        found |= {f"{name}.{rest}" for rest in below} or {name}
    return found


def set_names(values: object) -> set[str]:
    if isinstance(values, list):
        return set().union(*map(set_names, values))
    if not isinstance(values, dict):
        return set()
    return set().union(values, *({f"{name}.{rest}" for rest in set_names(inner)} for name, inner in values.items()))


def test_the_fixture_sets_every_value_and_the_defaults_name_every_one():
    names = value_names(SCHEMA) - {"global"}
    assert len(names) > 50
    assert names - set_names(EVERY_VALUE) == set()
    defaults = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))
    assert {name for name in names if not name.startswith("keda.workers.")} - set_names(defaults) == set()


@pytest.mark.parametrize("version", KUBERNETES_VERSIONS)
@pytest.mark.parametrize("values", [DEFAULT, EVERY_VALUE, {"gateway": {"enabled": True}, "scraper": {"settings": {"tempo.endpoint": "http://tempo:4318"}}},
                                    {"scraper": {"enabled": False}}],
                         ids=["default", "every value", "gateway", "no scraper"])
def test_objects_fit_the_schemas(values, version):
    objects = render(values)
    assert bool(objects) == (values != {"scraper": {"enabled": False}})
    for thing in objects:
        assert thing["metadata"]["namespace"] == "shop"
        if thing["kind"] not in CUSTOM:
            kubernetes_validate.validate(thing, version, strict=True)
    names = [(thing["kind"], thing["metadata"]["name"]) for thing in objects]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("values", [DEFAULT, EVERY_VALUE], ids=["default", "every value"])
def test_the_collector_takes_the_settings_of_the_chart(values, tmp_path):
    container, = one(render(values), "Deployment")["spec"]["template"]["spec"]["containers"]
    check_settings(container, tmp_path)


def test_settings_are_what_a_command_line_takes():
    container, = one(render(EVERY_VALUE), "Deployment")["spec"]["template"]["spec"]["containers"]
    arguments = dict(argument[2:].split("=", 1) for argument in container["args"][1:])
    assert arguments["redis-look-ahead"] == "100000" and arguments["redis-queues-include"] == "emails,low-*"
    # null removes a default; the gateway sets another.
    assert "otlp-socket" not in arguments and arguments["otlp-listen"] == ":4317,:4318"
    mounts = {mount["mountPath"]: mount["name"] for mount in container["volumeMounts"]}
    assert str(Path(arguments["redis-tls-ca-file"]).parent) in mounts


def test_another_chart_has_the_sidecar_by_named_templates(tmp_path):
    worker = shutil.copytree(HELM / "worker-example", tmp_path / "worker")
    shutil.copytree(CHART, worker / "charts" / "asynq-collector")
    (tmp_path / "secrets").mkdir()
    for values in ({}, {"asynq-collector": EVERY_VALUE | {name: {"enabled": False} for name in ("scraper", "gateway", "keda")}}):
        pod = one(render(values, worker), "Deployment")["spec"]["template"]
        kubernetes_validate.validate(one(render(values, worker), "Deployment"), KUBERNETES_VERSIONS[0], strict=True)
        sidecar, = [container for container in [*pod["spec"].get("initContainers", []), *pod["spec"]["containers"]]
                    if container["name"] == "asynq-collector"]
        check_settings(sidecar, tmp_path / "secrets")
        volumes = {volume["name"] for volume in pod["spec"]["volumes"]}
        mounted = {mount["name"] for container in (sidecar, *pod["spec"]["containers"]) for mount in container["volumeMounts"]}
        assert mounted == volumes
        assert is_linger_right(pod["spec"])
    assert "tempo-headers-file" in volumes and sidecar["image"].startswith("registry.example/asynq-collector@sha256:")


def is_linger_right(pod: dict) -> bool:
    """Only an ordinary container is stopped together with the worker, and the grace period has room for its linger."""
    is_native = any(container.get("restartPolicy") == "Always" for container in pod.get("initContainers", []))
    containers = pod["initContainers"] if is_native else pod["containers"]
    arguments = next(container["args"] for container in containers if container["name"] == "asynq-collector")
    lingers = [int(argument.removeprefix("--shutdown-linger=").removesuffix("s")) for argument in arguments
               if argument.startswith("--shutdown-linger=")]
    return not lingers if is_native else 8 < lingers[0] <= pod["terminationGracePeriodSeconds"] - 10


def test_a_token_is_asked_for_and_sent_by_all_who_read():
    objects = render(EVERY_VALUE)
    container, = one(objects, "Deployment")["spec"]["template"]["spec"]["containers"]
    assert "--metrics-bearer-token-file=/etc/asynq-collector/metrics-bearer-token-file/bearer" in container["args"]
    assert not any("token" in str(probe) for name, probe in container.items() if name.endswith("Probe"))
    for kind, endpoints in (("ServiceMonitor", "endpoints"), ("PodMonitor", "podMetricsEndpoints")):
        for endpoint in one(objects, kind)["spec"][endpoints]:
            assert endpoint["authorization"] == {"credentials": {"name": "web", "key": "bearer"}}
    authentication = one(objects, "TriggerAuthentication")
    assert authentication["spec"] == {"secretTargetRef": [{"parameter": "token", "name": "web", "key": "bearer"}]}
    for thing in objects:
        for trigger in thing["spec"]["triggers"] if thing["kind"] == "ScaledObject" else []:
            assert trigger["metadata"]["authMode"] == "bearer"
            assert trigger["authenticationRef"] == {"name": authentication["metadata"]["name"]}
    assert not {"TriggerAuthentication"} & {thing["kind"] for thing in render({"keda": EVERY_VALUE["keda"]})}


@pytest.mark.parametrize("values, named", [
    ({"scraper": {"replica": 1}}, "replica"),
    ({"scraper": {"settings": {"redis": {"url": "redis://r"}}}}, "redis"),
    ({"scraper": {"settings": {"metrics.listen": ":1"}}}, "metrics.listen"),
    ({"scraper": {"settings": {"redis.ulr": "redis://r"}}}, "redis.ulr"),
    ({"sidecar": {"settings": {"spool.max-byte": "1GiB"}}}, "spool.max-byte"),
    ({"scraper": {"secretFiles": {"redis.passwort-file": {"secret": "s", "key": "k"}}}}, "redis.passwort-file"),
    ({"scraper": {"secretFiles": {"redis.password": {"secret": "s", "key": "k"}}}}, "redis.password"),
    ({"scraper": {"secretFiles": {"redis.password-file": {"secret": "s"}}}}, "key"),
    ({"image": {"digest": "latest"}}, "digest"),
    ({"keda": {"workers": [EVERY_VALUE["keda"]["workers"][0] | {"minReplicas": 0}]}}, "minReplicas"),
], ids=lambda value: value if isinstance(value, str) else "")
def test_a_wrong_value_is_refused(values, named):
    with helm_python.Chart.load(CHART) as chart, pytest.raises(helm_python.HelmValuesError, match=named):
        chart.validate_schema(chart.merge_values(values))


KEDA_WORKER = EVERY_VALUE["keda"]["workers"][1]
KEDA = {"keda": {"enabled": True, "workers": [KEDA_WORKER]}}
GATEWAY = {"gateway": {"enabled": True}}
MONITORS = {"monitors": {"enabled": True}}
TOKEN = {"webToken": {"secret": "s"}}
FILE = {"secret": "s", "key": "k"}


@pytest.mark.parametrize("values, named", [
    ({"scraper": {"replicas": 2, "spool": {"existingClaim": "c"}}}, "scraper.replicas"),
    (GATEWAY | {"scraper": {"enabled": False}}, "scraper.enabled"),
    (GATEWAY, "tempo.endpoint"),
    (GATEWAY | {"scraper": {"settings": {"tempo.endpoint": "http://t:4318", "otlp.listen": ":9999"}}}, "otlp.listen"),
    (TOKEN | {"scraper": {"settings": {"metrics.bearer-token": "t"}}}, "leave out metrics.bearer-token below scraper"),
    (TOKEN | {"sidecar": {"secretFiles": {"metrics.bearer-token-file": FILE}}}, "leave out metrics.bearer-token-file below sidecar"),
    (MONITORS | {"scraper": {"secretFiles": {"metrics.bearer-token-file": FILE}}}, "metrics.bearer-token-file below scraper needs webToken.secret"),
    (MONITORS | {"sidecar": {"settings": {"metrics.password": "p"}}}, "metrics.password below sidecar needs webToken.secret"),
    (KEDA | {"scraper": {"settings": {"metrics.bearer-token": "t"}}}, "metrics.bearer-token below scraper needs webToken.secret"),
    (KEDA | {"scraper": {"secretFiles": {"metrics.password-file": FILE}}}, "metrics.password-file below scraper needs webToken.secret"),
    ({"keda": {"enabled": True}, "scraper": {"enabled": False}}, "scraper.enabled"),
    ({"keda": {"enabled": True}, "scraper": {"settings": {"metrics.pages": False}}}, "metrics.pages"),
    ({"keda": {"enabled": True}, "scraper": {"settings": {"metrics.pages": "false"}}}, "metrics.pages"),
    ({"keda": {"enabled": True}, "scraper": {"settings": {"redis.url": "none"}}}, "redis.url"),
    ({"keda": {"enabled": True, "workers": [KEDA_WORKER, KEDA_WORKER | {"queue": "other"}]}}, "two entries for the deployment low"),
    ({"keda": {"enabled": True, "workers": [KEDA_WORKER | {"fallbackReplicas": 5}]}}, "fallbackReplicas of low"),
    ({"keda": {"enabled": True, "workers": [KEDA_WORKER | {"minReplicas": 5}]}}, "minReplicas of low"),
], ids=lambda value: value if isinstance(value, str) else "")
def test_values_that_do_not_fit_together_are_refused(values, named):
    with pytest.raises(helm_python.HelmError, match=named):
        render(values)


@pytest.mark.parametrize("values", [
    {"scraper": {"replicas": 2}}, {"scraper": {"replicas": 1, "spool": {"existingClaim": "c"}}},
    GATEWAY | {"scraper": {"settings": {"tempo.endpoint": "none", "otlp.listen": ":4317,:4318"}}},
    GATEWAY | {"scraper": {"secretFiles": {"tempo.endpoint-file": {"secret": "s", "key": "k"}}}},
    {"keda": {"enabled": True, "workers": [KEDA_WORKER | {"fallbackReplicas": 4}]}, "scraper": {"settings": {"metrics.pages": True}}},
], ids=str)
def test_values_that_fit_together_are_rendered(values):
    assert one(render(values), "Deployment")


@pytest.mark.parametrize("own", [None, "asynq.example.com", "a.example,b.example", ["a.example", "b.example"]], ids=str)
def test_the_names_of_the_service_are_allowed_beside_your_own(own):
    objects = render({"scraper": {"settings": {"metrics.allowed-hosts": own}}})
    container, = one(objects, "Deployment")["spec"]["template"]["spec"]["containers"]
    allowed, = [argument.partition("=")[2].split(",") for argument in container["args"] if argument.startswith("--metrics-allowed-hosts=")]
    name = one(objects, "Service")["metadata"]["name"]
    yours = own.split(",") if isinstance(own, str) else own or []
    assert allowed == [*yours, name, f"{name}.shop", f"{name}.shop.svc", "*.shop.svc.cluster.local"]


@pytest.mark.parametrize("linger, seconds, fewest", [
    (None, 30, 0), ("0s", 5, 0), ("20s", 30, 30), ("60s", 30, 70), ("1h30m", 30, 5410), ("1.5m", 30, 100), ("1500ms", 5, 12), (0, 7, 0)])
def test_the_grace_period_is_longer_than_the_linger(linger, seconds, fewest, tmp_path):
    objects = render({"scraper": {"settings": {"shutdown.linger": linger}, "terminationGracePeriodSeconds": seconds}})
    assert one(objects, "Deployment")["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] == max(seconds, fewest)
    worker = shutil.copytree(HELM / "worker-example", tmp_path / "worker")
    shutil.copytree(CHART, worker / "charts" / "asynq-collector")
    objects = render({"asynq-collector": {"sidecar": {"settings": {"shutdown.linger": linger}}}}, worker)
    assert one(objects, "Deployment")["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] == max(60, fewest)


def test_sidecars_are_scraped_in_the_namespaces_of_the_values():
    assert one(render(EVERY_VALUE), "PodMonitor")["spec"]["namespaceSelector"] == {"matchNames": ["shop", "mail"]}
    assert "namespaceSelector" not in one(render({"monitors": {"enabled": True}}), "PodMonitor")["spec"]


@pytest.mark.parametrize("url, shown", [
    ("redis://user:p@ss@h:6379/0", "redis://h:6379/0"), ("rediss://:secret@h:6379/1", "rediss://h:6379/1"),
    ("redis://h:6379/0", "redis://h:6379/0"), ("unix:///run/redis.sock?db=0", "unix:///run/redis.sock?db=0")])
def test_the_notes_name_redis_without_its_password(url, shown):
    with helm_python.Chart.load(CHART) as chart:
        notes = chart.render({"scraper": {"settings": {"redis.url": url}}}, name="queues", namespace="shop")
    assert f"the collector that reads {shown}:" in notes["asynq-collector/templates/NOTES.txt"]


def test_selectors_ports_and_policy_fit_the_pod():
    objects = render(EVERY_VALUE)
    pod = one(objects, "Deployment")["spec"]["template"]
    labels, container = pod["metadata"]["labels"], pod["spec"]["containers"][0]
    ports = {port["name"] for port in container["ports"]}
    service, monitor, policy = one(objects, "Service"), one(objects, "ServiceMonitor"), one(objects, "NetworkPolicy")
    for selector in (service["spec"]["selector"], one(objects, "Deployment")["spec"]["selector"]["matchLabels"],
                     one(objects, "PodDisruptionBudget")["spec"]["selector"]["matchLabels"], policy["spec"]["podSelector"]["matchLabels"]):
        assert selector.items() <= labels.items()
    assert monitor["spec"]["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    assert {port["targetPort"] for port in service["spec"]["ports"]} == ports == {"metrics", "otlp-grpc", "otlp-http"}
    assert {port["port"] for rule in policy["spec"]["ingress"] for port in rule["ports"]} == ports
    assert pod["spec"]["serviceAccountName"] == one(objects, "ServiceAccount")["metadata"]["name"]
    # A Service named asynq-collector would set ASYNQ_COLLECTOR_PORT, which looks like a setting.
    assert pod["spec"]["enableServiceLinks"] is False
    urls = {trigger["metadata"]["url"] for thing in objects if thing["kind"] == "ScaledObject" for trigger in thing["spec"]["triggers"]}
    assert urls == {f"http://{service['metadata']['name']}.shop.svc:9876/api/v1/scale/{queue}" for queue in (quote("a/b c#%+ä", safe=""), "low")}


def test_rules_and_dashboards_are_the_repositorys_with_your_addresses():
    objects = render(EVERY_VALUE)
    groups = one(objects, "PrometheusRule")["spec"]["groups"]
    names = [group["name"] for file in ("asynq-recording.yml", "asynq-alerts.yml")
             for group in yaml.safe_load((REPOSITORY / "prometheus/rules" / file).read_text(encoding="utf-8"))["groups"]]
    assert [group["name"] for group in groups] == [*names, "mine"]
    text = json.dumps(objects)
    assert "https://grafana.example/d/" in text and "https://wiki.example/asynq#" in text
    assert "runbooks.example.com" not in text and "localhost:3000" not in text
    dashboards = {}
    for thing in objects:
        if thing["kind"] == "ConfigMap" and thing["metadata"]["labels"].get("dashboards") == "yes":
            dashboards |= thing["data"]
    assert set(dashboards) == {file.name for file in (REPOSITORY / "dashboards").glob("*.json")}
    for name, data in dashboards.items():
        shipped = (REPOSITORY / "dashboards" / name).read_text(encoding="utf-8")
        assert data == shipped.replace("https://runbooks.example.com/asynq", "https://wiki.example/asynq")


def test_the_package_holds_files_in_place_of_links(tmp_path):
    archive = helm_python.package(CHART, destination=tmp_path)
    with helm_python.Chart.load(archive) as chart:
        assert chart.version == chart.metadata["appVersion"] == version_of_the_program()
        assert chart.render(EVERY_VALUE, name="queues", namespace="shop")
    helm_python.expand(tmp_path, archive)
    assert not [path for path in (tmp_path / "asynq-collector").rglob("*") if path.is_symlink()]


def version_of_the_program() -> str:
    return re.search(r'version = "([^"]+)"', (REPOSITORY / "Sources/Collector/BuildInfo.swift").read_text(encoding="utf-8"))[1]


# --- The kustomize base ---


def kustomize(folder: Path) -> list[dict]:
    kubectl = Path(sys.executable).parent / "kubectl"
    built = subprocess.run([kubectl, "kustomize", folder], capture_output=True, text=True)
    assert built.returncode == 0, built.stderr
    return list(yaml.safe_load_all(built.stdout))


def test_the_base_is_the_plain_objects():
    files = [KUBERNETES / name for name in ("scraper.yaml", "monitoring.yaml", "prometheus-rule.yaml")]
    plain = [thing for file in files for thing in yaml.safe_load_all(file.read_text(encoding="utf-8"))]
    by_name = lambda objects: {(thing["kind"], thing["metadata"]["name"]): thing for thing in objects}
    assert by_name(kustomize(KUBERNETES)) == by_name(plain)


def test_an_overlay_sets_namespace_image_and_redis(tmp_path):
    """The one in the base's comment."""
    text = (KUBERNETES / "kustomization.yaml").read_text(encoding="utf-8")
    overlay = "".join(line[4:] for line in re.findall(r"^#   .*\n", text, re.MULTILINE))
    (tmp_path / "base").mkdir()
    for file in KUBERNETES.glob("*.yaml"):
        (tmp_path / "base" / file.name).write_text(file.read_text(encoding="utf-8"), encoding="utf-8")
    (tmp_path / "kustomization.yaml").write_text(re.sub(r"resources: .*", "resources: [base]", overlay), encoding="utf-8")
    deployment = one(kustomize(tmp_path), "Deployment")
    container, = deployment["spec"]["template"]["spec"]["containers"]
    assert deployment["metadata"]["namespace"] == "my-namespace"
    assert container["image"].startswith("registry.example/asynq-collector:")
    check_settings(container, tmp_path / "base")
    assert container["args"][-1] == "--redis-url=redis://redis:6379/0"


@pytest.mark.parametrize("page", ["TOPOLOGY.md", "PRODUCTION.md"])
def test_the_values_in_the_pages_are_taken(page, tmp_path):
    text = (REPOSITORY / "docs" / page).read_text(encoding="utf-8")
    values, = [yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", text, re.S) if "\nscraper:" in block]
    with helm_python.Chart.load(CHART) as chart:
        chart.validate_schema(chart.merge_values(values))
    objects = render(values)
    for version in KUBERNETES_VERSIONS:
        for thing in objects:
            if thing["kind"] not in CUSTOM:
                kubernetes_validate.validate(thing, version, strict=True)
    container, = one(objects, "Deployment")["spec"]["template"]["spec"]["containers"]
    check_settings(container, tmp_path)
    assert container["resources"]["limits"] == {"memory": "256Mi"}
