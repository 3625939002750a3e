"""Metrics of the server for Prometheus: questions, times, rows and bytes read, the queue, the process."""

from __future__ import annotations

from collections.abc import Iterator

from fastapi import APIRouter, Request
from fastapi.responses import Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from sharedllm_docs.model.completion import Completion
from sharedllm_docs.retrieval.answer import Answer
from sharedllm_docs.serving.desk import Desk

SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2, 4, 8, 16, 32, 64, 128)
router = APIRouter(tags=["server"])


class Metrics:
    """Counts of one server, in a registry of its own.

    Args:
        desk: what is watched.

    Attributes:
        registry: gives all of it.
    """

    def __init__(self, desk: Desk) -> None:
        self.registry = CollectorRegistry()
        registry, labels = self.registry, ["index"]

        def counter(name: str, text: str) -> Counter:
            return Counter(f"sharedllm_docs_{name}", text, labels, registry=registry)

        def times(name: str, text: str) -> Histogram:
            return Histogram(f"sharedllm_docs_{name}_seconds", text, labels, registry=registry, buckets=SECONDS)

        self._questions = Counter(
            "sharedllm_docs_questions", "Questions answered.", ["index", "outcome"], registry=registry
        )
        self._first = times("first_token", "Until the first token.")
        self._whole = times("answer", "Until the answer.")
        self._rows = counter("rows_read", "Stored rows injected, per layer.")
        self._bytes = counter("bytes_read", "Bytes read from indexes.")
        self._tokens = counter("tokens_written", "Tokens of answers.")
        self._missed = counter("cache_misses", "Chunks that were not in the index yet and were encoded to answer.")
        self._hits = counter("cache_hits", "Questions answered from stored rows alone.")
        self.registry.register(_State(desk))
        ProcessCollector(registry=self.registry)
        desk.observers.append(self.note)

    def note(self, index: str, result: Answer | Completion) -> None:
        """Count a result."""
        if isinstance(result, Completion):
            self._questions.labels(index, "completed").inc()
            self._first.labels(index).observe(result.first_token_seconds)
            self._whole.labels(index).observe(result.total_seconds)
            self._tokens.labels(index).inc(result.answer_tokens)
            return
        self._questions.labels(index, "answered" if result.found else "declined").inc()
        self._first.labels(index).observe(result.timings.first_token)
        self._whole.labels(index).observe(result.timings.total)
        self._rows.labels(index).inc(result.counts.rows)
        self._bytes.labels(index).inc(result.counts.bytes_read)
        self._tokens.labels(index).inc(result.counts.answer_tokens)
        self._missed.labels(index).inc(result.counts.chunks_encoded)
        if result.counts.rows and not result.counts.chunks_encoded:
            self._hits.labels(index).inc()


class _State(Collector):
    """What the desk counts itself, read when it is asked for."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def collect(self) -> Iterator[CounterMetricFamily | GaugeMetricFamily]:
        """The line, and what became of its questions."""
        tally = self._desk.tally
        yield GaugeMetricFamily("sharedllm_docs_queue_waiting", "Questions that wait.", self._desk.waiting)
        yield GaugeMetricFamily("sharedllm_docs_running", "Questions decoded together now.", self._desk.running)
        for name, help_text, value in (
            ("asked", "Questions taken.", tally.asked),
            ("failed", "Questions that ended in an error.", tally.failed),
            ("cancelled", "Questions given up: nobody waited any more, or not for so long.", tally.cancelled),
            ("refused", "Questions that found no room in the line.", tally.refused),
            ("steps", "Steps of the models.", tally.steps),
            ("step_tokens", "Tokens drawn in these steps.", tally.stepped),
        ):
            yield CounterMetricFamily(f"sharedllm_docs_{name}", help_text, value)


@router.get("/metrics", response_model=None)
def metrics(request: Request) -> Response:
    """All numbers in Prometheus' text format."""
    return Response(generate_latest(request.app.state.metrics.registry), media_type=CONTENT_TYPE_LATEST)
