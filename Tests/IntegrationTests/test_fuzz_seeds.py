"""The fuzzers' seeds and dictionaries: `Fuzzing/make-seeds` and Tests/Fixtures/fuzz agree, and the script deletes nothing."""

import shutil
import subprocess
import sys
from pathlib import Path

from support.programs import FIXTURES, REPOSITORY

SCRIPT = Path("Fuzzing", "make-seeds")


def run(repository: Path, *arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, repository / SCRIPT, *arguments], capture_output=True, text=True)


def test_script_and_fixtures_agree():
    checked = run(REPOSITORY, "--check")
    assert checked.returncode == 0, checked.stderr


def test_what_the_script_does_not_write_stays_and_is_named(tmp_path):
    (tmp_path / SCRIPT).parent.mkdir()
    shutil.copy(REPOSITORY / SCRIPT, tmp_path / SCRIPT)
    fixtures = tmp_path / "Tests" / "Fixtures" / "fuzz"
    shutil.copytree(FIXTURES / "fuzz", fixtures)
    added, written = (fixtures / "FuzzJSON" / "seeds" / name for name in ("added-by-hand", "small"))
    added.write_bytes(b"{")
    written.write_bytes(b"no longer what the script writes")
    checked = run(tmp_path, "--check")
    assert checked.returncode == 1 and "FuzzJSON/seeds/added-by-hand" in checked.stderr, checked
    assert "FuzzJSON/seeds/small" in checked.stderr, checked
    assert run(tmp_path).returncode == 0
    assert added.read_bytes() == b"{", "expected the script to leave alone what it does not write"
    assert written.read_bytes() == (FIXTURES / "fuzz" / "FuzzJSON" / "seeds" / "small").read_bytes()
