"""What speaks against a step that a station asks for, by all that is known at one moment. Nothing is changed."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import NamedTuple, TypeVar

import asyncpg

from mes.commands.calibrations import calibration_reasons
from mes.commands.inventories import holds_up, reasons_by
from mes.commands.proposed_parts import Proposed
from mes.commands.recognition import Names, Waiting, lot_key
from mes.db.asks import SeenUnit, Sight, look
from mes.db.inventories import read_and_built
from mes.db.units import NamedUnit
from mes.domain.facts import Station
from mes.domain.gates import granted_elsewhere, reasons_against, reasons_against_contents
from mes.domain.hold import concerning
from mes.domain.inventory import BLOCKING
from mes.domain.refusals import Reason, reason
from mes.formats.messages import Message, StepAsked

T = TypeVar("T")


class Judged(NamedTuple):
    """Whether a step may begin: it may if there are no reasons. `named` is the unit as the ask calls it.

    Without a `unit` or a `station` the ask names one that is not known, and one of the reasons says so.
    """

    named: NamedUnit | None
    unit: SeenUnit | None
    station: Station | None
    reasons: tuple[Reason, ...]


async def judge(connection: asyncpg.Connection, asked: Message, data: StepAsked, at: datetime) -> Judged:
    """Everything that speaks against the step's start at a moment, and against the parts proposed for it."""
    sight = await _see(connection, asked, data, at)
    names = _names(sight)
    unknown: list[Reason] = []
    named = _known(unknown, lambda: names.unit(data.unit, data.step))
    station = _known(unknown, lambda: names.station(asked))
    if named is None:
        return Judged(None, None, station, tuple(unknown))
    unit = sight.units[named.id]
    found = [*unknown, *_against_start(sight, unit, station or _suitable(unit, asked, data.step), data.step, at)]
    found += await _against_going_on(connection, unit, data.step)
    found += Proposed(sight, names, data.parts, at).reasons_against(unit, data.step)
    found += [waits(one.id, one.why, "" if one.station == asked.station else one.station) for one in sight.pending]
    return Judged(named, unit, station, tuple(found))


async def _see(connection: asyncpg.Connection, asked: Message, data: StepAsked, at: datetime) -> Sight:
    return await look(
        connection,
        asked.station,
        data.unit.serial,
        {data.unit.serial, *(one.serial for one in data.parts if one.serial)},
        {one.part for one in data.parts},
        {lot_key(one) for one in data.parts if one.lot},
        at,
    )


def _names(sight: Sight) -> Names:
    stations = {sight.station.name: sight.station.station} if sight.station else {}
    return Names(stations, sight.named, sight.parts, sight.lots, sight.products)


def _known(unknown: list[Reason], look: Callable[[], T]) -> T | None:
    """What an ask names; if it is not known, why goes to `unknown`."""
    try:
        return look()
    except Waiting as waiting:
        unknown.append(waiting.why)
        return None


def _suitable(unit: SeenUnit, asked: Message, step: str) -> Station:
    """Of a station that is not registered the kind is not known, and so no reason of its own."""
    routed = unit.definition.step(step) if unit.definition else None
    return Station(asked.station, routed.station_kind if routed else "")


def _against_start(sight: Sight, unit: SeenUnit, station: Station, step: str, at: datetime) -> Sequence[Reason]:
    holds = concerning(sight.holds, unit=unit.id, part=unit.part, order=unit.order_number, lots=unit.progress.contents)
    others = [hold for hold in sight.holds if hold not in holds]  # what holds the unit itself is told of that
    found = [
        *reasons_against(unit.progress, unit.definition, step, station, at, holds, unit.order_ended_at),
        *granted_elsewhere(unit.progress, unit.begun, step, station.name, at),
        *reasons_against_contents(unit.inside, unit.definition, step, at, others),
    ]
    if sight.station is None:
        return found
    return [*found, *calibration_reasons(sight.station.name, sight.station.calibrated_until, at)]


async def _against_going_on(connection: asyncpg.Connection, unit: SeenUnit, step: str) -> Sequence[Reason]:
    """What the unit's newest inventory says against a step, if it or one before it was read in a step that comes
    earlier. A clean one ends that for all that were read before; a newer bad one does not.

    Of more bad ones in a row than are looked back on, the oldest hold up nothing.
    """
    reaching = [number for number, one in enumerate(unit.readings) if holds_up(one.step, unit.definition, step)]
    found: list[Reason] = []
    for one in unit.readings[: reaching[0] + 1] if reaching else ():
        items, built = await read_and_built(connection, one.inventory_id)
        bad = [why for why in reasons_by(items, built, unit.definition) if why.code in BLOCKING]
        if not bad:
            return ()
        found = found or bad
    return found


def waits(id: str, why: str, station: str = "") -> Reason:
    """A message that is not applied yet; `station` is named where it is not the one that asks."""
    of, because = f" of {station}" if station else "", f": {why}" if why else " to be applied."
    return reason("facts_pending", f"Message {id}{of} waits{because}", messages=[id])
