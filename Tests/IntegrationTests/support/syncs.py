"""The disk of a program's spool, whose syncs fail and whose writes hang on demand by a preloaded library."""

import subprocess
from pathlib import Path

SOURCE = Path(__file__).parent / "failing_sync.c"


class Syncs:
    """Those of the spool's files, the probe's as well. `environment` is for the program."""

    def __init__(self, directory: Path):
        library = directory / "failing_sync.so"
        subprocess.run(["cc", "-shared", "-fPIC", "-o", library, SOURCE, "-ldl"], check=True)
        self._failing, self._hanging = directory / "syncs-fail", directory / "syncs-hang"
        self.environment = {"LD_PRELOAD": str(library), "SYNC_FAILS_WHILE": str(self._failing),
                            "SYNC_HANGS_WHILE": str(self._hanging), "SYNC_FAILS_OF": "/spool/"}

    def fail(self) -> None:
        self._failing.touch()

    def hang(self) -> None:
        self._hanging.touch()

    def work(self) -> None:
        self._failing.unlink(missing_ok=True)
        self._hanging.unlink(missing_ok=True)
