"""deploy/: examples that parse, fit their schemas, name what is there, and start the collector with settings that it takes."""

import copy
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import kubernetes_validate
import pytest
import requests
import yaml

from support import alert_rules
from support.collector import run_once
from support.deadline import eventually
from support.ports import free_port
from support.programs import REPOSITORY
from support.redis_server import RedisServer
from support.stack import Process

DEPLOY = REPOSITORY / "deploy"
KUBERNETES = DEPLOY / "kubernetes"
SCALING = REPOSITORY / "docs" / "SCALING.md"
# Native sidecars are in it since 1.29.
KUBERNETES_VERSION = "1.29"
# Of operators: their schemas are in no package.
CUSTOM = {"monitoring.coreos.com/v1": {"ServiceMonitor", "PodMonitor", "PrometheusRule"}, "keda.sh/v1alpha1": {"ScaledObject", "TriggerAuthentication"}}

YAML_FILES = sorted(file for folder in ("deploy", "prometheus", "tempo", "dashboards")
                    for pattern in ("*.yaml", "*.yml") for file in (REPOSITORY / folder).rglob(pattern)
                    # Templates are YAML once Helm has rendered them: test_helm.py.
                    if file.parent.name != "templates")


def _documents(file: Path) -> list[dict]:
    return [document for document in yaml.safe_load_all(file.read_text(encoding="utf-8")) if document]


def _objects() -> list[dict]:
    return [document for file in sorted(KUBERNETES.glob("*.yaml")) if file.name != "kustomization.yaml"
            for document in _documents(file)]


def _object(kind: str, name: str) -> dict:
    found, = [thing for thing in _objects() if (thing["kind"], thing["metadata"]["name"]) == (kind, name)]
    return found


class _NoDuplicates(yaml.SafeLoader):
    """YAML says that a key stands once; PyYAML takes the last one."""

    def construct_mapping(self, node, deep=False):
        keys = [self.construct_object(key) for key, _ in node.value]
        assert len(set(keys)) == len(keys), f"{node.start_mark}: a key stands twice: {keys}"
        return super().construct_mapping(node, deep)


@pytest.mark.parametrize("file", YAML_FILES, ids=lambda file: str(file.relative_to(REPOSITORY)))
def test_it_is_yaml_in_which_no_key_stands_twice(file):
    for _ in yaml.load_all(file.read_text(encoding="utf-8"), _NoDuplicates):
        pass


# --- Settings --------------------------------------------------------------------------------------------------------


def _command_lines() -> dict[str, list[str]]:
    """How the examples start the collector, without the subcommand."""
    found = {}
    for file in ("compose.yaml", "compose.demo.yaml"):
        command = _documents(DEPLOY / file)[0]["services"]["asynq-collector"]["command"]
        assert command[0] in ("run", "demo")
        found[file] = command[1:]
    for thing in _objects():
        if thing["kind"] == "Deployment":
            pod = thing["spec"]["template"]["spec"]
            for container in [*pod.get("initContainers", []), *pod["containers"]]:
                if container["image"].startswith("asynq-collector:"):
                    assert container["args"][0] == "run"
                    found[thing["metadata"]["name"]] = container["args"][1:]
    found["systemd"] = [f"--config={DEPLOY / 'systemd' / 'config.yaml'}"]
    return found


@pytest.mark.parametrize("where", ["compose.yaml", "compose.demo.yaml", "asynq-scraper", "shop-worker", "shop-mailer", "systemd"])
def test_the_collector_takes_its_settings(where, tmp_path):
    (tmp_path / "secret").write_text("s", encoding="utf-8")
    arguments = [re.sub(r"(-file)=/.*", rf"\1={tmp_path / 'secret'}", argument) for argument in _command_lines()[where]]
    checked = run_once("check-config", *arguments)
    assert checked.returncode == 0, checked.stderr


def test_a_wrong_setting_would_be_found():
    assert run_once("check-config", *_command_lines()["compose.yaml"], "--redis-intervall=5s").returncode == 2


# --- Compose ---------------------------------------------------------------------------------------------------------


def _compose() -> dict:
    return _documents(DEPLOY / "compose.yaml")[0]


def test_compose_mounts_what_is_there():
    compose = _compose()
    for name, service in compose["services"].items():
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            if source.startswith("."):
                assert (DEPLOY / source).exists(), f"{name} mounts {source}"
            else:
                assert source in compose["volumes"], f"{name} mounts the volume {source}"
        for dependency in service.get("depends_on", {}):
            assert dependency in compose["services"]
        if "build" in service:
            assert (DEPLOY / service["build"]["context"] / service["build"]["dockerfile"]).exists()
        else:
            # From the default registry, and not whatever is newest.
            assert re.fullmatch(r"([a-z0-9-]+/)?[a-z0-9_-]+:v?\d[\w.-]*", service["image"]), service["image"]
        # Nothing is open to the network.
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", [])), name
    used = {volume.split(":")[0] for service in compose["services"].values() for volume in service.get("volumes", [])}
    assert set(compose["volumes"]) <= used


def test_every_host_that_a_configuration_names_is_a_service():
    services = set(_compose()["services"]) | {"localhost"}
    named = set()
    for file in ("prometheus/prometheus.yml", "prometheus/alertmanager.yml", "tempo/tempo.yaml",
                 "dashboards/provisioning/datasources/asynq.yml"):
        text = re.sub(r"#.*", "", (REPOSITORY / file).read_text(encoding="utf-8"))
        named |= set(re.findall(r"http://([\w-]+):\d+", text)) | set(re.findall(r'"([\w-]+):\d+"', text))
    for service in _compose()["services"].values():
        text = f"{service.get('command')} {service.get('environment')}"
        named |= set(re.findall(r"(?:http|redis)://([\w-]+):\d+", text)) | set(re.findall(r"@([\w-]+):5432", text))
    assert len(named) >= 10 and named <= services, named - services


def test_the_alert_receiver_prints_alerts(tmp_path):
    port = free_port()
    text = (DEPLOY / "compose" / "alert-receiver.py").read_text(encoding="utf-8")
    (tmp_path / "receiver.py").write_text(text.replace("8080", str(port)), encoding="utf-8")
    receiver = Process("receiver", [sys.executable, "-u", tmp_path / "receiver.py"], tmp_path)
    try:
        alert = {"status": "firing", "labels": {"alertname": "AsynqDeadLetters", "queue": "emails"},
                 "annotations": {"description": "three died"}}
        eventually("the receiver takes an alert", lambda: requests.post(f"http://127.0.0.1:{port}/", json={"alerts": [alert]},
                                                                       timeout=10).status_code == 200)
        assert "firing None AsynqDeadLetters emails - three died" in receiver.log()
    finally:
        receiver.stop()


# --- Kubernetes ------------------------------------------------------------------------------------------------------


def _schema_problem(thing: dict) -> str | None:
    try:
        kubernetes_validate.validate(thing, KUBERNETES_VERSION, strict=True)
    except (kubernetes_validate.ValidationError, kubernetes_validate.SchemaNotFoundError) as error:
        return str(error)
    return None


@pytest.mark.parametrize("thing", _objects(), ids=lambda thing: f"{thing['kind']}-{thing['metadata']['name']}")
def test_it_fits_the_schema_of_kubernetes(thing):
    if thing["apiVersion"] in CUSTOM:
        assert thing["kind"] in CUSTOM[thing["apiVersion"]]
        assert set(thing) == {"apiVersion", "kind", "metadata", "spec"}
    else:
        assert _schema_problem(thing) is None
    assert thing["metadata"]["namespace"] == "shop"


def test_the_schema_finds_a_misspelled_field():
    thing = copy.deepcopy(_object("Deployment", "shop-worker"))
    assert _schema_problem(thing) is None
    container = thing["spec"]["template"]["spec"]["initContainers"][0]
    container["restartPolicies"] = container.pop("restartPolicy")
    assert "restartPolicies" in _schema_problem(thing)


def test_the_sidecar_starts_first_and_shares_its_socket():
    pod = _object("Deployment", "shop-worker")["spec"]["template"]["spec"]
    sidecar, = pod["initContainers"]
    worker, = pod["containers"]
    assert sidecar["restartPolicy"] == "Always" and "startupProbe" in sidecar
    arguments = dict(argument[2:].split("=", 1) for argument in sidecar["args"][1:])
    assert arguments["redis-url"] == "none"
    mounts = {mount["mountPath"]: mount["name"] for mount in sidecar["volumeMounts"]}
    socket = Path(arguments["otlp-socket"])
    assert {mount["mountPath"]: mount["name"] for mount in worker["volumeMounts"]}[str(socket.parent)] == mounts[str(socket.parent)]
    assert {env["name"]: env["value"] for env in worker["env"]}["OTLP_SOCKET"] == str(socket)


def _spool_problem(name: str, pod: dict) -> str | None:
    """The kubelet evicts a pod that outgrows its emptyDir: the spool has to stay below."""
    containers = [*pod.get("initContainers", []), *pod["containers"]]
    container, = [container for container in containers if container["image"].startswith("asynq-collector:")]
    arguments = dict(argument[2:].split("=", 1) for argument in container["args"][1:])
    volume = next(m["name"] for m in container["volumeMounts"] if m["mountPath"] == arguments["spool-directory"])
    limit = next(v["emptyDir"]["sizeLimit"] for v in pod["volumes"] if v["name"] == volume)
    spool = arguments.get("spool-max-bytes", "1024MiB")
    return None if int(limit.removesuffix("Mi")) > int(spool.removesuffix("MiB")) else f"{name}: {spool} in {limit}"


@pytest.mark.parametrize("name", ["shop-worker", "asynq-scraper"])
def test_the_spool_fits_its_volume(name):
    pod = _object("Deployment", name)["spec"]["template"]["spec"]
    assert _spool_problem(name, pod) is None
    planted = copy.deepcopy(pod)
    for container in [*planted.get("initContainers", []), *planted["containers"]]:
        container["args"] = [argument for argument in container.get("args", []) if "spool-max-bytes" not in argument]
    assert "1024MiB in" in _spool_problem(name, planted)


def test_collectors_run_without_rights():
    for thing in (_object("Deployment", "shop-worker"), _object("Deployment", "asynq-scraper")):
        pod = thing["spec"]["template"]["spec"]
        assert pod["securityContext"]["runAsNonRoot"] is True and pod["automountServiceAccountToken"] is False
        for container in [*pod.get("initContainers", []), *pod["containers"]]:
            assert container["securityContext"] == {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True,
                                                    "capabilities": {"drop": ["ALL"]}}


def test_monitors_and_services_find_their_pods():
    scraper = _object("Deployment", "asynq-scraper")["spec"]["template"]
    sidecar = _object("Deployment", "shop-worker")["spec"]["template"]
    service = _object("Service", "asynq-collector")
    monitor = _object("ServiceMonitor", "asynq-collector")
    pods = _object("PodMonitor", "asynq-collector-sidecar")
    assert service["spec"]["selector"].items() <= scraper["metadata"]["labels"].items()
    assert monitor["spec"]["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    assert pods["spec"]["selector"]["matchLabels"].items() <= sidecar["metadata"]["labels"].items()
    assert monitor["spec"]["endpoints"][0]["port"] in {port["name"] for port in service["spec"]["ports"]}
    assert pods["spec"]["podMetricsEndpoints"][0]["port"] in {
        port["name"] for container in sidecar["spec"]["initContainers"] for port in container["ports"]}
    # The alert AsynqCollectorDown goes by the job: the Service's name, and namespace/PodMonitor.
    for job in (service["metadata"]["name"], f"shop/{pods['metadata']['name']}"):
        assert re.fullmatch(".*asynq-collector.*", job)
    # Between an object and its Service in the URLs of KEDA.
    for trigger in _scaled_objects()["keda-metrics-api.yaml"]["spec"]["triggers"]:
        assert trigger["metadata"]["url"].startswith(f"http://{service['metadata']['name']}.shop.svc:9876/api/v1/scale/")


def _monitors() -> dict[str, tuple[dict, list[dict]]]:
    """Each with its endpoints."""
    found = {}
    for kind, name, endpoints in (("ServiceMonitor", "asynq-collector", "endpoints"),
                                  ("PodMonitor", "asynq-collector-sidecar", "podMetricsEndpoints")):
        spec = _object(kind, name)["spec"]
        found[kind] = spec, spec[endpoints]
    return found


def test_two_namespaces_do_not_hide_each_others_alerts():
    """The rules group by the label redis; targets of the operator have none by themselves."""
    for spec, endpoints in _monitors().values():
        for endpoint in endpoints:
            assert endpoint["relabelings"] == [{"sourceLabels": ["__meta_kubernetes_namespace"], "targetLabel": "redis"}]
    # KEDA's queries go by the same label: the namespace of the object.
    namespace = _scaled_objects()["keda-prometheus.yaml"]["metadata"]["namespace"]
    for trigger in _scaled_objects()["keda-prometheus.yaml"]["spec"]["triggers"]:
        selectors = re.findall(r"asynq_\w+{([^}]*)}", trigger["metadata"]["query"])
        assert selectors and all(f'redis="{namespace}"' in selector for selector in selectors)


def test_monitors_have_only_what_operator_0_87_takes():
    """It refuses an object with a field that it does not know; scrapeNativeHistograms came with 0.88."""
    for spec, endpoints in _monitors().values():
        assert set(spec) <= {"selector", "endpoints", "podMetricsEndpoints", "scrapeClassicHistograms"}
        assert spec["scrapeClassicHistograms"] is True
        assert all(set(endpoint) == {"port", "interval", "relabelings"} for endpoint in endpoints)


def test_an_ordinary_sidecar_outlives_the_worker_and_the_pod_outlives_it():
    pod = _object("Deployment", "shop-mailer")["spec"]["template"]["spec"]
    worker, sidecar = pod["containers"]
    assert "initContainers" not in pod and "restartPolicy" not in sidecar
    arguments = dict(argument[2:].split("=", 1) for argument in sidecar["args"][1:])
    linger = int(arguments["shutdown-linger"].removesuffix("s"))
    # Asynq's ShutdownTimeout is 8 s unless it is set; the program asks for ten seconds beside the linger.
    assert 8 < linger <= pod["terminationGracePeriodSeconds"] - 10
    native, = _object("Deployment", "shop-worker")["spec"]["template"]["spec"]["initContainers"]
    assert {*sidecar["args"]} - {*native["args"]} == {f"--shutdown-linger={linger}s"}
    assert {env["name"]: env["value"] for env in worker["env"]}["OTLP_SOCKET"] == arguments["otlp-socket"]


def test_keda_reads_with_a_token_what_asks_for_one(start_collector, tmp_path):
    """As the example says: the header that KEDA makes of authMode bearer and the parameter token."""
    authentication = _object("TriggerAuthentication", "asynq-collector")
    parameter, = authentication["spec"]["secretTargetRef"]
    assert parameter == {"parameter": "token", "name": "asynq-collector-web", "key": "token"}
    with_token, without = (_scaled_objects()[name]["spec"] for name in ("keda-metrics-api-token.yaml", "keda-metrics-api.yaml"))
    for trigger, plain in zip(with_token["triggers"], without["triggers"], strict=True):
        assert trigger["metadata"].pop("authMode") == "bearer"
        assert trigger.pop("authenticationRef") == {"name": authentication["metadata"]["name"]}
        assert trigger == plain
    (tmp_path / "token").write_text("swordfish\n", encoding="utf-8")
    with RedisServer(tmp_path / "redis") as redis:
        with redis.client() as client:
            client.sadd("asynq:queues", "default")
        collector = start_collector(options={"redis.url": redis.url, "metrics.bearer-token-file": tmp_path / "token"})
        path = urlsplit(without["triggers"][0]["metadata"]["url"]).path
        assert collector.get(path).status == 401 and collector.get("/-/ready").status == 200
        answer = collector.get(path, {"Authorization": "Bearer swordfish"})
        assert answer.status == 200 and {trigger["metadata"]["valueLocation"] for trigger in without["triggers"]} <= set(json.loads(answer.body))


def test_both_examples_of_keda_scale_by_load_and_by_wait():
    objects = _scaled_objects()
    triggers = {name: [trigger["metricType"] for trigger in thing["spec"]["triggers"]] for name, thing in objects.items()}
    assert set(map(tuple, triggers.values())) == {("AverageValue", "Value")}
    # The guide and the examples say the same.
    guide = SCALING.read_text(encoding="utf-8")
    block, = re.findall(r"```yaml\n(  triggers:.*?)```", guide, re.DOTALL)
    queries = [trigger["metadata"]["query"].replace('"emails"', '"default"') for trigger in yaml.safe_load(block)["triggers"]]
    assert queries == [trigger["metadata"]["query"].replace('redis="shop",', "")
                       for trigger in objects["keda-prometheus.yaml"]["spec"]["triggers"]]
    assert len({(thing["spec"]["fallback"]["failureThreshold"], thing["spec"]["fallback"]["replicas"])
                for thing in objects.values()}) == 1
    targets = {(name, trigger["metadata"].get("threshold") or trigger["metadata"].get("targetValue"))
               for name, thing in objects.items() for trigger in thing["spec"]["triggers"]}
    assert {target for _, target in targets} == {"10"}


def _scaled_objects() -> dict[str, dict]:
    """One in each file, with the same name: one replaces the other, because KEDA refuses a second one for a Deployment."""
    found = {}
    for file in sorted(KUBERNETES.glob("keda*.yaml")):
        found[file.name], = [thing for thing in _documents(file) if thing["kind"] == "ScaledObject"]
    assert len(found) == 3 and {thing["metadata"]["name"] for thing in found.values()} == {"shop-worker"}
    for block in re.findall(r"```yaml\n(apiVersion: keda.*?)```", SCALING.read_text(encoding="utf-8"), re.DOTALL):
        found["SCALING.md"] = yaml.safe_load(block)
    assert len(found) == 4
    return found


def _keda_problems(thing: dict) -> list[str]:
    spec, findings = thing["spec"], []
    # Workers forward scheduled and retry tasks: without one, nothing becomes pending, and nothing scales up again.
    if spec["minReplicaCount"] < 1:
        findings.append("scaled to none")
    if spec["fallback"].get("behavior") != "currentReplicasIfHigher":
        findings.append("while there are no numbers, workers are taken away")
    for trigger in spec["triggers"]:
        metadata = trigger["metadata"]
        # Some versions of KEDA's webhook take a type that is not named for one that has no fallback.
        if "metricType" not in trigger:
            findings.append("no metricType")
        if metadata.get("valueLocation") in ("pending", "oldest_wait_seconds"):
            findings.append("a paused queue scales up")
        if metadata.get("valueLocation") == "desired_workers" and metadata["targetValue"] == "1":
            findings.append("a replica for each task")
        if trigger["type"] == "prometheus":
            if "vector(" in metadata["query"] or metadata.get("ignoreNullValues") != "false":
                findings.append("no data is an empty queue")
            if "latency" in metadata["query"] and "* (1 - asynq_queue_paused{" not in metadata["query"]:
                findings.append("a paused queue scales up")
    return findings


KEDA_FAULTS = {
    "scaled to none": ("SCALING.md", lambda spec: spec.update(minReplicaCount=0)),
    "while there are no numbers, workers are taken away": ("keda-metrics-api.yaml",
                                                           lambda spec: spec["fallback"].pop("behavior")),
    "no metricType": ("keda-metrics-api.yaml", lambda spec: spec["triggers"][0].pop("metricType")),
    "a paused queue scales up": ("SCALING.md",
                                 lambda spec: spec["triggers"][1]["metadata"].update(valueLocation="oldest_wait_seconds")),
    "a replica for each task": ("keda-metrics-api.yaml", lambda spec: spec["triggers"][0]["metadata"].update(targetValue="1")),
    "no data is an empty queue": ("keda-prometheus.yaml", lambda spec: spec["triggers"][0]["metadata"].pop("ignoreNullValues")),
}


def test_autoscaling_keeps_the_workers_that_are_needed():
    assert {name: _keda_problems(thing) for name, thing in _scaled_objects().items() if _keda_problems(thing)} == {}


@pytest.mark.parametrize("fault", KEDA_FAULTS)
def test_a_scaling_that_takes_workers_away_is_found(fault):
    name, plant = KEDA_FAULTS[fault]
    thing = copy.deepcopy(_scaled_objects()[name])
    plant(thing["spec"])
    assert _keda_problems(thing) == [fault]


def test_the_rules_of_the_operator_are_the_rules(tmp_path):
    checked = subprocess.run([sys.executable, KUBERNETES / "generate", "--check"], capture_output=True, text=True)
    assert checked.returncode == 0, checked.stderr
    rule = _object("PrometheusRule", "asynq-collector")
    names = {group["name"]: group for group in rule["spec"]["groups"]}
    assert names == {group["name"]: group for group in alert_rules.RuleFiles.read().groups}
    (tmp_path / "rules.yml").write_text(yaml.safe_dump(rule["spec"]), encoding="utf-8")
    done = subprocess.run(["promtool", "check", "rules", "--lint-fatal", tmp_path / "rules.yml"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


# --- systemd, Docker -------------------------------------------------------------------------------------------------


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd is not installed here")
def test_the_unit_is_sound_and_gives_little_away(tmp_path):
    unit = tmp_path / "asynq-collector.service"
    text = (DEPLOY / "systemd" / "asynq-collector.service").read_text(encoding="utf-8")
    unit.write_text(text.replace("/usr/local/bin/asynq-collector", "/bin/true"), encoding="utf-8")
    environment = os.environ | {"LC_ALL": "C.UTF-8"}
    verified = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True, env=environment)
    complaints = [line for line in verified.stderr.splitlines() if "asynq-collector.service" in line]
    assert verified.returncode == 0 and not complaints, verified.stderr
    said = subprocess.run(["systemd-analyze", "security", "--offline=true", unit], capture_output=True, text=True, env=environment)
    level = re.search(r"exposure level for asynq-collector.service: ([\d.]+)", said.stdout)
    # 0 is a service that can do nothing, 10 one that can do all.
    assert float(level[1]) <= 1.5, said.stdout


def test_systemd_does_not_try_a_wrong_configuration_for_ever(tmp_path):
    """RestartPreventExitStatus is about the main process: an ExecStartPre that ends with the same status is tried again."""
    text = (DEPLOY / "systemd" / "asynq-collector.service").read_text(encoding="utf-8")
    found = re.findall(r"^(ExecStartPre|RestartPreventExitStatus)=(.*)$", text, re.MULTILINE)
    assert found == [("RestartPreventExitStatus", "2")]
    (tmp_path / "config.yaml").write_text("redis: {intervall: 5s}\n", encoding="utf-8")
    assert run_once("run", "--config", tmp_path / "config.yaml").returncode == 2


def test_the_image_has_the_libraries_that_the_installer_builds_with():
    """What is linked is what is built with: the list in the Dockerfile is the one of scripts/install-dependencies."""
    dockerfile = (DEPLOY / "Dockerfile").read_text(encoding="utf-8")
    installer = (REPOSITORY / "scripts" / "install-dependencies").read_text(encoding="utf-8")
    wanted = set(re.findall(r"\blib[\w.-]+-dev\b", re.search(r"wanted\+=\((libhiredis-dev.*)\)", installer)[1]))
    assert wanted and wanted <= set(re.findall(r"\blib[\w.-]+-dev\b", dockerfile))
    for folder in re.findall(r"^COPY (\w+) \w+$", dockerfile, re.MULTILINE):
        assert (REPOSITORY / folder).is_dir()


def test_no_stage_is_named_by_the_default_of_an_argument():
    """buildah 1.28 looks for such a stage in a registry; a default in the FROM itself is understood everywhere."""
    text = (DEPLOY / "Dockerfile").read_text(encoding="utf-8")
    stages = set(re.findall(r"^FROM \S+ AS (\S+)$", text, re.MULTILINE))
    assert {"build", "prebuilt", "program"} <= stages
    assert not stages & set(re.findall(r"^ARG \w+=(\S+)$", text, re.MULTILINE))
    assert set(re.findall(r"^FROM \S+:-(\w+)\} AS", text, re.MULTILINE)) <= stages


def test_the_image_is_built_with_every_file_that_is_embedded():
    copied = {REPOSITORY / path for path in re.findall(r"^COPY ([\w./]+) [\w./]+$", (DEPLOY / "Dockerfile").read_text("utf-8"), re.M)}
    sent = {REPOSITORY / line[1:] for line in (DEPLOY / "Dockerfile.dockerignore").read_text("utf-8").splitlines() if line[0] == "!"}
    embedded = {(source.parent / name).resolve() for source in (REPOSITORY / "Sources").rglob("*.[ch]")
                for name in re.findall(r'^#embed "(.*)"$', source.read_text("utf-8"), re.M)}
    assert REPOSITORY / "docs" / "RUNBOOK.md" in embedded
    for file in embedded:
        for folders in (copied, sent):
            assert file in folders or folders & set(file.parents), file
