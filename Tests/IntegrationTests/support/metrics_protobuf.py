"""Prometheus' protobuf page, read by the field numbers of io.prometheus.client alone."""

import struct
from dataclasses import dataclass, field

from support import wire

CONTENT_TYPE = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited"
KINDS = {0: "counter", 1: "gauge", 4: "histogram"}


@dataclass
class NativeHistogram:
    schema: int
    zero_threshold: float
    zero_count: int
    buckets: dict[int, int]

    @property
    def count(self) -> int:
        return self.zero_count + sum(self.buckets.values())


@dataclass
class Series:
    labels: dict[str, str]
    value: float | None = None
    count: int = 0
    sum: float = 0
    # (upper bound, cumulative count, exemplar)
    buckets: list[tuple[float, int, dict | None]] = field(default_factory=list)
    native: NativeHistogram | None = None


@dataclass
class Family:
    name: str
    kind: str
    help: str
    unit: str
    series: list[Series]


def families(page: bytes) -> list[Family]:
    found = []
    while page:
        size, page = _varint(page)
        assert size <= len(page), "a family is longer than the page"
        found.append(_family(page[:size]))
        page = page[size:]
    return found


def samples(found: list[Family]) -> dict[str, dict[frozenset, float]]:
    """As the text formats would say it."""
    result: dict[str, dict[frozenset, float]] = {}

    def add(name: str, labels: dict, value: float) -> None:
        series = result.setdefault(name, {})
        key = frozenset(labels.items())
        assert key not in series, f"{name}{labels} is there twice"
        series[key] = value

    for family in found:
        for series in family.series:
            if family.kind != "histogram":
                add(family.name, series.labels, series.value)
                continue
            add(f"{family.name}_count", series.labels, series.count)
            add(f"{family.name}_sum", series.labels, series.sum)
            for bound, count, _ in series.buckets:
                add(f"{family.name}_bucket", series.labels | {"le": float(bound)}, count)
    return result


def _family(message: bytes) -> Family:
    parts = _grouped(message)
    kind = KINDS[parts[3][0]]
    value_field = {"counter": 3, "gauge": 2, "histogram": 7}[kind]
    family = Family(_text(parts, 1), kind, _text(parts, 2), _text(parts, 5), [])
    for metric in parts[4]:
        metric = _grouped(metric)
        series = Series(_labels(metric.get(1, [])))
        assert set(metric) <= {1, value_field}, f"{family.name}: unexpected fields {set(metric)}"
        value = _grouped(metric[value_field][0])
        if kind == "histogram":
            _read_histogram(value, series)
        else:
            series.value = _double(value[1][0])
        family.series.append(series)
    return family


def _read_histogram(parts: dict, series: Series) -> None:
    series.count, series.sum = parts[1][0], _double(parts[2][0])
    for bucket in map(_grouped, parts[3]):
        exemplar = None
        if 3 in bucket:
            ex = _grouped(bucket[3][0])
            time = _grouped(ex[3][0])
            exemplar = {"labels": _labels(ex[1]), "value": _double(ex[2][0]), "time": time[1][0] + time.get(2, [0])[0] / 1e9}
        series.buckets.append((_double(bucket[2][0]), bucket[1][0], exemplar))
    if 12 not in parts:
        return
    deltas = []
    for packed in parts.get(13, []):
        while packed:
            delta, packed = _varint(packed)
            deltas.append(_zigzag(delta))
    buckets, index, count = {}, 0, 0
    for span in map(_grouped, parts[12]):
        index += _zigzag(span[1][0])
        for _ in range(span[2][0]):
            count += deltas.pop(0)
            buckets[index] = count
            index += 1
    assert not deltas, "more deltas than spans"
    series.native = NativeHistogram(_zigzag(parts[5][0]), _double(parts[6][0]), parts[7][0], buckets)


def _labels(pairs: list[bytes]) -> dict[str, str]:
    return {_text(pair, 1): _text(pair, 2) for pair in map(_grouped, pairs)}


def _grouped(message: bytes) -> dict[int, list]:
    found: dict[int, list] = {}
    for number, value in wire.fields(message):
        found.setdefault(number, []).append(value)
    return found


def _text(parts: dict, number: int) -> str:
    return parts.get(number, [b""])[0].decode("utf-8")


def _double(bits) -> float:
    return struct.unpack("<d", bits if isinstance(bits, bytes) else struct.pack("<Q", bits))[0]


def _zigzag(value: int) -> int:
    return value >> 1 ^ -(value & 1)


def _varint(data: bytes) -> tuple[int, bytes]:
    value = 0
    for position, byte in enumerate(data):
        value |= (byte & 0x7F) << 7 * position
        if byte < 0x80:
            return value, data[position + 1:]
    raise AssertionError("a varint does not end")
