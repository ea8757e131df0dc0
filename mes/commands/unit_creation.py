"""Creating an order's units: serials drawn or given, rows and journal entries copied in bulk."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import asyncpg
from sqlalchemy import select, text, update
from sqlalchemy.engine import Row
from sqlalchemy.ext.asyncio import AsyncConnection

from mes.commands.act import Act
from mes.db import tables
from mes.db.journal import Event, Head, Subject, compose, load_heads, new_id, save_heads, write
from mes.db.products import products
from mes.db.session import driver
from mes.db.units import progress_text
from mes.domain.identity import PatternExhausted
from mes.domain.identity import serials as serials_of
from mes.domain.product import Definition
from mes.domain.refusals import refuse
from mes.domain.unit import new_progress

SHOWN_SERIALS_MAX = 20
"""Most serials that a refusal names."""
_DRAWS_MAX = 10

_TAKEN = text(
    """
    SELECT value FROM identifier
    WHERE kind = 'serial' AND part = :part AND value = ANY(CAST(:serials AS text[])) AND upper_inf(during)
    """
)


async def create_units(connection: AsyncConnection, order: Row[Any], count: int, act: Act) -> list[str]:
    """Make `count` units of an order whose row is locked, and give their serials.

    Refuses `serials_missing`, `serials_exhausted`, `serial_taken`.
    """
    definition = (await products(connection, [order.product_id]))[order.product_id].definition
    if order.serials is not None:
        serials = list(order.serials)
        await _lock_part(connection, definition.part)
        _refuse_taken(await _taken(connection, definition.part, serials))
    else:
        serials = await _draw(connection, definition, count, act.when)
    await _copy(connection, order, definition, serials, act)
    orders = tables.work_order
    made = orders.c.units_made + len(serials)
    await connection.execute(update(orders).where(orders.c.id == order.id).values(units_made=made))
    return serials


async def _lock_part(connection: AsyncConnection, part: str) -> int:
    """The part's count of serials made; nobody else draws until this transaction ends."""
    table = tables.part
    found = select(table.c.serials_made).where(table.c.part == part).with_for_update()
    return int((await connection.execute(found)).scalar_one())


async def _taken(connection: AsyncConnection, part: str, serials: Sequence[str]) -> set[str]:
    return set((await connection.execute(_TAKEN, {"part": part, "serials": serials})).scalars())


def _refuse_taken(taken: set[str]) -> None:
    if taken:
        raise refuse("serial_taken", serials=sorted(taken)[:SHOWN_SERIALS_MAX], count=len(taken))


async def _draw(connection: AsyncConnection, definition: Definition, count: int, at: datetime) -> list[str]:
    """Free serials of the product's pattern; what someone already used by hand is passed over."""
    if definition.serial_pattern is None:
        raise refuse("serials_missing", part=definition.part)
    made = await _lock_part(connection, definition.part)
    year, week, _ = at.isocalendar()
    drawn: list[str] = []
    taken: set[str] = set()
    for _ in range(_DRAWS_MAX):
        wanted = count - len(drawn)
        try:
            fresh = serials_of(definition.serial_pattern, made + 1, wanted, year, week)
        except PatternExhausted as error:
            raise refuse("serials_exhausted", f"{error}.", part=definition.part) from error
        made += wanted
        taken = await _taken(connection, definition.part, fresh)
        drawn += [serial for serial in fresh if serial not in taken]
        if len(drawn) == count:
            break
    else:
        _refuse_taken(taken)
    table = tables.part
    await connection.execute(update(table).where(table.c.part == definition.part).values(serials_made=made))
    return drawn


async def _copy(
    connection: AsyncConnection, order: Row[Any], definition: Definition, serials: Sequence[str], act: Act
) -> None:
    """Copy units, their serials and their first journal entries."""
    units = [Subject("unit", new_id(), serial) for serial in serials]
    parent = Subject("work_order", order.id, order.number)
    heads = await load_heads(connection, [parent])
    heads.update({unit.id: Head(0, None) for unit in units})
    data = {"part": definition.part, "revision": definition.revision, "work_order": order.number, **act.dated}
    written = [
        compose(Event("mes.unit.created", [unit, parent], {"serial": unit.name, **data}), heads, act.site, act.at)
        for unit in units
    ]
    progress = new_progress(definition)
    copy = await driver(connection)
    try:
        await _copy_rows(copy, order, definition, units, heads, progress.state.value, progress_text(progress), act)
    except asyncpg.UniqueViolationError as error:
        raise refuse("serial_taken", detail=str(error.detail)) from error
    await write(connection, written, act.at)
    await save_heads(connection, {parent.id: parent.kind}, {parent.id: heads[parent.id]})


async def _copy_rows(
    copy: Any,
    order: Row[Any],
    definition: Definition,
    units: Sequence[Subject],
    heads: dict[str, Head],
    state: str,
    progress: str,
    act: Act,
) -> None:
    chained = ("journal_number", "journal_hash")
    await copy.copy_records_to_table(
        "unit",
        columns=(
            "id",
            "site",
            "part",
            "serial",
            "product_id",
            "work_order_id",
            "state",
            "progress",
            "created_at",
            *chained,
        ),
        records=[
            (
                *(unit.id, act.site, definition.part, unit.name, order.product_id, order.id, state, progress, act.when),
                *(heads[unit.id].number, bytes.fromhex(heads[unit.id].hash or "")),
            )
            for unit in units
        ],
    )
    await copy.copy_records_to_table(
        "identifier",
        columns=("id", "unit_id", "kind", "part", "value", "during"),
        records=[
            (new_id(), unit.id, "serial", definition.part, unit.name, asyncpg.Range(act.when, None)) for unit in units
        ],
    )
