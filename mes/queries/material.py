"""Lots at stations: what is loaded where, what was, and how much of it went into units."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from mes.domain.refusals import refuse
from mes.queries.genealogy import MessageRef, message_ref
from mes.queries.pages import Page, after_id, cut


@dataclass(frozen=True, slots=True)
class LoadingView:
    """A lot at a place of a station; `place` null: the station's one place of the part number; `until` null: still.

    `quantity` is how much was loaded, `left` how much was unloaded, as the station said; `used` how much of the lot the
    station installed meanwhile. `overdrawn`: more than can have been there, so some change of the lot was not told.
    """

    id: str
    station: str
    place: str | None
    part: str
    maker: str
    lot: str
    quantity: float | None
    left: float | None
    used: float
    overdrawn: bool
    since: datetime
    until: datetime | None
    loaded_by: MessageRef


@dataclass(frozen=True, slots=True)
class Where:
    """Which loadings: of a station, a lot, a part number, or all; None: any."""

    station: str | None = None
    lot: str | None = None
    part: str | None = None


# What is left of a lot after some was taken out again is a stay of its own: the first one of each scan counts.
_LIST = text(
    """
    SELECT g.id::text, g.station, nullif(g.place, ''), g.part, l.maker, l.lot, CAST(g.quantity AS float8),
           CAST(g.quantity_left AS float8), CAST(used.quantity AS float8),
           coalesce(used.quantity > g.quantity - coalesce(g.quantity_left, 0), false),
           lower(g.during), upper(g.during), g.loaded_key
    FROM loading g JOIN lot l ON l.id = g.lot_id CROSS JOIN LATERAL (
        SELECT coalesce(sum(scan.quantity), 0) AS quantity FROM (
            SELECT DISTINCT ON (i.installed_key) i.quantity, lower(i.during) AS since FROM installation i
            WHERE i.lot_id = g.lot_id AND i.superseded_at IS NULL
              AND split_part(i.installed_key, ' ', 3) = 'stations/' || g.station
            ORDER BY i.installed_key, lower(i.during)
        ) AS scan WHERE scan.since <@ g.during
    ) AS used
    WHERE g.site = :site AND g.superseded_at IS NULL
      AND (CAST(:station AS text) IS NULL OR g.station = :station)
      AND (CAST(:lot AS text) IS NULL OR l.lot = :lot) AND (CAST(:part AS text) IS NULL OR g.part = :part)
      AND (CAST(:moment AS timestamptz) IS NULL OR g.during @> CAST(:moment AS timestamptz))
      AND (CAST(:after AS uuid) IS NULL OR g.id > :after)
    ORDER BY g.id LIMIT :limit
    """
)
_KNOWN = text("SELECT EXISTS (SELECT FROM station WHERE site = :site AND name = :station)")


async def list_loadings(
    connection: AsyncConnection, site: str, where: Where, *, moment: datetime | None, limit: int, cursor: str | None
) -> Page[LoadingView]:
    """What was loaded at a moment, or (None) ever. Refuses `unknown_station`."""
    named = {"site": site, "station": where.station}
    if where.station and not (await connection.execute(_KNOWN, named)).scalar_one():
        raise refuse("unknown_station", station=where.station)
    asked = {**named, "lot": where.lot, "part": where.part, "moment": moment, "after": after_id(cursor)}
    rows = await connection.execute(_LIST, {**asked, "limit": limit + 1})
    return cut([LoadingView(*(*row[:12], message_ref(row[12]))) for row in rows], limit, lambda one: (one.id,))
