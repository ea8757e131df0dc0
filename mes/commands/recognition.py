"""Who is meant: turns what a message names (serials, lots, parts, a station) into entries about known things.

What can't be known yet (an unknown station, part number or made serial) makes the message wait. A bought part or a
lot that a scan mentions for the first time becomes known by it.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from msgspec import Struct
from sqlalchemy.ext.asyncio import AsyncConnection

from mes.db.journal import Subject
from mes.db.lots import LotKey, create_lots, lots_named
from mes.db.material import lock_stations
from mes.db.products import PartNumber, Product, part_numbers, products
from mes.db.stations import stations_named
from mes.db.units import NamedUnit, NewUnit, create_bought_units, lock_names, units_named
from mes.domain.clock import effective_at, is_set
from mes.domain.facts import Station
from mes.domain.refusals import Reason, reason
from mes.formats.messages import (
    Child,
    ForeignRunReported,
    MaterialLoaded,
    Message,
    PartInstalled,
    PartReceived,
    PartRemoved,
    RunReported,
    StationStatus,
    UnitRef,
)

SKEW_MAX_S = 5.0
"""A station whose event lies further ahead of us than this is told so."""
OFFICE = "office"
"""Kind of the station that REST requests speak as: their source is not under `stations/`."""


class Waiting(Exception):  # noqa: N818 - not an error: the message is applied when what it waits for is there
    """A message can't be applied yet."""

    def __init__(self, why: Reason, *waits_for: str) -> None:
        super().__init__(why.text)
        self.why = why
        self.waits_for = waits_for


@dataclass(slots=True)
class Names:
    """Everything that a batch of messages names, looked up once."""

    stations: dict[str, Station] = field(default_factory=dict)
    units: dict[str, list[NamedUnit]] = field(default_factory=dict)
    parts: dict[str, PartNumber] = field(default_factory=dict)
    lots: dict[LotKey, str] = field(default_factory=dict)
    products: dict[str, Product] = field(default_factory=dict)
    subjects: dict[str, Subject] = field(default_factory=dict)
    """What the journal calls those stations of which material is told, by name; locked."""

    def station(self, message: Message) -> Station:
        """The station that speaks."""
        if not message.source.startswith("stations/"):
            return Station(message.source, OFFICE)
        found = self.stations.get(message.station)
        if found is None:
            text = f"No station named {message.station} is registered; add it to a line."
            raise Waiting(reason("unknown_station", text, station=message.station), f"station:{message.station}")
        return found

    def unit(self, ref: UnitRef, step: str | None = None) -> NamedUnit:
        """The unit that a serial names; among several parts with that serial, the only one whose route has `step`."""
        known = [one for one in self.units.get(ref.serial, ()) if ref.part in (None, one.part)]
        found = [one for one in known if one.is_current] or known
        if len(found) > 1:
            found = [one for one in found if self._is_routed(one, step)] or found
        if not found:
            text = f"No unit has the serial {ref.serial} yet."
            thing = f"unit:{ref.part}/{ref.serial}" if ref.part else f"serial:{ref.serial}"
            raise Waiting(reason("unknown_unit", text, serial=ref.serial, part=ref.part), thing)
        if len(found) > 1:
            parts = sorted({one.part for one in found})
            text = f"{len(found)} units have the serial {ref.serial}; name the part: {', '.join(parts)}."
            raise Waiting(reason("ambiguous_serial", text, serial=ref.serial, parts=parts))
        return found[0]

    def is_another(self, serial: str, unit: NamedUnit) -> bool:
        """Whether a serial is carried by others, and not by the unit."""
        carriers = self.units.get(serial, ())
        return bool(carriers) and all(one.id != unit.id for one in carriers)

    def _is_routed(self, unit: NamedUnit, step: str | None) -> bool:
        if unit.product_id is None:
            return False
        definition = self.products[unit.product_id].definition
        return bool(definition.route) if step is None else definition.step(step) is not None

    def part(self, part: str) -> PartNumber:
        """What is known of a part number."""
        found = self.parts.get(part)
        if found is None:
            text = f"No product definition or bill of materials names the part {part}."
            raise Waiting(reason("unknown_part", text, part=part), f"part:{part}")
        return found

    def child(self, child: Child) -> NamedUnit | None:
        """The unit that is a serialized child; None: it is not known yet."""
        assert child.serial is not None
        return self._carrier(child.part, child.maker, child.serial)

    def makers(self, part: str, serial: str | None) -> list[str]:
        """Whose parts of that number carry the serial."""
        return sorted({one.maker for one in self.units.get(serial or "", ()) if one.part == part})

    def _carrier(self, part: str, maker: str | None, serial: str) -> NamedUnit | None:
        same = [one for one in self.units.get(serial, ()) if one.part == part]
        same = [one for one in same if not maker or one.maker in ("", maker)]
        current = [one for one in same if one.is_current] or same
        return current[0] if current else None


def _refs(message: Message) -> Iterator[UnitRef]:
    for name in ("unit", "parent"):
        ref = getattr(message.data, name, None)
        if ref is not None:
            yield ref
    if isinstance(message.data, ForeignRunReported) and message.data.tells_of:
        yield UnitRef(message.data.tells_of)


def _parts(message: Message) -> Iterator[Child | PartReceived]:
    data = message.data
    if type(data) is RunReported:  # nearly all there are, and they name no parts
        return
    if isinstance(data, PartInstalled | PartRemoved):
        yield data.child
    if isinstance(data, PartReceived):
        yield data
    if isinstance(data, MaterialLoaded):
        yield Child(data.part, lot=data.lot, maker=data.maker)


def tells_of_material(data: Struct) -> bool:
    """Whether it tells what is loaded at a station, or takes of that."""
    if isinstance(data, MaterialLoaded):
        return True
    return type(data) is PartInstalled and data.child.lot is None and data.child.serial is None


def _serials(messages: Iterable[Message]) -> set[str]:
    found: set[str] = set()
    for message in messages:
        found.update(ref.serial for ref in _refs(message))
        found.update(one.serial for one in _parts(message) if one.serial)
    return found


def lot_key(one: Child | PartReceived | MaterialLoaded) -> LotKey:
    """What tells the lot that a message names from others."""
    assert one.lot is not None
    return LotKey(one.part, one.maker or "", one.lot)


async def look_up(connection: AsyncConnection, messages: Sequence[Message], at: datetime) -> Names:
    """Look up all that messages name, making bought units and lots known that are mentioned for the first time."""
    mentioned = [one for message in messages for one in _parts(message)]
    names = Names(
        stations=await stations_named(connection, {message.station for message in messages}),
        units=await units_named(connection, _serials(messages)),
        parts=await part_numbers(connection, {one.part for one in mentioned}) if mentioned else {},
        lots=await lots_named(connection, {lot_key(one) for one in mentioned if one.lot}) if mentioned else {},
    )
    await _make_known(connection, names, [message for message in messages if _may_make_known(message, names)], at)
    if mentioned:  # after names, and before any unit is locked
        speakers = {message.station for message in messages if tells_of_material(message.data)}
        names.subjects = await lock_stations(connection, speakers) if speakers else {}
    ids = {one.product_id for units in names.units.values() for one in units if one.product_id}
    names.products = await products(connection, ids)
    return names


def _may_make_known(message: Message, names: Names) -> bool:
    """Removals prove that a part was there, but only of a known station's word."""
    return message.station in names.stations or not message.source.startswith("stations/")


def _is_made_known(one: Child | PartReceived, names: Names) -> bool:
    """Whether a mention makes a new unit or lot known. Made parts come from orders alone."""
    part = names.parts.get(one.part)
    if part is None:
        return False
    if one.lot:
        return lot_key(one) not in names.lots
    if one.serial is None:
        return False
    is_unknown = names._carrier(one.part, one.maker, one.serial) is None
    return is_unknown and part.source == "bought" and (isinstance(one, PartReceived) or not part.receipt_required)


async def _make_known(connection: AsyncConnection, names: Names, messages: Sequence[Message], at: datetime) -> None:
    new = [one for message in messages for one in _parts(message) if _is_made_known(one, names)]
    if not new:
        return
    await lock_names(connection, (f"{one.part}/{one.serial or one.lot}" for one in new))
    # Another transaction may have made them known while this one waited.
    for serial, units in (await units_named(connection, {one.serial for one in new if one.serial})).items():
        names.units[serial] = units
    names.lots |= await lots_named(connection, {lot_key(one) for one in new if one.lot})
    serialized: dict[tuple[str, str], NewUnit] = {}
    lots: list[LotKey] = []
    for one in new:
        if not _is_made_known(one, names):
            continue
        if one.lot:
            lots.append(lot_key(one))
        else:
            assert one.serial is not None
            first = serialized.setdefault((one.part, one.serial), NewUnit(one.part, one.maker or "", one.serial))
            if one.maker and not first.maker:
                serialized[one.part, one.serial] = first._replace(maker=one.maker)
    for unit in await create_bought_units(connection, list(serialized.values()), names.parts, at):
        names.units.setdefault(unit.serial, []).append(unit)
    names.lots |= await create_lots(connection, list(dict.fromkeys(lots)), at)


def said_at(message: Message) -> datetime:
    """When a message's event was, as the station says; that of a last will is not known to it."""
    for name in ("ended_at", "at", "start"):  # a message has one of them; runs are most of all messages
        said = getattr(message.data, name, None)
        if isinstance(said, datetime):
            return said
    return message.time


def effective(message: Message, said: datetime, received_at: datetime) -> datetime:
    """When a message's event took effect; `said` is what the station says of that (`said_at`)."""
    if isinstance(message.data, StationStatus) and message.data.will:
        return received_at
    return effective_at(said, received_at)


def skew_of(said: datetime, received_at: datetime) -> Reason | None:
    """What is odd about a station's clock."""
    ahead_s = (said - received_at).total_seconds()
    if not is_set(said):
        told = f"The event is said to be of {said.year}: the station's clock is not set. It"
    elif ahead_s > SKEW_MAX_S:
        told = f"The event lies {ahead_s:.0f} s ahead of the MES's clock; it"
    else:
        return None
    return reason("clock_skew", f"{told} is recorded as of its arrival.", ahead_s=round(ahead_s, 3))
