"""Ingest as those who run it see it: numbers for Prometheus, and a span per batch where a receiver of spans is set."""

from collections.abc import Iterable
from datetime import UTC, datetime
from itertools import islice
from typing import Final

from mes.domain.trace import Attribute, Link, station_link
from mes.metrics import Metrics
from mes.mqtt.consumer import BatchDone
from mes.tracing import OwnSpans

LINKS_MAX: Final = 32
"""Most stations' trace contexts that the span of one batch links to."""
SECONDS: Final = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 3600, 86400)
"""Bounds of lags: from a batch's own time to a day offline."""
SIZES: Final = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)


class BatchWatch:
    """Takes note of each batch. Costs a few microseconds a message, and a span only where spans are sent."""

    def __init__(self, metrics: Metrics, spans: OwnSpans | None) -> None:
        self._spans = spans
        self._messages = metrics.counter("mes_ingest_messages_total", "Messages settled, by fate.")
        self._failed = metrics.counter("mes_ingest_batches_failed_total", "Batches that failed and came again.")
        self._failed.add(0)
        self._waiting = metrics.gauge("mes_ingest_waiting", "Messages that arrived and were not taken yet.", 0)
        self._sizes = metrics.histogram("mes_ingest_batch_messages", "Messages of a batch.", SIZES)
        self._lags = metrics.histogram("mes_ingest_lag_seconds", "From a message's own time to its fate.", SECONDS)
        self._stages = metrics.counter("mes_ingest_stage_seconds_total", "Time spent, by stage of a batch.")

    def __call__(self, batch: BatchDone) -> None:
        """A batch came to its end."""
        ended_at = datetime.now(UTC)
        self._count(batch, ended_at)
        if self._spans:
            self._tell(self._spans, batch, ended_at)

    def _count(self, batch: BatchDone, ended_at: datetime) -> None:
        self._waiting.set(batch.waiting)
        done = batch.done
        if done is None:
            self._failed.add()
            return
        for fate, count in done.fates.items():
            self._messages.add(count, fate=fate)
        self._sizes.observe([sum(done.fates.values())])
        self._lags.observe(_lags(done.times_s, ended_at))
        for stage, seconds in (("read", done.read_s), ("settle", done.settle_s), ("tell", batch.tell_s)):
            self._stages.add(seconds, stage=stage)

    def _tell(self, spans: OwnSpans, batch: BatchDone, ended_at: datetime) -> None:
        attributes: dict[str, Attribute] = {
            "messaging.system": "mqtt",
            "messaging.operation.type": "process",
            "messaging.batch.message_count": batch.deliveries,
            "mes.waiting": batch.waiting,
            "mes.tell_ms": round(batch.tell_s * 1000, 3),
        }
        done = batch.done
        if done:
            attributes |= {"mes.read_ms": round(done.read_s * 1000, 3), "mes.settle_ms": round(done.settle_s * 1000, 3)}
            attributes |= {f"mes.fate.{fate}": count for fate, count in done.fates.items()}
        links = station_links(done.traceparents if done else ())
        spans.tell("ingest batch", batch.at, ended_at, attributes, links, failed=done is None)


def station_links(traceparents: Iterable[str]) -> list[Link]:
    """The trace contexts that stations sent, once each and the first few of them."""
    return list(islice(dict.fromkeys(link for one in traceparents if (link := station_link(one))), LINKS_MAX))


def _lags(times_s: Iterable[float], at: datetime) -> list[float]:
    """Seconds since each message's own time; 0 for a clock that is ahead."""
    now_s = at.timestamp()
    return [max(now_s - one, 0.0) for one in times_s]
