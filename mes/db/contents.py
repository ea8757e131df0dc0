"""What is in a unit now, all the way down, and what is still waiting to be known about it."""

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection


class Inside(NamedTuple):
    """A unit or lot somewhere in a unit. `is_made`: it was made here and has a route of its own."""

    unit_id: str | None
    lot_id: str | None
    part: str
    serial: str | None
    state: str | None
    is_made: bool
    order_number: str | None


_CONTENTS = text(
    """
    WITH RECURSIVE tree AS (
        SELECT CAST(:root AS uuid) AS child_id, CAST(NULL AS uuid) AS lot_id, CAST(NULL AS text) COLLATE "C" AS part,
               CAST(NULL AS uuid[]) AS loaded
        UNION ALL
        SELECT i.child_id, i.lot_id, i.part, i.loaded FROM tree JOIN installation i ON i.parent_id = tree.child_id
        WHERE i.superseded_at IS NULL AND upper_inf(i.during)
    ) CYCLE child_id SET is_cycle USING trail
    SELECT DISTINCT u.id::text, coalesce(tree.lot_id, possible.lot_id)::text, coalesce(u.part, tree.part), u.serial,
           u.state, u.work_order_id IS NOT NULL, o.number
    FROM tree LEFT JOIN unit u ON u.id = tree.child_id LEFT JOIN work_order o ON o.id = u.work_order_id
    LEFT JOIN LATERAL unnest(tree.loaded) AS possible (lot_id) ON tree.lot_id IS NULL
    WHERE NOT tree.is_cycle
    """
)
_PENDING = text(
    """
    SELECT m.key::text FROM message m
    WHERE m.fate = 'pending' AND EXISTS (
        SELECT FROM unnest(CAST(:serials AS text[])) AS named (serial)
        WHERE position(convert_to(to_json(named.serial)::text, 'UTF8') IN m.body) > 0)
    ORDER BY m.key LIMIT :limit
    """
)
SHOWN_PENDING_MAX = 20
"""Most pending messages that are named."""


async def contents(connection: AsyncConnection, unit_id: str) -> list[Inside]:
    """The unit itself and everything in it."""
    return [Inside(*row) for row in await connection.execute(_CONTENTS, {"root": unit_id})]


async def pending_about(connection: AsyncConnection, serials: Sequence[str]) -> list[str]:
    """Keys of pending messages in which any of the serials stands, whatever they wait for."""
    asked = {"serials": list(serials), "limit": SHOWN_PENDING_MAX}
    return list((await connection.execute(_PENDING, asked)).scalars())
