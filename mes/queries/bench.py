"""What a person at a bench works with: the unit there, what is in its positions, and what a scanned serial may mean."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

import msgspec
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from mes.db.holds import holds_on
from mes.db.products import products
from mes.domain.hold import Hold, concerning, in_force
from mes.domain.product import Definition
from mes.domain.progress import Progress
from mes.domain.scanning import Found, PartKnown, Place


@dataclass(frozen=True, slots=True)
class Content:
    """What is in a position: a serialized part, or some of a lot. `installed_by` is the source that said so."""

    position: str
    part: str
    serial: str | None
    lot: str | None
    maker: str
    quantity: Decimal | None
    installed_at: datetime
    installed_by: str


@dataclass(frozen=True, slots=True)
class UnitOnBench:
    """A unit with all that decides what may be done to it. `holds` are those that concern it, of any time."""

    id: str
    part: str
    serial: str
    state: str
    order: str | None
    order_ended_at: datetime | None
    definition: Definition | None
    progress: Progress
    holds: tuple[Hold, ...]
    contents: list[Content]
    parts: dict[str, PartKnown]


_UNIT = text(
    """
    SELECT u.id::text, u.part, u.serial, u.state, o.number, o.ended_at, u.product_id::text, u.progress
    FROM unit u LEFT JOIN work_order o ON o.id = u.work_order_id WHERE u.id = :id
    """
)
_CONTENTS = text(
    """
    SELECT i.position, i.part, u.serial, l.lot, i.maker, i.quantity, lower(i.during) AS installed_at,
           split_part(i.installed_key, ' ', 3) AS installed_by, i.lot_id || i.loaded AS lots
    FROM installation i LEFT JOIN unit u ON u.id = i.child_id LEFT JOIN lot l ON l.id = i.lot_id
    WHERE i.parent_id = :id AND i.superseded_at IS NULL AND upper_inf(i.during)
    ORDER BY lower(i.during), i.position
    """
)
_PARTS = text(
    """
    SELECT t.part, coalesce(p.name, ''), t.source, t.tracking, t.receipt_required
    FROM part t LEFT JOIN LATERAL (
        SELECT name FROM product WHERE product.part = t.part ORDER BY released_at DESC, id DESC LIMIT 1
    ) AS p ON true
    WHERE t.part = ANY(CAST(:parts AS text[]))
    """
)
_FOUND = text(
    """
    SELECT DISTINCT ON (u.id) u.id::text, u.part, u.maker, u.serial, u.product_id::text, u.progress, o.number,
           parent.id::text AS parent, parent.serial AS parent_serial, i.position
    FROM identifier one JOIN unit u ON u.id = one.unit_id LEFT JOIN work_order o ON o.id = u.work_order_id
    LEFT JOIN installation i ON i.child_id = u.id AND i.superseded_at IS NULL AND upper_inf(i.during)
    LEFT JOIN unit parent ON parent.id = i.parent_id
    WHERE one.kind = 'serial' AND upper_inf(one.during) AND one.value = ANY(CAST(:serials AS text[]))
    ORDER BY u.id
    """
)
_SAID = text("SELECT fate FROM inbox WHERE source = :source AND id = :id")


async def unit_on_bench(connection: AsyncConnection, unit_id: str) -> UnitOnBench:
    """A unit, which exists, as it is now."""
    row = (await connection.execute(_UNIT, {"id": unit_id})).one()
    contents = (await connection.execute(_CONTENTS, {"id": unit_id})).all()
    definition = (await products(connection, [row.product_id]))[row.product_id].definition if row.product_id else None
    lots = {str(lot) for one in contents for lot in one.lots if lot}
    holds = await holds_on(connection, {unit_id, row.part, *lots, *([row.number] if row.number else [])})
    return UnitOnBench(
        id=unit_id,
        part=row.part,
        serial=row.serial,
        state=row.state,
        order=row.number,
        order_ended_at=row.ended_at,
        definition=definition,
        progress=Progress.from_plain(msgspec.json.decode(row.progress)),
        holds=concerning(holds, unit=unit_id, part=row.part, order=row.number, lots=lots),
        contents=[Content(*one[:8]) for one in contents],
        parts=await parts_known(connection, _parts_of(definition)),
    )


async def parts_known(connection: AsyncConnection, parts: Iterable[str]) -> dict[str, PartKnown]:
    """What is known of part numbers."""
    rows = await connection.execute(_PARTS, {"parts": sorted(set(parts))})
    return {row.part: PartKnown(*row) for row in rows}


async def found_units(connection: AsyncConnection, serials: Sequence[str], at: datetime) -> list[Found]:
    """Every unit that carries one of the serials now, with where it is and the holds on it in force."""
    if not serials:
        return []
    rows = (await connection.execute(_FOUND, {"serials": list(serials)})).all()
    known = await products(connection, {row.product_id for row in rows if row.product_id})
    holds = await holds_on(connection, {key for row in rows for key in (row.id, row.part, row.number) if key})
    return [
        Found(
            row.id,
            row.part,
            row.maker,
            row.serial,
            known[row.product_id].definition if row.product_id else None,
            Progress.from_plain(msgspec.json.decode(row.progress)),
            Place(row.parent, row.parent_serial, row.position) if row.parent else None,
            _in_force(holds, row, at),
        )
        for row in rows
    ]


async def fate_of(connection: AsyncConnection, source: str, message_id: str) -> str | None:
    """What became of a message of a source; None: it never came."""
    fate: str | None = (await connection.execute(_SAID, {"source": source, "id": message_id})).scalar_one_or_none()
    return fate


def _in_force(holds: Sequence[Hold], row: Any, at: datetime) -> tuple[Hold, ...]:
    return in_force(concerning(holds, unit=row.id, part=row.part, order=row.number), at)


def _parts_of(definition: Definition | None) -> list[str]:
    lines = definition.bom if definition else ()
    return [part for line in lines for part in (line.part, *(one.part for one in line.alternates))]
