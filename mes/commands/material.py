"""Folds what stations say of their material onto the loadings, and gives installations the lots they took from them.

Loadings of a station are worked out again from the earliest of the new entries on. An installation that was recorded
before and took its lot from a loading that turns out to have been another one is worked out again, too: a mount that
becomes known a day late changes what the units of that day are said to hold.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy.ext.asyncio import AsyncConnection

from mes.db.entries import entries_of
from mes.db.holds import holds_on
from mes.db.material import KnownLot, StoredLoading, correct_loadings, journal_ids, known_lots, loadings_at
from mes.domain.facts import Entry, Key, MaterialLoaded, MaterialUnloaded
from mes.domain.hold import Hold, concerning, in_force
from mes.domain.material import Loading, fold_material, station_of, takes_lot, with_lot
from mes.domain.refusals import Reason, reason


class Loaded(NamedTuple):
    """What was odd about which entry, and the recorded scans that took another lot than was known."""

    deviations: dict[Key, tuple[Reason, ...]]
    scans: list[Entry]


async def load(connection: AsyncConnection, entries: Sequence[Entry], at: datetime) -> Loaded:
    """Fold new entries that load and unload onto what is known. The journal rows of their stations are locked."""
    by_station: dict[str, list[Entry]] = {}
    for entry in entries:
        assert isinstance(entry.what, MaterialLoaded | MaterialUnloaded)
        by_station.setdefault(entry.what.station.name, []).append(entry)
    loaded = Loaded(await _doubts(connection, entries), [])
    ids = await journal_ids(connection, by_station.keys())
    for station in sorted(by_station):
        again = await _load_at(connection, station, ids[station], by_station[station], at)
        loaded.scans.extend(again.scans)
        for key, noted in again.deviations.items():
            loaded.deviations[key] = (*loaded.deviations.get(key, ()), *noted)
    return loaded


async def _load_at(connection: AsyncConnection, station: str, id: str, new: Sequence[Entry], at: datetime) -> Loaded:
    since = min(entry.at for entry in new)
    stored = await loadings_at(connection, [station], since)
    recorded = await entries_of(connection, [id], since)
    history = fold_material([*recorded, *new], _open_before(stored, since))
    old, true = {one.loading: one.row_id for one in stored}, set(history.loadings)
    await correct_loadings(
        connection,
        [row for loading, row in old.items() if loading not in true],
        [one for one in history.loadings if one not in old],
        at,
    )
    deviations = {entry.key: noted for entry in new if (noted := history.deviations.get(entry.key))}
    scans = [one for one in recorded if takes_lot(one) and with_lot(one, old) != with_lot(one, true)]
    return Loaded(deviations, scans)


def _open_before(stored: Iterable[StoredLoading], since: datetime) -> Iterator[Loading]:
    """What was loaded just before a moment."""
    for one in stored:
        if one.loading.since < since:
            yield one.loading._replace(until=None, unloaded_by=None, left=None)


async def with_lots(connection: AsyncConnection, entries: Sequence[Entry]) -> dict[Key, Entry]:
    """Scans by their keys, each with the lots that it took from what is loaded; their parents are locked."""
    taking = [one for one in entries if takes_lot(one)]
    if not taking:
        return {one.key: one for one in entries}
    stored = await loadings_at(connection, map(station_of, taking), min(one.at for one in taking))
    by_station: dict[str, list[Loading]] = {}
    for one in stored:
        by_station.setdefault(one.loading.station, []).append(one.loading)
    return {one.key: with_lot(one, by_station.get(station_of(one), ())) for one in entries}


async def _doubts(connection: AsyncConnection, entries: Sequence[Entry]) -> dict[Key, tuple[Reason, ...]]:
    """What speaks against lots at the time when they are loaded: on hold then, or never received so far."""
    loads = [(entry, entry.what) for entry in entries if isinstance(entry.what, MaterialLoaded)]
    if not loads:
        return {}
    lots = await known_lots(connection, {what.lot for _, what in loads})
    holds = await holds_on(connection, {key for _, what in loads for key in (what.lot, what.part)})
    return {entry.key: tuple(_against(entry, what, lots[what.lot], holds)) for entry, what in loads}


def _against(entry: Entry, what: MaterialLoaded, lot: KnownLot, holds: Sequence[Hold]) -> Iterator[Reason]:
    if held := in_force(concerning(holds, part=what.part, lots=[what.lot]), entry.at, what.station.name):
        text = f"Lot {lot.lot} of {what.part} is on hold: {'; '.join(one.reason for one in held)}"
        yield reason("on_hold", text, part=what.part, lot=lot.lot, holds=[one.id for one in held])
    if not lot.is_received:
        yield reason("not_received", f"Lot {lot.lot} of {what.part} was never received.", part=what.part, lot=lot.lot)
