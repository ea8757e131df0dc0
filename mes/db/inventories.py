"""Inventories as they were read, and what the record says was in a unit then."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

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


class NewestInventory(NamedTuple):
    """The newest reading of a unit; `step` is the one in whose attempt it was made, None where it was in none."""

    inventory: Inventory
    step: str | None


async def store_inventories(connection: AsyncConnection, inventories: Sequence[Inventory]) -> None:
    """Keep readings."""
    await (await driver(connection)).executemany(
        "INSERT INTO inventory (id, unit_id, at, station, run, items) VALUES ($1, $2, $3, $4, $5, $6)",
        [(new_id(), *one[:4], msgspec.json.encode(one.items).decode()) for one in inventories],
    )


async def newest_inventory(connection: AsyncConnection, unit_id: str) -> NewestInventory | None:
    """The newest reading of a unit, if there is one."""
    row = await (await driver(connection)).fetchrow(
        """
        SELECT i.unit_id::text, i.at, i.station, i.run, i.items, (
            SELECT a.step FROM attempt a
            WHERE a.unit_id = i.unit_id AND a.station = i.station
              AND (a.run = i.run OR (i.run IS NULL AND i.at BETWEEN a.started_at AND coalesce(a.ended_at, 'infinity')))
            ORDER BY a.started_at DESC LIMIT 1
        ) AS step
        FROM inventory i WHERE i.unit_id = $1 ORDER BY i.at DESC, i.id DESC LIMIT 1
        """,
        unit_id,
    )
    if row is None:
        return None
    items = tuple(Item(*one) for one in msgspec.json.decode(row["items"]))
    return NewestInventory(Inventory(row["unit_id"], row["at"], row["station"], row["run"], items), row["step"])


async def built_in(connection: AsyncConnection, unit_id: str, at: datetime) -> list[Built]:
    """Everything that the record says was in a unit at a moment, however deep."""
    rows = await (await driver(connection)).fetch(
        """
        WITH RECURSIVE tree AS (
            SELECT i.child_id, i.part, i.position AS path FROM installation i
            WHERE i.parent_id = $1 AND i.superseded_at IS NULL AND i.during @> $2::timestamptz
            UNION ALL
            SELECT i.child_id, i.part, tree.path || '/' || i.position
            FROM tree JOIN installation i ON i.parent_id = tree.child_id
            WHERE i.superseded_at IS NULL AND i.during @> $2::timestamptz
        ) CYCLE child_id SET is_cycle USING way
        SELECT tree.path, tree.part, u.serial FROM tree LEFT JOIN unit u ON u.id = tree.child_id
        WHERE NOT tree.is_cycle ORDER BY tree.path
        """,
        unit_id,
        at,
    )
    return [Built(*row.values()) for row in rows]
