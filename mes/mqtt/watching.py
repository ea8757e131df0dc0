"""Ingest as those who run it see it: numbers for Prometheus, and a span per batch where a receiver of spans is set."""

from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Final

from mes.domain.trace import Attribute, Link, station_link
from mes.formats.messages import Arrived, Message
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

    def __call__(self, done: BatchDone) -> None:
        """A batch came to its end."""
        ended_at = datetime.now(UTC)
        fates: Counter[str] = Counter(one.fate for one in done.settled or ())
        self._count(done, fates, ended_at)
        if self._spans:
            self._tell(self._spans, done, fates, ended_at)

    def _count(self, done: BatchDone, fates: Counter[str], ended_at: datetime) -> None:
        self._waiting.set(done.waiting)
        if done.settled is None:
            self._failed.add()
            return
        for fate, count in fates.items():
            self._messages.add(count, fate=fate)
        self._sizes.observe([len(done.arrived)])
        self._lags.observe(_lags(done.arrived, ended_at))
        for stage, seconds in (("read", done.read_s), ("settle", done.settle_s), ("tell", done.tell_s)):
            self._stages.add(seconds, stage=stage)

    def _tell(self, spans: OwnSpans, done: BatchDone, fates: Counter[str], ended_at: datetime) -> None:
        attributes: dict[str, Attribute] = {
            "messaging.system": "mqtt",
            "messaging.operation.type": "process",
            "messaging.batch.message_count": len(done.arrived),
            "mes.waiting": done.waiting,
            "mes.read_ms": round(done.read_s * 1000, 3),
            "mes.settle_ms": round(done.settle_s * 1000, 3),
            "mes.tell_ms": round(done.tell_s * 1000, 3),
            **{f"mes.fate.{fate}": count for fate, count in fates.items()},
        }
        spans.tell(
            "ingest batch", done.at, ended_at, attributes, station_links(done.arrived), failed=done.settled is None
        )


def station_links(arrived: Iterable[Arrived]) -> list[Link]:
    """The trace contexts that stations sent, once each and the first few of them."""
    sent = (one.traceparent for one in arrived if isinstance(one, Message) and one.traceparent)
    return list(islice(dict.fromkeys(link for one in sent if (link := station_link(one))), LINKS_MAX))


def _lags(arrived: Iterable[Arrived], at: datetime) -> list[float]:
    """Seconds since each message's own time; 0 for a clock that is ahead."""
    second, told = timedelta(seconds=1), (one.time for one in arrived if isinstance(one, Message))
    return [max((at - time) / second, 0.0) for time in told]
