"""Units as the fold needs them: locked, with their progress and the head of their journal."""

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from mes.db.journal import Head, Subject, new_id
from mes.db.products import PartNumber, Product, products
from mes.db.session import driver
from mes.domain.product import Definition
from mes.domain.unit import Progress, new_progress


@dataclass(slots=True)
class LockedUnit:
    """A unit whose row is locked by this transaction. `progress` and `head` are changed in place, then saved."""

    id: str
    part: str
    serial: str
    product: Product | None
    progress: Progress
    head: Head
    work_order_id: str | None
    order_number: str | None
    order_ended_at: datetime | None

    @property
    def definition(self) -> Definition | None:
        return self.product.definition if self.product else None

    @property
    def subject(self) -> Subject:
        return Subject("unit", self.id, self.serial)


class NamedUnit(NamedTuple):
    """A unit that carries, or once carried, a serial."""

    id: str
    part: str
    maker: str
    serial: str
    product_id: str | None
    is_current: bool


class NewUnit(NamedTuple):
    """A bought unit to be made known: it was received, or seen for the first time in a scan."""

    part: str
    maker: str
    serial: str


async def lock_units(connection: AsyncConnection, ids: Iterable[str]) -> dict[str, LockedUnit]:
    """Lock units in id order, so that two transactions never wait for each other, and read what a fold needs."""
    rows = await (await driver(connection)).fetch(
        """
        SELECT u.id::text, u.part, u.serial, u.product_id::text, u.progress, u.journal_number, u.journal_hash,
               u.work_order_id::text, w.number, w.ended_at
        FROM unit u LEFT JOIN work_order w ON w.id = u.work_order_id
        WHERE u.id = ANY($1::uuid[]) ORDER BY u.id FOR UPDATE OF u
        """,
        list(set(ids)),
    )
    known = await products(connection, {row["product_id"] for row in rows if row["product_id"]})
    return {row["id"]: _locked(row, known) for row in rows}


@asynccontextmanager
async def locking_units(connection: AsyncConnection, *, alone: bool) -> AsyncIterator[None]:
    """Lock units in the block, beside other processes that do so here, or alone among them.

    Who locks in several rounds has to be alone: each round is in id order, but all of them together are not, and two
    that wait for each other's units are found out only after a second.
    """
    kind = "" if alone else "_shared"
    raw = await driver(connection)
    await raw.execute(f"SELECT pg_advisory_lock{kind}(hashtext('mes.units'))")
    try:
        yield
    except BaseException:
        await connection.invalidate()  # a failed transaction can't unlock; the end of the connection does
        raise
    await raw.execute(f"SELECT pg_advisory_unlock{kind}(hashtext('mes.units'))")


def _locked(row: Any, known: dict[str, Product]) -> LockedUnit:
    return LockedUnit(
        id=row["id"],
        part=row["part"],
        serial=row["serial"],
        product=known[row["product_id"]] if row["product_id"] else None,
        progress=Progress.from_plain(msgspec.json.decode(row["progress"])),
        head=Head(row["journal_number"], row["journal_hash"].hex() if row["journal_hash"] else None),
        work_order_id=row["work_order_id"],
        order_number=row["number"],
        order_ended_at=row["ended_at"],
    )


def progress_text(progress: Progress) -> str:
    """A unit's progress as its column holds it."""
    return msgspec.json.encode(progress.to_plain()).decode()


async def save_units(connection: AsyncConnection, units: Sequence[LockedUnit]) -> None:
    """Store progress and journal heads of locked units."""
    if not units:
        return
    await (await driver(connection)).execute(
        """
        UPDATE unit u SET progress = n.progress, state = n.state, received_at = n.received_at,
                          journal_number = n.number, journal_hash = n.hash
        FROM unnest($1::uuid[], $2::text[], $3::text[], $4::timestamptz[], $5::int[], $6::bytea[])
             AS n (id, progress, state, received_at, number, hash)
        WHERE u.id = n.id
        """,
        [unit.id for unit in units],
        [progress_text(unit.progress) for unit in units],
        [unit.progress.state.value for unit in units],
        [unit.progress.received_at for unit in units],
        [unit.head.number for unit in units],
        [bytes.fromhex(unit.head.hash) if unit.head.hash else None for unit in units],
    )


async def units_named(connection: AsyncConnection, serials: Iterable[str]) -> dict[str, list[NamedUnit]]:
    """The units that carry or carried each serial, of whatever part; current carriers first."""
    rows = await (await driver(connection)).fetch(
        """
        SELECT i.unit_id::text AS id, i.part, i.maker, i.value, u.product_id::text AS product_id,
               upper_inf(i.during) AS is_current
        FROM identifier i JOIN unit u ON u.id = i.unit_id
        WHERE i.value = ANY($1::text[]) AND i.kind = 'serial' ORDER BY upper_inf(i.during) DESC, i.unit_id
        """,
        list(set(serials)),
    )
    found: dict[str, list[NamedUnit]] = {}
    for row in rows:
        found.setdefault(row["value"], []).append(NamedUnit(*row.values()))
    return found


async def lock_names(connection: AsyncConnection, names: Iterable[str]) -> None:
    """Let one transaction at a time make units or lots of these names known. Taken before any row is locked."""
    await (await driver(connection)).execute(
        """
        SELECT pg_advisory_xact_lock(hashed) FROM (
            SELECT DISTINCT hashtextextended(name, 0) AS hashed FROM unnest($1::text[]) AS name ORDER BY 1
        ) AS ordered
        """,
        list(names),
    )


async def create_bought_units(
    connection: AsyncConnection, new: Sequence[NewUnit], parts: dict[str, PartNumber], at: datetime
) -> list[NamedUnit]:
    """Make bought units known. The caller holds their names by `lock_names` and found no unit of them."""
    known = await products(connection, {one.product_id for one in parts.values() if one.product_id})
    made = []
    rows = []
    for one in new:
        product_id = parts[one.part].product_id
        progress = new_progress(known[product_id].definition if product_id else None)
        named = NamedUnit(new_id(), one.part, one.maker, one.serial, product_id, True)
        made.append(named)
        rows.append(
            (named.id, one.part, one.maker, one.serial, product_id, progress.state.value, progress_text(progress), at)
        )
    copy = await driver(connection)
    await copy.copy_records_to_table(
        "unit",
        columns=("id", "part", "maker", "serial", "product_id", "state", "progress", "created_at"),
        records=rows,
    )
    await copy.executemany(
        """
        INSERT INTO identifier (id, unit_id, kind, part, maker, value, during)
        VALUES ($1, $2, 'serial', $3, $4, $5, tstzrange('-infinity', NULL))
        """,
        [(new_id(), one.id, one.part, one.maker, one.serial) for one in made],
    )
    return made
