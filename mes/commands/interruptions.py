"""Runs whose end never comes: decided when it is overdue, and refuted by whatever is told of the run later."""

from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy.ext.asyncio import AsyncConnection

from mes.commands.decisions import Decision, decide
from mes.commands.folding import Folding
from mes.commands.judging import judged_run, told_of
from mes.commands.recordings import gap_reasons, read_run
from mes.db import recordings as store
from mes.db.journal import new_id
from mes.db.recordings import Recording, Silent
from mes.db.runs import RunRecord, store_runs
from mes.db.session import Database
from mes.db.stations import stations_named
from mes.db.units import LockedUnit
from mes.domain.facts import RunInterrupted, Station, entry
from mes.formats.messages import ForeignRunReported, RunOfLines, UnitRef


class Patience(NamedTuple):
    """How long the end of a run is waited for: while its station is offline, and at all; seconds of silence."""

    offline_s: float
    silent_s: float


async def interrupt_overdue(database: Database, patience: Patience, at: datetime) -> int:
    """Decide that runs are interrupted whose end is overdue; how many there were. Call it now and then."""
    offline_before = at - timedelta(seconds=patience.offline_s)
    silent_before = at - timedelta(seconds=patience.silent_s)
    async with database.reading() as connection:
        found = await store.silent(connection, offline_before, silent_before)
    done = 0
    for one in found:
        async with database.transaction() as connection:
            done += await _interrupt(connection, database.site, one, at)
    return done


async def _interrupt(connection: AsyncConnection, site: str, overdue: Silent, at: datetime) -> bool:
    """Interrupt one run, unless lines of it came in the meantime."""
    row = await store.lock_open(connection, overdue.id, overdue.heard_at)
    if row is None:
        return False
    folding = Folding(connection, at)
    await folding.lock([row.name.unit_id])
    unit = folding.units[row.name.unit_id]
    record, run = await _as_it_stands(connection, row, unit)
    known = await stations_named(connection, [row.name.station])
    station = known.get(row.name.station, Station(row.name.station, ""))
    what = RunInterrupted(row.name.unit_id, row.name.step, station, row.name.run, row.id, row.lines)
    told = {"because": overdue.because, "lines": row.lines, **told_of(record, run)}
    if overdue.broken_off:
        told["broken_off"] = overdue.broken_off
    decision = entry(at, f"mes/{site}", new_id(), what)
    deviations = tuple(await gap_reasons(connection, row.id))
    await decide(folding, site, [Decision(decision, (unit.subject,), told, deviations)])
    await store_runs(connection, [record])
    row.interrupted_at = at
    await store.save_recording(connection, row)
    return True


async def _as_it_stands(
    connection: AsyncConnection, row: Recording, unit: LockedUnit
) -> tuple[RunRecord, ForeignRunReported]:
    """The run as far as it was told: its values are kept, not judged."""
    about = RunOfLines(UnitRef(unit.serial, unit.part), row.name.step, row.name.run, row.purpose)  # type: ignore[arg-type]
    run = await read_run(connection, row, about)
    record = judged_run(row.id, unit.id, unit.product, row.name.station, run, None, row.heard_at)
    return record._replace(operator=row.operator, fixture=row.fixture), run
