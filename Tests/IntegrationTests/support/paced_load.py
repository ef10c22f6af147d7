"""Numbered spans at a fixed rate, cheap enough to send some thousand a second beside everything else."""

import http.client
import struct
import threading
import time
from array import array

from support.http_client import PROTOBUF, Connection, Endpoint
from support.otlp import attributes, numbered_span, request

SPANS_PER_REQUEST = 50
# Odd enough that no other bytes of a request look like them.
PLACEHOLDER = 0xA5A5_5A5A_1234_0000


class PacedLoad(threading.Thread):
    """Posts `spans_per_second` until `seconds` are over or `stop` is called. Numbers go up from 0."""

    def __init__(self, endpoint: Endpoint, spans_per_second: int, seconds: float):
        super().__init__(daemon=True)
        self.numbers = int(spans_per_second * seconds) // SPANS_PER_REQUEST * SPANS_PER_REQUEST
        self.acknowledged = bytearray(self.numbers)
        self.refused_spans = 0
        self.unanswered_spans = 0
        self.posted_spans = 0
        self.latest_seconds = 0.0  # how far it ever was behind its time table
        self.posted_at = array("d", bytes(8 * (self.numbers // SPANS_PER_REQUEST)))  # each request, on the monotonic clock
        self._endpoint = endpoint
        self._interval = SPANS_PER_REQUEST / spans_per_second
        self._template = _Template()

    def run(self) -> None:
        connection = Connection(self._endpoint)
        due = time.monotonic()
        for first in range(0, self.numbers, SPANS_PER_REQUEST):
            due += self._interval
            late = time.monotonic() - due
            if late < 0:
                time.sleep(-late)
            self.latest_seconds = max(self.latest_seconds, late)
            self._post(connection, first)
        connection.close()

    def _post(self, connection: Connection, first: int) -> None:
        self.posted_spans += SPANS_PER_REQUEST
        self.posted_at[first // SPANS_PER_REQUEST] = time.monotonic()
        try:
            answer = connection.ask("POST", "/v1/traces", self._template.numbered(first), PROTOBUF)
        except (OSError, http.client.HTTPException):
            connection.close()
            self.unanswered_spans += SPANS_PER_REQUEST
            return
        if answer.status == 200:
            self.acknowledged[first:first + SPANS_PER_REQUEST] = b"\1" * SPANS_PER_REQUEST
        else:
            self.refused_spans += SPANS_PER_REQUEST


class _Template:
    """A request of about 360 bytes a span, into which numbers are written."""

    def __init__(self):
        spans = [numbered_span(PLACEHOLDER + index, attributes=attributes(
            messaging__system="asynq", messaging__destination__name="critical", asynq__task__type="email:deliver",
            messaging__message__id=f"0191d2a4-5b1e-7cc0-8000-{index:012x}", http__route="/api/v1/orders/{id}/items",
            user_agent="Mozilla/5.0 (X11; Linux x86_64)")) for index in range(SPANS_PER_REQUEST)]
        self._bytes = bytearray(request(*spans))
        self._offsets = []
        for index in range(SPANS_PER_REQUEST):
            identifier = PLACEHOLDER + index + 1
            trace = self._bytes.index(identifier.to_bytes(16, "big"))
            span = self._bytes.index(identifier.to_bytes(8, "big"), trace + 16)
            self._offsets.append((trace, span))

    def numbered(self, first: int) -> bytes:
        for index, (trace, span) in enumerate(self._offsets):
            struct.pack_into(">QQ", self._bytes, trace, 0, first + index + 1)
            struct.pack_into(">Q", self._bytes, span, first + index + 1)
        return bytes(self._bytes)
