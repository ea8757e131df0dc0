"""What a unit is made of: one recursive statement down its installations, nested here into one tree.

Two times can be asked. `as_of`: when it was so. `known_at`: what we believed then. `as_of` alone means what we now
believe was so then; `known_at` alone, what we believed then about then.
"""

from collections.abc import Iterable
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from mes.db.keys import parse_key


@dataclass(frozen=True, slots=True)
class MessageRef:
    """The message by which something is known."""

    source: str
    id: str


@dataclass(frozen=True, slots=True)
class Node:
    """A unit or lot in the tree. `path` leads to it from the root; `state` is the unit's state now.

    `lot_by` says how the lot is known: `scan` named it; it was loaded at the `station` that installed it; it is
    `one_of` the `possible_lots` that were loaded there; or it is `unknown`. Null: a serialized part.
    """

    position: str | None
    path: str
    part: str
    maker: str
    serial: str | None
    lot: str | None
    lot_by: str | None
    possible_lots: list[str]
    quantity: float | None
    state: str | None
    installed_at: datetime | None
    installed_by: MessageRef | None
    deviations: list[str]
    children: list["Node"]


@dataclass(frozen=True, slots=True)
class Genealogy(Node):
    """The root of the tree: a unit with everything in it, at `as_of` as believed at `known_at`; null: now.

    `parts` counts everything below it.
    """

    as_of: datetime | None
    known_at: datetime | None
    parts: int


BELIEVED = """
    i.recorded_at <= coalesce(CAST(:known_at AS timestamptz), 'infinity')
    AND (i.superseded_at IS NULL OR i.superseded_at > CAST(:known_at AS timestamptz))
"""
"""Whether a row was believed at `known_at`; null: now."""

_LOT_BY = """
    CASE WHEN {0}.lot_id IS NOT NULL AND {0}.loaded = '{{}}' THEN 'scan' WHEN {0}.lot_id IS NOT NULL THEN 'station'
         WHEN {0}.loaded <> '{{}}' THEN 'one_of' WHEN {0}.child_id IS NULL THEN 'unknown' END
"""


def lot_by(row: str) -> str:
    """SQL that says how the lot of an installation is known; null for a serialized part."""
    return _LOT_BY.format(row)


_STAYS = f"""
    {BELIEVED} AND CASE WHEN CAST(:as_of AS timestamptz) IS NULL THEN upper_inf(i.during)
                        ELSE i.during @> CAST(:as_of AS timestamptz) END
"""

_TREE = text(
    f"""
    WITH RECURSIVE tree AS (
        SELECT CAST(:root AS uuid) AS child_id, CAST(NULL AS uuid) AS parent_id, CAST(NULL AS uuid) AS lot_id,
               CAST(NULL AS text) COLLATE "C" AS position, CAST(NULL AS numeric) AS quantity,
               CAST(NULL AS tstzrange) AS during, CAST(NULL AS text) COLLATE "C" AS installed_key,
               CAST(NULL AS text[]) AS deviations, CAST(NULL AS uuid[]) AS loaded,
               CAST(NULL AS text) COLLATE "C" AS part, CAST(NULL AS text) COLLATE "C" AS maker
        UNION ALL
        SELECT i.child_id, i.parent_id, i.lot_id, i.position, i.quantity, i.during, i.installed_key, i.deviations,
               i.loaded, i.part, i.maker
        FROM tree JOIN installation i ON i.parent_id = tree.child_id
        WHERE {_STAYS}
    ) CYCLE child_id SET is_cycle USING trail
    SELECT tree.parent_id::text, tree.child_id::text, tree.position, tree.quantity, lower(tree.during) AS installed_at,
           tree.installed_key, tree.deviations, coalesce(u.part, l.part, tree.part) AS part,
           coalesce(u.maker, l.maker, tree.maker) AS maker, u.serial, u.state, l.lot, {lot_by("tree")} AS lot_by,
           CASE WHEN tree.lot_id IS NULL THEN ARRAY(SELECT one.lot FROM lot one WHERE one.id = ANY(tree.loaded)
                                                    ORDER BY one.lot) END AS possible_lots
    FROM tree LEFT JOIN unit u ON u.id = tree.child_id LEFT JOIN lot l ON l.id = tree.lot_id
    WHERE NOT tree.is_cycle
    ORDER BY tree.position, l.lot
    """
)


async def genealogy(
    connection: AsyncConnection, unit_id: str, *, as_of: datetime | None, known_at: datetime | None
) -> Genealogy:
    """The tree of a unit, which exists."""
    asked = {"root": unit_id, "as_of": as_of or known_at, "known_at": known_at}
    rows = (await connection.execute(_TREE, asked)).all()
    below: dict[str | None, list[Any]] = {}
    for row in rows:
        below.setdefault(row.parent_id, []).append(row)
    (root,) = below[None]
    node = _node(root, "", below)
    own = {one.name: getattr(node, one.name) for one in fields(Node)}
    return Genealogy(**own, as_of=as_of or known_at, known_at=known_at, parts=len(rows) - 1)


def _node(row: Any, parent_path: str, below: dict[str | None, list[Any]]) -> Node:
    path = "/".join(part for part in (parent_path, row.position) if part)
    return Node(
        row.position,
        path,
        row.part,
        row.maker,
        row.serial,
        row.lot,
        row.lot_by,
        row.possible_lots or [],
        float(row.quantity) if row.quantity is not None else None,
        row.state,
        row.installed_at,
        message_ref(row.installed_key) if row.installed_key else None,
        row.deviations or [],
        [_node(child, path, below) for child in _in_order(below.get(row.child_id, ()) if row.child_id else ())],
    )


def _in_order(rows: Iterable[Any]) -> list[Any]:
    """Positions as people count them: GPU2 before GPU10."""
    return sorted(rows, key=lambda row: (len(row.position), row.position))


def message_ref(key: str) -> MessageRef:
    """The message that an entry's key names."""
    parsed = parse_key(key)
    return MessageRef(parsed.source, parsed.id)
