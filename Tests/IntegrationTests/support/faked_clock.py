"""A frozen wall clock for one program, by Debian's libfaketime.

The library is preloaded without its wrapper program, which would stand between us and the process id. The monotonic
clock goes on as it is. What libfaketime 0.9.10 breaks all the same: `clock_nanosleep` and `timerfd_settime` with an
absolute time on the monotonic clock.
"""

import functools
import subprocess
from datetime import datetime, timezone
from pathlib import Path


@functools.cache
def _preload() -> str:
    environment = subprocess.run(["faketime", "-f", "+0", "env"], capture_output=True, text=True, check=True).stdout
    return next(line.split("=", 1)[1] for line in environment.splitlines() if line.startswith("LD_PRELOAD="))


def frozen_at(unix_nanoseconds: int) -> dict[str, str]:
    """Environment of a program whose wall clock stands still at this instant, to the nanosecond."""
    seconds, nanoseconds = divmod(unix_nanoseconds, 1_000_000_000)
    instant = datetime.fromtimestamp(seconds, timezone.utc)
    return {
        "LD_PRELOAD": _preload(),
        "FAKETIME": f"{instant:%Y-%m-%d %H:%M:%S}.{nanoseconds:09}",
        "TZ": "UTC",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        # Else a wait on a monotonic condition variable returns at once.
        "FAKETIME_FORCE_MONOTONIC_FIX": "0",
        "NO_FAKE_STAT": "1",
    }


def ahead_by(seconds: int) -> dict[str, str]:
    """Environment of a program whose wall clock is ahead of ours and goes on; behind it for a negative number."""
    return frozen_at(0) | {"FAKETIME": f"{seconds:+}s"}


def command(program: list[str], env: dict[str, str]) -> list[str]:
    """How to start a program with this environment.

    libfaketime adds a variable to the environment when it is loaded first, and the Swift runtime, which looks for the
    arguments beside the environment, then finds none. `env` is loaded first instead and becomes the program, with the
    same process id.
    """
    return ["env", *program] if "FAKETIME" in env else program


def forget_the_dead() -> None:
    """Removes what runs that were killed have left: a new process with the same number would say so on stderr."""
    for path in Path("/dev/shm").glob("*faketime_s[he]m_*"):
        process_id = path.name.rsplit("_", 1)[1]
        if not Path("/proc", process_id).exists():
            path.unlink(missing_ok=True)


def forget(process_id: int) -> None:
    """Removes the shared memory that libfaketime leaves behind when its process is killed."""
    for path in Path("/dev/shm").glob(f"*faketime_s[he]m_{process_id}"):
        path.unlink(missing_ok=True)
