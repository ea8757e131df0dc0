"""What the answer to an ask depends on, read in one statement; and a decided ask, recorded in another.

A station waits for both, so neither takes a second round trip. Nothing is locked in between: the second statement
records the answer only if the unit is as the first one saw it, and else says so.
"""

from collections.abc import Collection, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final, NamedTuple

import asyncpg
import msgspec

from mes.db.contents import HELD, ODD_INSIDE, PENDING_SEEN, READINGS, Waits, all_inside, not_in_state
from mes.db.inbox import Ticket
from mes.db.journal import CHANNEL, Head, Written
from mes.db.lots import LotKey
from mes.db.products import PartNumber, Product, products_seen
from mes.db.session import DIRECT_MAX, Database
from mes.db.units import NamedUnit, progress_text
from mes.domain.facts import Station
from mes.domain.gates import BuiltIn
from mes.domain.hold import Hold
from mes.domain.product import Definition
from mes.domain.progress import Progress


class SeenStation(NamedTuple):
    """A registered station; `calibrated_until` is None where it needs no calibration."""

    name: str
    kind: str
    calibrated_until: datetime | None

    @property
    def station(self) -> Station:
        return Station(self.name, self.kind)


class Reading(NamedTuple):
    """An inventory of a unit. `step` is the one in whose attempt it was read, or else the one that had begun last by
    then, wherever it was; None where none had."""

    inventory_id: str
    step: str | None


class Whereabouts(NamedTuple):
    """Where a unit is built in."""

    parent: str
    position: str


@dataclass(slots=True)
class SeenUnit:
    """A unit as it was at one moment. `version` is another one as soon as anything about it is stored.

    `readings` are its inventories, newest first. `begun` tells when an attempt last began, by step/station. `inside` is
    what is in it, however deep, that may not be fit or that a hold concerns.
    """

    id: str
    part: str
    version: str
    product: Product | None
    progress: Progress
    head: Head
    order_number: str | None
    order_ended_at: datetime | None
    readings: Sequence[Reading]
    built_in: Whereabouts | None
    begun: dict[str, datetime]
    inside: Sequence[BuiltIn]

    @property
    def definition(self) -> Definition | None:
        return self.product.definition if self.product else None


class LoadedLot(NamedTuple):
    """A lot that is loaded at the station; `maker` is empty where the station did not say it."""

    id: str
    part: str
    maker: str
    lot: str


class Sight(NamedTuple):
    """All that was seen, at one moment. `named` are the carriers of each serial, current ones first; `pending` are
    messages that wait and name the unit asked about."""

    station: SeenStation | None
    named: dict[str, list[NamedUnit]]
    units: dict[str, SeenUnit]
    products: dict[str, Product]
    parts: dict[str, PartNumber]
    lots: dict[LotKey, str]
    loaded: Sequence[LoadedLot]
    holds: Sequence[Hold]
    pending: Sequence[Waits]


class Decided(NamedTuple):
    """An answer that was decided before: the data of its entry, and the digest of what was asked."""

    data: dict[str, Any]
    content: bytes


class _Unit(NamedTuple):
    """A unit as the statement tells it."""

    id: str
    part: str
    version: str
    product_id: str | None
    progress: dict[str, Any]
    number: int
    hash: str | None
    order_number: str | None
    order_ended_at: datetime | None
    readings: list[Reading]
    built_in: Whereabouts | None
    begun: dict[str, datetime]
    inside: list[BuiltIn]


class _Told(msgspec.Struct):
    """What the statement tells."""

    station: SeenStation | None
    named: list[NamedUnit]
    units: list[_Unit]
    parts: list[PartNumber]
    lots: list[tuple[str, str, str, str]]
    loaded: list[LoadedLot]
    holds: list[Hold]
    pending: list[Waits]


_LOOK: Final = f"""
    WITH RECURSIVE named AS (
        SELECT i.unit_id, i.part, i.maker, i.value, u.product_id, upper_inf(i.during) AS is_current
        FROM identifier i JOIN unit u ON u.id = i.unit_id
        WHERE i.kind = 'serial' AND i.value = ANY($2::text[])
    ), seen AS (
        SELECT u.id, u.part, u.xmin::text AS version, u.product_id, u.progress::json AS progress,
               u.journal_number, u.journal_hash, w.number AS order_number, w.ended_at
        FROM unit u LEFT JOIN work_order w ON w.id = u.work_order_id
        WHERE u.id IN (SELECT unit_id FROM named)
    ), known_lot AS (
        SELECT l.part, l.maker, l.lot, l.id FROM lot l
        JOIN unnest($4::text[], $5::text[], $6::text[]) AS k (part, maker, lot)
          ON k.part = l.part AND k.maker = l.maker AND k.lot = l.lot
    ), loaded AS (
        SELECT g.lot_id, g.part, g.maker, l.lot FROM loading g JOIN lot l ON l.id = g.lot_id
        WHERE g.station = $1 AND g.superseded_at IS NULL AND g.during @> $7::timestamptz
    ), {all_inside("seen", "$7")}, concerned AS (
        SELECT unnest(ARRAY[lot_id::text, part]) FROM loaded UNION ALL
        SELECT $1::text UNION ALL SELECT unnest($3::text[]) UNION ALL SELECT id::text FROM known_lot
        UNION ALL SELECT unnest(ARRAY[id::text, part, order_number]) FROM seen
        UNION ALL SELECT unnest(string_to_array(position.value, '+'))
                  FROM seen, json_each_text(seen.progress -> 'positions') AS position
    ), held AS MATERIALIZED ({HELD})
    SELECT json_build_object(
        'station', (SELECT json_build_array(name, kind, calibrated_until) FROM station WHERE name = $1),
        'named', (
            SELECT coalesce(json_agg(json_build_array(unit_id, part, maker, value, product_id, is_current)
                                     ORDER BY is_current DESC, unit_id), '[]') FROM named),
        'units', (
            SELECT coalesce(json_agg(json_build_array(
                u.id, u.part, u.version, u.product_id, u.progress, u.journal_number, encode(u.journal_hash, 'hex'),
                u.order_number, u.ended_at,
                {READINGS},
                (SELECT json_build_array(i.parent_id, i.position) FROM installation i
                 WHERE i.child_id = u.id AND i.superseded_at IS NULL
                   AND (upper_inf(i.during) OR upper(i.during) > $7)
                 ORDER BY lower(i.during) LIMIT 1),
                (SELECT coalesce(json_object_agg(a.name, a.began), '{{}}') FROM (
                    SELECT step || '/' || station AS name, max(started_at) AS began
                    FROM attempt WHERE unit_id = u.id GROUP BY 1) AS a),
                {ODD_INSIDE})), '[]') FROM seen u),
        'parts', (
            SELECT coalesce(json_agg(json_build_array(p.part, p.source, p.receipt_required, (
                SELECT d.id FROM product d WHERE d.part = p.part ORDER BY d.released_at DESC, d.id DESC LIMIT 1),
                p.tracking)),
                '[]') FROM part p WHERE p.part = ANY($3::text[])),
        'lots', (SELECT coalesce(json_agg(json_build_array(part, maker, lot, id)), '[]') FROM known_lot),
        'loaded', (SELECT coalesce(json_agg(json_build_array(lot_id, part, maker, lot) ORDER BY lot, part), '[]')
                   FROM loaded),
        'holds', (
            SELECT coalesce(json_agg(json_build_array(id, scope, key, reason, lower(during), upper(during), shown_key)
                                     ORDER BY id), '[]') FROM held),
        'pending', (SELECT coalesce(json_agg(json_build_array(station, id, why)), '[]')
                    FROM ({PENDING_SEEN}) AS p))::text
    """

_RECORD: Final = f"""
    WITH as_seen AS (
        SELECT id FROM unit WHERE id = $1 AND xmin = $2::text::xid FOR NO KEY UPDATE
    ), admitted AS (
        INSERT INTO inbox (source, id, received_at, fate, digest) SELECT $3, $4, $5, 'applied', $6 FROM as_seen
        ON CONFLICT DO NOTHING RETURNING id
    ), moved AS (
        UPDATE unit SET progress = $7, journal_number = $8, journal_hash = $9
        WHERE id = $1 AND EXISTS (SELECT FROM admitted)
    ), written AS (
        INSERT INTO journal (id, recorded_at, type, body) SELECT $10, $5, $11, $12 FROM admitted
    ), chained AS (
        INSERT INTO journal_subject (subject_id, number, entry_id, effective_at)
        SELECT $1, $8, $10, $13 FROM admitted
    )
    SELECT EXISTS (SELECT FROM as_seen) AS as_seen,
           (SELECT count(pg_notify('{CHANNEL}', '')::text) = 1 FROM admitted) AS admitted
    """

_DECIDED: Final = """
    SELECT j.body::json ->> 'data', i.digest
    FROM journal_subject s JOIN journal j ON j.id = s.entry_id JOIN inbox i ON i.source = $2 AND i.id = $3
    WHERE s.subject_id = $1 AND j.type = 'mes.step.answered'
      AND j.body::json #>> '{data,asked,source}' = $2 AND j.body::json #>> '{data,asked,id}' = $3
    """

_OPEN_PRODUCTS: Final = "SELECT DISTINCT product_id::text FROM work_order WHERE ended_at IS NULL"
_NOBODY: Final = "00000000-0000-0000-0000-000000000000"


async def make_ready(database: Database) -> None:
    """Have all that an ask takes made beforehand: connections, plans, and the definitions of what is being built.

    The first ask of a shift would wait for it, and the others behind it.
    """
    now = datetime.now(UTC)
    async with AsyncExitStack() as taken:
        for _ in range(DIRECT_MAX):
            connection = await taken.enter_async_context(database.direct())
            await look(connection, "", "", (), (), (), now)
            await not_in_state(connection, ())
            # There is no such unit, so nothing is recorded.
            await connection.fetchrow(_RECORD, _NOBODY, "0", "", "", now, b"", "", 0, b"", _NOBODY, "", "", now)
        await products_seen(connection, [row[0] for row in await connection.fetch(_OPEN_PRODUCTS)])


class Recorded(StrEnum):
    """What became of a decided ask."""

    NOW = "now"
    BEFORE = "before"
    NOT = "not"


async def look(
    connection: asyncpg.Connection,
    station: str,
    asked: str,
    serials: Collection[str],
    parts: Collection[str],
    lots: Collection[LotKey],
    at: datetime,
) -> Sight:
    """See all that an ask names: its station, the carriers of its serials, the parts and lots that are proposed; and
    what is loaded there, what the units contain, the holds in force `at` that moment on any of these and on the
    station, and what waits about the serial `asked`."""
    some = list(lots)
    text = await connection.fetchval(
        _LOOK,
        station,
        list(serials),
        list(parts),
        [one.part for one in some],
        [one.maker for one in some],
        [one.lot for one in some],
        at,
        asked,
    )
    told = msgspec.json.decode(text, type=_Told)
    known = await products_seen(connection, {one.product_id for one in told.units if one.product_id})
    named: dict[str, list[NamedUnit]] = {}
    for one in told.named:
        named.setdefault(one.serial, []).append(one)
    return Sight(
        told.station,
        named,
        {one.id: _seen(one, known) for one in told.units},
        known,
        {one.part: one for one in told.parts},
        {LotKey(part, maker, lot): lot_id for part, maker, lot, lot_id in told.lots},
        told.loaded,
        told.holds,
        told.pending,
    )


def _seen(told: _Unit, known: dict[str, Product]) -> SeenUnit:
    return SeenUnit(
        told.id,
        told.part,
        told.version,
        known[told.product_id] if told.product_id else None,
        Progress.from_plain(told.progress),
        Head(told.number, told.hash),
        told.order_number,
        told.order_ended_at,
        told.readings,
        told.built_in,
        told.begun,
        told.inside,
    )


async def record(
    connection: asyncpg.Connection, gate: Ticket, unit: SeenUnit, entry: Written, at: datetime
) -> Recorded:
    """Record the decision on an ask, with its unit's progress and head, which it moved, in a transaction by itself.

    NOT: something about the unit was stored since it was seen, and nothing is recorded now. BEFORE: a message with
    this source and id came through the gate before.
    """
    ((subject, number),) = entry.subjects
    row = await connection.fetchrow(
        _RECORD,
        subject,
        unit.version,
        gate.source,
        gate.id,
        at,
        gate.content,
        progress_text(unit.progress),
        number,
        bytes.fromhex(unit.head.hash or ""),
        entry.id,
        entry.type,
        entry.body.decode(),
        entry.effective_at,
    )
    if row["admitted"]:
        return Recorded.NOW
    return Recorded.BEFORE if row["as_seen"] else Recorded.NOT


async def decided(connection: asyncpg.Connection, unit_id: str, source: str, id: str) -> Decided | None:
    """What was decided about a unit when it was asked for under this source and id; None if nothing was."""
    row = await connection.fetchrow(_DECIDED, unit_id, source, id)
    return Decided(msgspec.json.decode(row[0]), row[1]) if row else None
