"""What settling messages writes into the journal: one entry per applied fact, one per thing decided because of it."""

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Protocol

from sqlalchemy.ext.asyncio import AsyncConnection

from mes.commands.folding import Folded, Folding, Refolded
from mes.db.entries import TYPES, entry_data
from mes.db.inbox import Body
from mes.db.journal import Event, Subject, Written, compose, load_heads, moment, save_heads, write
from mes.db.orders import follow_units
from mes.domain.facts import Entry, Key
from mes.domain.refusals import Reason
from mes.domain.unit import State


def trace_id(unit_id: str) -> str:
    """A unit's trace id: its own id without hyphens."""
    return unit_id.replace("-", "")


class Recordable(Protocol):
    """A fact or decision with what its journal entry says: whom it names, what was odd, and more data.

    Without an entry (a station's status) nothing is journalled. `events` are what the entry comes to on the floor
    where that is not the entry itself: if nothing, no fold needs it. `type` is the journal's where the kind of entry
    does not say it.
    """

    @property
    def entry(self) -> Entry | None: ...
    @property
    def subjects(self) -> tuple[Subject, ...]: ...
    @property
    def deviations(self) -> Sequence[Reason]: ...
    @property
    def data(self) -> dict[str, Any]: ...
    @property
    def events(self) -> tuple[Entry, ...] | None: ...
    @property
    def type(self) -> str | None: ...


class Recorder:
    """Collects the entries of one transaction and writes them at its end, in the order of the floor."""

    def __init__(self, connection: AsyncConnection, site: str, at: datetime) -> None:
        self.connection = connection
        self.site = site
        self.at = at
        self.events: list[Event] = []
        self._settled: defaultdict[Key, list[str]] = defaultdict(list)

    def note_message(self, one: Body) -> None:
        """A message that was not applied at once."""
        codes = [reason.code for reason in one.reasons]
        data = {"station": one.station, "message": one.id, "sha256": one.sha256, "reasons": codes}
        self.events.append(Event(f"mes.message.{one.fate}", (), data, name=f"{one.station}/{one.id or one.sha256}"))

    async def record(self, made: Sequence[Recordable], folding: Folding, folded: Folded) -> None:
        """Everything that a fold did, units as they are after it included."""
        for settlement in folded.settled:
            self._settled[settlement.by].append(_uuid(settlement.id))
        facts = [(one.entry, one) for one in made if one.entry]
        for entry, one in sorted(facts, key=lambda fact: fact[0].key):
            self._fact(entry, one, folding.keys_of(entry), folded)
        self._consequences(folding, folded)
        await self.write(folding)
        await folding.save()
        self.events = await self._orders(folding, folded)  # counts the units' states as they are now
        await self.write()

    async def write(self, folding: Folding | None = None) -> list[Written]:
        """Compose and store what was collected."""
        if not self.events:
            return []
        units = folding.units if folding else {}
        others = [subject for event in self.events for subject in event.subjects if subject.id not in units]
        heads = await load_heads(self.connection, others)
        chain = heads | {unit.id: unit.head for unit in units.values()}
        written = [compose(event, chain, self.site, self.at) for event in self.events]
        await write(self.connection, written, self.at)
        await save_heads(self.connection, {subject.id: subject.kind for subject in others}, heads)
        self.events = []
        return written

    def _fact(self, entry: Entry, one: Recordable, keys: Sequence[Key], folded: Folded) -> None:
        data: dict[str, Any] = {"fact": entry_data(entry), **one.data}
        for subject in one.subjects:
            if subject.kind == "unit":
                data["trace_id"] = trace_id(subject.id)
                break
        if one.deviations:
            data["deviations"] = list(dict.fromkeys([reason.code for reason in one.deviations]))
        if verdict := getattr(entry.what, "verdict", None):
            data["verdict"] = verdict
        if moved := _moves(keys, one.subjects, folded):
            data["moved"] = moved
        if self._settled and (settled := [one for key in keys for one in self._settled.get(key, ())]):
            data["settled"] = settled
        effective_at = None if one.events == () else entry.at
        self.events.append(Event(one.type or TYPES[type(entry.what)], one.subjects, data, effective_at))

    def _consequences(self, folding: Folding, folded: Folded) -> None:
        for unit_id, one in folded.opened:
            if _uuid(one.id) in folded.newly_opened:
                unit = folding.units[unit_id].subject
                data = {"step": one.step, "kind": one.kind, "opened_by": _message(one.opened_by)}
                subjects = [unit, Subject("nonconformance", _uuid(one.id), unit.name)]
                self.events.append(Event("mes.nonconformance.opened", subjects, data))
        for again in folded.refolded:
            self.events.append(self._refolded(again, folding))
        for unit_id, before, after in net_moves(folded):
            if after is State.COMPLETED and before is not State.PACKED:
                self.events.append(
                    Event("mes.unit.completed", [folding.units[unit_id].subject], {"from": before.value})
                )

    def _refolded(self, again: Refolded, folding: Folding) -> Event:
        unit = folding.units[again.unit]
        digest = hashlib.sha256(repr(unit.progress.to_plain()).encode()).hexdigest()
        data = {
            "state": {"before": again.move.before.value, "after": again.move.after.value},
            "attempts": again.attempts,
            "digest": digest,
            "trace_id": trace_id(again.unit),
        }
        if again.nonconformances:
            data["nonconformances"] = {
                _uuid(one.id): moment(one.closed_by.at) if one.closed_by else None for one in again.nonconformances
            }
        return Event("mes.unit.refolded", [unit.subject], data)

    async def _orders(self, folding: Folding, folded: Folded) -> list[Event]:
        """Orders follow their units; the units' states must be stored to be counted."""
        moved = {unit for unit, before, after in net_moves(folded) if _is_done(before) != _is_done(after)}
        orders = {folding.units[unit].work_order_id for unit in moved}
        if not orders - {None}:
            return []
        return await follow_units(self.connection, (one for one in orders if one))


def _is_done(state: State) -> bool:
    return state in (State.COMPLETED, State.PACKED, State.SHIPPED)


def net_moves(folded: Folded) -> list[tuple[str, State, State]]:
    """Each unit's state before and after all entries of a batch, where they differ."""
    first: dict[str, State] = {}
    last: dict[str, State] = {}
    for (_, unit), move in sorted([one for one in folded.moves.items() if one[1].before is not one[1].after]):
        first.setdefault(unit, move.before)
        last[unit] = move.after
    for again in folded.refolded:
        first[again.unit], last[again.unit] = again.move
    return [(unit, first[unit], last[unit]) for unit in sorted(first) if first[unit] is not last[unit]]


def _moves(keys: Sequence[Key], subjects: Sequence[Subject], folded: Folded) -> dict[str, Any]:
    """The states before and after of the subjects that an entry moved, by name."""
    moved = {}
    for subject in subjects:
        moves = [move for key in keys if (move := folded.moves.get((key, subject.id)))]
        if moves and moves[0].before is not moves[-1].after:
            moved[subject.name] = {"before": moves[0].before.value, "after": moves[-1].after.value}
    return moved


def _message(key: Any) -> dict[str, str]:
    return {"source": key.source, "id": key.id}


def _uuid(digits: str) -> str:
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"
