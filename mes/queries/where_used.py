"""Recall: every top unit that held a lot, a part number or a unit, at a moment or ever.

Walks up from what is looked for, always keeping the time in which the whole chain was so. A unit is a *top* unit for
the time in which it is not itself in something: a tray that left its rack counts beside the rack.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from mes.domain.refusals import refuse
from mes.queries.genealogy import BELIEVED, lot_by
from mes.queries.pages import Page, after, cut


@dataclass(frozen=True, slots=True)
class Use:
    """One chain from a top unit down to what was looked for, and the time in which it was so (null: still).

    `lot_by` says how sure the lot is: a `scan` named it; it was loaded at the `station` that installed it; it is
    `one_of` several that were loaded there; or, where a part number is looked for, `unknown`. Null: a serialized part.
    """

    top_part: str
    top_serial: str
    top_state: str
    work_order: str | None
    customer_order: str | None
    path: str
    part: str
    maker: str
    serial: str | None
    lot: str | None
    lot_by: str | None
    quantity: float | None
    since: datetime
    until: datetime | None


@dataclass(frozen=True, slots=True)
class Sought:
    """What to look for: a unit by its id, or every unit and lot of a part number, or every lot of a number.

    With `lot`, `part` narrows it.
    """

    unit_id: str | None = None
    lot: str | None = None
    part: str | None = None


@dataclass(frozen=True, slots=True)
class When:
    """At `as_of` (None: now), or `ever`; as believed at `known_at` (None: now)."""

    now: datetime
    as_of: datetime | None = None
    known_at: datetime | None = None
    ever: bool = False

    @property
    def moment(self) -> datetime | None:
        """The moment asked about; None: all times."""
        return None if self.ever else self.as_of or self.known_at or self.now


_UP = f"""
    WITH RECURSIVE asked AS (
        SELECT CASE WHEN CAST(:moment AS timestamptz) IS NULL THEN tstzrange(NULL, NULL)
                    ELSE tstzrange(:moment, :moment, '[]') END AS time
    ), sought AS (
        SELECT CAST(:unit_id AS uuid) AS child_id, CAST(NULL AS uuid) AS lot_id WHERE CAST(:unit_id AS uuid) IS NOT NULL
        UNION ALL
        SELECT u.id, NULL FROM unit u WHERE CAST(:lot AS text) IS NULL AND u.part = CAST(:part AS text)
        UNION ALL
        SELECT NULL, l.id FROM lot l WHERE l.lot = CAST(:lot AS text)
            AND (CAST(:part AS text) IS NULL OR l.part = :part)
        UNION ALL
        SELECT NULL, l.id FROM lot l WHERE CAST(:lot AS text) IS NULL AND l.part = CAST(:part AS text)
    ), start AS (
        SELECT i.*, i.lot_id AS of_lot FROM sought JOIN installation i ON i.child_id = sought.child_id
        WHERE sought.child_id IS NOT NULL
        UNION ALL
        SELECT i.*, i.lot_id FROM sought JOIN installation i ON i.lot_id = sought.lot_id WHERE sought.lot_id IS NOT NULL
        UNION ALL
        SELECT i.*, sought.lot_id FROM sought JOIN installation i ON i.loaded @> ARRAY[sought.lot_id]
        WHERE sought.lot_id IS NOT NULL AND i.lot_id IS NULL AND i.loaded <> '{{}}'
        UNION ALL
        SELECT i.*, NULL FROM installation i
        WHERE CAST(:lot AS text) IS NULL AND i.part = CAST(:part AS text)
          AND i.child_id IS NULL AND i.lot_id IS NULL AND i.loaded = '{{}}'
    ), up AS (
        SELECT i.parent_id, i.position AS path, i.child_id, i.of_lot, i.part, i.maker, {lot_by("i")} AS lot_by,
               i.quantity, i.during * asked.time AS time, i.during
        FROM start i, asked WHERE i.during && asked.time AND {BELIEVED}
        UNION ALL
        SELECT i.parent_id, i.position || '/' || up.path, up.child_id, up.of_lot, up.part, up.maker, up.lot_by,
               up.quantity, up.time * i.during, up.during * i.during
        FROM up JOIN installation i ON i.child_id = up.parent_id
        WHERE i.during && up.time AND {BELIEVED}
    ) CYCLE parent_id SET is_cycle USING trail
    , top AS (
        SELECT up.*, alone.spans
        FROM up CROSS JOIN LATERAL (
            SELECT tstzmultirange(up.time) - coalesce(range_agg(i.during), '{{}}') AS spans FROM installation i
            WHERE i.child_id = up.parent_id AND i.during && up.time AND {BELIEVED}
        ) AS alone
        WHERE NOT up.is_cycle AND NOT isempty(alone.spans)
    )
    SELECT t.part, t.serial, t.state, o.number, o.customer_order, top.path, coalesce(u.part, l.part, top.part),
           coalesce(u.maker, l.maker, top.maker), u.serial AS held_serial, l.lot, top.lot_by,
           CAST(top.quantity AS float8),
           lower(CASE WHEN CAST(:moment AS timestamptz) IS NULL THEN span ELSE top.during END) AS since,
           upper(CASE WHEN CAST(:moment AS timestamptz) IS NULL THEN span ELSE top.during END) AS until
    FROM top CROSS JOIN LATERAL unnest(top.spans) AS span
    JOIN unit t ON t.id = top.parent_id LEFT JOIN work_order o ON o.id = t.work_order_id
    LEFT JOIN unit u ON u.id = top.child_id LEFT JOIN lot l ON l.id = top.of_lot
"""
_ORDER = ("top_part", "top_serial", "path", "held", "since")
_PAGE = text(
    f"""
    SELECT * FROM ({_UP}) AS used (top_part, top_serial, top_state, work_order, customer_order, path, part, maker,
                                   serial, lot, lot_by, quantity, since, until)
    WHERE CAST(:after_0 AS text) IS NULL
       OR (top_part, top_serial, path, coalesce(serial, lot, ''), since::text)
        > (:after_0, CAST(:after_1 AS text), CAST(:after_2 AS text), CAST(:after_3 AS text), CAST(:after_4 AS text))
    ORDER BY top_part, top_serial, path, coalesce(serial, lot, ''), since::text LIMIT :limit
    """
)


async def where_used(
    connection: AsyncConnection, sought: Sought, when: When, *, limit: int | None, cursor: str | None = None
) -> Page[Use]:
    """Uses by top unit; `limit` None: all of them. Refuses `unknown_unit` for a lot or part nobody has seen."""
    await _check_known(connection, sought)
    key = after(cursor, len(_ORDER))
    asked = {
        "unit_id": sought.unit_id,
        "lot": sought.lot,
        "part": sought.part,
        "moment": when.moment,
        "known_at": when.known_at,
        "limit": limit + 1 if limit is not None else None,
        **{f"after_{index}": part for index, part in enumerate(key)},
    }
    uses = [Use(*row) for row in await connection.execute(_PAGE, asked)]
    return cut(uses, limit, _key) if limit is not None else Page(uses, None)


def _key(use: Use) -> tuple[str, ...]:
    since = f"{use.since:%Y-%m-%d %H:%M:%S.%f}".rstrip("0").rstrip(".") + "+00"
    return (use.top_part, use.top_serial, use.path, use.serial or use.lot or "", since)


_KNOWN_LOT = text("SELECT EXISTS (SELECT FROM lot WHERE lot = :key)")
_KNOWN_PART = text("SELECT EXISTS (SELECT FROM part WHERE part = :key)")


async def _check_known(connection: AsyncConnection, sought: Sought) -> None:
    """Nothing found must mean that nothing holds it, not that its name was mistyped."""
    if sought.lot is not None and not (await connection.execute(_KNOWN_LOT, {"key": sought.lot})).scalar_one():
        raise refuse("unknown_unit", lot=sought.lot)
    if sought.part is not None and not (await connection.execute(_KNOWN_PART, {"key": sought.part})).scalar_one():
        raise refuse("unknown_part", part=sought.part)


CSV_COLUMNS: Sequence[str] = tuple(Use.__dataclass_fields__)
