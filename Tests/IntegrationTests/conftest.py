import pytest

from support.collector import Collector
from support.programs import missing_programs
from support.redis_server import RedisServer
from support.tempo_stub import TempoStub


def pytest_collection_finish(session):
    """One line and no run when a program is missing. The tests of the support code do without the collector."""
    if session.config.option.collectonly:
        return
    with_collector = any(not item.path.name.startswith("test_support") for item in session.items)
    missing = missing_programs(with_collector)
    if missing:
        pytest.exit("missing: " + ", ".join(missing), returncode=3)


@pytest.fixture
def start_collector(tmp_path):
    """Starts collectors that share one directory, so that a second start continues the first one's spool.

    Each must still be well at the end of the test, unless the test has ended it.
    """
    started = []

    def start(**options):
        collector = Collector(tmp_path, **options)
        started.append(collector)
        return collector.start()

    yield start
    problems = [problem for collector in reversed(started) if (problem := collector.close())]
    assert not problems, "\n".join(problems)


@pytest.fixture
def tempo():
    with TempoStub() as stub:
        yield stub


@pytest.fixture
def redis_server(tmp_path):
    """An empty redis-server."""
    with RedisServer(tmp_path / "redis") as server:
        yield server
