"""Prometheus' own linter of metrics pages."""

import subprocess


def assert_clean(page: str) -> None:
    checked = subprocess.run(["promtool", "check", "metrics"], input=page.encode(), capture_output=True, timeout=60)
    said = (checked.stdout + checked.stderr).decode()
    assert checked.returncode == 0 and not said, f"expected nothing from promtool check metrics, got:\n{said}"
