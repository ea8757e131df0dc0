"""Finding what people name: a unit by its serial, a lot by its number, a product by part and revision."""

from typing import NamedTuple

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from mes.domain.refusals import refuse


class FoundUnit(NamedTuple):
    """A unit as its label names it now."""

    id: str
    part: str
    maker: str
    serial: str


class FoundLot(NamedTuple):
    """A lot as its label names it."""

    id: str
    part: str
    maker: str
    lot: str


_UNIT = text(
    """
    SELECT DISTINCT u.id::text AS id, u.part, u.maker, u.serial, upper_inf(i.during) AS carried
    FROM identifier i JOIN unit u ON u.id = i.unit_id
    WHERE i.kind = 'serial' AND i.value = :serial
      AND (CAST(:part AS text) IS NULL OR u.part = :part)
    ORDER BY 2, 3, 1
    """
)
_LOT = text(
    """
    SELECT id::text AS id, part, maker, lot FROM lot
    WHERE lot = :lot AND (CAST(:part AS text) IS NULL OR part = :part)
    ORDER BY part, maker
    """
)


async def find_unit(connection: AsyncConnection, serial: str, part: str | None = None) -> FoundUnit:
    """The unit that carries a serial, or else the one that once did. Refuses `unknown_unit`, `ambiguous_serial`."""
    rows = (await connection.execute(_UNIT, {"serial": serial, "part": part})).all()
    rows = [row for row in rows if row.carried] or rows
    found = list(dict.fromkeys(FoundUnit(row.id, row.part, row.maker, row.serial) for row in rows))
    if not found:
        raise refuse("unknown_unit", serial=serial, **({"part": part} if part else {}))
    if len(found) > 1:
        raise refuse(
            "ambiguous_serial",
            serial=serial,
            candidates=[{"part": one.part, "maker": one.maker, "serial": one.serial} for one in found],
        )
    return found[0]


async def find_lots(connection: AsyncConnection, lot: str, part: str | None = None) -> list[FoundLot]:
    """The lots of a number, of any maker and part. Refuses `unknown_unit` when there is none."""
    rows = await connection.execute(_LOT, {"lot": lot, "part": part})
    found = [FoundLot(*row) for row in rows]
    if not found:
        raise refuse("unknown_unit", lot=lot, **({"part": part} if part else {}))
    return found
