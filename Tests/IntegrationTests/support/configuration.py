"""`check-config` and the YAML it prints."""

import re
import subprocess
from pathlib import Path

import yaml

from support.collector import run_once

_SECONDS = {"us": 1e-6, "ms": 1e-3, "s": 1, "m": 60, "h": 3600}
_BYTES = {"": 1, "B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}


class Effective:
    """The effective configuration by dotted key."""

    def __init__(self, text: str):
        self.text = text
        self._tree = yaml.safe_load(text)

    def __getitem__(self, key: str):
        at = self._tree
        for part in key.split("."):
            assert isinstance(at, dict) and part in at, f"expected {key} in\n{self.text}"
            at = at[part]
        return at

    def listed(self, key: str) -> list[str]:
        """A list, whether printed as one or with commas."""
        value = self[key]
        return [str(part).strip() for part in (value if isinstance(value, list) else str(value).split(","))]

    def seconds(self, key: str) -> float:
        parts = re.findall(r"([\d.]+)(us|ms|s|m|h)", str(self[key]))
        assert "".join(number + unit for number, unit in parts) == str(self[key]), f"{key}: {self[key]} is no duration"
        return sum(float(number) * _SECONDS[unit] for number, unit in parts)

    def bytes(self, key: str) -> float:
        found = re.fullmatch(r"([\d.]+)\s*(B|KiB|MiB|GiB|)", str(self[key]))
        assert found, f"{key}: {self[key]} is no size"
        return float(found[1]) * _BYTES[found[2]]


def check(*flags: str, env: dict[str, str] = {}) -> Effective:
    """A configuration that must be good."""
    ran = run_once("check-config", *flags, env=env)
    assert ran.returncode == 0, f"expected exit code 0, got {ran}"
    return Effective(ran.stdout)


def refused(*flags: str, env: dict[str, str] = {}, command: str = "check-config") -> str:
    """What it says about a configuration that must be refused."""
    ran: subprocess.CompletedProcess = run_once(command, *flags, env=env)
    assert ran.returncode == 2, f"expected exit code 2, got {ran}"
    assert ran.stdout == "", f"expected the problems on stderr alone, got {ran.stdout!r}"
    return ran.stderr


def write(directory: Path, content: dict | str) -> str:
    """Path of a configuration file."""
    path = directory / "collector.yaml"
    path.write_text(content if isinstance(content, str) else yaml.safe_dump(content), encoding="utf-8")
    return str(path)
