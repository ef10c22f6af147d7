"""What the real OpenTelemetry Go SDK sent for a real Asynq producer and worker (Tests/Fixtures/otlp-go-sdk)."""

import json
from collections import Counter, defaultdict
from functools import cached_property

from support.programs import FIXTURES

FOLDER = FIXTURES / "otlp-go-sdk"


class GoCapture:
    """The request bodies in the order they were sent, and the expected numbers by (queue, task type)."""

    @cached_property
    def bodies(self) -> list[bytes]:
        return [path.read_bytes() for path in sorted(FOLDER.glob("*.pb"))]

    @cached_property
    def _expected(self) -> dict:
        return json.loads((FOLDER / "expected.json").read_text(encoding="utf-8"))

    @property
    def span_count(self) -> int:
        return self._expected["spans"]

    @property
    def process_spans(self) -> list[dict]:
        return self._expected["process_spans"]

    def attempts(self) -> dict[tuple[str, str, str, str], float]:
        """By queue, task type, status, attempt."""
        return {(a["queue"], a["task_type"], a["status"], a["attempt"]): a["count"] for a in self._expected["attempts"]}

    def waits(self) -> dict[tuple[str, str], list[float]]:
        seconds = defaultdict(list)
        for span in self.process_spans:
            if span["wait_seconds"] is not None:
                seconds[span["queue"], span["task_type"]].append(span["wait_seconds"])
        return dict(seconds)

    def processing(self) -> dict[tuple[str, str, str], list[float]]:
        """By queue, task type, status."""
        seconds = defaultdict(list)
        for span in self.process_spans:
            seconds[span["queue"], span["task_type"], span["status"]].append(span["processing_seconds"])
        return dict(seconds)

    def unknown_waits(self) -> dict[tuple[str, str], float]:
        """By queue and reason. First attempts here without a wait are roots without links."""
        return dict(Counter(
            (span["queue"], "retry" if span["retried"] else "no_source")
            for span in self.process_spans if span["wait_seconds"] is None))
