"""Holds: placed on a unit, lot, part, station or work order; nothing held may start, pack or ship."""

from datetime import timedelta
from typing import NamedTuple

from sqlalchemy import func, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from mes.commands.act import Act, number_of
from mes.db import tables
from mes.db.journal import Event, Subject, append, new_id
from mes.db.lookup import find_lots, find_unit
from mes.domain import hold
from mes.domain.refusals import refuse

_MICROSECOND = timedelta(microseconds=1)

_ONE_AT_A_TIME = text("SELECT pg_advisory_xact_lock(hashtextextended(:of, 0))")
_SAME = text(
    """
    SELECT id::text FROM hold
    WHERE site = :site AND scope = :scope AND key = :key AND reason = :reason AND placed_by = :by AND upper_inf(during)
    LIMIT 1
    """
)


class _Held(NamedTuple):
    """What a hold's key names: the key as stored, as people call it, and what of it has a journal of its own."""

    key: str
    shown: str
    subjects: tuple[Subject, ...] = ()


async def place(connection: AsyncConnection, scope: str, key: str, why: str, act: Act, part: str | None = None) -> str:
    """Place a hold and give its id. `part` settles an ambiguous serial or lot. Refuses what is not known."""
    held = await _resolve(connection, scope, key, part, act.site)
    hold_id = new_id()
    await connection.execute(
        tables.hold.insert().values(
            id=hold_id,
            site=act.site,
            scope=scope,
            key=held.key,
            shown_key=held.shown,
            reason=why,
            during=func.tstzrange(act.when, None),
            placed_by=act.by,
        )
    )
    by = await number_of(connection, act.by)
    data = {"hold": hold_id, "scope": scope, "key": held.shown, "reason": why, "by": by, **act.dated}
    event = Event("mes.hold.placed", [Subject("hold", hold_id, held.shown), *held.subjects], data)
    await append(connection, [event], site=act.site, at=act.at)
    return hold_id


async def place_once(
    connection: AsyncConnection, scope: str, key: str, why: str, act: Act, part: str | None = None
) -> str:
    """As `place`; what the same person said before, for the same reason, is the hold that is in force since then."""
    held = await _resolve(connection, scope, key, part, act.site)
    asked = {"site": act.site, "scope": scope, "key": held.key, "reason": why, "by": act.by}
    await connection.execute(_ONE_AT_A_TIME, {"of": f"hold {act.site} {scope} {held.key}"})
    same = (await connection.execute(_SAME, asked)).scalar_one_or_none()
    return same or await place(connection, scope, key, why, act, part)


async def release(connection: AsyncConnection, hold_id: str, act: Act) -> None:
    """Release a hold. Refuses `unknown_hold`, and `move_not_allowed` when it was released before."""
    table = tables.hold
    found = select(
        table.c.scope, table.c.key, table.c.shown_key, func.lower(table.c.during).label("since"), table.c.released_by
    )
    row = (await connection.execute(found.where(table.c.id == hold_id).with_for_update())).one_or_none()
    if row is None:
        raise refuse("unknown_hold", hold=hold_id)
    if row.released_by is not None:
        raise refuse("move_not_allowed", "The hold was released before.", state=hold.State.RELEASED.value)
    until = max(act.when, row.since + _MICROSECOND)
    ended = update(table).where(table.c.id == hold_id)
    await connection.execute(ended.values(during=func.tstzrange(row.since, until), released_by=act.by))
    subjects = [Subject("hold", hold_id, row.shown_key)]
    subjects += await _journaled(connection, row.scope, row.key, row.shown_key, act.site)
    data = {"hold": hold_id, "scope": row.scope, "key": row.shown_key, "by": await number_of(connection, act.by)}
    data |= act.dated
    await append(connection, [Event("mes.hold.released", subjects, data)], site=act.site, at=act.at)


async def _resolve(connection: AsyncConnection, scope: str, key: str, part: str | None, site: str) -> _Held:
    if scope == hold.UNIT:
        unit = await find_unit(connection, key, part)
        return _Held(unit.id, unit.serial, (Subject("unit", unit.id, unit.serial),))
    if scope == hold.LOT:
        lots = await find_lots(connection, key, part)
        if len(lots) > 1:
            candidates = [{"part": one.part, "maker": one.maker, "lot": one.lot} for one in lots]
            raise refuse("ambiguous_serial", "Several lots have this number; name the part.", candidates=candidates)
        return _Held(lots[0].id, lots[0].lot, (Subject("lot", lots[0].id, lots[0].lot),))
    if not await _is_known(connection, scope, key, site):
        code = {hold.PART: "unknown_part", hold.STATION: "unknown_station", hold.WORK_ORDER: "unknown_order"}[scope]
        raise refuse(code, key=key)
    return _Held(key, key, tuple(await _journaled(connection, scope, key, key, site)))


async def _is_known(connection: AsyncConnection, scope: str, key: str, site: str) -> bool:
    question = {
        hold.PART: "SELECT FROM part WHERE part = :key",
        hold.STATION: "SELECT FROM station WHERE site = :site AND name = :key",
        hold.WORK_ORDER: "SELECT FROM work_order WHERE site = :site AND number = :key",
    }[scope]
    exists = text(f"SELECT EXISTS ({question})").bindparams(key=key)
    if ":site" in question:
        exists = exists.bindparams(site=site)
    return bool((await connection.execute(exists)).scalar_one())


async def _journaled(connection: AsyncConnection, scope: str, key: str, shown: str, site: str) -> list[Subject]:
    """What a stored key names, if that has a journal of its own."""
    if scope in (hold.UNIT, hold.LOT):
        return [Subject(scope, key, shown)]
    if scope != hold.WORK_ORDER:
        return []
    table = tables.work_order
    found = select(table.c.id).where(table.c.site == site, table.c.number == key)
    return [Subject("work_order", one, shown) for one in (await connection.execute(found)).scalars()]
