"""What a unit's electronics said of themselves, beside what the record says was in the unit at that moment."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from mes.db.inventories import read_and_built
from mes.db.products import products
from mes.db.session import driver
from mes.domain.inventory import SOFTWARE, Item, Mismatch, Slot, compare, wrong_firmware


@dataclass(frozen=True, slots=True)
class InventorySlot:
    """A slot and the verdict on it: what is built in by the record, and what reported itself there."""

    position: str
    verdict: str
    part: str | None
    serial: str | None
    found_part: str | None
    found_serial: str | None
    kind: str | None
    firmware: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class SoftwareItem:
    """Firmware that reported itself by a name of its own, with its version."""

    name: str
    version: str


@dataclass(frozen=True, slots=True)
class WrongFirmware:
    """Firmware that is not as the definition's baseline wants it; `found` is null where nothing reported it."""

    name: str
    position: str | None
    wanted: list[str]
    found: str | None


@dataclass(frozen=True, slots=True)
class InventoryView:
    """One reading of a unit. `at` is null, and the lists are empty, where none was ever read."""

    at: datetime | None
    station: str | None
    run: str | None
    slots: list[InventorySlot]
    software: list[SoftwareItem]
    wrong_firmware: list[WrongFirmware]


_NEWEST = text(
    """
    SELECT i.id::text, i.at, i.station, i.run, u.product_id::text
    FROM inventory i JOIN unit u ON u.id = i.unit_id
    WHERE i.unit_id = :unit AND i.at <= coalesce(CAST(:as_of AS timestamptz), 'infinity')
    ORDER BY i.at DESC, i.id DESC LIMIT 1
    """
)


async def inventory_of(connection: AsyncConnection, unit_id: str, *, as_of: datetime | None = None) -> InventoryView:
    """The newest reading of a unit, or the newest at a moment, with the verdicts by the record of when it was read."""
    row = (await connection.execute(_NEWEST, {"unit": unit_id, "as_of": as_of})).one_or_none()
    if row is None:
        return InventoryView(None, None, None, [], [], [])
    items, built = await read_and_built(await driver(connection), row.id)
    known = await products(connection, [row.product_id] if row.product_id else [])
    definition = next((one.definition for one in known.values()), None)
    return InventoryView(
        row.at,
        row.station,
        row.run,
        [_slot(one) for one in compare(built, items, definition)],
        [SoftwareItem(one.position, ", ".join(one.firmware.values())) for one in items if one.kind == SOFTWARE],
        [_wrong(one) for one in wrong_firmware(items, definition)],
    )


def _slot(one: Slot) -> InventorySlot:
    found, built = one.found or Item(one.position), one.built
    part, serial = (built.part, built.serial) if built else (None, None)
    return InventorySlot(one.position, one.verdict, part, serial, found.part, found.serial, found.kind, found.firmware)


def _wrong(one: Mismatch) -> WrongFirmware:
    return WrongFirmware(one.wanted.name, one.position, list(one.wanted.versions), one.found)
