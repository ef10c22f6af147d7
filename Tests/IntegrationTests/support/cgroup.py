"""A control group with a limit of memory, which ends the process that goes beyond it."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

V1 = Path("/sys/fs/cgroup/memory")
V2 = Path("/sys/fs/cgroup")


@dataclass
class MemoryGroup:
    directory: Path

    @property
    def launcher(self) -> tuple[str, ...]:
        """A program that enters the group and becomes the one it is given."""
        return ("sh", "-c", f'echo $$ > {self.directory}/cgroup.procs && exec "$@"', "sh")


@contextmanager
def limited_to(limit_bytes: int) -> Iterator[MemoryGroup]:
    """Skips the test where no such group can be made: that takes root, and /sys/fs/cgroup that can be written."""
    root, file = (V1, "memory.limit_in_bytes") if (V1 / "memory.limit_in_bytes").exists() else (V2, "memory.max")
    group = root / f"asynq-collector-test-{os.getpid()}-{time.monotonic_ns()}"
    try:
        group.mkdir()
    except OSError as error:
        pytest.skip(f"no control group can be made here: {error}")
    try:
        try:
            (group / file).write_text(str(limit_bytes))
            swap = group / "memory.swap.max"
            if swap.exists():
                swap.write_text("0")
        except OSError as error:
            pytest.skip(f"a control group takes no limit here: {error}")
        yield MemoryGroup(group)
    finally:
        _remove(group)


def _remove(group: Path) -> None:
    """Once its last process is gone."""
    for _ in range(100):
        try:
            return group.rmdir()
        except OSError:
            time.sleep(0.1)
