"""May this step begin? What a station asks is decided by the same gates that judge what happened, and recorded.

A decision is made once for each ask and stands; the ask said again is told the same. What names no station or unit
that we know is answered, too, but is no decision about a unit: nothing is recorded of it.

A line waits for the answer. So all that it depends on is read in one statement, and recorded in another which does
nothing if the unit has moved in between. Only then, and where the decision comes to more than a grant or a refusal
(it was made in the past of what is folded, or something in progress is seen in another light by it), the unit is
locked and folded as it is for facts.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple

import asyncpg

from mes.commands.act import Act
from mes.commands.awaiting import Arrivals
from mes.commands.decisions import Decision, decide
from mes.commands.folding import Folding
from mes.commands.ingest import lost_to_another, persistently
from mes.commands.journalling import trace_id
from mes.commands.permission import Judged, judge, waits
from mes.commands.translation import ticket
from mes.db import inbox
from mes.db.asks import Recorded, SeenUnit, decided, record
from mes.db.contents import Late
from mes.db.entries import TYPES, entry_data
from mes.db.journal import Event, Subject, compose, new_id
from mes.db.session import Database, driver
from mes.domain.facts import Entry, StepAnswered, entry
from mes.domain.gates import GRANT_VALID_S
from mes.domain.refusals import Reason, reason
from mes.domain.unit import apply, is_late
from mes.formats.messages import Message, StepAsked

AFTER_S: Final = 2.0
"""How long an ask waits for the messages that its answer must take into account, in seconds."""


class Answer(NamedTuple):
    """The answer to the ask `asked` of a station; a `grant` is the name of the decision that granted it."""

    station: str
    asked: str
    granted: bool
    grant: str | None
    valid_s: float | None
    reasons: tuple[Reason, ...]


async def not_settled(arrivals: Arrivals, asked: Message, wait_s: float = AFTER_S) -> list[Late]:
    """Of the messages that an ask's answer must include, those that it can't: they wait, were rejected, or still have
    no fate after `wait_s` seconds."""
    return await arrivals.missing(asked.source, _data(asked).after, wait_s)


async def answer(
    database: Database, asked: Message, missing: Sequence[Late], at: datetime, happened_at: datetime | None = None
) -> Answer:
    """Decide an ask at a moment; returns after the commit. `missing` are messages that it names and that can't be
    taken into account.

    `happened_at`: when it was asked, in an MES that is loaded with history; it is decided as of then.

    Raises only if the database can't be reached or keeps failing.
    """
    act = Act(database.site, "", at, happened_at)
    try:
        async with database.direct() as connection:
            answered = await _decide_at_once(connection, act, asked, missing)
    except Exception as error:
        if not lost_to_another(error):
            raise
        answered = None
    return answered or await _decide_alone(database, act, asked, missing)


async def _decide_at_once(
    connection: asyncpg.Connection, act: Act, asked: Message, missing: Sequence[Late]
) -> Answer | None:
    """Decide and record an ask in two statements; None if it takes a lock and a fold."""
    judged = await _judge(connection, act, asked, missing)
    if judged.unit is None or judged.station is None:
        return _refused(asked, judged.reasons)
    decision = _decision(act, asked, judged)
    if not _only_answers(judged.unit, decision.entry):
        return None
    gate = ticket(asked)
    written = compose(_event(decision), {judged.unit.id: judged.unit.head}, act.site, act.at)
    match await record(connection, gate, judged.unit, written, act.at):
        case Recorded.NOW:
            return _as_told(asked, decision.data)
        case Recorded.BEFORE:
            return await _answered_before(connection, act, judged.unit.id, asked, gate)
    return None


async def _decide_alone(database: Database, act: Act, asked: Message, missing: Sequence[Late]) -> Answer:
    """Decide and record an ask with its unit locked."""

    async def once() -> Answer:
        async with database.transaction() as connection:
            return await _decide_locked(Folding(connection, act.when), act, asked, missing)

    return await persistently(once)


async def _decide_locked(folding: Folding, act: Act, asked: Message, missing: Sequence[Late]) -> Answer:
    connection = await driver(folding.connection)
    judged = await _judge(connection, act, asked, missing)
    if judged.unit is None or judged.station is None:
        return _refused(asked, judged.reasons)
    gate = ticket(asked)
    if not await inbox.admit(folding.connection, [gate], act.at):
        return await _answered_before(connection, act, judged.unit.id, asked, gate)
    await folding.lock({judged.unit.id})
    judged = await _judge(connection, act, asked, missing)  # nobody moves the unit from here on
    decision = _decision(act, asked, judged)
    await decide(folding, act.site, [decision], act.at)
    return _as_told(asked, decision.data)


async def _judge(connection: asyncpg.Connection, act: Act, asked: Message, missing: Sequence[Late]) -> Judged:
    judged = await judge(connection, asked, _data(asked), act.when)
    if not missing or judged.unit is None or judged.station is None:
        return judged
    late = [one for one in _late(missing) if one not in judged.reasons]
    return judged._replace(reasons=(*judged.reasons, *late))


def _late(missing: Sequence[Late]) -> Iterator[Reason]:
    """Why messages that the answer must take into account can't be: each with what is to be done about it."""
    for one in missing:
        if one.fate == inbox.PENDING:
            yield waits(one.id, one.why)
        elif one.fate == inbox.REJECTED:
            why = f" ({one.why.rstrip('.')})" if one.why else ""
            shown = f"Message {one.id} was rejected{why}; mend it and say it again."
            yield reason("facts_pending", shown, messages=[one.id])
    if lost := [one.id for one in missing if one.fate is None]:
        shown = f"Messages that the answer must take into account have not come: {len(lost)}."
        yield reason("facts_pending", shown, messages=lost)


def _decision(act: Act, asked: Message, judged: Judged) -> Decision:
    """The decision on an ask that names what is known, as it goes into the record."""
    assert judged.named
    assert judged.station
    name, granted = new_id(), not judged.reasons
    until = act.when + timedelta(seconds=GRANT_VALID_S) if granted else None
    what = StepAnswered(judged.named.id, _data(asked).step, judged.station, granted, until)
    told: dict[str, Any] = {
        "asked": {"source": asked.source, "id": asked.id},
        "reasons": [one._asdict() for one in judged.reasons],
    }
    if granted:
        told |= {"grant": name, "valid_s": GRANT_VALID_S}
    subjects = (Subject("unit", judged.named.id, judged.named.serial),)
    return Decision(entry(act.when, f"mes/{act.site}", name, what), subjects, told)


def _event(decision: Decision) -> Event:
    """The journal's entry of a decision that moves nothing, as `Recorder` would write it."""
    made, subjects, told = decision.entry, decision.subjects, decision.data
    data = {"fact": entry_data(made), **told, "trace_id": trace_id(subjects[0].id)}
    return Event(TYPES[type(made.what)], subjects, data, made.at)


def _only_answers(unit: SeenUnit, made: Entry) -> bool:
    """Fold the decision onto its unit; whether it comes to no more than what the unit may start."""
    if is_late(unit.progress, made):
        return False
    did = apply(unit.progress, unit.definition, made)
    return not (did.attempts or did.deviations or did.opened or did.closed or did.state_before is not did.state_after)


def _data(asked: Message) -> StepAsked:
    assert isinstance(asked.data, StepAsked)
    return asked.data


def _refused(asked: Message, reasons: Sequence[Reason]) -> Answer:
    return Answer(asked.station, asked.id, False, None, None, tuple(reasons))


async def _answered_before(
    connection: asyncpg.Connection, act: Act, unit_id: str, asked: Message, gate: inbox.Ticket
) -> Answer:
    """What was decided when the ask first came; a grant with the seconds that are left of it, or that it has ended.

    Another ask under the same id is refused.
    """
    before = await decided(connection, unit_id, asked.source, asked.id)
    if before is None or before.content != gate.content:
        shown = f"Another message with the id {asked.id} came before; every message needs an id of its own."
        return _refused(asked, [reason("conflicting_report", shown, id=asked.id)])
    told = _as_told(asked, before.data)
    if not told.granted:
        return told
    ends = datetime.fromisoformat(before.data["fact"]["what"]["valid_until"])
    left_s = (ends - act.when) // timedelta(seconds=1)
    if left_s <= 0:
        text = f"This grant ended at {ends.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC; ask under a new id."
        return _refused(asked, [reason("grant_ended", text, grant=told.grant, ended_at=ends.isoformat())])
    return told._replace(valid_s=min(left_s, told.valid_s or left_s))


def _as_told(asked: Message, told: dict[str, Any]) -> Answer:
    """An answer from what the journal says of it."""
    reasons = tuple(Reason(**one) for one in told["reasons"])
    return Answer(asked.station, asked.id, "grant" in told, told.get("grant"), told.get("valid_s"), reasons)
