"""Lots loaded at stations in two times, and the rows by which the journal names stations."""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import asyncpg
from sqlalchemy.ext.asyncio import AsyncConnection

from mes.db.journal import Subject, new_id
from mes.db.keys import key_text, parse_key
from mes.db.session import driver
from mes.domain.material import Loading


class StoredLoading(NamedTuple):
    """A loading and the id of its row."""

    row_id: str
    loading: Loading


class KnownLot(NamedTuple):
    """A lot's number, and whether any of it was ever received."""

    lot: str
    is_received: bool


async def lock_stations(connection: AsyncConnection, names: Iterable[str]) -> dict[str, Subject]:
    """Lock what these stations are named by in the journal, in id order; of stations that are registered.

    Whoever says what is loaded at a station, or takes material of a lot that it does not name, holds this lock, and
    takes it before any unit's: so nobody reads what is loaded while another changes it.
    """
    raw, wanted = await driver(connection), sorted(set(names))
    await raw.execute(
        """
        INSERT INTO station_journal (id) SELECT id FROM station WHERE name = ANY($1::text[]) ORDER BY id
        ON CONFLICT DO NOTHING
        """,
        wanted,
    )
    rows = await raw.fetch(
        """
        SELECT j.id::text, s.name FROM station_journal j JOIN station s ON s.id = j.id
        WHERE s.name = ANY($1::text[]) ORDER BY j.id FOR UPDATE OF j
        """,
        wanted,
    )
    return {name: Subject("station", id, name) for id, name in rows}


async def journal_ids(connection: AsyncConnection, names: Collection[str]) -> dict[str, str]:
    """What stations are called in the journal, by their names."""
    rows = await (await driver(connection)).fetch(
        "SELECT j.id::text, s.name FROM station_journal j JOIN station s ON s.id = j.id WHERE s.name = ANY($1::text[])",
        list(names),
    )
    return {name: id for id, name in rows}


async def loadings_at(connection: AsyncConnection, stations: Iterable[str], since: datetime) -> list[StoredLoading]:
    """Loadings believed now at stations, that had not ended before `since`."""
    rows = await (await driver(connection)).fetch(
        """
        SELECT id::text, station, place, part, maker, lot_id::text, quantity, quantity_left, lower(during) AS since,
               upper(during) AS until, loaded_key, unloaded_key
        FROM loading WHERE superseded_at IS NULL AND station = ANY($1::text[])
          AND (upper_inf(during) OR upper(during) >= $2)
        """,
        sorted(set(stations)),
        since,
    )
    return [_stored(row) for row in rows]


def _stored(row: Any) -> StoredLoading:
    loading = Loading(
        station=row["station"],
        place=row["place"] or None,
        part=row["part"],
        maker=row["maker"] or None,
        lot=row["lot_id"],
        quantity=row["quantity"],
        left=row["quantity_left"],
        since=row["since"],
        until=row["until"],
        loaded_by=parse_key(row["loaded_key"]),
        unloaded_by=parse_key(row["unloaded_key"]) if row["unloaded_key"] else None,
    )
    return StoredLoading(row["id"], loading)


async def correct_loadings(
    connection: AsyncConnection, superseded: Sequence[str], added: Sequence[Loading], at: datetime
) -> None:
    """Believe from `at` on the added loadings instead of the superseded rows."""
    raw = await driver(connection)
    if superseded:
        await raw.execute("UPDATE loading SET superseded_at = $2 WHERE id = ANY($1::uuid[])", list(superseded), at)
    if added:
        await raw.copy_records_to_table("loading", columns=_COLUMNS, records=[_row(one, at) for one in added])


_COLUMNS = (
    "id", "station", "place", "part", "maker", "lot_id", "quantity", "quantity_left", "during", "recorded_at",
    "loaded_key", "unloaded_key",
)  # fmt: skip


def _row(one: Loading, at: datetime) -> tuple[Any, ...]:
    return (
        new_id(),
        one.station,
        one.place or "",
        one.part,
        one.maker or "",
        one.lot,
        one.quantity,
        one.left,
        asyncpg.Range(one.since, one.until),
        at,
        key_text(one.loaded_by),
        key_text(one.unloaded_by) if one.unloaded_by else None,
    )


async def known_lots(connection: AsyncConnection, ids: Collection[str]) -> dict[str, KnownLot]:
    """Lots by their ids."""
    rows = await (await driver(connection)).fetch(
        "SELECT id::text, lot, quantity_received IS NOT NULL FROM lot WHERE id = ANY($1::uuid[])", list(ids)
    )
    return {id: KnownLot(lot, is_received) for id, lot, is_received in rows}
