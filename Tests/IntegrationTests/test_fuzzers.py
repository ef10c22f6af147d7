"""The fuzzers, for some seconds each: long enough for their seeds and what lies around them. scripts/fuzz runs them for longer.

They have to be built first, with AddressSanitizer, which takes minutes: only scripts/test asks for it.
"""

import os
import subprocess

import pytest

from support.programs import REPOSITORY

SECONDS = os.environ.get("FUZZ_SECONDS")
TARGETS = ["FuzzSpanScanner", "FuzzJSON", "FuzzStoredTask", "FuzzGRPC", "FuzzHTTP"]

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]


@pytest.mark.skipif(not SECONDS, reason="FUZZ_SECONDS does not ask for it")
@pytest.mark.parametrize("target", TARGETS)
def test_nothing_is_found(target):
    # Other tests wait for the same machine, and this one waits for nothing else.
    ran = subprocess.run(["nice", "-n", "10", REPOSITORY / "scripts" / "fuzz", SECONDS, target], capture_output=True, text=True)
    print(ran.stdout)
    assert ran.returncode == 0, ran.stderr[-20_000:]
