"""What a scan at a bench does: reads it, says the fact as the station would, and tells the person what came of it.

Everything goes the way of every station's messages, under the station's own name, with the person as operator. The
browser names each scan, so that sending it again, after whatever went wrong, does nothing twice.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final, NamedTuple

from msgspec import Struct

from mes.commands.asking import answer
from mes.commands.ingest import Settled, settle
from mes.db.session import Database
from mes.domain.facts import Station
from mes.domain.identity import is_name
from mes.domain.product import Definition
from mes.domain.refusals import Reason, Refusal
from mes.domain.scanning import (
    Found,
    Install,
    Label,
    Mend,
    Move,
    NamePart,
    Objection,
    OnBench,
    PointAt,
    TakeUp,
    read,
)
from mes.domain.workplace import Work, work_at
from mes.formats.messages import (
    TYPES,
    Child,
    Message,
    PartInstalled,
    PartRemoved,
    StepAsked,
    StepStarted,
    UnitRef,
    decode,
    encode_event,
)
from mes.formats.messages.labels import read_label
from mes.queries.bench import Content, UnitOnBench, found_units, unit_on_bench
from mes.queries.search import near_units

GOOD, INFO, WAIT, BAD = "good", "info", "wait", "bad"
"""How an answer looks; each also says in words what it is."""
AGE_MAX: Final = timedelta(days=7)
"""A scan that a browser kept longer than this happened, as far as we say, so long ago."""
_TYPE_OF: Final = {struct: name for types in TYPES.values() for name, struct in types.items()}
_EXPECTED: Final = frozenset({"not_asked", "already_installed"})
"""Deviations that the page itself brings about and tells in its own words."""


class Told(NamedTuple):
    """What a person is told of a scan: how it looks, a headline, the rest, and ways to mend it."""

    tone: str
    title: str
    text: str = ""
    mends: tuple[Mend, ...] = ()
    scanned: str = ""


class Where(NamedTuple):
    """Where and by whom it is done: the station, the person, the scan's own name, when it was scanned, and now."""

    database: Database
    station: Station
    operator: str
    id: str
    at: datetime
    now: datetime


class Chosen(NamedTuple):
    """What was chosen before the scan: a position pointed at, a part number named, a doubt confirmed."""

    position: str | None = None
    part: str | None = None
    confirmed: bool = False


class Done(NamedTuple):
    """What came of a scan: what to tell, the unit that is on the bench now, and what is chosen for the next scan."""

    told: Told
    unit_id: str | None
    chosen: Chosen = Chosen()


def label_of(scanned: str, known: Collection[str], parts: Collection[str]) -> Label:
    """What a scan says. A bare text is read as a serial first: `SRV-7` begins with an S and carries no prefix.

    A prefix is taken off a bare text only where what is left is known: a serial in `known`, or one of `parts`.
    """
    text = scanned.strip()
    fields = read_label(text)
    if text.startswith(("(", "[)>")):
        serials = (fields["serial"],) if "serial" in fields else ()
        return Label(text, serials, fields.get("part"), fields.get("lot"))
    if text not in known:
        if fields.get("serial") in known:
            return Label(text, (fields["serial"],))
        if fields.get("part") in parts:
            return Label(text, (), fields["part"])
        if text[:2] == "1T" and "lot" in fields:
            return Label(text, (), None, fields["lot"])
    return Label(text, (text,))


def serials_in(scanned: str) -> list[str]:
    """The serials that a scan may stand for, to look them up."""
    text = scanned.strip()
    return [one for one in dict.fromkeys((text, read_label(text).get("serial", ""))) if is_name(one)]


def on_bench(unit: UnitOnBench, step: str | None, chosen: Chosen) -> OnBench | None:
    """A unit as the rules for scans see it; None: it has no definition that says what goes into it."""
    if unit.definition is None:
        return None
    quantities: dict[str, Decimal] = {}
    for one in unit.contents:
        quantities[one.position] = quantities.get(one.position, Decimal(0)) + (one.quantity or 0)
    routed = unit.definition.step(step) if step else None
    return OnBench(
        unit.id,
        unit.serial,
        unit.definition,
        unit.progress,
        routed.installs if routed else (),
        unit.parts,
        quantities,
        chosen.position,
        chosen.part,
    )


def work_of(unit: UnitOnBench, where: Where) -> Work:
    """What the unit's route has for this station now."""
    return work_at(unit.progress, unit.definition, where.station, where.now, unit.holds, unit.order_ended_at)


async def scan(where: Where, unit: UnitOnBench, scanned: str, chosen: Chosen) -> Done:
    """A scan while a unit is on the bench. The only step that may start is started by the first part."""
    async with where.database.reading() as connection:
        found = await found_units(connection, serials_in(scanned), where.now)
    work = work_of(unit, where)
    if work.open is None:
        if other := _other_unit(unit, found):
            return take_up(other.id, other.serial, other.id == unit.id)
        if len(work.startable) != 1:
            return Done(_not_started(work), unit.id)
        told = await start(where._replace(id=f"{where.id}.start"), unit, work.startable[0])
        async with where.database.reading() as connection:
            unit = await unit_on_bench(connection, unit.id)
        work = work_of(unit, where)
        if work.open is None:
            return Done(told, unit.id)
    bench = on_bench(unit, work.open.step, chosen)
    if bench is None:
        return Done(Told(BAD, "Nothing may be installed", told_in_words(work.reasons)), unit.id)
    move = read(bench, label_of(scanned, {one.serial for one in found}, bench.parts), found, chosen.confirmed)
    return await _moved(where, unit, move, chosen, scanned.strip())


async def _moved(where: Where, unit: UnitOnBench, move: Move, chosen: Chosen, scanned: str) -> Done:
    if isinstance(move, PointAt):
        told = Told(INFO, f"Next goes into {move.position}", _here_now(unit, move.position))
        return Done(told, unit.id, chosen._replace(position=move.position))
    if isinstance(move, NamePart):
        return Done(Told(INFO, move.part, "Now scan its serial."), unit.id, chosen._replace(part=move.part))
    if isinstance(move, TakeUp):
        return take_up(move.unit.id, move.unit.serial, move.unit.id == unit.id)
    if isinstance(move, Objection):
        told = Told(BAD, "Not installed", move.why.text, move.mends, scanned)
        return Done(told, unit.id, chosen._replace(confirmed=False))
    return Done(await _install(where, unit, move), unit.id)


def _other_unit(unit: UnitOnBench, found: Sequence[Found]) -> Found | None:
    """The one unit that a scan means which is built here and is no part of the unit on the bench."""
    lines = unit.definition.bom if unit.definition else ()
    routed = [
        one
        for one in found
        if one.definition and one.definition.route and not any(line.approves(one.part, None) for line in lines)
    ]
    return routed[0] if len(routed) == 1 else None


def _not_started(work: Work) -> Told:
    if not work.startable:
        return Told(BAD, "Nothing may be installed", told_in_words(work.reasons))
    text = f"Choose first which step to start: {' or '.join(work.startable)}."
    return Told(BAD, "No step is started", text, tuple(Mend("step", one) for one in work.startable))


def take_up(unit_id: str, serial: str, is_same: bool = False) -> Done:
    """A unit comes onto the bench. Nothing is started by that: looking at a unit is no work on it."""
    return Done(Told(INFO, serial, "It is on the bench already." if is_same else "It is on the bench."), unit_id)


async def first_scan(where: Where, site: str, scanned: str, part: str | None) -> Done:
    """A scan while no unit is on the bench: the unit that it names, if it names one; `part` settles which."""
    async with where.database.reading() as connection:
        found = await found_units(connection, serials_in(scanned), where.now)
        known = {one.serial for one in found}
        label = label_of(scanned, known, ())
        meant = [one for one in found if one.serial in label.serials and part in (None, one.part)]
        here = [one for one in meant if one.definition and _is_routed(one.definition, where.station.kind)] or meant
        near = [] if here else await near_units(connection, site, label.serials[0] if label.serials else label.text)
    if len(here) == 1:
        return take_up(here[0].id, here[0].serial)
    if here:
        parts = sorted({one.part for one in here})
        text = f"{here[0].serial} is the serial of {' and of '.join(parts)}. Which is it?"
        return Done(Told(BAD, "Which unit?", text, tuple(Mend("part", one) for one in parts), scanned.strip()), None)
    mends = tuple(Mend("unit", one.serial) for one in near[:4])
    text = f"No unit carries {label.text}."
    return Done(Told(BAD, "Unknown unit", text, mends, scanned.strip()), None)


def _is_routed(definition: Definition, kind: str) -> bool:
    return any(step.station_kind == kind for step in definition.route)


async def start(where: Where, unit: UnitOnBench, step: str) -> Told:
    """Ask whether a step may start, and start it if so. The answer is on the record either way."""
    if any(one.step == step and one.station == where.station.name for one in unit.progress.in_progress(step)):
        return Told(INFO, f"{step} is in progress")
    ref = UnitRef(unit.serial, unit.part)
    asked = message(where, StepAsked(ref, step), f"{where.id}.ask")
    answered = await answer(where.database, asked, (), where.now)
    if not answered.granted:
        return Told(BAD, f"{step} may not start", told_in_words(answered.reasons))
    settled = await say(where, StepStarted(ref, step, where.at, where.id, where.operator))
    return told_of(settled, f"{step} started", "")


async def _install(where: Where, unit: UnitOnBench, move: Install) -> Told:
    child = Child(move.part, move.serial, move.lot, None, move.quantity)
    settled = await say(
        where, PartInstalled(UnitRef(unit.serial, unit.part), move.position, child, where.at, where.operator)
    )
    name = f"{move.part} {move.serial or move.lot}"
    if move.again:
        return told_of(settled, f"Already in {move.position}", f"{name} was scanned before; nothing changed.", INFO)
    if move.moved_from:
        text = f"{name} was in {move.moved_from}, which is empty now."
        return told_of(settled, f"Moved to {move.position}", text)
    return told_of(settled, f"In {move.position}", name)


async def remove(where: Where, unit: UnitOnBench, content: Content, why: str) -> Told:
    """Take out what is in a position, with the reason."""
    child = Child(content.part, content.serial, content.lot, content.maker or None, content.quantity)
    if content.serial:
        child = Child(content.part, content.serial)
    ref = UnitRef(unit.serial, unit.part)
    settled = await say(where, PartRemoved(ref, content.position, child, where.at, where.operator, why))
    name = f"{content.part} {content.serial or content.lot or '(lot not known)'}"
    return told_of(settled, f"Taken out of {content.position}", name, WAIT)


def last_installed(unit: UnitOnBench, station: str) -> Content | None:
    """What this station put into the unit last."""
    mine = [one for one in unit.contents if one.installed_by == f"stations/{station}"]
    return max(mine, key=lambda one: one.installed_at) if mine else None


async def say(where: Where, data: Struct) -> Settled:
    """Say a fact as the station; what became of it."""
    (settled,) = await settle(where.database, [message(where, data, where.id)], where.now)
    return settled


def message(where: Where, data: Struct, message_id: str) -> Message:
    """A message of the station, read from its bytes as every other is. Refuses what no station could say."""
    source = f"stations/{where.station.name}"
    body = encode_event(_TYPE_OF[type(data)], source, message_id, where.at, data)
    (made,) = decode(where.station.name, None, body)
    if not isinstance(made, Message):
        raise Refusal(*made.reasons)
    return made


def told_of(settled: Settled, title: str, text: str, tone: str = GOOD) -> Told:
    """What a person is told of a fact that was said, by its fate and what was odd about it."""
    odd = [one.text for one in settled.reasons if one.code not in _EXPECTED]
    if settled.fate == "applied":
        return Told(WAIT if odd and tone == GOOD else tone, title, " ".join([text, *odd]).strip())
    if settled.fate == "duplicate":
        return Told(INFO, title, f"{text} It was said before; nothing was done twice.".strip())
    kept = "It is kept and will be applied when it can be." if settled.fate == "pending" else "It was not applied."
    return Told(BAD, f"Not applied: {settled.fate}", " ".join([kept, *odd]))


def told_in_words(reasons: Sequence[Reason]) -> str:
    """Every reason, in words."""
    return " ".join(one.text for one in reasons)


def _here_now(unit: UnitOnBench, position: str) -> str:
    here = [one for one in unit.contents if one.position == position]
    return "; ".join(f"{one.part} {one.serial or one.lot or '(lot not known)'} is there now." for one in here)


def scanned_at(now: datetime, waited_ms: int) -> datetime:
    """When a scan was made that a browser kept for a while, whatever the browser's clock says."""
    return now - min(timedelta(milliseconds=max(waited_ms, 0)), AGE_MAX)


MENDS: Final[Mapping[str, str]] = {
    "position": "Put it into {what}",
    "part": "It is a {what}",
    "remove": "Take out what is in {what}",
    "unit": "Work on {what} instead",
    "confirm": "It was taken out there: put it into {what}",
    "step": "Start {what}",
}
"""What the button of each way out says."""
