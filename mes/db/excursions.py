"""Excursions: how long channels of runs have been beyond watched limits, as far as telemetry tells by now.

Working memory of the fold, made of the journal's entries: a stay that lasted too long is kept, for the unit is folded
again by it; others serve to join what comes next, and are forgotten some days after they were told.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

from sqlalchemy.ext.asyncio import AsyncConnection

from mes.db.journal import new_id
from mes.db.session import driver
from mes.domain.live_limits import Series
from mes.domain.watch import Stay

KEPT_FOR: Final = timedelta(days=7)
"""How much later than others a message may come whose samples are still joined with theirs."""
_OF_SERIES: Final = "e.unit_id::text, e.station, e.step, e.run, e.channel"
_OF_STAY: Final = (
    "e.first, e.last, e.start, e.stop, e.reach_from, e.reach_to, e.cooled_before, e.cooled_after, e.allowed_s, "
    "e.value, e.low, e.high, e.source, e.message_id"
)
_NEAR: Final = f"""
    SELECT e.id::text, {_OF_SERIES}, {_OF_STAY}
    FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::timestamptz[], $7::timestamptz[])
         AS near (unit_id, station, step, run, channel, since, until)
    JOIN excursion e ON e.unit_id = near.unit_id AND e.station = near.station AND e.step = near.step
        AND e.run = near.run AND e.channel = near.channel
        AND e.reach_to >= near.since AND e.reach_from <= near.until
"""
_BROKEN: Final = f"""
    SELECT e.id::text, {_OF_SERIES}, {_OF_STAY} FROM excursion e WHERE e.unit_id = ANY($1::uuid[]) AND e.is_broken
"""
_COLUMNS: Final = (
    *("id", "unit_id", "station", "step", "run", "channel", "first", "last", "start", "stop", "reach_from", "reach_to"),
    *("cooled_before", "cooled_after", "allowed_s", "value", "low", "high", "source", "message_id", "is_broken"),
    "told_at",
)
_TYPES: Final = (
    *("uuid", "uuid", *["text"] * 4, *["timestamptz"] * 6, "bool", "bool", *["float8"] * 4, "text", "text", "bool"),
    "timestamptz",
)
_KEEP: Final = f"""
    INSERT INTO excursion ({", ".join(_COLUMNS)})
    SELECT * FROM unnest({", ".join(f"${at}::{kind}[]" for at, kind in enumerate(_TYPES, 1))})
"""


class KeptStay(NamedTuple):
    """A stay as it is stored: its row's id, whose it is, and the stay."""

    row_id: str
    series: Series
    stay: Stay


async def stays_near(connection: AsyncConnection, spans: Mapping[Series, tuple[datetime, datetime]]) -> list[KeptStay]:
    """The known stays of series that reach into a span of time."""
    if not spans:
        return []
    columns = [list(one) for one in zip(*((*series, *span) for series, span in spans.items()), strict=True)]
    return [_kept(row) for row in await (await driver(connection)).fetch(_NEAR, *columns)]


async def broken_stays(connection: AsyncConnection, units: Collection[str]) -> list[KeptStay]:
    """The stays of units that lasted too long."""
    return [_kept(row) for row in await (await driver(connection)).fetch(_BROKEN, list(units))]


async def correct_stays(
    connection: AsyncConnection, gone: Sequence[str], come: Iterable[tuple[Series, Stay]], at: datetime
) -> None:
    """Put stays in the place of others."""
    raw = await driver(connection)
    if gone:
        await raw.execute("DELETE FROM excursion WHERE id = ANY($1::uuid[])", list(gone))
    rows = [(new_id(), *series, *stay, stay.broke_at is not None, at) for series, stay in come]
    if rows:
        await raw.execute(_KEEP, *(list(column) for column in zip(*rows, strict=True)))


async def forget_stays(connection: AsyncConnection, at: datetime) -> None:
    """Forget what broke no limit and what nothing is joined with any more."""
    sql = "DELETE FROM excursion WHERE NOT is_broken AND told_at < $1"
    await (await driver(connection)).execute(sql, at - KEPT_FOR)


def _kept(row: Any) -> KeptStay:
    id, unit, station, step, run, channel, *stay = row
    return KeptStay(id, Series(unit, station, step, run, channel), Stay(*stay))
