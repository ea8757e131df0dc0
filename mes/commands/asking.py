"""May this step begin? What a station asks is decided by the same gates that judge what happened, and recorded.

A decision is made once for each ask and stands; the ask said again is told the same. What names no station or unit
that we know is answered, too, but is no decision about a unit: nothing is recorded of it.
"""

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple, TypeVar

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from mes.commands.act import Act
from mes.commands.calibrations import calibration_reasons
from mes.commands.decisions import Decision, decide
from mes.commands.folding import Folding
from mes.commands.ingest import TRIES_MAX, lost_to_another
from mes.commands.inventories import reasons_against_going_on
from mes.commands.proposed_parts import Proposed
from mes.commands.recognition import Names, Waiting, lot_key
from mes.commands.translation import ticket
from mes.db import inbox
from mes.db.journal import Subject, new_id
from mes.db.lots import lots_named
from mes.db.products import part_numbers, products
from mes.db.session import Database
from mes.db.stations import stations_named
from mes.db.units import NamedUnit, units_named
from mes.domain.facts import Station, StepAnswered, entry
from mes.domain.gates import reasons_against
from mes.domain.refusals import Reason, reason
from mes.formats.messages import Message, StepAsked

T = TypeVar("T")

GRANT_VALID_S: Final = 300
"""How long a grant lets the step start, in seconds."""
AFTER_S: Final = 2.0
"""How long an ask waits for the messages that its answer must take into account, in seconds."""
LOOK_S: Final = 0.01


class Answer(NamedTuple):
    """The answer to the ask `asked` of a station; a `grant` is the name of the decision that granted it."""

    station: str
    asked: str
    granted: bool
    grant: str | None
    valid_s: float | None
    reasons: tuple[Reason, ...]


_UNSETTLED = text(
    """
    SELECT t.id FROM unnest(CAST(:ids AS text[])) AS t (id)
    WHERE NOT EXISTS (SELECT FROM inbox i WHERE i.source = :source AND i.id = t.id)
    """
)
_DECIDED = text(
    """
    SELECT j.body::json -> 'data' FROM journal_subject s JOIN journal j ON j.id = s.entry_id
    WHERE s.subject_id = :unit AND j.type = 'mes.step.answered'
      AND j.body::json #>> '{data,asked,source}' = :source AND j.body::json #>> '{data,asked,id}' = :id
    """
)


async def not_settled(database: Database, asked: Message, wait_s: float = AFTER_S) -> list[str]:
    """Of the messages that an ask's answer must include, those that still have no fate after `wait_s` seconds."""
    missing = list(_data(asked).after)
    deadline = asyncio.get_running_loop().time() + wait_s
    while missing:
        async with database.reading() as connection:
            found = await connection.execute(_UNSETTLED, {"source": asked.source, "ids": missing})
            missing = list(found.scalars())
        if missing:
            if asyncio.get_running_loop().time() >= deadline:
                break
            await asyncio.sleep(LOOK_S)
    return missing


async def answer(
    database: Database, asked: Message, missing: Sequence[str], at: datetime, happened_at: datetime | None = None
) -> Answer:
    """Decide an ask at a moment; returns after the commit. `missing` are messages that it names and that never came.

    `happened_at`: when it was asked, in an MES that is loaded with history; it is decided as of then.

    Raises only if the database can't be reached or keeps failing.
    """
    for attempt in range(TRIES_MAX):
        try:
            async with database.transaction() as connection:
                return await _answer(connection, Act(database.site, "", at, happened_at), asked, missing)
        except Exception as error:
            if not lost_to_another(error) or attempt + 1 == TRIES_MAX:
                raise
            await asyncio.sleep(0.01 * 2**attempt)
    raise AssertionError("unreachable")


async def _answer(connection: AsyncConnection, act: Act, asked: Message, missing: Sequence[str]) -> Answer:
    names = await _look_up(connection, asked)
    unknown: list[Reason] = []
    unit = _known(unknown, lambda: names.unit(_data(asked).unit, _data(asked).step))
    station = _known(unknown, lambda: names.station(asked))
    if unit is None:
        return _refused(asked, unknown)
    folding = Folding(connection, act.when)
    if station is None:
        return _refused(asked, [*unknown, *await _against(folding, names, unit, None, asked)])
    gate = ticket(asked)
    if not await inbox.admit(connection, [gate], act.at):
        return await _answered_before(connection, unit, asked, gate)
    against = await _against(folding, names, unit, station, asked)
    if missing:
        shown = f"Messages that the answer must take into account have not come: {len(missing)}."
        against.append(reason("facts_pending", shown, messages=list(missing)))
    return await _decide(folding, act, unit, station, asked, against)


def _known(unknown: list[Reason], look: Callable[[], T]) -> T | None:
    """What an ask names; if it is not known, why goes to `unknown`."""
    try:
        return look()
    except Waiting as waiting:
        unknown.append(waiting.why)
        return None


def _data(asked: Message) -> StepAsked:
    assert isinstance(asked.data, StepAsked)
    return asked.data


def _refused(asked: Message, reasons: Sequence[Reason]) -> Answer:
    return Answer(asked.station, asked.id, False, None, None, tuple(reasons))


async def _look_up(connection: AsyncConnection, asked: Message) -> Names:
    data = _data(asked)
    names = Names(
        stations=await stations_named(connection, [asked.station]),
        units=await units_named(connection, {data.unit.serial, *(one.serial for one in data.parts if one.serial)}),
    )
    if data.parts:
        names.parts = await part_numbers(connection, {one.part for one in data.parts})
        names.lots = await lots_named(connection, {lot_key(one) for one in data.parts if one.lot})
    ids = {one.product_id for units in names.units.values() for one in units if one.product_id}
    names.products = await products(connection, ids)
    return names


async def _against(
    folding: Folding, names: Names, unit: NamedUnit, station: Station | None, asked: Message
) -> list[Reason]:
    """Everything that speaks against the step's start, and against the parts proposed for it.

    Of a station that is not registered the kind is not known, and so no reason of its own.
    """
    data = _data(asked)
    proposed = Proposed(folding, names, data.parts)
    await folding.lock({unit.id, *proposed.unit_ids})
    locked = folding.units[unit.id]
    step = locked.definition.step(data.step) if locked.definition else None
    at_station = station or Station(asked.station, step.station_kind if step else "")
    holds = (await folding.holds_concerning(unit.id))[unit.id]
    against = reasons_against(
        locked.progress, locked.definition, data.step, at_station, folding.at, holds, locked.order_ended_at
    )
    found = list(against)
    found += await calibration_reasons(folding.connection, asked.station, folding.at)
    found += await reasons_against_going_on(folding.connection, locked, data.step)
    return [*found, *await proposed.reasons_against(locked, data.step)]


async def _decide(
    folding: Folding, act: Act, unit: NamedUnit, station: Station, asked: Message, against: Sequence[Reason]
) -> Answer:
    granted = not against
    name = new_id()
    until = folding.at + timedelta(seconds=GRANT_VALID_S) if granted else None
    what = StepAnswered(unit.id, _data(asked).step, station, granted, until)
    told: dict[str, Any] = {
        "asked": {"source": asked.source, "id": asked.id},
        "reasons": [one._asdict() for one in against],
    }
    if granted:
        told |= {"grant": name, "valid_s": GRANT_VALID_S}
    subjects = (Subject("unit", unit.id, unit.serial),)
    decision = Decision(entry(folding.at, f"mes/{act.site}", name, what), subjects, told)
    await decide(folding, act.site, [decision], act.at)
    return _as_told(asked, granted, told)


async def _answered_before(connection: AsyncConnection, unit: NamedUnit, asked: Message, gate: inbox.Ticket) -> Answer:
    """What was decided when the ask first came. Another ask under the same id is refused."""
    named = {"unit": unit.id, "source": asked.source, "id": asked.id}
    decided = (await connection.execute(_DECIDED, named)).scalar_one_or_none()
    (before,) = await inbox.seen(connection, [gate])
    if decided is None or before.content != gate.content:
        shown = f"Another message with the id {asked.id} came before; every message needs an id of its own."
        return _refused(asked, [reason("conflicting_report", shown, id=asked.id)])
    return _as_told(asked, decided["fact"]["what"]["granted"], decided)


def _as_told(asked: Message, granted: bool, told: dict[str, Any]) -> Answer:
    """An answer from what the journal says of it."""
    reasons = tuple(Reason(**one) for one in told["reasons"])
    return Answer(asked.station, asked.id, granted, told.get("grant"), told.get("valid_s"), reasons)
