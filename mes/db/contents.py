"""What is in a unit, all the way down, and what is still waiting to be known about it."""

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

import asyncpg
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


class Late(NamedTuple):
    """A message that is not in the state. `fate` is None where it never came, else pending or rejected; `why` says it
    in a sentence, and is empty where it was not kept."""

    id: str
    fate: str | None
    why: str = ""


class Waits(NamedTuple):
    """A pending message of a station, and why it waits."""

    station: str
    id: str
    why: str


def _children(parent: str, at: str) -> str:
    """SQL: what the record says was in a parent at a moment.

    OFFSET keeps it one look into the index for each parent: the planner takes a tree for far larger than it is, and
    would read whole tables instead.
    """
    return f"""(
            SELECT i.position, i.child_id, i.part,
                   CASE WHEN i.lot_id IS NULL THEN i.loaded ELSE ARRAY[i.lot_id] END AS lots,
                   u.serial, u.state, u.work_order_id,
                   u.work_order_id IS NOT NULL OR u.progress LIKE '%"positions"%' AS has_parts
            FROM installation i LEFT JOIN unit u ON u.id = i.child_id
            WHERE i.parent_id = {parent} AND i.superseded_at IS NULL AND i.during @> {at} OFFSET 0
        )"""


FEW: Final = 100
"""So many parts are looked up one by one among the holds; for more it is faster to look through the holds in force."""


def all_inside(roots: str, at: str) -> str:
    """SQL: the tables `inside`, everything that was in each of the units `roots` at a moment, however deep, and
    `keys_inside`, by what holds name it.

    A rack has hundreds of bought parts with nothing in them: those are not looked into.
    """
    return f"""
    tree AS (
        SELECT {roots}.id AS root, one.* FROM {roots} CROSS JOIN LATERAL {_children(f"{roots}.id", at)} AS one
        UNION ALL
        SELECT tree.root, tree.position || '/' || one.position, one.child_id, one.part, one.lots, one.serial,
               one.state, one.work_order_id, one.has_parts
        FROM tree CROSS JOIN LATERAL {_children("tree.child_id", at)} AS one
        WHERE tree.has_parts
    ) CYCLE child_id SET is_cycle USING trail, inside AS MATERIALIZED (
        SELECT root, position, part, child_id, serial, state, work_order_id, lots FROM tree WHERE NOT is_cycle
    ), keys_inside (key) AS (
        SELECT part FROM inside GROUP BY part
        UNION ALL SELECT number FROM work_order WHERE id = ANY(ARRAY(SELECT DISTINCT work_order_id FROM inside))
        UNION ALL SELECT DISTINCT unnest(lots)::text FROM inside WHERE lots <> '{{}}'
        UNION ALL SELECT child_id::text FROM inside WHERE (SELECT count(*) FROM inside) <= {FEW}
    )"""


HELD: Final = f"""
        SELECT id, scope, key, reason, during, shown_key FROM hold
        WHERE key = ANY(ARRAY(SELECT * FROM concerned UNION ALL SELECT * FROM keys_inside)) AND during @> $7
        UNION
        SELECT id, scope, key, reason, during, shown_key FROM hold
        WHERE (SELECT count(*) FROM inside) > {FEW} AND during @> $7 AND key IN (SELECT child_id::text FROM inside)
    """
"""SQL: the holds in force at $7 on what the table `concerned` names and on what is `inside`."""
ODD_INSIDE: Final = """(
        SELECT coalesce(json_agg(json_build_array(i.position, i.part, i.child_id, i.serial, i.state,
            i.work_order_id IS NOT NULL, (SELECT number FROM work_order WHERE id = i.work_order_id), i.lots
        ) ORDER BY i.position), '[]')
        FROM inside i
        WHERE i.root = u.id AND (
            i.state NOT IN ('completed', 'packed', 'shipped') AND (i.work_order_id IS NOT NULL OR i.state <> 'received')
            OR EXISTS (SELECT FROM held) AND (
                i.child_id::text IN (SELECT key FROM held) OR i.part IN (SELECT key FROM held)
                OR i.work_order_id IN (SELECT o.id FROM held JOIN work_order o ON o.number = held.key)
                OR i.lots <> '{}' AND i.lots::text[] && ARRAY(SELECT key FROM held)))
    )"""
"""SQL: of what is `inside` the unit `u`, what may not be fit or has a hold of the table `held`: few of many parts."""

READINGS_MAX: Final = 20
"""Most inventories of a unit that are looked back on for a clean one."""
READINGS: Final = f"""(
        SELECT coalesce(json_agg(json_build_array(r.id, (
            SELECT a.step FROM attempt a CROSS JOIN LATERAL (SELECT (
                a.station = r.station AND (a.run = r.run OR (
                    r.run IS NULL AND r.at BETWEEN a.started_at AND coalesce(a.ended_at, 'infinity')))
            ) IS TRUE) AS is_ (own)
            WHERE a.unit_id = r.unit_id AND (is_.own OR a.started_at <= r.at)
            ORDER BY is_.own DESC, a.started_at DESC LIMIT 1)) ORDER BY r.at DESC, r.id DESC), '[]')
        FROM (SELECT * FROM inventory WHERE unit_id = u.id ORDER BY at DESC, id DESC LIMIT {READINGS_MAX}) AS r
    )"""
"""SQL: the newest inventories of the unit `u`, each with its step: the one in whose attempt it was read, or else that
which had begun last by then, at any station."""

PENDING_SEEN_MAX: Final = 200
"""So many pending messages, the newest, are looked through for a unit's serial when a station asks. A floor of which
nothing is known yet may have a million of them, and an answer can't wait for that; shipping looks at all."""
PENDING_SEEN: Final = f"""
    SELECT newest.station, newest.id, newest.reasons::json -> 0 ->> 'text' AS why
    FROM (SELECT key, station, id, reasons, body FROM message WHERE fate = 'pending'
          ORDER BY key DESC LIMIT {PENDING_SEEN_MAX}) AS newest
    WHERE position(convert_to(to_json($8::text)::text, 'UTF8') IN newest.body) > 0
    ORDER BY newest.key LIMIT 20
    """
"""SQL: the pending messages in which the serial $8 stands."""

_NOT_IN_STATE: Final = """
    SELECT t.source, t.id, coalesce(i.fate, m.fate) AS fate, coalesce(m.why, '') AS why
    FROM unnest($1::text[], $2::text[]) AS t (source, id)
    LEFT JOIN inbox i ON i.source = t.source AND i.id = t.id
    LEFT JOIN LATERAL (
        SELECT m.fate, m.reasons::json -> 0 ->> 'text' AS why FROM message m
        WHERE m.source = t.source AND m.id = t.id AND m.fate IN ('pending', 'rejected')
          AND m.fate = coalesce(i.fate, m.fate)
        ORDER BY m.key DESC LIMIT 1
    ) AS m ON true
    WHERE coalesce(i.fate, m.fate, 'pending') IN ('pending', 'rejected')
    """

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


async def not_in_state(
    connection: asyncpg.Connection, messages: Iterable[tuple[str, str]]
) -> dict[tuple[str, str], Late]:
    """Of messages, given as (source, id), those whose facts are not in the state: they never came, wait, or were
    rejected and not mended since."""
    some = list(messages)
    rows = await connection.fetch(_NOT_IN_STATE, [source for source, _ in some], [id for _, id in some])
    return {(row["source"], row["id"]): Late(row["id"], row["fate"], row["why"]) for row in rows}
