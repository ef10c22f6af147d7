"""What other programs compress is inflated, and what the collector compresses other programs inflate (the stub does)."""

import gzip
import random
import zlib
from collections import Counter

import pytest
import zstandard

from support import otlp
from support.go_capture import GoCapture
from support.http_client import PROTOBUF, ask
from support.otlp import numbered_request, numbered_span

CAPTURE = b"".join(GoCapture().bodies)
GOOD = numbered_request(range(2))
MAX_BODY = 1 << 20
ZSTD = PROTOBUF | {"Content-Encoding": "zstd"}


@pytest.fixture
def collector(start_collector, tempo):
    return start_collector(options={"otlp.max-body": MAX_BODY, "tempo.endpoint": tempo.endpoint})


def streamed(body: bytes, window_log: int = 0) -> bytes:
    """As encoders do that don't know the size when they write the header."""
    parameters = zstandard.ZstdCompressionParameters.from_level(3, window_log=window_log, write_content_size=False)
    compressor = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    return b"".join(compressor.compress(body[i:i + 5000]) for i in range(0, len(body), 5000)) + compressor.flush()


def zstd(body: bytes, level: int = 1) -> bytes:
    return zstandard.ZstdCompressor(level=level, write_checksum=True).compress(body)


ENCODED = {
    "gzip 1": ("gzip", gzip.compress(CAPTURE, 1)),
    "gzip 9": ("gzip", gzip.compress(CAPTURE, 9)),
    "gzip 0": ("gzip", gzip.compress(CAPTURE, 0)),
    "gzip members": ("gzip", gzip.compress(CAPTURE[:1000]) + gzip.compress(b"") + gzip.compress(CAPTURE[1000:])),
    "deflate": ("deflate", zlib.compress(CAPTURE)),
    "deflate, small window": ("deflate", (small := zlib.compressobj(6, wbits=9)).compress(CAPTURE) + small.flush()),
    "zstd 1": ("zstd", zstd(CAPTURE)),
    "zstd 19": ("zstd", zstd(CAPTURE, 19)),
    "zstd without its size": ("zstd", streamed(CAPTURE)),
    "zstd, window of 128 MiB": ("zstd", streamed(CAPTURE, window_log=27)),
    "zstd frames": ("zstd", zstd(CAPTURE[:1000]) + zstd(b"") + streamed(CAPTURE[1000:])),
}


@pytest.mark.parametrize("name", ENCODED)
def test_what_others_compress_is_inflated(collector, tempo, name):
    encoding, body = ENCODED[name]
    assert ask(collector.tcp, "POST", "/v1/traces", body, PROTOBUF | {"Content-Encoding": encoding}).status == 200
    expected = Counter(otlp.spans_in(CAPTURE))
    collector.until_forwarded(expected.total())
    assert Counter(tempo.stored) == expected


@pytest.mark.parametrize("body", [
    b"\x28\xb5", b"no zstd at all", zstd(GOOD)[:-1], zstd(GOOD)[:20], zstd(GOOD)[:-4] + bytes(4), zstd(GOOD) + b"rubbish",
    zstd(GOOD[:-1]), gzip.compress(GOOD),
], ids=["two bytes", "text", "last byte missing", "truncated", "wrong checksum", "rubbish behind", "bad protobuf inside",
        "gzip"])
def test_broken_zstd_is_refused(collector, body):
    assert ask(collector.tcp, "POST", "/v1/traces", body, ZSTD).status == 400
    assert collector.count("accepted_spans_total") == 0


@pytest.mark.parametrize("bomb", [zstd(bytes(500 * MAX_BODY)), streamed(bytes(50 * MAX_BODY))], ids=["size", "no size"])
def test_a_zstd_bomb_is_too_large(collector, bomb):
    assert len(bomb) < MAX_BODY
    assert ask(collector.tcp, "POST", "/v1/traces", bomb, ZSTD).status == 413


@pytest.mark.parametrize("compression", ["gzip", "zstd"])
@pytest.mark.parametrize("padding", [b"\x00", b"noise"], ids=["zeros", "noise"])
def test_a_large_request_is_inflated_by_others(start_collector, tempo, compression, padding):
    collector = start_collector(options={"tempo.endpoint": tempo.endpoint, "tempo.compression": compression})
    size = 12 << 20
    value = bytes(size) if padding == b"\x00" else random.Random(1).randbytes(size)
    body = otlp.request(numbered_span(0, attributes=otlp.attributes(padding=value)))
    assert ask(collector.tcp, "POST", "/v1/traces", body, PROTOBUF).status == 200
    collector.until_forwarded(1)
    assert tempo.stored == otlp.spans_in(body)
    assert tempo.requests[0].headers["Content-Encoding"] == compression
