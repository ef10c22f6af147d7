"""A metrics page, parsed by Prometheus' own Python parser (which un-escapes labels)."""

from collections.abc import Mapping

from prometheus_client.parser import text_string_to_metric_families

Labels = frozenset  # of (name, value) pairs


class MetricsPage:
    def __init__(self, text: str):
        self.text = text
        self.samples: dict[str, dict[Labels, float]] = {}
        self.families = {family.name: family for family in text_string_to_metric_families(text)}
        for family in self.families.values():
            for sample in family.samples:
                labels = frozenset(sample.labels.items())
                series = self.samples.setdefault(sample.name, {})
                assert labels not in series, f"sample {sample.name}{sample.labels} is there twice"
                assert sample.timestamp is None, f"sample {sample.name}{sample.labels} has a timestamp"
                series[labels] = sample.value

    def has(self, name: str) -> bool:
        return name in self.samples

    def names(self, prefix: str) -> set[str]:
        return {name for name in self.samples if name.startswith(prefix)}

    def by(self, name: str, *labels: str) -> dict:
        """Sample values of a name by the values of these labels (one: the plain value, several: a tuple).

        The samples must have these labels and no others.
        """
        result = {}
        for sample_labels, value in self.samples.get(name, {}).items():
            found = dict(sample_labels)
            assert set(found) == set(labels), f"labels of {name}: expected {labels}, got {sorted(found)}"
            key = tuple(found[label] for label in labels)
            result[key[0] if len(key) == 1 else key] = value
        return result

    def sum(self, name: str, labels: Mapping[str, str] = {}) -> float:
        """Sum of the samples that have these labels; 0 where there is none (a counter nobody has counted yet)."""
        return sum(
            value for found, value in self.samples.get(name, {}).items() if set(labels.items()) <= set(found)
        )

    def value(self, name: str, labels: Mapping[str, str] = {}) -> float:
        """The one sample of this name with exactly these labels."""
        series = self.samples.get(name, {})
        key = frozenset(labels.items())
        assert key in series, f"expected a sample {name}{dict(labels)}, there are {[dict(k) for k in series]}"
        return series[key]


def assert_balanced(page: MetricsPage, with_spool: bool = True) -> None:
    """The two sums that hold on every page: no span is unaccounted for."""
    count = {
        name: page.sum(f"asynq_collector_{name}")
        for name in ("received_spans_total", "accepted_spans_total", "refused_spans_total", "spool_recovered_spans",
                     "forwarded_spans_total", "dropped_spans_total", "spool_spans")
    }
    assert count["received_spans_total"] == count["accepted_spans_total"] + count["refused_spans_total"], (
        f"expected received = accepted + refused, got {count}")
    if with_spool:
        assert count["spool_recovered_spans"] + count["accepted_spans_total"] == (
            count["forwarded_spans_total"] + count["dropped_spans_total"] + count["spool_spans"]), (
            f"expected recovered + accepted = forwarded + dropped + in the spool, got {count}")


def assert_histograms_agree(page: MetricsPage, name: str) -> None:
    """Buckets never fall from one bound to the next, and +Inf equals _count."""
    buckets: dict[Labels, list[tuple[float, float]]] = {}
    for labels, value in page.samples.get(f"{name}_bucket", {}).items():
        rest = frozenset(pair for pair in labels if pair[0] != "le")
        buckets.setdefault(rest, []).append((float(dict(labels)["le"]), value))
    counts = page.samples.get(f"{name}_count", {})
    assert set(buckets) == set(counts), f"{name}: expected buckets for each _count, got {set(buckets) ^ set(counts)}"
    for labels, series in buckets.items():
        series.sort()
        values = [value for _, value in series]
        assert values == sorted(values), f"{name}{dict(labels)}: buckets fall: {series}"
        assert series[-1] == (float("inf"), counts[labels]), f"{name}{dict(labels)}: {series[-1]}, count {counts[labels]}"
