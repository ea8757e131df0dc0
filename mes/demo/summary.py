"""What a floor came to, as the MES has it: the counts of `mes demo --json`."""

import asyncio
from collections.abc import Mapping
from typing import Any, Final

from mes.db.session import Database
from mes.demo.office import Office
from mes.local import Local
from mes.queries.totals import Totals, totals

NUMBERED_WITHIN_S: Final = 20.0


async def summarize(
    local: Local, office: Office, site: str, prefix: str, fates: Mapping[str, int], racks: list[str], wall_s: float
) -> dict[str, Any]:
    """The summary of the floor whose orders begin with `prefix`. `fates` counts its stations' receipts."""
    journal_entries = await _journal_entries(office)
    database = Database(local.parts.database_url, site=site, pool_size=1)
    try:
        async with database.reading() as connection:
            found = await totals(connection, site, prefix)
    finally:
        await database.close()
    return {
        "racks_completed": await _completed(office, racks),
        "rack_serials": racks,
        **_counts(found),
        "messages_sent": sum(fates.values()),
        # What was said again after a crash, under its own name, is a duplicate of what was applied before.
        "messages_applied": fates.get("applied", 0) + fates.get("duplicate", 0),
        "messages_pending": fates.get("pending", 0),
        "messages_rejected": fates.get("rejected", 0),
        "journal_entries": journal_entries,
        "first_pass_yield": round(found.first_pass / found.completed, 4) if found.completed else None,
        "wall_s": round(wall_s, 3),
        "api_url": local.api_url,
    }


def _counts(found: Totals) -> dict[str, int]:
    return {
        "units": found.units,
        "units_completed": found.completed,
        "units_scrapped": found.scrapped,
        "installations": found.installations,
        "serials_installed": found.serials,
        "runs": found.runs,
        "measurements": found.measurements,
        "samples": found.samples,
        "nonconformances": found.nonconformances,
        "repairs": found.repairs,
    }


async def _completed(office: Office, racks: list[str]) -> int:
    states = [(await office.call("GET", f"/units/{serial}"))["state"] for serial in racks]
    return sum(state in ("completed", "packed", "shipped") for state in states)


async def _journal_entries(office: Office) -> int:
    """How many entries the journal has, when all of them have positions."""
    metrics = await office.metrics()
    for _ in range(int(NUMBERED_WITHIN_S / 0.1)):
        if not metrics["mes_journal_unnumbered"]:
            break
        await asyncio.sleep(0.1)
        metrics = await office.metrics()
    return int(metrics["mes_journal_entries"])
