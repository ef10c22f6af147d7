"""OTLP/gRPC by the real grpcio, over TCP or a unix socket; answers and errors alike as a value."""

from contextlib import contextmanager
from dataclasses import dataclass

import grpc
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status

from support.http_client import Endpoint

EXPORT = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
TIMEOUT_SECONDS = 40


@dataclass(frozen=True)
class Outcome:
    """What became of a call. `body` is the answer's message; `retry_seconds` comes from a RetryInfo, where there is one."""
    code: grpc.StatusCode
    message: str
    body: bytes | None
    metadata: dict[str, str | bytes]
    retry_seconds: int | None

    def __str__(self) -> str:
        return f"{self.code} {self.message!r} {self.metadata}"


class Client:
    """One connection. Sends and gets bytes, so that any bytes can be sent."""

    def __init__(self, endpoint: Endpoint, compression: grpc.Compression = grpc.Compression.NoCompression):
        target = f"unix://{endpoint.path}" if endpoint.path else f"127.0.0.1:{endpoint.port}"
        # A pool of its own, or grpcio shares one connection between the channels of a process.
        options = [("grpc.use_local_subchannel_pool", 1), ("grpc.max_send_message_length", -1)]
        self.channel = grpc.insecure_channel(target, options=options, compression=compression)

    def export(self, body: bytes, method: str = EXPORT, metadata: dict[str, str] = {},
               timeout: float = TIMEOUT_SECONDS) -> Outcome:
        call = self.channel.unary_unary(method)  # without serializers: bytes as they are
        try:
            answer, done = call.with_call(body, metadata=list(metadata.items()), timeout=timeout)
            return _outcome(done, answer)
        except grpc.RpcError as error:
            return _outcome(error, None)


def _outcome(call: grpc.Call, answer: bytes | None) -> Outcome:
    metadata = {key: value for key, value in call.trailing_metadata() or []}
    retry_seconds = None
    if "grpc-status-details-bin" in metadata:
        status = Status.FromString(metadata["grpc-status-details-bin"])
        assert (status.code, status.message) == (call.code().value[0], call.details()), f"{status} and {call}"
        for detail in status.details:
            info = RetryInfo()
            assert detail.Unpack(info), f"expected nothing but a RetryInfo, got {detail}"
            retry_seconds = info.retry_delay.seconds
    return Outcome(call.code(), call.details() or "", answer, metadata, retry_seconds)


@contextmanager
def client(endpoint: Endpoint, compression: grpc.Compression = grpc.Compression.NoCompression):
    made = Client(endpoint, compression)
    try:
        yield made
    finally:
        made.channel.close()


def export(endpoint: Endpoint, body: bytes, compression: grpc.Compression = grpc.Compression.NoCompression,
           **how) -> Outcome:
    with client(endpoint, compression) as made:
        return made.export(body, **how)
