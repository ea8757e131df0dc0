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
from mes.domain.gates import reasons_against
from mes.domain.hold import concerning
from mes.domain.inventory import BLOCKING
from mes.domain.refusals import Reason
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
    return Judged(named, unit, station, tuple(found))


async def _see(connection: asyncpg.Connection, asked: Message, data: StepAsked, at: datetime) -> Sight:
    return await look(
        connection,
        asked.station,
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
    found = reasons_against(unit.progress, unit.definition, step, station, at, holds, unit.order_ended_at)
    if sight.station is None:
        return found
    return [*found, *calibration_reasons(sight.station.name, sight.station.calibrated_until, at)]


async def _against_going_on(connection: asyncpg.Connection, unit: SeenUnit, step: str) -> Sequence[Reason]:
    """What the unit's newest inventory says against a step that comes after the one in which it was read."""
    if unit.reading is None or not holds_up(unit.reading.step, unit.definition, step):
        return ()
    items, built = await read_and_built(connection, unit.reading.inventory_id)
    return [one for one in reasons_by(items, built, unit.definition) if one.code in BLOCKING]
