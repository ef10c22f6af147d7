"""An OpenMetrics page, parsed by Prometheus' own Python parser, which holds it to the specification."""

from prometheus_client.openmetrics.parser import text_string_to_metric_families


class OpenMetricsPage:
    def __init__(self, text: str):
        self.text = text
        self.families = list(text_string_to_metric_families(text))
        self.samples: dict[str, dict[frozenset, float]] = {}
        self.exemplars = []  # (sample name, labels, exemplar)
        for family in self.families:
            for sample in family.samples:
                self.samples.setdefault(sample.name, {})[frozenset(sample.labels.items())] = sample.value
                if sample.exemplar:
                    self.exemplars.append((sample.name, sample.labels, sample.exemplar))
