"""fdatasync that fails (a preloaded library says EIO): what the sender hears, what Tempo gets, what the books say."""

import re
import shutil

import pytest

from support import grpc_client
from support.deadline import eventually
from support.http_client import post_traces
from support.otlp import numbered_keys, numbered_request
from support.syncs import Syncs


@pytest.fixture
def syncs(tmp_path):
    if not shutil.which("cc"):
        pytest.skip("needs a C compiler")
    return Syncs(tmp_path)


def test_with_sync_always_what_is_refused_is_not_forwarded(start_collector, tempo, syncs):
    collector = start_collector(options={"tempo.endpoint": tempo.endpoint, "spool.sync": "always"}, env=syncs.environment)
    collector.post(numbered_request(range(5)))
    collector.until_forwarded(5)
    syncs.fail()
    for _ in range(3):
        refusal = post_traces(collector.tcp, numbered_request(range(5, 15)))
        assert refusal.status == 503 and int(refusal.headers["Retry-After"]) >= 1, refusal
    with grpc_client.client(collector.tcp) as sender:
        assert sender.export(numbered_request(range(5, 15))).code.name == "UNAVAILABLE"
    unready = collector.get("/-/ready")
    assert unready.status == 503 and b"Input/output error" in unready.body, unready
    # Those that came between two tries were refused at once, and never taken.
    taken = collector.count("accepted_spans_total") - 5
    assert taken in (10, 20, 30, 40) and collector.count("refused_spans_total") == 40 - taken
    assert collector.count("dropped_spans_total", {"reason": "unsynced"}) == taken
    assert collector.count("spool_spans") == 0
    syncs.work()
    eventually("ready by itself", lambda: collector.get("/-/ready").status == 200)
    collector.post(numbered_request(range(5, 15)))
    collector.until_forwarded(15)
    tempo.assert_each_once(numbered_keys(range(15)))
    assert collector.count("dropped_spans_total") == taken


def test_with_an_interval_what_was_acknowledged_is_forwarded_and_written_anew(start_collector, tempo, syncs):
    tempo.go_down()
    collector = start_collector(options={
        "tempo.endpoint": tempo.endpoint, "tempo.retry.max": "200ms", "spool.sync": "50ms"}, env=syncs.environment)
    syncs.fail()
    collector.post(numbered_request(range(10)))
    eventually("the copy refused, too", lambda: b".log.new" in collector.get("/-/ready").body)
    first = next(collector.spool.glob("segment-*.log"))
    inode = first.stat().st_ino
    refusal = post_traces(collector.tcp, numbered_request(range(10, 20)))
    assert refusal.status == 503 and int(refusal.headers["Retry-After"]) >= 1, refusal
    for _ in range(50):
        assert post_traces(collector.tcp, numbered_request([99])).status == 503
    assert len(list(collector.spool.glob("segment-*"))) <= 4, "no file is added while the disk refuses"
    syncs.work()
    eventually("ready by itself", lambda: collector.get("/-/ready").status == 200)
    eventually("the log says so", lambda: "takes spans again" in collector.stderr())
    assert re.search(r"the spool's disk fails.*segment-\d+\.log.*Input/output error", collector.stderr())
    assert first.stat().st_ino != inode, "expected a fresh file in the place of the one whose sync had failed"
    assert not list(collector.spool.glob("*.new"))
    collector.post(numbered_request(range(10, 20)))
    collector.kill()
    tempo.come_up()
    second = start_collector(options={"tempo.endpoint": tempo.endpoint})
    assert second.count("spool_recovered_spans") == 20
    second.until_forwarded(20)
    tempo.assert_each_once(numbered_keys(range(20)))
