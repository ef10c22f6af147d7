"""Every span posted arrives at Tempo exactly once, byte for byte, with its resource and scope."""

from collections import Counter

import pytest

from support import otlp, wire
from support.go_capture import GoCapture
from support.otlp import Span, numbered_keys, numbered_request, numbered_span

CAPTURE = GoCapture()


def raw_spans(bodies: list[bytes]) -> Counter:
    return Counter(raw for body in bodies for raw in otlp.spans_in(body))


def assert_arrived_unchanged(tempo, collector, bodies: list[bytes]) -> None:
    expected = raw_spans(bodies)
    collector.until_forwarded(expected.total())
    arrived = Counter(tempo.stored)
    assert arrived == expected, (
        f"missing or changed: {list((expected - arrived))[:2]}, not expected: {list((arrived - expected))[:2]}")
    assert collector.count("spool_spans") == 0


@pytest.mark.parametrize("compression", ["gzip", "zstd", "none"])
def test_the_capture_arrives_unchanged(start_collector, tempo, compression):
    collector = start_collector(options={"tempo.endpoint": tempo.endpoint, "tempo.compression": compression})
    for body in CAPTURE.bodies:
        collector.post(body)
    assert_arrived_unchanged(tempo, collector, CAPTURE.bodies)
    encodings = {request.headers.get("Content-Encoding") for request in tempo.requests}
    assert encodings == {None if compression == "none" else compression}
    assert {request.headers.get_content_type() for request in tempo.requests} == {"application/x-protobuf"}
    assert collector.metrics().value("asynq_collector_forward_requests_total", {"code": "200"}) == len(tempo.requests)


def odd_request() -> bytes:
    """Legal, and nothing an SDK would send: what we don't know must come through as it is."""
    unknown = wire.delimited(1000, b"a field of the future") + wire.varint(1001 << 3) + wire.varint(2**63)
    everything = numbered_span(
        0, trace_state="vendor=value,other=1", flags=0x301, kind=Span.SPAN_KIND_CLIENT,
        dropped_attributes_count=3, dropped_events_count=4, dropped_links_count=5,
        attributes=otlp.attributes(text="ünï—码\n\x00", number=-1, share=0.1, yes=True, large="x" * 100_000),
        events=[Span.Event(time_unix_nano=1, name="event", attributes=otlp.attributes(key="value"))],
        links=[Span.Link(trace_id=b"t" * 16, span_id=b"s" * 8, trace_state="a=b", flags=1)],
        status=otlp.Status(code=otlp.Status.STATUS_CODE_ERROR, message="broken"))
    # The fields of this one come in reverse order, as some collectors write them.
    ids = {1: (2).to_bytes(16, "big"), 2: (2).to_bytes(8, "big"), 5: b"backwards"}
    backwards = b"".join(wire.delimited(number, ids[number]) for number in sorted(ids, reverse=True))
    spans = wire.delimited(2, everything.SerializeToString() + unknown) + wire.delimited(2, backwards)
    scope = wire.delimited(1, otlp.InstrumentationScope(name="scope", version="2").SerializeToString() + unknown)
    scope_spans = wire.delimited(3, b"https://example.com/scope") + spans + scope
    bare_scope_spans = wire.delimited(2, numbered_span(2).SerializeToString())
    resource = wire.delimited(1, otlp.Resource(attributes=otlp.attributes(service__name="odd")).SerializeToString())
    resource_spans = wire.delimited(2, scope_spans) + wire.delimited(2, bare_scope_spans) + resource
    bare_resource_spans = wire.delimited(2, wire.delimited(2, numbered_span(3).SerializeToString()))
    return (wire.delimited(1, resource_spans + wire.delimited(3, b"https://example.com/resource"))
            + wire.delimited(1, bare_resource_spans) + unknown)


def test_unknown_fields_odd_order_and_bare_messages_arrive_unchanged(start_collector, tempo):
    collector = start_collector(options={"tempo.endpoint": tempo.endpoint})
    body = odd_request()
    assert len(otlp.spans_in(body)) == 4
    collector.post(body, compress=True)
    assert_arrived_unchanged(tempo, collector, [body])


@pytest.mark.parametrize("suffix", ["", "/", "/v1/traces"])
def test_the_path_is_added_to_the_endpoint_where_it_is_missing(start_collector, tempo, suffix):
    collector = start_collector(options={"tempo.endpoint": tempo.endpoint + suffix})
    collector.post(numbered_request(range(3)))
    tempo.until_stored(numbered_keys(range(3)))


def test_the_headers_of_the_configuration_go_along_with_every_request(start_collector, tempo):
    collector = start_collector(options={"tempo.endpoint": tempo.endpoint,
                                         "tempo.headers": "X-Scope-OrgID=team-a,X-Other=b=c"})
    collector.post(numbered_request(range(3)))
    tempo.until_stored(numbered_keys(range(3)))
    for request in tempo.requests:
        assert (request.headers["X-Scope-OrgID"], request.headers["X-Other"]) == ("team-a", "b=c")


def test_no_batch_holds_more_spans_than_configured(start_collector, tempo):
    collector = start_collector(options={"tempo.endpoint": tempo.endpoint, "tempo.batch.max-spans": 100})
    for first in range(0, 1000, 50):
        collector.post(numbered_request(range(first, first + 50)))
    collector.until_forwarded(1000)
    tempo.assert_each_once(numbered_keys(range(1000)))
    assert max(len(request.spans) for request in tempo.requests) <= 100


def test_small_requests_travel_together(start_collector, tempo):
    """200 requests of one span each, while Tempo is away, do not become 200 requests."""
    tempo.go_down()
    collector = start_collector(options={"tempo.endpoint": tempo.endpoint, "tempo.retry.initial": "200ms",
                                         "tempo.retry.max": "500ms"})
    for number in range(200):
        collector.post(numbered_request(range(number, number + 1)))
    tempo.come_up()
    collector.until_forwarded(200)
    tempo.assert_each_once(numbered_keys(range(200)))
    assert len(tempo.requests) < 100, f"expected batches, got {len(tempo.requests)} requests"
