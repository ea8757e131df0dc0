"""What people add to a nonconformance: what was found, what was done about it, what becomes of the unit."""

from typing import Any

from sqlalchemy import select, text, update
from sqlalchemy.engine import Row
from sqlalchemy.ext.asyncio import AsyncConnection

from mes.commands.act import Act, number_of
from mes.db import tables
from mes.db.journal import Event, Subject, append
from mes.domain import nonconformance
from mes.domain.refusals import refuse

_DIAGNOSED_BY = text(
    """
    SELECT CAST(j.body::json #>> '{data,by}' AS integer) FROM journal_subject s JOIN journal j ON j.id = s.entry_id
    WHERE s.subject_id = :id AND j.type = 'mes.nonconformance.diagnosed'
    """
)


async def diagnose(connection: AsyncConnection, nonconformance_id: str, found: str, act: Act) -> None:
    """Say what was found. Refuses `unknown_nonconformance`, `not_nonconforming`."""
    await _say(connection, nonconformance_id, "diagnose", ("diagnosis", "diagnosed"), found, act)


async def repair(connection: AsyncConnection, nonconformance_id: str, done: str, act: Act) -> None:
    """Say what was done about it. Refuses `unknown_nonconformance`, `not_nonconforming`."""
    await _say(connection, nonconformance_id, "repair", ("repair", "repaired"), done, act)


async def may_be_disposed(
    connection: AsyncConnection, nonconformance_id: str, ruling: str, act: Act
) -> Row[*tuple[Any, ...]]:
    """The nonconformance, locked, if it may be disposed of so by this person.

    Refuses `unknown_nonconformance`, `not_nonconforming`, and `second_person_needed` for a use as is that is not
    signed by someone other than who diagnosed it.
    """
    row = await _locked(connection, nonconformance_id)
    nonconformance.move(row.state, "dispose")
    if ruling == nonconformance.USE_AS_IS:
        diagnosed_by = set((await connection.execute(_DIAGNOSED_BY, {"id": row.id})).scalars())
        if not diagnosed_by:
            raise refuse("second_person_needed", "Use as is needs a diagnosis first, by someone else than who signs.")
        if await number_of(connection, act.by) in diagnosed_by:
            raise refuse("second_person_needed", decided_by=act.by)
    return row


async def _say(
    connection: AsyncConnection, nonconformance_id: str, verb: str, words: tuple[str, str], told: str, act: Act
) -> None:
    row = await _locked(connection, nonconformance_id)
    state = nonconformance.move(row.state, verb)
    column, past = words
    table = tables.nonconformance
    await connection.execute(
        update(table).where(table.c.id == row.id).values({"state": state.value, table.c[column]: told})
    )
    data = {column: told, "step": row.step, "by": await number_of(connection, act.by)}
    subjects = [Subject("unit", row.unit_id, row.serial), Subject("nonconformance", row.id, row.serial)]
    await append(connection, [Event(f"mes.nonconformance.{past}", subjects, data)], site=act.site, at=act.at)


async def _locked(connection: AsyncConnection, nonconformance_id: str) -> Row[*tuple[Any, ...]]:
    table, unit = tables.nonconformance, tables.unit
    found = (
        select(table.c.id, table.c.unit_id, table.c.step, table.c.state, unit.c.serial)
        .join(unit, unit.c.id == table.c.unit_id)
        .where(table.c.id == nonconformance_id)
        .with_for_update()
    )
    row = (await connection.execute(found)).one_or_none()
    if row is None:
        raise refuse("unknown_nonconformance", nonconformance=nonconformance_id)
    return row
