"""Inventories as they were read, and what the record says was in a unit then."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final, NamedTuple

import asyncpg
import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from mes.db.journal import new_id
from mes.db.session import driver
from mes.domain.inventory import Built, Item


class Inventory(NamedTuple):
    """One reading of a unit."""

    unit_id: str
    at: datetime
    station: str
    run: str | None
    items: tuple[Item, ...]


async def store_inventories(connection: AsyncConnection, inventories: Sequence[Inventory]) -> None:
    """Keep readings."""
    await (await driver(connection)).executemany(
        "INSERT INTO inventory (id, unit_id, at, station, run, items) VALUES ($1, $2, $3, $4, $5, $6)",
        [(new_id(), *one[:4], msgspec.json.encode(one.items).decode()) for one in inventories],
    )


def _tree(unit: str, at: str) -> str:
    """SQL: `tree`, everything that the record says was in a unit at a moment, however deep."""
    return f"""
        tree AS (
            SELECT i.child_id, i.part, i.position AS path FROM installation i
            WHERE i.parent_id = {unit} AND i.superseded_at IS NULL AND i.during @> {at}
            UNION ALL
            SELECT i.child_id, i.part, tree.path || '/' || i.position
            FROM tree JOIN installation i ON i.parent_id = tree.child_id
            WHERE i.superseded_at IS NULL AND i.during @> {at}
        ) CYCLE child_id SET is_cycle USING way"""


_BUILT: Final = f"""
    WITH RECURSIVE {_tree("$1", "$2::timestamptz")}
    SELECT tree.path, tree.part, u.serial FROM tree LEFT JOIN unit u ON u.id = tree.child_id
    WHERE NOT tree.is_cycle ORDER BY tree.path
    """
_READ_AND_BUILT: Final = f"""
    WITH RECURSIVE reading AS MATERIALIZED (SELECT unit_id, at, items FROM inventory WHERE id = $1),
    {_tree("(SELECT unit_id FROM reading)", "(SELECT at FROM reading)")}
    SELECT (SELECT items FROM reading) AS items, (
        SELECT coalesce(json_agg(json_build_array(tree.path, tree.part, u.serial) ORDER BY tree.path)::text, '[]')
        FROM tree LEFT JOIN unit u ON u.id = tree.child_id WHERE NOT tree.is_cycle) AS built
    """


async def built_in(connection: AsyncConnection, unit_id: str, at: datetime) -> list[Built]:
    """Everything that the record says was in a unit at a moment, however deep."""
    rows = await (await driver(connection)).fetch(_BUILT, unit_id, at)
    return [Built(*row.values()) for row in rows]


async def read_and_built(connection: asyncpg.Connection, inventory_id: str) -> tuple[list[Item], list[Built]]:
    """What an inventory read, and what the record says was in its unit then."""
    row = await connection.fetchrow(_READ_AND_BUILT, inventory_id)
    items = [Item(*one) for one in msgspec.json.decode(row["items"])]
    return items, [Built(*one) for one in msgspec.json.decode(row["built"])]
