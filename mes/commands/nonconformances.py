"""What people add to a nonconformance: what was found, what was done about it, what becomes of the unit."""

from typing import Any

from sqlalchemy import case, select, text, update
from sqlalchemy.engine import Row
from sqlalchemy.ext.asyncio import AsyncConnection

from mes.commands.act import Act, number_of
from mes.commands.decisions import Decision, decide
from mes.commands.folding import Folding
from mes.db import tables
from mes.db.journal import Event, Subject, append, new_id
from mes.domain import nonconformance
from mes.domain.facts import Disposed, entry
from mes.domain.refusals import refuse
from mes.domain.unit import State

SOURCE = "rest/nonconformances"

_DIAGNOSED_BY = text(
    """
    SELECT CAST(j.body::json #>> '{data,by}' AS integer) FROM journal_subject s JOIN journal j ON j.id = s.entry_id
    WHERE s.subject_id = :id AND j.type = 'mes.nonconformance.diagnosed'
    """
)


async def diagnose(
    connection: AsyncConnection, nonconformance_id: str, found: str, act: Act, seen: int | None = None
) -> None:
    """Say what was found. Refuses `unknown_nonconformance`, `not_nonconforming`.

    `seen`, here and below: the number of its journal entries when it was looked at. Refuses `version_mismatch` where
    there are more by now: somebody else went on with it, or the same was sent twice.
    """
    await _say(connection, nonconformance_id, "diagnose", ("diagnosis", "diagnosed"), found, act, seen)


async def repair(
    connection: AsyncConnection, nonconformance_id: str, done: str, act: Act, seen: int | None = None
) -> None:
    """Say what was done about it. Refuses `unknown_nonconformance`, `not_nonconforming`, `version_mismatch`."""
    await _say(connection, nonconformance_id, "repair", ("repair", "repaired"), done, act, seen)


async def dispose(
    connection: AsyncConnection,
    nonconformance_id: str,
    ruling: str,
    why: str | None,
    act: Act,
    seen: int | None = None,
) -> None:
    """Decide what becomes of the unit: rework, scrap, use_as_is.

    Refuses `unknown_nonconformance`, `not_nonconforming`, `version_mismatch`, and `second_person_needed` for a use as
    is that is not signed by someone other than who diagnosed it.
    """
    row = await _locked(connection, nonconformance_id, seen)
    state = nonconformance.move(row.state, "dispose")
    by = await number_of(connection, act.by)
    if ruling == nonconformance.USE_AS_IS:
        await _check_second_person(connection, row.id, by, act.by)
    folding = Folding(connection, act.when)
    await folding.lock([row.unit_id])
    unit = folding.units[row.unit_id].subject
    what = Disposed(row.unit_id, row.id.replace("-", ""), ruling)
    data = {"ruling": ruling, "step": row.step, "by": by, **({"reason": why} if why else {})}
    subjects = (unit, Subject("nonconformance", row.id, row.serial))
    await decide(folding, act.site, [Decision(entry(act.when, SOURCE, new_id(), what), subjects, data)], act.at)
    table = tables.nonconformance
    still_open = case((table.c.state == nonconformance.State.CLOSED.value, table.c.state), else_=state.value)
    await connection.execute(update(table).where(table.c.id == row.id).values(ruling=ruling, state=still_open))
    if ruling == nonconformance.SCRAP and folding.units[row.unit_id].progress.state is State.SCRAPPED:
        scrapped = Event("mes.unit.scrapped", [unit], {"nonconformance": row.id, "by": by, **act.dated})
        await append(connection, [scrapped], site=act.site, at=act.at)


async def _check_second_person(connection: AsyncConnection, nonconformance_id: str, by: int, name: str) -> None:
    diagnosed_by = set((await connection.execute(_DIAGNOSED_BY, {"id": nonconformance_id})).scalars())
    if not diagnosed_by:
        raise refuse("second_person_needed", "Use as is needs a diagnosis first, by someone else than who signs.")
    if by in diagnosed_by:
        raise refuse("second_person_needed", decided_by=name)


async def _say(
    connection: AsyncConnection,
    nonconformance_id: str,
    verb: str,
    words: tuple[str, str],
    told: str,
    act: Act,
    seen: int | None,
) -> None:
    row = await _locked(connection, nonconformance_id, seen)
    state = nonconformance.move(row.state, verb)
    column, past = words
    table = tables.nonconformance
    await connection.execute(
        update(table).where(table.c.id == row.id).values({"state": state.value, table.c[column]: told})
    )
    data = {column: told, "step": row.step, "by": await number_of(connection, act.by), **act.dated}
    subjects = [Subject("unit", row.unit_id, row.serial), Subject("nonconformance", row.id, row.serial)]
    await append(connection, [Event(f"mes.nonconformance.{past}", subjects, data)], site=act.site, at=act.at)


async def _locked(connection: AsyncConnection, nonconformance_id: str, seen: int | None) -> Row[*tuple[Any, ...]]:
    """The nonconformance, locked after its unit: in the order in which a fold locks them."""
    table, unit = tables.nonconformance, tables.unit
    of_it = select(table.c.unit_id).where(table.c.id == nonconformance_id).scalar_subquery()
    await connection.execute(select(unit.c.id).where(unit.c.id == of_it).with_for_update())
    found = (
        select(table.c.id, table.c.unit_id, table.c.step, table.c.state, table.c.journal_number, unit.c.serial)
        .join(unit, unit.c.id == table.c.unit_id)
        .where(table.c.id == nonconformance_id)
        .with_for_update(of=table)
    )
    row = (await connection.execute(found)).one_or_none()
    if row is None:
        raise refuse("unknown_nonconformance", nonconformance=nonconformance_id)
    if seen is not None and seen != row.journal_number:
        raise refuse("version_mismatch", f"Somebody went on with it since: it is {row.state} now.", state=row.state)
    return row
