"""Where the programs under test and around it are."""

import os
import shutil
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[3]
FIXTURES = REPOSITORY / "Tests" / "Fixtures"

COLLECTOR = Path(os.environ.get("ASYNQ_COLLECTOR") or REPOSITORY / ".build" / "debug" / "asynq-collector").absolute()

# Program and the Debian package that brings it.
NEEDED = {"redis-server": "redis-server", "promtool": "prometheus", "prometheus": "prometheus", "faketime": "faketime",
          "chromium": "chromium", "tmux": "tmux", "amtool": "prometheus-alertmanager", "psql": "postgresql",
          "prometheus-redis-exporter": "prometheus-redis-exporter",
          "prometheus-postgres-exporter": "prometheus-postgres-exporter", "zsh": "zsh", "fish": "fish", "mandoc": "mandoc"}


def missing_programs(with_collector: bool) -> list[str]:
    """One phrase for each program that is not there."""
    missing = [f"{name} (apt-get install {package})" for name, package in NEEDED.items() if not shutil.which(name)]
    if with_collector and not os.access(COLLECTOR, os.X_OK):
        missing.append(f"{COLLECTOR} (swift build, or set ASYNQ_COLLECTOR)")
    return missing
