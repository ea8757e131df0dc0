"""A floor that takes entries as they arrive, keeps only what a database would keep, and folds again what is late.

It stands for the real ingest in the proof that the order of arrival never matters.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any

from mes.domain.as_built import PositionChanged, position_change, position_changes
from mes.domain.assembly import Assembly, Change, Place, Stay, fold_assembly
from mes.domain.facts import Entry, Key, PartInstalled, PartRemoved, SamplesTaken, UnitId
from mes.domain.floor import Floor, misfits
from mes.domain.hold import Hold, concerning
from mes.domain.live_limits import LimitBroken, breaks
from mes.domain.material import Loading, fold_material, is_material, with_lot
from mes.domain.nonconformance import Nonconformance
from mes.domain.product import Definition
from mes.domain.refusals import Reason
from mes.domain.unit import Attempt, Event, Progress, apply, fold_unit, forgive, is_late, note, subject_of


def changes_of(
    assembly: Assembly, key: Key, change: Change, definition_of: Callable[[UnitId], Definition | None]
) -> list[PositionChanged]:
    """The position changes that one just applied change means, each for its own `unit`.

    `definition_of` finds a parent's definition: a part that moved changes positions of two parents.
    """
    changed: dict[Place, list[Stay]] = {stay.place: [] for stay in (*change.closed, *change.voided, *change.opened)}
    for stay in change.closed:
        changed[stay.place].append(stay)
    return [
        position_change(key, place, assembly.contents(place), left, definition_of(place[0]))
        for place, left in changed.items()
    ]


class IncrementalFloor:
    """Entries in, one at a time, in any order; `state()` is what is stored."""

    def __init__(self, definitions: Mapping[UnitId, Definition | None], holds: tuple[Hold, ...] = ()) -> None:
        self.definitions = definitions
        self.holds = holds
        self.entries: dict[tuple[str, str], Entry] = {}
        self.refolds = 0
        self._loadings: list[Loading] = []
        self._load_deviations: dict[Key, tuple[Reason, ...]] = {}
        self._stays: dict[tuple[Key, Any], Stay] = {}
        self._last_scan: Key | None = None
        self._scan_deviations: dict[Key, tuple[Reason, ...]] = {}
        self._breaks: dict[UnitId, list[LimitBroken]] = {}
        self._plain: dict[UnitId, str] = {}
        self._attempts: dict[UnitId, dict[Key, Attempt]] = {}
        self._nonconformances: dict[UnitId, dict[str, Nonconformance]] = {}
        self._deviations: dict[UnitId, dict[Key, tuple[Reason, ...]]] = {}
        for unit in definitions:
            self._refold(unit)

    def arrive(self, entry: Entry) -> None:
        """Take an entry that may be older than what is known, or known."""
        if (entry.key.source, entry.key.id) in self.entries:
            return
        self.entries[entry.key.source, entry.key.id] = entry
        if is_material(entry):
            self._loaded()
        elif isinstance(entry.what, PartInstalled | PartRemoved):
            self._scanned(entry)
        elif isinstance(entry.what, SamplesTaken):
            self._sampled(entry.what.unit)
        elif unit := subject_of(entry.what):
            self._apply(unit, entry)

    def state(self) -> Floor:
        """What is stored, in the shape of the reference."""
        floor = Floor(
            loadings=self._loadings,
            stays=sorted(self._stays.values(), key=lambda stay: (stay.since, stay.installed_by)),
        )
        for found in (self._load_deviations, self._scan_deviations, *self._deviations.values()):
            for key, reasons in found.items():
                floor.deviations[key] = (*floor.deviations.get(key, ()), *reasons)
        for entry in self.entries.values():
            if found_misfits := misfits(with_lot(entry, self._loadings), self.definitions):
                floor.deviations[entry.key] = floor.deviations.get(entry.key, ()) + found_misfits
        for unit, plain in self._plain.items():
            attempts = self._attempts[unit]
            floor.units[unit] = Progress.from_plain(json.loads(plain)), [attempts[key] for key in sorted(attempts)]
            floor.nonconformances.update(self._nonconformances[unit])
        return floor

    def _sampled(self, unit: UnitId) -> None:
        """Telemetry moves a unit by the limits that it broke."""
        before, now = self._breaks.get(unit, []), breaks(self.entries.values()).get(unit, [])
        self._breaks[unit] = now
        if set(before) - set(now):
            self._refold(unit)
            return
        for event in set(now) - set(before):
            self._apply(unit, event)

    def _loaded(self) -> None:
        """What stations have loaded, again; and every scan, if one took its lot from another loading than was known."""
        before = self._scans()
        history = fold_material(self.entries.values())
        self._loadings, self._load_deviations = history.loadings, history.deviations
        if self._scans() != before:
            self._rescan()

    def _scans(self) -> list[Entry]:
        """Every scan with the lots it took."""
        return [with_lot(entry, self._loadings) for entry in self.entries.values()]

    def _scanned(self, entry: Entry) -> None:
        if self._last_scan and entry.key < self._last_scan:
            self._rescan()
            return
        self._last_scan = entry.key
        assembly = Assembly(stay for stay in self._stays.values() if stay.until is None)
        change = assembly.apply(with_lot(entry, self._loadings))
        self._store(change)
        if change.deviations:
            self._scan_deviations[entry.key] = change.deviations
        never_there = {stay.parent for stay in change.voided}
        for event in changes_of(assembly, entry.key, change, self.definitions.get):
            if event.unit not in never_there:
                self._apply(event.unit, event)
        for unit in never_there:
            self._refold(unit)

    def _store(self, change: Change) -> None:
        for stay in change.voided:
            del self._stays[stay.installed_by, stay.since]
        for stay in (*change.closed, *change.opened):
            self._stays[stay.installed_by, stay.since] = stay

    def _rescan(self) -> None:
        """A late scan: all stays again, and every unit whose stays are others now."""
        before = list(self._stays.values())
        history = fold_assembly(self._scans())
        self._stays = {(stay.installed_by, stay.since): stay for stay in history.stays}
        self._scan_deviations = history.deviations
        for unit in {stay.parent for stay in set(before) ^ set(history.stays)}:
            self._refold(unit)

    def _apply(self, unit: UnitId, event: Event) -> None:
        if unit not in self._plain:
            self._refold(unit)
        progress = Progress.from_plain(json.loads(self._plain[unit]))
        if is_late(progress, event):
            self._refold(unit)
            return
        outcome = apply(progress, self.definitions.get(unit), event, self._holds(unit))
        note(outcome, event.key, self._attempts[unit], self._nonconformances[unit])
        if outcome.deviations:
            self._deviations[unit][event.key] = tuple(outcome.deviations)
        forgive(self._deviations[unit], outcome.asked)
        self._plain[unit] = json.dumps(progress.to_plain())

    def _refold(self, unit: UnitId) -> None:
        self.refolds += 1
        definition = self.definitions.get(unit)
        own = [entry for entry in self.entries.values() if subject_of(entry.what) == unit]
        others = [*self._changes_in(unit), *self._breaks.get(unit, ())]
        history = fold_unit(definition, own, others, self._holds(unit))
        self._plain[unit] = json.dumps(history.progress.to_plain())
        self._attempts[unit] = {attempt.opened_by: attempt for attempt in history.attempts}
        self._nonconformances[unit] = history.nonconformances
        self._deviations[unit] = history.deviations

    def _changes_in(self, unit: UnitId) -> list[PositionChanged]:
        return position_changes(
            [stay for stay in self._stays.values() if stay.parent == unit], self.definitions.get(unit)
        )

    def _holds(self, unit: UnitId) -> tuple[Hold, ...]:
        return concerning(self.holds, unit=unit, part=getattr(self.definitions.get(unit), "part", None))
