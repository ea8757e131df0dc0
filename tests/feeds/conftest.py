"""A receiver of spans, and the environment that names it."""

from collections.abc import Iterator

import pytest

from mes.metrics import Metrics
from mes.settings import open_telemetry
from mes.tracing import UnitSpans
from tests.feeds.receiver import Receiver, receiving


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    """A receiver that the standard variables name."""
    with receiving() as receiver:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.url)
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "5")
        open_telemetry.cache_clear()
        yield receiver
    open_telemetry.cache_clear()


@pytest.fixture
def unit_spans(receiver: Receiver) -> Iterator[UnitSpans]:
    """What sends to it."""
    spans = UnitSpans("main", Metrics())
    yield spans
    spans.close()
