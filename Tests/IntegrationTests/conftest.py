import pytest

from support import faked_clock
from support.collector import Collector
from support.programs import missing_programs
from support.tempo_stub import TempoStub


def pytest_addoption(parser):
    parser.addoption("--update-golden", action="store_true", help="write the golden pages anew")


def pytest_sessionstart(session):
    faked_clock.forget_the_dead()


def pytest_collection_finish(session):
    """One line and no run when a program is missing. The tests of the support code do without the collector."""
    if session.config.option.collectonly:
        return
    with_collector = any(not item.path.name.startswith("test_support") for item in session.items)
    missing = missing_programs(with_collector)
    if missing:
        pytest.exit("missing: " + ", ".join(missing), returncode=3)


@pytest.fixture
def tempo():
    with TempoStub() as stub:
        yield stub


@pytest.fixture
def start_collector(tmp_path, tempo):
    """Starts collectors that share one directory, so that a second start continues the first one's spool.

    Each must still be well at the end of the test, unless the test has ended it. The stub is asked for so that it
    outlives them: a collector with nowhere to send its last spans would take its time to end.
    """
    started = []

    def start(**options):
        collector = Collector(tmp_path, **options)
        started.append(collector)
        return collector.start()

    yield start
    problems = [problem for collector in reversed(started) if (problem := collector.close())]
    assert not problems, "\n".join(problems)
