"""Folds entries onto the stored floor, under locks, so that what is stored is always the fold of all entries.

First what is loaded at stations, then who is where: the stays that the new entries touch are worked out again from the
earliest of them on, which for entries in order is no more than those entries. Then each unit's own progress: an event
newer than all before it is applied on top; anything older makes that one unit be folded again from its entries in the
journal.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from operator import attrgetter
from typing import NamedTuple

from sqlalchemy.ext.asyncio import AsyncConnection

from mes.commands.entrance import Locking, at_any_time
from mes.commands.live_failures import Watched, breaks_of, watch
from mes.commands.material import load, with_lots
from mes.commands.slice import AssemblySlice, assembly_slice
from mes.db.attempts import replace_attempts, save_attempts
from mes.db.entries import entries_of
from mes.db.holds import holds_on
from mes.db.inbox import reasons_text
from mes.db.installations import correct, stays_in
from mes.db.nonconformances import Opened, open_nonconformances, reopen_others, settle_nonconformances, withdraw_others
from mes.db.units import LockedUnit, lock_units, save_units
from mes.domain.as_built import fit, position_changes
from mes.domain.assembly import Stay, fold_assembly
from mes.domain.facts import (
    Entry,
    Key,
    LotId,
    MaterialLoaded,
    MaterialUnloaded,
    PartInstalled,
    PartRemoved,
    SamplesTaken,
    UnitId,
)
from mes.domain.hold import Hold, concerning
from mes.domain.live_limits import LimitBroken
from mes.domain.material import is_material
from mes.domain.nonconformance import Nonconformance, Settlement
from mes.domain.refusals import Reason
from mes.domain.unit import Attempt, Event, State, UnitHistory, apply, fold_unit, is_late, subject_of


class Move(NamedTuple):
    """A unit's state before and after an entry."""

    before: State
    after: State


class Refolded(NamedTuple):
    """A unit that was folded again because of something older than what was known."""

    unit: UnitId
    move: Move
    attempts: int
    nonconformances: tuple[Nonconformance, ...] = ()


@dataclass(slots=True)
class Folded:
    """What entries did: deviations and moves by entry, the units folded again, nonconformances opened and settled."""

    deviations: dict[Key, list[Reason]] = field(default_factory=lambda: defaultdict(list))
    moves: dict[tuple[Key, UnitId], Move] = field(default_factory=dict)
    refolded: list[Refolded] = field(default_factory=list)
    attempts: list[tuple[UnitId, Attempt]] = field(default_factory=list)
    opened: list[tuple[UnitId, Nonconformance]] = field(default_factory=list)
    settled: list[Settlement] = field(default_factory=list)
    newly_opened: set[str] = field(default_factory=set)


class Folding:
    """One transaction's work on the floor: the units it has locked and what became of them."""

    def __init__(self, connection: AsyncConnection, at: datetime, locking: Locking = at_any_time) -> None:
        """`locking` is the block in which all units that a fold needs are locked."""
        self.connection = connection
        self.at = at
        self._locking = locking
        self.units: dict[UnitId, LockedUnit] = {}
        self.folded = Folded()
        self.watched = Watched()
        self._events_of: dict[Key, tuple[Entry | LimitBroken, ...]] = {}
        self._entries: dict[UnitId, list[Entry]] = defaultdict(list)
        self._taken_back: set[UnitId] = set()
        self._lots: dict[UnitId, set[LotId]] = defaultdict(set)
        self._applied: set[Key] = set()

    def stand_in(self, entry: Entry, events: tuple[Entry, ...], *, taken_back: bool) -> None:
        """Before it is folded: say what an entry newly comes to, and whether what an earlier one came to is not so."""
        self._events_of[entry.key] = events
        unit = subject_of(entry.what)
        if taken_back and unit:
            self._taken_back.add(unit)

    def keys_of(self, entry: Entry) -> list[Key]:
        """The keys under which deviations and moves of an entry are found."""
        events = self._events_of.get(entry.key)
        return [entry.key] if events is None else [event.key for event in events]

    async def lock(self, ids: Iterable[UnitId]) -> None:
        """Lock units that are not locked yet."""
        missing = set(ids) - self.units.keys()
        if missing:
            self.units |= await lock_units(self.connection, missing)

    async def fold(self, entries: Sequence[Entry], reasons_of: dict[Key, str]) -> Folded:
        """Fold new entries, of any kinds and units. `reasons_of`: why, as JSON, of those that open nonconformances."""
        events: dict[UnitId, list[Event]] = defaultdict(list)
        for entry in entries:
            unit = subject_of(entry.what)
            if unit is not None:
                self._entries[unit].append(entry)
                events[unit].extend(self._events_of.get(entry.key, (entry,)))
        scans = [entry for entry in entries if is_assembly(entry)]
        async with self._locking(self.connection, bool(scans)):
            await self.lock(unit for entry in entries for unit in units_of(entry))
            taken_back = self._taken_back | await self._assemble(scans, events)
        taken_back |= await self._watch([entry for entry in entries if isinstance(entry.what, SamplesTaken)], events)
        holds = await self._holds(events.keys() | taken_back)
        late = {one for one in events if any(is_late(self.units[one].progress, event) for event in events[one])}
        again = late | taken_back
        for unit in sorted(events.keys() - again):
            self._apply(self.units[unit], events[unit], holds)
        if again:
            await self._fold_again(again, holds)
        broken = {key: reasons_text((why,)) for key, why in self.watched.reasons.items()}
        await self._store({**reasons_of, **broken})
        return self.folded

    async def _watch(self, sampled: Sequence[Entry], events: dict[UnitId, list[Event]]) -> set[UnitId]:
        """Work out what telemetry broke; adds it to `events`. Returns the units of which an earlier break is not so."""
        self.watched = await watch(self.connection, sampled, self.at)
        for entry in sampled:
            broken = self.watched.events.get(entry.key, ())
            self._events_of[entry.key] = tuple(broken)
            for event in broken:
                events[event.unit].append(event)
        return self.watched.taken_back

    async def _assemble(self, entries: Sequence[Entry], events: dict[UnitId, list[Event]]) -> set[UnitId]:
        """Work out the stays again; adds the parents' position changes to `events`.

        Returns the units that had been told of a position change which turns out not to have been.
        """
        scans = [*(one for one in entries if not is_material(one)), *await self._load(entries)] if entries else ()
        if not scans:
            return set()
        touched = await assembly_slice(self.connection, scans, self.lock)
        taken = await with_lots(self.connection, touched.entries)
        history = fold_assembly(taken.values(), touched.open_before)
        for entry in scans:
            self.folded.deviations[entry.key].extend(history.deviations.get(entry.key, ()))
            self.folded.deviations[entry.key].extend(self._unfit(taken[entry.key]))
        stays = [self._with_fit(stay) for stay in history.stays]
        old = {stored.stay: stored.row_id for stored in touched.stored}
        await correct(
            self.connection,
            [old[stay] for stay in old.keys() - set(stays)],
            [stay for stay in stays if stay not in old],
            self.at,
        )
        return self._tell_parents(touched, stays, events)

    async def _load(self, entries: Sequence[Entry]) -> Sequence[Entry]:
        """Work out again what is loaded at stations; gives the scans that took another lot than was known."""
        material = [one for one in entries if is_material(one)]
        if not material:
            return ()
        loaded = await load(self.connection, material, self.at)
        for key, noted in loaded.deviations.items():
            self.folded.deviations[key].extend(noted)
        return loaded.scans

    def _tell_parents(
        self, touched: AssemblySlice, stays: Sequence[Stay], events: dict[UnitId, list[Event]]
    ) -> set[UnitId]:
        before, after = _by_parent(stored.stay for stored in touched.stored), _by_parent(stays)
        taken_back = set()
        for parent in before.keys() | after.keys():
            self._lots[parent].update(lot for stay in after.get(parent, ()) for lot in stay.lots)
            definition = self.units[parent].definition
            told = set(position_changes(before.get(parent, ()), definition))
            true = set(position_changes(after.get(parent, ()), definition))
            if told - true:
                taken_back.add(parent)
            if true - told:
                events[parent].extend(true - told)
        return taken_back

    def _unfit(self, entry: Entry) -> tuple[Reason, ...]:
        if not isinstance(entry.what, PartInstalled):
            return ()
        what = entry.what
        return fit(self.units[what.parent].definition, what.position, what.part, what.maker)

    def _with_fit(self, stay: Stay) -> Stay:
        """A stay with the deviations that follow from the parent's definition, too."""
        odd = fit(self.units[stay.parent].definition, stay.position, stay.part, stay.maker)
        codes = [one.code for one in odd if one.code not in stay.deviations]
        return stay._replace(deviations=(*stay.deviations, *codes)) if codes else stay

    async def _holds(self, ids: Iterable[UnitId]) -> list[Hold]:
        units = [self.units[one] for one in ids]
        keys = {key for one in units for key in (one.id, one.part, one.order_number, *one.progress.contents) if key}
        keys.update(lot for lots in self._lots.values() for lot in lots)
        return await holds_on(self.connection, keys)

    def _concerning(self, holds: Sequence[Hold], unit: LockedUnit) -> tuple[Hold, ...]:
        """The holds that concern a unit, by what is in it and what this transaction says was."""
        if not holds:
            return ()
        lots = {*unit.progress.contents, *self._lots.get(unit.id, ())}
        return concerning(holds, unit=unit.id, part=unit.part, order=unit.order_number, lots=lots)

    def _apply(self, unit: LockedUnit, events: list[Event], holds: Sequence[Hold]) -> None:
        concerned, folded, definition = self._concerning(holds, unit), self.folded, unit.definition
        for event in sorted(events, key=attrgetter("key")) if len(events) > 1 else events:
            key = event.key
            self._applied.add(key)
            outcome = apply(unit.progress, definition, event, concerned, unit.order_ended_at)
            if outcome.deviations:
                folded.deviations[key].extend(outcome.deviations)
            self._moved(key, unit.id, Move(outcome.state_before, outcome.state_after))
            for attempt in outcome.attempts:
                folded.attempts.append((unit.id, attempt))
            for opened in outcome.opened:
                folded.opened.append((unit.id, opened))
            if outcome.closed:
                folded.settled.extend(outcome.closed)

    def _moved(self, key: Key, unit: UnitId, move: Move) -> None:
        first = self.folded.moves.get((key, unit))
        self.folded.moves[key, unit] = Move(first.before, move.after) if first else move

    async def _fold_again(self, ids: set[UnitId], holds: Sequence[Hold]) -> None:
        recorded: dict[UnitId, list[Entry]] = defaultdict(list)
        for entry in await entries_of(self.connection, sorted(ids)):
            subject = subject_of(entry.what)
            if subject is not None:
                recorded[subject].append(entry)
        stays, broken = await stays_in(self.connection, ids), await breaks_of(self.connection, ids)
        histories: dict[UnitId, UnitHistory] = {}
        for one in sorted(ids):
            unit = self.units[one]
            new = self._entries.get(one, [])
            histories[one] = fold_unit(
                unit.definition,
                [*recorded[one], *new],
                [*position_changes(stays.get(one, ()), unit.definition), *broken.get(one, ())],
                self._concerning(holds, unit),
                unit.order_ended_at,
            )
            self._take_over(unit, histories[one], new)
        await self._store_again(histories)

    def _take_over(self, unit: LockedUnit, history: UnitHistory, new: Sequence[Entry]) -> None:
        move = Move(unit.progress.state, history.progress.state)
        for key in (key for entry in new for key in self.keys_of(entry)):
            self.folded.deviations[key].extend(history.deviations.get(key, ()))
            self.folded.moves[key, unit.id] = move
        unit.progress = history.progress
        nonconformances = tuple(history.nonconformances.values())
        self.folded.refolded.append(Refolded(unit.id, move, len(history.attempts), nonconformances))
        self.folded.opened.extend((unit.id, one) for one in nonconformances)
        self.folded.settled.extend(
            Settlement(one.id, one.settled, one.closed_by) for one in nonconformances if one.closed_by and one.settled
        )

    async def _store_again(self, histories: Mapping[UnitId, UnitHistory]) -> None:
        """Put what units come to now in the place of what they came to before."""
        units = list(histories)
        known = [one for history in histories.values() for one in history.nonconformances.values()]
        await replace_attempts(self.connection, {unit: history.attempts for unit, history in histories.items()})
        await reopen_others(self.connection, units, [one.id for one in known if one.closed_by is None])
        await withdraw_others(self.connection, units, [one.id for one in known])

    async def _store(self, reasons_of: dict[Key, str]) -> None:
        again = {one.unit for one in self.folded.refolded}
        await save_attempts(
            self.connection, (one for one in self.folded.attempts if one[0] not in again), self._applied
        )
        runs = {attempt.closed_by: attempt.run_id for _, attempt in self.folded.attempts}
        opened = [
            Opened(unit, one, runs.get(one.opened_by), reasons_of.get(one.opened_by, "[]"))
            for unit, one in self.folded.opened
        ]
        self.folded.newly_opened = set(await open_nonconformances(self.connection, opened))
        await settle_nonconformances(self.connection, self.folded.settled)

    async def save(self) -> None:
        """Store progress and journal heads; the last thing before the commit."""
        await save_units(self.connection, list(self.units.values()))


_ASSEMBLY = frozenset({PartInstalled, PartRemoved, MaterialLoaded, MaterialUnloaded})


def units_of(entry: Entry) -> list[UnitId]:
    """The units that an entry names."""
    what = entry.what
    if unit := subject_of(what):
        return [unit]
    if isinstance(what, PartInstalled | PartRemoved):
        return [what.parent, *([what.child] if what.child else [])]
    return []


def is_assembly(entry: Entry) -> bool:
    """Whether an entry says that a part came or went, or material that parts are taken from."""
    return type(entry.what) in _ASSEMBLY


def _by_parent(stays: Iterable[Stay]) -> dict[UnitId, list[Stay]]:
    found: dict[UnitId, list[Stay]] = defaultdict(list)
    for stay in stays:
        found[stay.parent].append(stay)
    return found
