"""Memory of ingest with a full queue behind it: what waits stays at the broker, however much it is.

Ingest starts with all messages waiting and works through them; what is told is the most memory that each of its
processes ever held meanwhile.
"""

import asyncio
from typing import Any, Final

from tests.bench import floor
from tests.bench.ingest import WORKERS, port, receipts
from tests.bench.parts import conditions, running
from tests.bench.publisher import packets, publish

UNITS: Final = 39_300
UNITS_SHORT: Final = 60


async def run(*, short: bool = False) -> dict[str, Any]:
    """MiB of the process that reads, and of the largest of those that settle."""
    units = UNITS_SHORT if short else UNITS
    made = packets(floor.runs(units))
    async with running() as parts:
        await parts.floor(units)
        database_url = await parts.fresh_database()
        async with parts.process("ingest", database_url):
            pass  # from now on the broker keeps messages for it
        await asyncio.to_thread(publish, port(parts.broker.url), made)
        async with (
            receipts(parts.broker.url) as told,
            parts.process("ingest", database_url, MES_INGEST_WORKERS=str(WORKERS)) as ingest,
        ):
            empty = ingest.peaks_mib
            await told.all(len(made))
            reader, *settling = ingest.peaks_mib
        return {
            "messages": len(made),
            "message_bytes": len(made[0]),
            "reader_peak_mib": round(reader),
            "settling_peak_mib": round(max(settling)),
            "reader_idle_mib": round(empty[0]),
            "settling_idle_mib": round(max(empty[1:])),
            "workers": WORKERS,
            "applied": told.fates.get("applied", 0),
            **await conditions(parts),
        }
