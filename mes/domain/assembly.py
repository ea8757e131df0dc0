"""Who was where, when: the first layer of the fold.

Installs and removals, in the order of the floor, become *stays*: a part, or a quantity of a lot, in one position of
one parent over a half-open time. The newest scan is the best evidence: a part scanned somewhere else has left where it
was, and what was in a position before has made room. This layer depends on nothing but its own entries, so a late
scan never makes more than the parts and positions it touches be worked out again.

After every entry a part is in one place and a position holds one serialized part; lots mix freely.
"""

from collections.abc import Iterable, Iterator
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

from mes.domain.facts import Entry, Key, LotId, PartInstalled, PartRemoved, UnitId, in_order
from mes.domain.refusals import Reason, reason

Place = tuple[UnitId, str]
"""A parent and one of its positions."""


class Stay(NamedTuple):
    """A part, or a quantity of a lot or of bulk material, in a position. `until` None: it is still there.

    `loaded` are the lots it was taken from where its scan named none: one, or several of which it is one (then `lot`
    is None). `deviations` are the codes noted on its install. What is left when part of a lot is taken out is a stay
    of its own with the same `installed_by`.
    """

    parent: UnitId
    position: str
    child: UnitId | None
    lot: LotId | None
    part: str
    maker: str | None
    quantity: Decimal | None
    since: datetime
    until: datetime | None
    installed_by: Key
    removed_by: Key | None = None
    deviations: tuple[str, ...] = ()
    loaded: tuple[LotId, ...] = ()

    @property
    def lots(self) -> tuple[LotId, ...]:
        """The lot it is of, or every lot it may be of."""
        return (self.lot,) if self.lot else self.loaded

    @property
    def place(self) -> Place:
        return self.parent, self.position

    @property
    def is_empty(self) -> bool:
        """Whether it ended when it began: such a stay is never stored."""
        return self.since == self.until


class Change(NamedTuple):
    """What one entry did. `voided` stays turned out empty: whoever stored them open forgets them.

    A unit that is the parent of a voided stay must be folded again: it was told of a part that was never there.
    """

    opened: tuple[Stay, ...] = ()
    closed: tuple[Stay, ...] = ()
    voided: tuple[Stay, ...] = ()
    deviations: tuple[Reason, ...] = ()


NO_CHANGE = Change()


class AssemblyHistory(NamedTuple):
    """All stays, closed and open, none empty, and what was odd about which entry."""

    stays: list[Stay]
    deviations: dict[Key, tuple[Reason, ...]]


class Assembly:
    """The stays open now. May hold a slice of the floor: the children, places and ancestors that entries touch.

    `by_child` and `by_place` hold serialized parts, `lots` what else is in a place, first installed first.
    """

    __slots__ = ("by_child", "by_place", "lots")

    def __init__(self, open_stays: Iterable[Stay] = ()) -> None:
        self.by_child: dict[UnitId, Stay] = {}
        self.by_place: dict[Place, Stay] = {}
        self.lots: dict[Place, list[Stay]] = {}
        for stay in open_stays:
            self._open(stay)

    def apply(self, entry: Entry) -> Change:
        """What an entry does to the open stays; nothing if it neither installs nor removes."""
        if isinstance(entry.what, PartInstalled):
            return self._install(entry.key, entry.what)
        if isinstance(entry.what, PartRemoved):
            return self._remove(entry.key, entry.what)
        return NO_CHANGE

    def contents(self, place: Place) -> tuple[Stay, ...]:
        """All that is in a position."""
        part = self.by_place.get(place)
        lots = self.lots.get(place, ())
        return (part, *lots) if part else tuple(lots)

    def open_stays(self) -> Iterator[Stay]:
        """Every open stay."""
        yield from self.by_child.values()
        for lots in self.lots.values():
            yield from lots

    def ancestors(self, unit: UnitId) -> Iterator[UnitId]:
        """The unit's parent, its parent's parent, and so on."""
        while stay := self.by_child.get(unit):
            unit = stay.parent
            yield unit

    def _install(self, key: Key, what: PartInstalled) -> Change:
        if what.child is None:
            return self._install_lot(key, what)
        if what.child == what.parent or what.child in self.ancestors(what.parent):
            return Change(deviations=(reason("contains_itself", parent=what.parent, child=what.child),))
        place = what.parent, what.position
        there, here = self.by_child.get(what.child), self.by_place.get(place)
        if there is not None and there.place == place:
            return Change(deviations=(_already_installed(there),))
        noted: tuple[Reason, ...] = (_already_installed(there),) if there else ()
        if here:
            noted += (reason("position_occupied", child=here.child, part=here.part),)
        left = [self._close(stay, key) for stay in (there, here) if stay]
        return self._changed(left, self._new_stay(key, what, noted), noted)

    def _install_lot(self, key: Key, what: PartInstalled) -> Change:
        noted: tuple[Reason, ...] = ()
        if what.lot and what.quantity is None:
            noted = (reason("quantity_missing", lot=what.lot),)
        if what.loaded == ():
            noted += (reason("not_loaded", part=what.part),)
        if what.loaded and not what.lot:
            noted += (reason("lot_ambiguous", part=what.part, lots=list(what.loaded)),)
        return self._changed([], self._new_stay(key, what, noted), noted)

    def _new_stay(self, key: Key, what: PartInstalled, noted: tuple[Reason, ...]) -> Stay:
        return Stay(
            parent=what.parent,
            position=what.position,
            child=what.child,
            lot=None if what.child else what.lot,
            part=what.part,
            maker=what.maker,
            quantity=None if what.child else what.quantity,
            since=key.at,
            until=None,
            installed_by=key,
            deviations=tuple(one.code for one in noted),
            loaded=what.loaded or (),
        )

    def _remove(self, key: Key, what: PartRemoved) -> Change:
        if what.child is None:
            return self._remove_lot(key, what)
        stay = self.by_child.get(what.child)
        if stay is None or stay.place != (what.parent, what.position):
            return Change(deviations=(_not_installed(what),))
        return self._changed([self._close(stay, key)])

    def _remove_lot(self, key: Key, what: PartRemoved) -> Change:
        """Take out all of a lot, or a quantity of it, first in first out; the rest stays on as a new stay."""
        same = [stay for stay in self.lots.get((what.parent, what.position), ()) if _same_material(stay, what)]
        if not same:
            return Change(deviations=(_not_installed(what),))
        if what.quantity is None:
            return self._changed([self._close(stay, key) for stay in same])
        due, left, rest = what.quantity, [], None
        for stay in same:
            if due <= 0 or stay.quantity is None:
                break
            left.append(self._close(stay, key))
            if stay.quantity > due:
                rest = stay._replace(quantity=stay.quantity - due, since=key.at)
            due -= min(due, stay.quantity)
        return self._changed(left, rest, _unaccounted(what, due, same))

    def _changed(self, left: list[Stay], new: Stay | None = None, noted: tuple[Reason, ...] = ()) -> Change:
        """Open the new stay and sort those that ended from those that never were."""
        if new:
            self._open(new)
        return Change(
            opened=(new,) if new else (),
            closed=tuple(stay for stay in left if not stay.is_empty),
            voided=tuple(stay for stay in left if stay.is_empty),
            deviations=noted,
        )

    def _open(self, stay: Stay) -> None:
        if stay.child is not None:
            self.by_child[stay.child] = self.by_place[stay.place] = stay
            return
        lots = self.lots.setdefault(stay.place, [])
        lots.append(stay)
        lots.sort(key=lambda one: one.installed_by)

    def _close(self, stay: Stay, key: Key) -> Stay:
        if stay.child is not None:
            del self.by_child[stay.child], self.by_place[stay.place]
        else:
            lots = self.lots[stay.place]
            lots.remove(stay)
            if not lots:
                del self.lots[stay.place]
        return stay._replace(until=key.at, removed_by=key)


def fold_assembly(entries: Iterable[Entry], open_before: Iterable[Stay] = ()) -> AssemblyHistory:
    """All stays that entries make of what was open before; of `open_before` only what is older than all entries."""
    assembly = Assembly(open_before)
    stays: list[Stay] = []
    deviations: dict[Key, tuple[Reason, ...]] = {}
    for entry in in_order(entries):
        change = assembly.apply(entry)
        stays.extend(change.closed)
        if change.deviations:
            deviations[entry.key] = change.deviations
    stays.extend(assembly.open_stays())
    return AssemblyHistory(sorted(stays, key=lambda stay: (stay.since, stay.installed_by)), deviations)


def _same_material(stay: Stay, what: PartRemoved) -> bool:
    """Lots are told apart by their ids; a removal that names none means whatever there is of the part number."""
    return what.lot in stay.lots if what.lot else stay.part == what.part


def _already_installed(stay: Stay) -> Reason:
    return reason("already_installed", parent=stay.parent, position=stay.position)


def _not_installed(what: PartRemoved, **facts: str) -> Reason:
    return reason("not_installed", parent=what.parent, position=what.position, **facts)


def _unaccounted(what: PartRemoved, due: Decimal, same: list[Stay]) -> tuple[Reason, ...]:
    """What to note when more was taken out than is known to have been there."""
    if due <= 0:
        return ()
    if any(stay.quantity is None for stay in same):
        return (reason("quantity_missing", lot=what.lot),)
    return (_not_installed(what, quantity=str(due)),)
