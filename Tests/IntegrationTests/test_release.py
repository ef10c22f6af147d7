"""What scripts/release makes packages from: the version, the linkage, the files of the packages, the unit, the image."""

import os
import re
import shutil
import subprocess
from pathlib import PurePath

import pytest
import yaml

from support.programs import COLLECTOR, REPOSITORY

PACKAGING = REPOSITORY / "deploy" / "packaging"
NFPM = yaml.safe_load((PACKAGING / "nfpm.yaml").read_text(encoding="utf-8"))


def _text(path: str) -> str:
    return (REPOSITORY / path).read_text(encoding="utf-8")


VERSION = re.search(r'version = "([^"]+)"', _text("Sources/Collector/BuildInfo.swift"))[1]


# --- The version ---


def test_the_version_has_a_section_in_the_changelog():
    assert re.search(rf"^## {re.escape(VERSION)} \(\d{{4}}-\d\d-\d\d\)$", _text("CHANGELOG.md"), re.MULTILINE)


@pytest.mark.parametrize("arguments, code", [(["--help"], 0), ([], 2), (["1.2.3", "4.5.6"], 2), (["9.9.9"], 1), (["--images", VERSION], 2)])
def test_the_release_script_refuses_what_is_not_the_version(arguments, code):
    ran = subprocess.run([REPOSITORY / "scripts" / "release", *arguments], capture_output=True, text=True)
    assert ran.returncode == code, ran.stdout + ran.stderr
    if code == 1:
        assert "BuildInfo.swift does not have version 9.9.9" in ran.stderr


@pytest.mark.parametrize("heading, refusal", [
    (f"## Unreleased\n\n- New.\n\n## {VERSION} ", "CHANGELOG.md has entries under Unreleased"),
    (f"## Unreleased\n\n## {VERSION} (2026-01-01)\n\nNothing.\n\n## 0.0.1 ",
     f"CHANGELOG.md has no entries under {VERSION}"),
    ("## Unreleased ", f"CHANGELOG.md does not have version {VERSION}"),
    (f"## Unreleased\n\n## {VERSION} ", None),
], ids=["entries under Unreleased", "section without entries", "no section", "empty Unreleased"])
def test_the_release_script_reads_the_changelog(tmp_path, heading, refusal):
    for path in ("scripts/release", "Sources/Collector/BuildInfo.swift", "deploy/helm/asynq-collector/Chart.yaml"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(REPOSITORY / path, tmp_path / path)
    changelog = _text("CHANGELOG.md")
    (tmp_path / "CHANGELOG.md").write_text(changelog.replace(f"## {VERSION} ", heading, 1), encoding="utf-8")
    # The folder is not a clone: with a changelog that passes, the script ends when it asks for the commit's time.
    ran = subprocess.run([tmp_path / "scripts/release", VERSION], capture_output=True, text=True, env={"PATH": os.environ["PATH"],
                         "GIT_CEILING_DIRECTORIES": str(tmp_path.parent)})
    assert ran.returncode == (1 if refusal else 128), ran.stderr
    assert refusal in ran.stderr if refusal else "CHANGELOG" not in ran.stderr


# --- The linkage ---


def _check_linkage(binary) -> subprocess.CompletedProcess:
    return subprocess.run([PACKAGING / "check-linkage", binary], capture_output=True, text=True)


def test_a_binary_that_would_not_start_elsewhere_is_found():
    # The one of the tests is linked with the hiredis of this system, of which each distribution has another soname.
    checked = _check_linkage(COLLECTOR)
    assert checked.returncode == 1 and re.search(r"needs libhiredis\.so\.\S+, which the distributions do not share", checked.stderr)
    assert "libssl" not in checked.stderr


def test_a_binary_with_shared_libraries_only_passes(tmp_path):
    if not shutil.which("gcc"):
        pytest.skip("no gcc here")
    (tmp_path / "a.c").write_text("int main(void) { return 0; }\n", encoding="utf-8")
    subprocess.run(["gcc", tmp_path / "a.c", "-o", tmp_path / "a", "-Wl,--no-as-needed", "-lssl", "-lz"], check=True)
    checked = _check_linkage(tmp_path / "a")
    assert checked.returncode == 0, checked.stderr
    assert "libssl.so.3 libz.so.1 libc.so.6" in checked.stdout


# --- The packages ---


def test_the_packages_have_files_that_are_there():
    files = [entry for entry in NFPM["contents"] if entry.get("type") != "dir"]
    for entry in files:
        assert entry["src"].startswith("${STAGE}/") or (REPOSITORY / entry["src"]).is_file(), entry["src"]
    scripts = [script for packager in NFPM["overrides"].values() for script in packager["scripts"].values()]
    assert len(scripts) == 6 and all((REPOSITORY / script).is_file() for script in scripts)
    config, = [entry for entry in files if entry["dst"].startswith("/etc/")]
    assert config["type"] == "config|noreplace"


def test_removing_the_rpm_leaves_no_empty_folder():
    """rpm removes a folder that the package has, dpkg any that is empty."""
    folders = {entry["dst"] for entry in NFPM["contents"] if entry.get("type") == "dir" and entry["packager"] == "rpm"}
    of_files = {str(parent) for entry in NFPM["contents"] if entry.get("type") != "dir" for parent in PurePath(entry["dst"]).parents}
    assert folders == {folder for folder in of_files if "/asynq-collector" in folder}


def test_the_packages_need_each_library_that_is_allowed():
    """All that check-linkage allows, by the names of the distributions: glibc brings the loader and libm, OpenSSL libcrypto."""
    allowed = set(re.findall(r'"(lib[\w+-]+)\.so', _text("deploy/packaging/check-linkage"))) - {"libm", "libc", "libcrypto"}
    debian = " ".join(NFPM["overrides"]["deb"]["depends"]).replace("libgcc-s1", "libgcc_s").replace("zlib1g", "libz1")
    rpm = " ".join(NFPM["overrides"]["rpm"]["depends"])
    assert len(allowed) == 8
    assert {name for name in allowed if not re.search(rf"\b{re.escape(name)}\d*", debian)} == set()
    assert {name for name in allowed if f"{name}.so" not in rpm} == {"libgcc_s"}


def test_the_unit_of_the_packages_is_the_one_beside_it():
    """The lines that scripts/release replaces are there: another path and a user that stays."""
    unit = _text("deploy/systemd/asynq-collector.service")
    assert re.search(r"^ExecStart=/usr/local/bin/asynq-collector ", unit, re.MULTILINE)
    assert re.search(r"^DynamicUser=yes$", unit, re.MULTILINE) and "# A user of its own that exists while it runs." in unit
    for script in ("deb/postinst", "rpm/post"):
        text = (PACKAGING / script).read_text(encoding="utf-8")
        assert "useradd --system --gid asynq" in text and re.search(r"^Group=asynq$", unit, re.MULTILINE)


# --- The image ---


def test_the_image_is_small_and_has_no_redis_server():
    dockerfile = _text("deploy/Dockerfile")
    stages = re.split(r"^FROM ", dockerfile, flags=re.MULTILINE)[1:]
    names = [re.search(r"\bAS (\S+)", stage)[1] if " AS " in stage.split("\n", 1)[0] else "" for stage in stages]
    assert names == ["build", "prebuilt", "program", "asynq-collector", "demo", ""]
    runtime = stages[names.index("asynq-collector")]
    assert "redis-server" not in runtime and "redis-server" in stages[names.index("demo")]
    assert stages[-1].strip() == "asynq-collector"
    for line in ("USER 65532:65532", "HEALTHCHECK", "ca-certificates", "org.opencontainers.image.version"):
        assert line in runtime
    assert all(image.startswith("${") for image in re.findall(r"^FROM (\S+) AS (?:build|program|asynq-collector)$", dockerfile, re.MULTILINE))


def test_compose_runs_the_image_that_a_variable_names():
    for file, image in (("compose.yaml", "${ASYNQ_COLLECTOR_IMAGE:-asynq-collector:%s}"),
                        ("compose.demo.yaml", "${ASYNQ_COLLECTOR_DEMO_IMAGE:-asynq-collector-demo:%s}")):
        service = yaml.safe_load(_text(f"deploy/{file}"))["services"]["asynq-collector"]
        assert service["image"] == image % VERSION
    service = yaml.safe_load(_text("deploy/compose.yaml"))["services"]["asynq-collector"]
    assert service["healthcheck"]["test"] == ["CMD", "/usr/local/bin/asynq-collector", "healthcheck"] and service["read_only"] is True
