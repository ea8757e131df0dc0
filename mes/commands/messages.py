"""What people do with messages that were not applied: try again, or dismiss."""

from typing import Any

from sqlalchemy import func, literal, select, update
from sqlalchemy.engine import Row
from sqlalchemy.ext.asyncio import AsyncConnection

from mes.commands.act import Act, number_of
from mes.db import tables
from mes.db.inbox import DISMISSED, PENDING, REJECTED
from mes.db.journal import Event, append
from mes.domain.refusals import refuse

_RETRY = "retry:"
"""A thing to wait for that is always there."""


async def ask_retry(connection: AsyncConnection, key: str) -> None:
    """Have a pending message tried again whatever it waits for. Refuses `unknown_message`, `move_not_allowed`."""
    row = await _locked(connection, key)
    if row.fate != PENDING:
        raise refuse("move_not_allowed", f"Only a pending message can be tried again; this one is {row.fate}.")
    table = tables.message
    waits = func.array_append(func.array_remove(table.c.waits_for, _RETRY), literal(_RETRY))
    await connection.execute(update(table).where(table.c.key == key).values(waits_for=waits))


async def dismiss(connection: AsyncConnection, key: str, why: str | None, act: Act) -> None:
    """Decide that a message will never be applied. Refuses `unknown_message`, `move_not_allowed`."""
    row = await _locked(connection, key)
    if row.fate not in (PENDING, REJECTED):
        raise refuse("move_not_allowed", f"A message that is {row.fate} can't be dismissed.", fate=row.fate)
    table = tables.message
    values = {"fate": DISMISSED, "settled_at": act.at, "settled_by": act.by}
    await connection.execute(update(table).where(table.c.key == key).values(**values))
    if row.source is not None and row.fate == PENDING:
        gate = tables.inbox
        same = (gate.c.source == row.source) & (gate.c.id == row.id)
        await connection.execute(update(gate).where(same).values(fate=DISMISSED))
    data = {
        "station": row.station,
        "message": row.id,
        "sha256": row.sha256,
        "was": row.fate,
        "by": await number_of(connection, act.by),
    }
    if why:
        data["reason"] = why
    event = Event("mes.message.dismissed", (), data, name=f"{row.station}/{row.id or row.sha256}")
    await append(connection, [event], site=act.site, at=act.at)


async def _locked(connection: AsyncConnection, key: str) -> Row[*tuple[Any, ...]]:
    table = tables.message
    found = select(table.c.fate, table.c.station, table.c.source, table.c.id, table.c.sha256)
    row = (await connection.execute(found.where(table.c.key == key).with_for_update())).one_or_none()
    if row is None:
        raise refuse("unknown_message", key=key)
    return row
