"""A floor, a receiver of spans, and the environment that names it."""

from collections.abc import AsyncIterator, Iterator

import pytest

from mes.db.session import Database
from mes.metrics import Metrics
from mes.settings import open_telemetry
from mes.tracing import UnitSpans
from tests.feeds.receiver import Receiver, receiving
from tests.stage import Stage


@pytest.fixture
async def stage(database_url: str) -> AsyncIterator[Stage]:
    """A small floor on a database of its own."""
    database = Database(database_url)
    stage = Stage(database)
    await stage.set_up()
    yield stage
    await database.close()


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    """A receiver that the standard variables name."""
    with receiving() as receiver:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.url)
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "1")
        open_telemetry.cache_clear()
        yield receiver
    open_telemetry.cache_clear()


@pytest.fixture
def unit_spans(receiver: Receiver) -> Iterator[UnitSpans]:
    """What sends to it."""
    spans = UnitSpans("main", Metrics())
    yield spans
    spans.close()
