"""Installations in two times: stays as we believe them now, superseded and added to when we learn better."""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import asyncpg
from sqlalchemy.ext.asyncio import AsyncConnection

from mes.db.journal import new_id
from mes.db.keys import key_text, parse_key
from mes.db.session import driver
from mes.domain.assembly import Place, Stay

_STAY = """
    i.id::text, i.parent_id::text, i.position, i.child_id::text, i.lot_id::text, i.part, i.maker, i.quantity,
    lower(i.during) AS since, upper(i.during) AS until, i.installed_key, i.removed_key, i.deviations,
    i.loaded::text[] AS loaded
"""


class StoredStay(NamedTuple):
    """A stay and the id of its row."""

    row_id: str
    stay: Stay


def _stored(row: Any) -> StoredStay:
    stay = Stay(
        parent=row["parent_id"],
        position=row["position"],
        child=row["child_id"],
        lot=row["lot_id"],
        part=row["part"],
        maker=row["maker"] or None,
        quantity=row["quantity"],
        since=row["since"],
        until=row["until"],
        installed_by=parse_key(row["installed_key"]),
        removed_by=parse_key(row["removed_key"]) if row["removed_key"] else None,
        deviations=tuple(row["deviations"]),
        loaded=tuple(row["loaded"]),
    )
    return StoredStay(row["id"], stay)


async def stays_touching(
    connection: AsyncConnection, children: Collection[str], places: Collection[Place], since: datetime
) -> list[StoredStay]:
    """Stays believed now of these children, or in these places, that had not ended before `since`."""
    rows = await (await driver(connection)).fetch(
        f"""
        SELECT {_STAY} FROM installation i
        WHERE i.superseded_at IS NULL AND i.child_id = ANY($1::uuid[])
          AND (upper_inf(i.during) OR upper(i.during) >= $4)
        UNION
        SELECT {_STAY} FROM installation i
        JOIN (SELECT DISTINCT * FROM unnest($2::uuid[], $3::text[]) AS p (parent, position)) AS p
          ON p.parent = i.parent_id AND p.position = i.position
        WHERE i.superseded_at IS NULL AND (upper_inf(i.during) OR upper(i.during) >= $4)
        """,
        list(children),
        [parent for parent, _ in places],
        [position for _, position in places],
        since,
    )
    return [_stored(row) for row in rows]


async def stays_in(connection: AsyncConnection, parents: Iterable[str]) -> dict[str, list[Stay]]:
    """All stays believed now in each parent, ended ones too."""
    rows = await (await driver(connection)).fetch(
        f"SELECT {_STAY} FROM installation i WHERE i.superseded_at IS NULL AND i.parent_id = ANY($1::uuid[])",
        list(parents),
    )
    found: dict[str, list[Stay]] = {}
    for row in rows:
        stay = _stored(row).stay
        found.setdefault(stay.parent, []).append(stay)
    return found


async def correct(connection: AsyncConnection, superseded: Sequence[str], added: Sequence[Stay], at: datetime) -> None:
    """Believe from `at` on the added stays instead of the superseded rows."""
    raw = await driver(connection)
    if superseded:
        await raw.execute("UPDATE installation SET superseded_at = $2 WHERE id = ANY($1::uuid[])", list(superseded), at)
    if added:
        await raw.copy_records_to_table("installation", columns=_COLUMNS, records=[_row(stay, at) for stay in added])


_COLUMNS = (
    "id", "parent_id", "position", "child_id", "lot_id", "part", "maker", "quantity", "during", "recorded_at",
    "installed_key", "removed_key", "deviations", "loaded",
)  # fmt: skip


def _row(stay: Stay, at: datetime) -> tuple[Any, ...]:
    return (
        new_id(),
        stay.parent,
        stay.position,
        stay.child,
        stay.lot,
        stay.part,
        stay.maker or "",
        stay.quantity,
        asyncpg.Range(stay.since, stay.until),
        at,
        key_text(stay.installed_by),
        key_text(stay.removed_by) if stay.removed_by else None,
        list(stay.deviations),
        list(stay.loaded),
    )
