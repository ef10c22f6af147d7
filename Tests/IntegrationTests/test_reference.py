"""Help, completions, man page and the pages that are made from the tables of commands, keys and families."""

import os
import pty
import re
import select
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from support.collector import run_once
from support.configuration import check
from support.programs import COLLECTOR, REPOSITORY

MAN = REPOSITORY / "deploy" / "man" / "asynq-collector.1"
EXAMPLE = REPOSITORY / "deploy" / "config.example.yaml"


def test_what_is_generated_is_what_the_program_makes():
    ran = subprocess.run([sys.executable, REPOSITORY / "scripts" / "generate-docs", "--check"], capture_output=True, text=True,
                         env=os.environ | {"ASYNQ_COLLECTOR": str(COLLECTOR)})
    assert ran.returncode == 0, ran.stderr


# --- Help ------------------------------------------------------------------------------------------------------------


def _keys(tree: dict, prefix: str = "") -> list[str]:
    found = []
    for name, value in tree.items():
        found += _keys(value, f"{prefix}{name}.") if isinstance(value, dict) else [prefix + name]
    return found


KEYS = _keys(yaml.safe_load(run_once("check-config").stdout))


@pytest.mark.parametrize("columns", [60, 80, 200])
def test_help_fits_the_width_that_the_environment_says(columns):
    lines = run_once("--help", env={"COLUMNS": str(columns)}).stdout.splitlines()
    assert [line for line in lines if len(line) > columns and " " in line.strip()] == []
    assert max(len(line) for line in lines) > columns - 15


def _on_a_terminal(columns: int, *command: str) -> str:
    ours, theirs = pty.openpty()
    subprocess.run(["stty", "cols", str(columns), "rows", "50"], stdin=theirs, check=True)
    environment = {name: value for name, value in os.environ.items() if name != "COLUMNS"}
    with subprocess.Popen([COLLECTOR, *command], stdin=subprocess.DEVNULL, stdout=theirs, env=environment):
        os.close(theirs)
        output = b""
        # The end of a terminal is an error.
        while True:
            try:
                read = os.read(ours, 65536)
            except OSError:
                break
            if not read:
                break
            output += read
    os.close(ours)
    return output.decode().replace("\r\n", "\n")


def test_help_fits_the_terminal_and_80_columns_elsewhere():
    assert _on_a_terminal(120, "--help") == run_once("--help", env={"COLUMNS": "120"}).stdout
    assert run_once("--help").stdout == run_once("--help", env={"COLUMNS": "80"}).stdout
    assert run_once("--help", env={"COLUMNS": "wide"}).stdout == run_once("--help", env={"COLUMNS": "80"}).stdout


@pytest.mark.parametrize("key", KEYS)
def test_every_key_is_explained_by_its_name_its_flag_and_its_variable(key):
    flag = "--" + key.replace(".", "-")
    variable = "ASYNQ_COLLECTOR_" + key.replace(".", "_").replace("-", "_").upper()
    texts = [run_once("help", name, env={"COLUMNS": "200"}) for name in (key, flag, variable)]
    assert [text.returncode for text in texts] == [0, 0, 0]
    assert texts[0].stdout == texts[1].stdout == texts[2].stdout
    assert {"type", "default", "example", "flag", "environment", "reload", "since", "more"} <= set(
        re.findall(r"^([a-z]+) {2,}", texts[0].stdout, re.M))
    page = re.search(r"^more +(\S+)$", texts[0].stdout, re.M)[1]
    assert (REPOSITORY / page.split("#")[0]).exists()


@pytest.mark.parametrize("command", ["run", "scrape", "check-config", "top", "healthcheck", "demo", "completion", "help"])
def test_a_command_is_explained_in_both_ways(command):
    explained = run_once("help", command)
    assert (explained.returncode, explained.stderr) == (0, "")
    assert explained.stdout.startswith(f"Usage: asynq-collector {command}")
    assert run_once(command, "--help").stdout == explained.stdout


@pytest.mark.parametrize("topic, nearest", [("redis.ulr", "redis.url"), ("scrap", "scrape")])
def test_what_is_not_known_is_refused_with_the_nearest_name(topic, nearest):
    ran = run_once("help", topic)
    assert (ran.returncode, ran.stdout) == (2, "")
    assert ran.stderr == f"asynq-collector: unknown command or key {topic}; did you mean {nearest}?\n"


# --- Completions -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def scripts(tmp_path_factory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("completions")
    found = {}
    for shell in ("bash", "zsh", "fish"):
        found[shell] = folder / shell
        found[shell].write_text(run_once("completion", shell).stdout, encoding="utf-8")
    (folder / "bin").mkdir()
    (folder / "bin" / "asynq-collector").symlink_to(COLLECTOR)
    found["PATH"] = folder / "bin"
    return found


# What is typed, and what may be behind it.
OFFERED = [
    (["asynq-collector", ""], {"run", "scrape", "check-config", "top", "healthcheck", "demo", "completion", "help"}),
    (["asynq-collector", "che"], {"check-config"}),
    (["asynq-collector", "--redis-sentinel"],
     {"--redis-sentinel-username", "--redis-sentinel-password", "--redis-sentinel-password-file"}),
    (["asynq-collector", "run", "--spool-s"], {"--spool-sync"}),
    (["asynq-collector", "demo", "--dur"], {"--duration"}),
    (["asynq-collector", "run", "--dur"], set()),
    (["asynq-collector", "run", "--log-level", ""], {"trace", "debug", "info", "notice", "warning", "error"}),
    (["asynq-collector", "scrape", "--log-level", "wa"], {"warning"}),
    (["asynq-collector", "run", "--traces-wait-span", ""], {"true", "false"}),
    (["asynq-collector", "run", "--spool-max-age", ""], {"none"}),
    (["asynq-collector", "run", "--redis-interval", ""], set()),
    (["asynq-collector", "completion", ""], {"bash", "zsh", "fish"}),
    (["asynq-collector", "help", "redis.queues"], {"redis.queues.include", "redis.queues.exclude"}),
    (["asynq-collector", "help", "dem"], {"demo"}),
]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_script_is_one_that_its_shell_can_read(scripts, shell):
    ran = subprocess.run([shell, "-n", scripts[shell]], capture_output=True, text=True)
    assert (ran.returncode, ran.stderr) == (0, "")


def _bash(script: Path, words: list[str]) -> set[str]:
    """What bash's own machinery calls, with the words as it splits them."""
    program = 'source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _asynq_collector 2>/dev/null; printf "%s\\n" "${COMPREPLY[@]}"'
    ran = subprocess.run(["bash", "--norc", "-c", program, "bash", script, *words], capture_output=True, text=True, check=True)
    return set(ran.stdout.split())


@pytest.mark.parametrize("words, offered", OFFERED, ids=lambda words: " ".join(words) if isinstance(words, list) else "")
def test_bash_offers(scripts, words, offered):
    assert _bash(scripts["bash"], words) == offered


def test_bash_offers_values_behind_an_equals_sign(scripts):
    assert _bash(scripts["bash"], ["asynq-collector", "--log-format", "=", "j"]) == {"json"}
    assert _bash(scripts["bash"], ["asynq-collector", "--log-format", "="]) == {"auto", "json", "text"}


@pytest.mark.parametrize("words, offered", OFFERED, ids=lambda words: " ".join(words) if isinstance(words, list) else "")
def test_fish_offers(scripts, words, offered):
    line = " ".join(words)
    ran = subprocess.run(["fish", "--no-config", "-c", f"source {scripts['fish']}; complete -C '{line}'"],
                         capture_output=True, text=True, check=True)
    found = {line.split("\t")[0] for line in ran.stdout.splitlines()}
    # Where nothing is offered for a flag, fish lists what else there is with these letters.
    assert (found == offered) if offered else not found & {"--duration", "5s"}, found


class Shell:
    """An interactive shell on a terminal."""

    def __init__(self, command: list[str], path: Path):
        self._ours, theirs = pty.openpty()
        subprocess.run(["stty", "cols", "200", "rows", "50"], stdin=theirs, check=True)
        environment = {"PATH": f"{path}:{os.environ['PATH']}", "TERM": "dumb", "PS1": "> ", "HOME": str(path)}
        self._process = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=environment, start_new_session=True)
        os.close(theirs)

    def type(self, text: str) -> None:
        os.write(self._ours, text.encode())

    def read_until(self, wanted: str, seconds: float = 20) -> str:
        output, end = "", time.monotonic() + seconds
        while wanted not in output:
            ready, _, _ = select.select([self._ours], [], [], max(0, end - time.monotonic()))
            assert ready, f"expected {wanted!r} on the terminal, got {output!r}"
            output += os.read(self._ours, 65536).decode(errors="replace")
        return output

    def __enter__(self) -> "Shell":
        return self

    def __exit__(self, *_) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._ours)


@pytest.mark.parametrize("typed, becomes", [
    ("asynq-collector che\t", "check-config"), ("asynq-collector run --redis-look-a\t", "--redis-look-ahead"),
    ("asynq-collector completion f\t", "completion fish"),
])
@pytest.mark.parametrize("shell", ["bash", "zsh", "zsh, in fpath"])
def test_the_tabulator_completes_in_a_real_shell(scripts, shell, typed, becomes):
    if shell == "bash":
        command, load = ["bash", "--norc", "--noprofile", "-i"], f"source {scripts['bash']}"
    elif shell == "zsh":
        command, load = ["zsh", "-f", "-i"], f"autoload -Uz compinit; compinit -u -D; source {scripts['zsh']}"
    else:
        folder = scripts["PATH"].parent / "functions"
        folder.mkdir(exist_ok=True)
        (folder / "_asynq-collector").write_text(scripts["zsh"].read_text(encoding="utf-8"), encoding="utf-8")
        command, load = ["zsh", "-f", "-i"], f"fpath=({folder} $fpath); autoload -Uz compinit; compinit -u -D"
    with Shell(command, scripts["PATH"]) as terminal:
        terminal.type(f"{load}; echo lo''aded\n")
        terminal.read_until("\nloaded")
        terminal.type(typed)
        terminal.read_until(becomes)


# --- Man page and example --------------------------------------------------------------------------------------------


def test_the_man_page_is_without_faults():
    linted = subprocess.run(["mandoc", "-T", "lint", "-W", "warning", MAN], capture_output=True, text=True)
    assert (linted.returncode, linted.stdout) == (0, "")
    made = subprocess.run(["groff", "-man", "-Tutf8", "-ww", "-z", MAN], capture_output=True, text=True)
    assert (made.returncode, made.stderr) == (0, "")


def test_the_man_page_names_every_key_and_reads_as_text():
    shown = subprocess.run(["mandoc", "-T", "utf8", "-O", "width=100", MAN], capture_output=True, text=True, check=True).stdout
    plain = re.sub(r".\x08", "", shown)
    for key in KEYS:
        assert f"--{key.replace('.', '-')} " in plain


def test_the_example_file_has_the_defaults():
    assert check("--config", str(EXAMPLE)).text == check().text
