"""Product definitions as stored, read once per process: a released definition never changes."""

from collections.abc import Iterable
from typing import NamedTuple

import asyncpg
import msgspec
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from mes.db.session import driver
from mes.db.tables import part, product
from mes.domain.product import Definition
from mes.domain.run import Criteria
from mes.formats.product_document import from_document

KNOWN_MAX = 10_000
"""Most definitions that a process keeps in memory."""


class Product(NamedTuple):
    """A stored definition, and the same made ready to judge runs by."""

    id: str
    definition: Definition
    criteria: Criteria


class PartNumber(NamedTuple):
    """What is known of a part number. `product_id` is its newest definition's; None where it has none.

    `tracking` is the definition's (serial, lot, bulk); without one it is a guess.
    """

    part: str
    source: str
    receipt_required: bool
    product_id: str | None
    tracking: str = "serial"


_known: dict[str, Product] = {}


async def products(connection: AsyncConnection, ids: Iterable[str]) -> dict[str, Product]:
    """Products by id; reads only those this process has not seen."""
    wanted = set(ids)
    if not wanted <= _known.keys():
        await _read(await driver(connection), wanted)
    return {one: _known[one] for one in wanted}


async def products_seen(connection: asyncpg.Connection, ids: Iterable[str]) -> dict[str, Product]:
    """The same, on the driver's own connection."""
    wanted = set(ids)
    if not wanted <= _known.keys():
        await _read(connection, wanted)
    return {one: _known[one] for one in wanted}


async def _read(connection: asyncpg.Connection, wanted: set[str]) -> None:
    if len(_known) + len(wanted) > KNOWN_MAX:
        _known.clear()
    missing = list(wanted - _known.keys())
    for row in await connection.fetch("SELECT id::text, document FROM product WHERE id = ANY($1::uuid[])", missing):
        definition = from_document(msgspec.json.decode(row["document"]))
        _known[row["id"]] = Product(row["id"], definition, Criteria(definition))


async def part_numbers(connection: AsyncConnection, parts: Iterable[str]) -> dict[str, PartNumber]:
    """What is known of part numbers; the unknown ones are left out."""
    newest = (
        select(product.c.id)
        .where(product.c.part == part.c.part)
        .order_by(product.c.released_at.desc(), product.c.id.desc())
        .limit(1)
        .scalar_subquery()
    )
    rows = await connection.execute(
        select(part.c.part, part.c.source, part.c.receipt_required, newest, part.c.tracking).where(
            part.c.part.in_(set(parts))
        )
    )
    return {row[0]: PartNumber(*row) for row in rows}
