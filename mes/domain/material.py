"""Which lots are loaded at stations when, and which of them an installation took.

A *loading* is a lot at a place of a station over a half-open time: from when it was loaded until it was unloaded, or
until another lot was loaded at the same place. This is the first thing that is folded: it depends on nothing but what
stations said of their material. An installation that names neither a serial nor a lot is then of the lot of its part
number that was loaded at its station at that moment. Where several were, at several places, it is of one of them:
nobody knows which, and each of them is kept, so that a recall of any of them finds the unit.
"""

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

from mes.domain.facts import Entry, Key, LotId, MaterialLoaded, MaterialUnloaded, PartInstalled, in_order
from mes.domain.refusals import Reason, reason

STATIONS = "stations/"
"""What the source of a station's facts begins with; its name follows."""

Slot = tuple[str, str | None, str | None]
"""A place that holds one lot at a time: a station's place with a name, or its one place of a part number."""


class Loading(NamedTuple):
    """A lot at a place of a station; `place` None: the station's one place of the part number. `until` None: still.

    `quantity` is how much was loaded, `left` how much was unloaded, where the station said so.
    """

    station: str
    place: str | None
    part: str
    maker: str | None
    lot: LotId
    quantity: Decimal | None
    left: Decimal | None
    since: datetime
    until: datetime | None
    loaded_by: Key
    unloaded_by: Key | None = None

    @property
    def slot(self) -> Slot:
        return _slot(self.station, self.place, self.part)

    def feeds(self, part: str, maker: str | None, at: datetime) -> bool:
        """Whether material of a part number (of a maker, where known) was taken from it at a moment."""
        return (
            self.part == part
            and (maker is None or self.maker is None or maker == self.maker)
            and self.since <= at
            and (self.until is None or at < self.until)
        )


class MaterialHistory(NamedTuple):
    """All loadings, closed and open, none empty, and what was odd about which entry."""

    loadings: list[Loading]
    deviations: dict[Key, tuple[Reason, ...]]


def fold_material(entries: Iterable[Entry], open_before: Iterable[Loading] = ()) -> MaterialHistory:
    """All loadings that entries make of what was loaded before; of `open_before` only what is older than all entries.

    Entries of other kinds are passed over.
    """
    loaded = {one.slot: one for one in open_before}
    ended: list[Loading] = []
    deviations: dict[Key, tuple[Reason, ...]] = {}
    for entry in in_order(one for one in entries if is_material(one)):
        rule = _load if isinstance(entry.what, MaterialLoaded) else _unload
        left, noted = rule(loaded, entry.key, entry.what)  # type: ignore[arg-type]
        ended.extend(one for one in left if one.since != one.until)
        if noted:
            deviations[entry.key] = noted
    return MaterialHistory(sorted([*ended, *loaded.values()], key=lambda one: one.loaded_by), deviations)


def is_material(entry: Entry) -> bool:
    """Whether an entry says that a lot was loaded or unloaded."""
    return isinstance(entry.what, MaterialLoaded | MaterialUnloaded)


def takes_lot(entry: Entry) -> bool:
    """Whether an entry installs material of which its station did not say the lot."""
    what = entry.what
    return (
        isinstance(what, PartInstalled)
        and what.child is None
        and what.lot is None
        and entry.key.source.startswith(STATIONS)
    )


def station_of(entry: Entry) -> str:
    """The name of the station that said it."""
    return entry.key.source.removeprefix(STATIONS)


def with_lot(entry: Entry, loadings: Iterable[Loading]) -> Entry:
    """An installation that took its lot from its station, with every lot it may have taken; any other as it is."""
    if not takes_lot(entry):
        return entry
    what, station = entry.what, station_of(entry)
    assert isinstance(what, PartInstalled)
    found = [one for one in loadings if one.station == station and one.feeds(what.part, what.maker, entry.at)]
    lots = tuple(sorted({one.lot for one in found}))
    if not lots and what.bulk:
        return entry
    makers = {what.maker or one.maker for one in found}
    maker = makers.pop() if len(makers) == 1 else what.maker
    return entry._replace(what=what._replace(lot=lots[0] if len(lots) == 1 else None, maker=maker, loaded=lots))


def _slot(station: str, place: str | None, part: str) -> Slot:
    return (station, place, None) if place else (station, None, part)


_Did = tuple[list[Loading], tuple[Reason, ...]]


def _load(loaded: dict[Slot, Loading], key: Key, what: MaterialLoaded) -> _Did:
    """Load a lot; what was at the place before has made room."""
    slot = _slot(what.station.name, what.place, what.part)
    there = loaded.get(slot)
    if there and there.lot == what.lot:
        return [], (reason("already_loaded", since=there.since.isoformat()),)
    loaded[slot] = Loading(
        what.station.name, what.place, what.part, what.maker, what.lot, what.quantity, None, key.at, None, key
    )
    if there is None:
        return [], ()
    return [there._replace(until=key.at, unloaded_by=key)], (reason("lot_replaced", part=there.part, lot=there.lot),)


def _unload(loaded: dict[Slot, Loading], key: Key, what: MaterialUnloaded) -> _Did:
    """Unload a lot from a place, or from every place of the station where none is named."""
    there = [
        one
        for one in loaded.values()
        if (one.station, one.lot) == (what.station.name, what.lot) and what.place in (None, one.place)
    ]
    if not there:
        return [], (reason("not_loaded", "The lot was not recorded as loaded there.", lot=what.lot),)
    for one in there:
        del loaded[one.slot]
    return [one._replace(until=key.at, unloaded_by=key, left=what.quantity) for one in there], ()
