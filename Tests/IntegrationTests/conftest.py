import pytest
from grpc import StatusCode

from support import faked_clock
from support.certificates import Certificates
from support.collector import Collector
from support.deadline import eventually
from support.grpc_client import export
from support.hostile import Neighbour
from support.http_client import ask, post_traces
from support.otlp_json import JSON
from support.programs import missing_programs
from support.redis_server import RedisServer
from support.status_page import Chromium
from support.tempo_stub import TempoStub


# Minutes and half minutes; of pytest-xdist, a worker takes a file at a time, and the last one should not be one of these.
LONGEST_FILES = ("test_demo", "test_page", "test_page_outages", "test_page_queues", "test_fuzzers", "test_rules", "test_stack",
                 "test_tempo_way", "test_tempo_mistakes", "test_tempo_faults", "test_cluster_faults", "test_tempo_drain",
                 "test_tempo_fault_sink", "test_tempo_tls")


def pytest_addoption(parser):
    parser.addoption("--update-golden", action="store_true", help="write the golden pages anew")


def _is_worker(config) -> bool:
    """Of pytest-xdist; what is done once for all of them, the process that started them does."""
    return hasattr(config, "workerinput")


def pytest_sessionstart(session):
    if not _is_worker(session.config):
        faked_clock.forget_the_dead()
        if session.config.getoption("numprocesses", None):
            _exit_where_a_program_is_missing(with_collector=True)


def pytest_collection_modifyitems(items):
    order = {name: place for place, name in enumerate(LONGEST_FILES)}
    items.sort(key=lambda item: order.get(item.path.stem, len(order)))


def pytest_collection_finish(session):
    """The tests of the support code do without the collector."""
    if not session.config.option.collectonly and not _is_worker(session.config):
        _exit_where_a_program_is_missing(any(not item.path.name.startswith("test_support") for item in session.items))


def _exit_where_a_program_is_missing(with_collector: bool) -> None:
    """One line and no run."""
    missing = missing_programs(with_collector)
    if missing:
        pytest.exit("missing: " + ", ".join(missing), returncode=3)


# --- What each test has of its own -----------------------------------------------------------------------------------


@pytest.fixture
def tempo(request):
    """The stub of Tempo that this test's collectors send to; in tests of `shared_collector` it is the file's."""
    if "shared_collector" in request.fixturenames:
        yield request.getfixturevalue("shared_tempo")
        return
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


@pytest.fixture(scope="session")
def certificates(tmp_path_factory):
    return Certificates(tmp_path_factory.mktemp("tls") / "certificates")


@pytest.fixture
def redis(tmp_path):
    """An empty Redis, with a client of it."""
    with RedisServer(tmp_path / "redis") as server, server.client() as client:
        yield server, client


# --- What the tests of a file share ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def chromium():
    with Chromium() as chromium:
        yield chromium


@pytest.fixture(scope="module")
def shared_tempo():
    with TempoStub() as stub:
        yield stub


@pytest.fixture(scope="module")
def shared_collector(request, shared_tempo, tmp_path_factory):
    """Takes the requests of all tests of a file, one after the other. The file's OPTIONS are added to these."""
    options = {"otlp.max-body": "1MiB", "tempo.endpoint": shared_tempo.endpoint} | getattr(request.module, "OPTIONS", {})
    collector = Collector(tmp_path_factory.mktemp("shared"), options).start()
    yield collector
    problem = collector.close()
    assert not problem, problem


@pytest.fixture
def collector(shared_collector):
    """The shared one. After each test it must still answer in every protocol, its counters must add up, and no connection of
    the test may be left."""
    yield shared_collector
    assert shared_collector.process.poll() is None, f"the collector has ended; {shared_collector.stderr()}"
    for endpoint in (shared_collector.tcp, shared_collector.unix):
        assert post_traces(endpoint, b"").status == 200
        assert export(endpoint, b"").code == StatusCode.OK
    assert ask(shared_collector.tcp, "POST", "/v1/traces", b"{}", JSON).body == b"{}"
    shared_collector.balanced_metrics()
    eventually("no connection left", lambda: shared_collector.client_connections() == 0)


@pytest.fixture(scope="module")
def neighbour(shared_collector):
    """A well-behaved client of the shared collector, which hostile ones must not disturb."""
    made = Neighbour(shared_collector)
    yield made
    made.close()
