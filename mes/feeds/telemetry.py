"""Telemetry as it ages: hours that are over are merged, months that need not be kept any more are dropped."""

import asyncio
import logging
from datetime import UTC, datetime, timedelta
from typing import Final

from mes.db.excursions import forget_stays
from mes.db.partitions import drop_partitions
from mes.db.samples import merge_chunks, merging_alone
from mes.db.session import Database

log = logging.getLogger(__name__)

EVERY_S: Final = 60.0
"""How often it is looked for hours that are over."""
TABLE: Final = "sample_chunk"


async def run(database: Database, keep_days: int | None = None) -> None:
    """Merge and drop, for ever. `keep_days` None keeps telemetry for ever."""
    while True:
        try:
            await merge(database, datetime.now(UTC))
            await forget(database, datetime.now(UTC))
            if keep_days is not None:
                await drop(database, datetime.now(UTC) - timedelta(days=keep_days))
        except Exception as error:
            log.warning("telemetry could not be merged: %s", error)
        await asyncio.sleep(EVERY_S)


async def merge(database: Database, at: datetime) -> int:
    """Merge every hour that is over at a moment; returns how many rows became fewer."""
    merged = 0
    while True:
        async with database.transaction() as connection:
            rows = await merge_chunks(connection, at) if await merging_alone(connection) else 0
        if not rows:
            return merged
        merged += rows


async def forget(database: Database, at: datetime) -> None:
    """Forget short excursions beyond limits that nothing is joined with any more."""
    async with database.transaction() as connection:
        await forget_stays(connection, at)


async def drop(database: Database, before: datetime) -> list[str]:
    """Drop the months whose telemetry all arrived before a moment; those that somebody reads are left for next time."""
    async with database.transaction() as connection:
        dropped = await drop_partitions(connection, TABLE, before)
    if dropped.done:
        log.info("dropped telemetry that was kept long enough: %s", ", ".join(dropped.done))
    if dropped.put_off:
        log.warning("telemetry kept long enough is not dropped yet: %s", dropped.reasons)
    return dropped.done
