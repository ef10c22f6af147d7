"""Nothing that a sender loses is lost in silence: each refusal leaves a line in the log, a body without spans a warning."""

import json
import ssl
import time

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from support.collector import Collector
from support.deadline import eventually
from support.http_client import ask

JSON = {"Content-Type": "application/json"}
SPAN = {"traceId": "5b8efff798038103d269b633813fc60c", "spanId": "eee19b7ec3c1b174", "name": "a", "kind": 1}


def lines(collector: Collector, message: str, **fields: str) -> list[dict]:
    found = [json.loads(line) for line in collector.stderr().splitlines() if line.startswith("{")]
    return [line for line in found if line["message"] == message and fields.items() <= line.items()]


def the_line(collector: Collector, message: str, reason: str) -> dict:
    return eventually(f"the line '{message}' for {reason}", lambda: lines(collector, message, reason=reason))[0]


@pytest.fixture
def collector(start_collector):
    return start_collector(options={"otlp.max-body": "64KiB", "otlp.bearer-token": "s"})


def asked(collector: Collector, body: bytes = b"{}", path: str = "/v1/traces", method: str = "POST", **headers: str):
    fields = JSON | {"Authorization": "Bearer s"} | {name.replace("_", "-"): value for name, value in headers.items()}
    return ask(collector.tcp, method, path, body, fields)


REFUSALS = {
    "unauthenticated": (401, {"Authorization": "Bearer wrong"}),
    "malformed": (400, {"body": b"{bad"}),
    "path": (404, {"path": "/v1/metrics"}),
    "method": (405, {"method": "PUT"}),
    "media_type": (415, {"Content_Type": "text/plain"}),
    "encoding": (415, {"Content_Encoding": "br"}),
    "too_large": (413, {"body": b" " * (65 << 10)}),
    "origin": (403, {"Origin": "https://shop.example"}),
}


@pytest.mark.parametrize("reason", REFUSALS)
def test_a_refusal_leaves_one_line_with_reason_peer_and_text(collector, reason):
    status, how = REFUSALS[reason]
    for _ in range(5):
        answer = asked(collector, **how)
        assert answer.status == status
    line = the_line(collector, "request refused", reason)
    assert line["level"] == "warning" and line["peer"].startswith("127.0.0.1:")
    assert line["text"] and (reason == "media_type" or line["text"] == json.loads(answer.body)["message"])
    assert len(lines(collector, "request refused", reason=reason)) == 1


def test_a_tls_handshake_on_a_plain_port_is_told(collector):
    for address in (collector.tcp, collector.web):
        context = ssl.create_default_context()
        with pytest.raises((ssl.SSLError, OSError)), address.connect() as raw:
            context.wrap_socket(raw, server_hostname="localhost")
    eventually("a line for each port", lambda: {line["component"] for line in lines(collector, "connection ended", reason="tls")} == {"receiver", "web"})
    assert "without TLS" in the_line(collector, "connection ended", "tls")["text"]


def test_bytes_that_are_no_http_are_told(collector):
    with collector.tcp.connect() as raw:
        raw.sendall(b"HELO there\r\n\r\n")
        while raw.recv(4096):
            pass
    the_line(collector, "connection ended", "protocol")


EMPTY = {
    "instrumentationLibrarySpans": {"resourceSpans": [{"instrumentationLibrarySpans": [{"spans": [SPAN]}]}]},
    "resourceLogs": {"resourceLogs": [{"scopeLogs": [{"logRecords": [{"body": {"stringValue": "x"}}]}]}]},
    "ResourceSpans": {"ResourceSpans": [{"ScopeSpans": [{"Spans": [SPAN]}]}]},
    "spans": {"spans": [SPAN]},
}


@pytest.mark.parametrize("key", EMPTY)
def test_a_body_without_readable_spans_is_a_success_with_a_warning(collector, key):
    before = collector.count("empty_requests_total")
    answer = asked(collector, json.dumps(EMPTY[key]).encode())
    partial = json.loads(answer.body)["partialSuccess"]
    assert answer.status == 200 and f'"{key}"' in partial["errorMessage"] and "rejectedSpans" not in partial
    assert collector.count("empty_requests_total") == before + 1
    assert the_line(collector, "request without spans", "empty")["text"].startswith("no span could be read")


def logs() -> bytes:
    request = ExportLogsServiceRequest()
    record = request.resource_logs.add().scope_logs.add().log_records.add()
    record.time_unix_nano, record.severity_number, record.body.string_value = time.time_ns(), 17, "out of memory"
    return request.SerializeToString()


def metrics() -> bytes:
    request = ExportMetricsServiceRequest()
    scope = request.resource_metrics.add().scope_metrics.add()
    for name in ("queue.size", "sixteen letters!"):  # As long as a trace id.
        scope.metrics.add(name=name, unit="1").sum.data_points.add(as_int=3, time_unix_nano=time.time_ns())
    scope.metrics.add(name="g").gauge.data_points.add(as_double=0.5)
    return request.SerializeToString()


def sparse_logs() -> bytes:
    request = ExportLogsServiceRequest.FromString(logs())
    records = request.resource_logs[0].scope_logs[0].log_records
    records.add(severity_text="INFO")
    records.add().attributes.add(key="k")
    records.add(trace_id=b"t" * 16, span_id=b"s" * 8)
    return request.SerializeToString()


def metrics_like_spans() -> bytes:
    request = ExportMetricsServiceRequest()
    metric = request.resource_metrics.add().scope_metrics.add().metrics.add(name="sixteen letters!", description="8 bytes!")
    metric.gauge.data_points.add(as_double=0.5)
    return request.SerializeToString()


@pytest.mark.parametrize("body", [logs, metrics, sparse_logs, metrics_like_spans])
def test_protobuf_of_another_signal_is_a_success_with_a_warning(collector, body):
    signal = "logs" if "logs" in body.__name__ else "metrics"
    before, refused = collector.count("empty_requests_total"), collector.count("refused_spans_total")
    accepted = collector.count("accepted_spans_total")
    answer = asked(collector, body(), Content_Type="application/x-protobuf")
    partial = ExportTraceServiceResponse.FromString(answer.body).partial_success
    assert answer.status == 200 and partial.rejected_spans == 0
    assert partial.error_message == f"no span could be read: this body has {signal}, and /v1/traces takes spans only"
    assert collector.count("empty_requests_total") == before + 1 and collector.count("refused_spans_total") == refused
    assert collector.count("accepted_spans_total") == accepted
    assert the_line(collector, "request without spans", "empty")["text"].startswith("no span could be read")


@pytest.mark.parametrize("body", [b"{}", b'{"resourceSpans":[]}'])
def test_a_request_that_says_nothing_has_no_warning(collector, body):
    before = collector.count("empty_requests_total")
    assert json.loads(asked(collector, body).body) == {}
    assert collector.count("empty_requests_total") == before


BAD_MEMBERS = [
    {"droppedAttributesCount": -1}, {"droppedAttributesCount": "-1"}, {"endTimeUnixNano": "1728758544898626666.5"},
    {"attributes": [{"key": "k", "value": {"intValue": 4.5}}]}, {"attributes": [{"key": "k", "value": {"intValue": 2**63}}]},
    {"attributes": [{"key": "k", "value": {"arrayValue": {"values": [None]}}}]}, {"events": [None]},
]


@pytest.mark.parametrize("member", BAD_MEMBERS, ids=json.dumps)
def test_a_value_out_of_range_costs_its_span_and_no_other(collector, member):
    refused = collector.count("refused_spans_total", {"reason": "bad_value"})
    accepted = collector.count("accepted_spans_total")
    spans = [SPAN, SPAN | {"spanId": "eee19b7ec3c1b175"} | member, SPAN | {"spanId": "eee19b7ec3c1b176"}]
    answer = asked(collector, json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": spans}]}]}).encode())
    partial = json.loads(answer.body)["partialSuccess"]
    assert answer.status == 200 and partial["rejectedSpans"] == "1"
    assert "resourceSpans[0].scopeSpans[0].spans[1]." in partial["errorMessage"]
    assert collector.count("refused_spans_total", {"reason": "bad_value"}) == refused + 1
    assert collector.count("accepted_spans_total") == accepted + 2
    the_line(collector, "spans refused", "bad_value")
    collector.balanced_metrics()
