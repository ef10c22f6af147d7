"""/api/v1/traces/{id}: spans that are still in memory, as OTLP/JSON."""

import base64
import json

import pytest
from google.protobuf import json_format
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from support.http_client import ask
from support.otlp import ExportTraceServiceRequest, attributes, numbered_request, numbered_span, process_span, request
from support.otlp_json import JSON

TRACE = (7).to_bytes(16, "big")


def trace_of(collector, trace: bytes = TRACE) -> tuple[int, dict]:
    answer = collector.get("/api/v1/traces/" + trace.hex())
    assert answer.media_type == "application/json", answer
    return answer.status, json.loads(answer.body)


def as_protobuf(document: dict) -> ExportTraceServiceRequest:
    """Protobuf's own JSON has ids in base64, OTLP's has them in hex."""
    def convert(value):
        if isinstance(value, list):
            return [convert(element) for element in value]
        if not isinstance(value, dict):
            return value
        return {key: base64.b64encode(bytes.fromhex(member)).decode() if key in ("traceId", "spanId", "parentSpanId")
                else convert(member) for key, member in value.items()}

    return json_format.ParseDict(convert(document), ExportTraceServiceRequest())


def rich_span(number: int) -> Span:
    """A span that has everything."""
    return numbered_span(
        number, trace_id=TRACE, parent_span_id=bytes(range(8)), trace_state="vendor=1", name='a "name" é\n',
        attributes=attributes(text="ü", number=-2**63, real=2.5, yes=True, no=False, raw=b"\x00\xff", empty=""),
        dropped_attributes_count=1, flags=257, kind=Span.SPAN_KIND_CLIENT,
        events=[Span.Event(time_unix_nano=5, name="exception", attributes=attributes(exception__type="T"))],
        links=[Span.Link(trace_id=bytes(range(16)), span_id=bytes(range(8)), attributes=attributes(a=1), flags=1)],
        status=Status(code=Status.STATUS_CODE_ERROR, message="no"))


def test_a_trace_is_told_with_all_that_its_spans_have(start_collector):
    collector = start_collector()
    sent = [request(rich_span(1), numbered_span(2)), request(rich_span(3), service="other")]
    for body in sent:
        collector.post(body)
    status, document = trace_of(collector)
    assert status == 200
    expected = ExportTraceServiceRequest()
    for body in sent:
        expected.MergeFromString(body)
    del expected.resource_spans[0].scope_spans[0].spans[1]
    assert as_protobuf(document) == expected


def test_spans_that_came_as_json_or_came_twice_stand_once(start_collector):
    collector = start_collector()
    body = request(rich_span(1))
    collector.post(body)
    collector.post(body)
    document = trace_of(collector)[1]
    assert sum(len(scope["spans"]) for resource in document["resourceSpans"] for scope in resource["scopeSpans"]) == 1
    # What it says is what it takes.
    collector.stop()
    again = start_collector()
    assert ask(again.tcp, "POST", "/v1/traces", json.dumps(document).encode(), JSON).status == 200
    assert trace_of(again)[1] == document


@pytest.mark.parametrize("trace", ["00000000000000000000000000000009", "9"])
def test_a_trace_that_is_not_in_memory_is_not_found(start_collector, trace):
    collector = start_collector()
    answer = collector.get("/api/v1/traces/" + trace)
    assert answer.status == 404 and json.loads(answer.body) == {"error": "no span of this trace is in memory"}
    for bad in ("x", "0", "1" * 33):
        assert collector.get("/api/v1/traces/" + bad).status == 400


def test_the_newest_spans_stay_within_the_limit(start_collector):
    collector = start_collector(options={"traces.recent-max-bytes": "64KiB"})
    for number in range(0, 2000, 10):
        collector.post(numbered_request(range(number, number + 10)))
    statuses = [trace_of(collector, (number + 1).to_bytes(16, "big"))[0] for number in (0, 1000, 1999)]
    assert statuses == [404, 404, 200]


def test_with_a_trace_backend_no_spans_are_kept_unless_that_is_wanted(start_collector, tempo):
    collector = start_collector(options={"tempo.endpoint": tempo.endpoint})
    collector.post(request(rich_span(1)))
    status, document = trace_of(collector)
    assert status == 404 and document == {"error": "no spans are kept in memory (traces.recent-max-bytes is 0)"}
    collector.stop()
    keeping = start_collector(options={"tempo.endpoint": tempo.endpoint, "traces.recent-max-bytes": "1MiB"})
    keeping.post(request(rich_span(1)))
    assert trace_of(keeping)[0] == 200


def test_without_a_backend_slow_waits_name_their_trace(start_collector):
    collector = start_collector()
    waited = attributes(messaging__system="asynq", messaging__destination__name="q", asynq__task__type="t",
                        asynq__task__wait_seconds=12.5)
    collector.post(request(process_span(6, "q", "t", attributes=waited)))
    [slow] = json.loads(collector.get("/api/v1/overview").body)["slowest_waits"]
    assert (slow["seconds"], slow["trace_id"], slow["span_id"]) == (12.5, TRACE.hex(), (7).to_bytes(8, "big").hex())
    assert trace_of(collector)[0] == 200
