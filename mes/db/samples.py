"""Telemetry: a stretch of one channel is one row, with its extremes beside it."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy.ext.asyncio import AsyncConnection

from mes.db.journal import new_id
from mes.db.session import driver


class Chunk(NamedTuple):
    """A stretch of one channel. `values` hold None for a gap; either `period_s` or `offsets_s` is set."""

    unit_id: str
    step: str
    station: str
    run: str | None
    channel: str
    start: datetime
    period_s: float | None
    offsets_s: tuple[float, ...] | None
    values: list[float | None]


_COLUMNS = (
    "id", "unit_id", "step", "station", "run", "channel", "start", "period_s", "offsets_s", "samples", "low", "high",
    "mean", "values",
)  # fmt: skip


async def store_chunks(connection: AsyncConnection, chunks: Sequence[Chunk]) -> None:
    """COPY chunks in."""
    if not chunks:
        return
    rows = []
    for one in chunks:
        known = [value for value in one.values if value is not None]
        extremes = (min(known), max(known), sum(known) / len(known)) if known else (None, None, None)
        rows.append((new_id(), *one[:8], len(one.values), *extremes, one.values))
    await (await driver(connection)).copy_records_to_table("sample_chunk", columns=_COLUMNS, records=rows)
