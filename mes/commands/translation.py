"""A message, once everything it names is known, as an entry of the floor with all that is stored beside it."""

import hashlib
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from mes.commands.inventories import items_of
from mes.commands.judging import judged_run, told_of
from mes.commands.recognition import Names, Waiting, effective, lot_key, said_at, skew_of
from mes.db.inbox import Ticket
from mes.db.inventories import Inventory
from mes.db.journal import Subject, new_id
from mes.db.lots import LotReceipt
from mes.db.products import PartNumber, Product
from mes.db.runs import RunRecord
from mes.db.samples import Stretches
from mes.db.stations import Status
from mes.db.units import NamedUnit
from mes.domain import facts
from mes.domain.clock import began_at, effective_at
from mes.domain.facts import Entry
from mes.domain.refusals import Reason, reason
from mes.domain.watch import Excursion, excursions
from mes.formats import messages as wire
from mes.formats.messages import Message
from mes.formats.messages.digests import digest_of, encode
from mes.formats.messages.samples import sample_times


class Stream(NamedTuple):
    """Lines of a run that a program tells of while it goes on, and what they name."""

    data: wire.OcptvLines
    unit: NamedUnit
    station: facts.Station
    product: Product | None
    operator: str | None
    at: datetime
    received_at: datetime


@dataclass(slots=True)
class Translation:
    """One message as the record takes it: the entry (None: a status) and what is stored beside it.

    `events` are what the entry newly comes to on the floor where that is not the entry itself; with `taken_back` what
    an earlier one came to is not so any more. `type` is the journal's where the kind of entry does not say it.
    """

    message: Message
    entry: Entry | None
    subjects: tuple[Subject, ...] = ()
    deviations: list[Reason] = field(default_factory=list)
    run: RunRecord | None = None
    stretches: Stretches | None = None
    lot_receipt: LotReceipt | None = None
    status: Status | None = None
    stream: Stream | None = None
    inventory: Inventory | None = None
    events: tuple[Entry, ...] | None = None
    taken_back: bool = False
    type: str | None = None
    data: dict[str, Any] = field(default_factory=dict)


def ticket(message: Message) -> Ticket:
    """What the gate knows a message by."""
    natural = _natural_key(message)
    return Ticket(
        message.source,
        message.id,
        _content(message)[:16],
        _short_digest(encode([message.source, *natural])) if natural else None,
    )


def _content(message: Message) -> bytes:
    """A digest of all that a message says."""
    data = message.data
    told = data.digest if isinstance(data, wire.RunReported | wire.SamplesTaken) else digest_of(data)
    return hashlib.sha256(message.type.encode() + told).digest()


def _short_digest(content: bytes) -> bytes:
    return hashlib.sha256(content).digest()[:16]


def _natural_key(message: Message) -> list[Any] | None:
    """What makes the event itself unique, whatever id it is sent under; None where nothing does."""
    data = message.data
    if isinstance(data, wire.RunReported):
        return ["run", data.run] if data.run else ["run", data.unit, data.step, data.started_at]
    if isinstance(data, wire.PartInstalled | wire.PartRemoved):
        child = data.child
        return [message.type, data.parent, data.position, child.part, child.serial, child.lot, child.maker, data.at]
    if isinstance(data, wire.SamplesTaken):
        return ["samples", data.unit, data.step, data.run, data.start, sorted(data.channels)]
    if isinstance(data, wire.StepStarted | wire.StepCompleted):
        return [message.type, data.unit, data.step, data.run, data.at]
    if isinstance(data, wire.InventoryRead):
        return [message.type, data.unit, data.run, data.at]
    if isinstance(data, wire.PartReceived):
        return [message.type, data.part, data.maker, data.serial, data.lot, data.at]
    if isinstance(data, wire.MaterialLoaded):
        return [message.type, data.part, data.maker, data.lot, data.place, data.at]
    return None


class Translator:
    """Translates the messages of one batch. `operators` gives the numbers that the record has instead of names."""

    def __init__(self, names: Names, operators: dict[str, int]) -> None:
        self.names = names
        self.operators = operators

    def translate(self, message: Message, received_at: datetime) -> Translation:
        """The message as the record takes it; raises `Waiting` where something it names is not known yet."""
        said = said_at(message)
        made = self._translated(message, effective(message, said, received_at), received_at)
        if message.traceparent:
            made.data["traceparent"] = message.traceparent
        if skew := skew_of(said, received_at):
            made.deviations.append(skew)
        return made

    def _translated(self, message: Message, at: datetime, received_at: datetime) -> Translation:
        data = message.data
        if isinstance(data, wire.RunReported):
            return self._run(message, data, at, received_at)
        if isinstance(data, wire.OcptvLines):
            return self._lines(message, data, at, received_at)
        if isinstance(data, wire.SamplesTaken):
            return self._samples(message, data, at, received_at)
        if isinstance(data, wire.PartInstalled | wire.PartRemoved):
            return self._assembly(message, data, at)
        if isinstance(data, wire.PartReceived):
            return self._received(message, data, at)
        if isinstance(data, wire.MaterialLoaded):
            return self._material(message, data, at)
        if isinstance(data, wire.StationStatus):
            self.names.station(message)
            status = Status(message.station, at, data.state, effective_at(data.since, received_at), data.reason)
            return Translation(message, None, status=status)
        return self._simple(message, at)

    def _operator(self, name: str | None) -> str | None:
        return str(self.operators[name]) if name else None

    def _entry(self, message: Message, at: datetime, what: facts.What) -> Entry:
        return facts.entry(at, message.source, message.id, what)

    def _simple(self, message: Message, at: datetime) -> Translation:
        """Facts about one unit that need nothing but the unit and the station."""
        data: Any = message.data
        station = self.names.station(message)
        unit = self.names.unit(data.unit, getattr(data, "step", None))
        what: facts.What
        if isinstance(data, wire.StepStarted):
            what = facts.StepStarted(unit.id, data.step, station, data.run, self._operator(data.operator))
        elif isinstance(data, wire.StepCompleted):
            operator = self._operator(data.operator)
            what = facts.StepCompleted(unit.id, data.step, station, data.outcome, data.run, operator)
        elif isinstance(data, wire.UnitIdentified):
            what = facts.UnitIdentified(unit.id, tuple((one.kind, one.value) for one in data.identifiers))
        elif isinstance(data, wire.UnitPacked):
            what = facts.UnitPacked(unit.id, data.into)
        elif isinstance(data, wire.UnitShipped):
            what = facts.UnitShipped(unit.id, data.order, data.to)
        elif isinstance(data, wire.InventoryRead):
            what = facts.InventoryRead(unit.id, station, data.run)
        else:
            raise TypeError(f"no translation for {message.type}")
        made = Translation(message, self._entry(message, at, what), (_subject(unit),))
        if isinstance(data, wire.InventoryRead):
            self._read_inventory(made, data, unit, at)
        if location := getattr(data, "location", None):
            made.data["location"] = location
        return made

    def _read_inventory(self, made: Translation, data: wire.InventoryRead, unit: NamedUnit, at: datetime) -> None:
        made.inventory = Inventory(unit.id, at, made.message.station, data.run, items_of(data))
        made.events = ()
        made.data |= {"items": len(made.inventory.items), "digest": digest_of(data).hex()}

    def _run(self, message: Message, data: wire.RunReported, at: datetime, received_at: datetime) -> Translation:
        station = self.names.station(message)
        unit = self.names.unit(data.unit, data.step)
        product = self.names.products.get(unit.product_id or "")
        operator = self._operator(data.operator)
        doubts = self._mistaken(data, unit)
        run = judged_run(new_id(), unit.id, product, station.name, data, operator, received_at, doubts)
        what = facts.RunReported(
            unit.id,
            data.step,
            station,
            run.id,
            began_at(data.started_at, data.ended_at, at),
            at,
            data.outcome,
            run.judgement.verdict,
            data.run,
            data.purpose,
            operator,
        )
        made = Translation(message, self._entry(message, at, what), (_subject(unit),), run=run)
        made.deviations.extend(run.judgement.deviations)
        made.deviations.extend(doubts)
        made.data |= told_of(run, data)
        return made

    def _mistaken(self, data: wire.RunReported, unit: NamedUnit) -> list[Reason]:
        """That a tester's report is of another unit than its message: one of the two was scanned wrong."""
        named = data.tells_of if isinstance(data, wire.ForeignRunReported) else None
        if named is None or not self.names.is_another(named, unit):
            return []
        text = f"The message is about {unit.serial}, and the report in it tells of {named}; scan the unit again."
        return [reason("unit_mismatch", text, unit=unit.serial, report=named)]

    def _lines(self, message: Message, data: wire.OcptvLines, at: datetime, received_at: datetime) -> Translation:
        """What extends a recording: its entry follows once it is known what the recording comes to by it."""
        station = self.names.station(message)
        unit = self.names.unit(data.unit, data.step)
        product = self.names.products.get(unit.product_id or "")
        made = Translation(message, None, (_subject(unit),))
        made.stream = Stream(data, unit, station, product, self._operator(data.operator), at, received_at)
        return made

    def _samples(self, message: Message, data: wire.SamplesTaken, at: datetime, received_at: datetime) -> Translation:
        station = self.names.station(message)
        unit = self.names.unit(data.unit, data.step)
        what = facts.SamplesTaken(unit.id, data.step, station, data.run, *self._excursions(unit, data, received_at))
        # Telemetry moves a unit by the limits that it breaks: those are events of their own.
        made = Translation(message, self._entry(message, at, what), (_subject(unit),), events=())
        clock = data.start, data.period_s, data.offsets_s
        made.stretches = Stretches(unit.id, data.step, station.name, data.run, *clock, data.channels)
        made.data["digest"] = data.digest.hex()
        return made

    def _excursions(
        self, unit: NamedUnit, data: wire.SamplesTaken, received_at: datetime
    ) -> tuple[tuple[Excursion, ...] | None, datetime | None]:
        """What is beyond watched limits, and when the first sample was taken: its last one is no later than it came."""
        product = self.names.products.get(unit.product_id or "")
        watched = product.criteria.watched if product else None
        if watched is None or data.purpose != facts.PRODUCTION:
            return None, None
        times = sample_times(data)
        lasted = timedelta(seconds=times[-1])
        found = tuple(excursions(data.channels, watched, times, data.period_s))
        return (found, effective_at(data.start + lasted, received_at) - lasted) if found else (None, None)

    def _assembly(self, message: Message, data: wire.PartInstalled | wire.PartRemoved, at: datetime) -> Translation:
        self.names.station(message)
        parent = self.names.unit(data.parent)
        part = self.names.part(data.child.part)
        child = self._child(data.child) if data.child.serial else None
        lot = self.names.lots[lot_key(data.child)] if data.child.lot else None
        inside = Subject("lot", lot, data.child.lot or "") if lot else self._taken_from(message, part, child)
        operator = self._operator(data.operator)
        what: facts.What
        if isinstance(data, wire.PartRemoved):
            what = facts.PartRemoved(
                parent.id,
                data.position,
                child.id if child else None,
                lot,
                data.child.part,
                data.child.quantity,
                operator,
                data.reason,
            )
        else:
            what = facts.PartInstalled(
                parent.id,
                data.position,
                child.id if child else None,
                lot,
                data.child.part,
                data.child.maker or (child.maker if child else None) or None,
                data.child.quantity,
                operator,
                (part.tracking == "bulk" and not (child or lot)) or None,
            )
        subjects = [_subject(parent), _subject(child) if child else inside]
        return Translation(message, self._entry(message, at, what), tuple(one for one in subjects if one))

    def _taken_from(self, message: Message, part: PartNumber, child: NamedUnit | None) -> Subject | None:
        """Of what is named by neither serial nor lot: the station that it was taken from."""
        if child is None and part.tracking == "serial" and part.product_id:
            raise Waiting(reason("serial_missing", part=part.part))
        return self.names.subjects.get(message.station) if child is None else None

    def _material(self, message: Message, data: wire.MaterialLoaded, at: datetime) -> Translation:
        station = self.names.station(message)
        self.names.part(data.part)
        lot = self.names.lots[lot_key(data)]
        kind = facts.MaterialUnloaded if isinstance(data, wire.MaterialUnloaded) else facts.MaterialLoaded
        operator = self._operator(data.operator)
        what = kind(station, data.part, lot, data.maker, data.place, data.quantity, operator)
        subjects = Subject("lot", lot, data.lot), self.names.subjects[station.name]
        return Translation(message, self._entry(message, at, what), subjects)

    def _child(self, child: wire.Child) -> NamedUnit:
        found = self.names.child(child)
        if found:
            return found
        part = self.names.part(child.part)
        thing = f"unit:{child.part}/{child.serial}" + (f"/{child.maker}" if child.maker else "")
        if part.source == "bought":
            text = f"{child.part} {child.serial} must be received before it is installed."
            if makers := self.names.makers(child.part, child.serial):
                known = f"{child.part} {child.serial} is known as made by {' and by '.join(makers)}"
                text = f"{known}; name that maker, or receive the one by {child.maker}."
            raise Waiting(reason("not_received", text, part=child.part, serial=child.serial), thing)
        text = f"No order has made a {child.part} with the serial {child.serial} yet."
        raise Waiting(reason("unknown_unit", text, part=child.part, serial=child.serial), thing)

    def _received(self, message: Message, data: wire.PartReceived, at: datetime) -> Translation:
        self.names.station(message)
        self.names.part(data.part)
        if data.lot:
            lot = self.names.lots[lot_key(data)]
            what = facts.PartReceived(data.part, None, lot, data.quantity)
            made = Translation(message, self._entry(message, at, what), (Subject("lot", lot, data.lot),))
            made.lot_receipt = LotReceipt(lot, data.quantity, data.date_code)
            return made
        unit = self._child(wire.Child(data.part, serial=data.serial, maker=data.maker))
        what = facts.PartReceived(data.part, unit.id, None, data.quantity)
        made = Translation(message, self._entry(message, at, what), (_subject(unit),))
        if data.date_code:
            made.data["date_code"] = data.date_code
        return made


def _subject(unit: NamedUnit) -> Subject:
    return Subject("unit", unit.id, unit.serial)
