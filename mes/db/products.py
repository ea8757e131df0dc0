"""Product definitions as stored, read once per process: a released definition never changes."""

from collections.abc import Iterable
from typing import NamedTuple

import msgspec
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

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
    """What is known of a part number. `product_id` is its newest definition's; None where it has none."""

    part: str
    source: str
    receipt_required: bool
    product_id: str | None


_known: dict[str, Product] = {}


async def products(connection: AsyncConnection, ids: Iterable[str]) -> dict[str, Product]:
    """Products by id; reads only those this process has not seen."""
    wanted = set(ids)
    missing = wanted - _known.keys()
    if missing:
        if len(_known) + len(missing) > KNOWN_MAX:
            _known.clear()
        for row in await connection.execute(select(product.c.id, product.c.document).where(product.c.id.in_(missing))):
            definition = from_document(msgspec.json.decode(row.document))
            _known[row.id] = Product(row.id, definition, Criteria(definition))
    return {one: _known[one] for one in wanted}


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
        select(part.c.part, part.c.source, part.c.receipt_required, newest).where(part.c.part.in_(set(parts)))
    )
    return {row[0]: PartNumber(*row) for row in rows}
