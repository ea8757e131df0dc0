"""Limits that telemetry breaks while runs are on: what new samples do to stays beyond them, and what follows of it."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from mes.db import excursions as store
from mes.db.broken_runs import tell_broken_runs
from mes.domain.facts import Entry, Key, SamplesTaken, UnitId
from mes.domain.live_limits import CODE, LimitBroken, Series, event_of, failing, stays_in, to_stop, told
from mes.domain.product import Definition
from mes.domain.progress import Progress
from mes.domain.refusals import SENTENCES, Reason
from mes.domain.watch import Stay, joined


@dataclass(slots=True)
class Watched:
    """What messages of samples did: limits that they broke, by message, and units of which an earlier one is not so.

    `reasons` say of each limit how it was broken; `stays` are all that the messages' excursions are part of.
    """

    events: dict[Key, list[LimitBroken]] = field(default_factory=lambda: defaultdict(list))
    reasons: dict[Key, Reason] = field(default_factory=dict)
    stays: dict[Series, list[Stay]] = field(default_factory=dict)
    taken_back: set[UnitId] = field(default_factory=set)


async def watch(connection: AsyncConnection, entries: Sequence[Entry], at: datetime) -> Watched:
    """Join the excursions that entries tell with those known, whose units are locked, and store what they come to."""
    told_by = [(entry.key, one) for entry in sorted(entries, key=lambda one: one.key) for one in stays_in(entry)]
    watched = Watched()
    if not told_by:
        return watched
    kept = await store.stays_near(connection, _spans(one for _, one in told_by))
    row_of = {(one.series, one.stay): one.row_id for one in kept}
    stays: dict[Series, list[Stay]] = defaultdict(list)
    for known in kept:
        stays[known.series].append(known.stay)
    before = {event for series, some in stays.items() for stay in some if (event := event_of(series, stay))}
    for key, (series, stay) in told_by:
        met, stay = joined(stays[series], stay)
        stays[series] = [*(one for one in stays[series] if one not in met), stay]
        event = event_of(series, stay)
        if event and event not in before:
            watched.events[key].append(event)
    now = {
        event: (series, stay) for series, some in stays.items() for stay in some if (event := event_of(series, stay))
    }
    watched.events = {key: [one for one in events if one in now] for key, events in watched.events.items()}
    watched.reasons = {event.key: told(stay, series) for event, (series, stay) in now.items()}
    watched.taken_back = {event.unit for event in before - now.keys()}
    watched.stays = stays
    come = {(series, stay) for series, some in stays.items() for stay in some}
    gone = [row_of[one] for one in row_of.keys() - come]
    await store.correct_stays(connection, gone, come - row_of.keys(), at)
    return watched


def _spans(told_by: Iterable[tuple[Series, Stay]]) -> dict[Series, tuple[datetime, datetime]]:
    """From when to when others may be one with the stays of each series."""
    spans: dict[Series, tuple[datetime, datetime]] = {}
    for series, stay in told_by:
        since, until = spans.get(series, (stay.reach_from, stay.reach_to))
        spans[series] = min(since, stay.reach_from), max(until, stay.reach_to)
    return spans


async def breaks_of(connection: AsyncConnection, units: Iterable[UnitId]) -> dict[UnitId, list[LimitBroken]]:
    """The limits that units' telemetry broke, by all that is known."""
    found: dict[UnitId, list[LimitBroken]] = defaultdict(list)
    for one in await store.broken_stays(connection, list(units)):
        if event := event_of(one.series, one.stay):
            found[event.unit].append(event)
    return found


def stop_of(
    progress: Progress, what: SamplesTaken, serial: str, stays: Mapping[Series, Sequence[Stay]]
) -> Reason | None:
    """Why the station is to stop the run that samples are of; None where it need not."""
    run = failing(progress, what)
    if run is None:
        return None
    series = Series(what.unit, what.station.name, what.step, what.run or "", run.channel)
    known = [stay for stay in stays.get(series, ()) if stay.broke_at]
    return to_stop(run, serial, known[-1] if known else None)


async def tell_live_failures(connection: AsyncConnection, units: Iterable[UnitId]) -> None:
    """Bring the rows of these units' runs, which are stored by now, in line with their attempts."""
    if changed := set(units):
        await tell_broken_runs(connection, changed, CODE, SENTENCES[CODE])


def watches(definition: Definition | None) -> bool:
    """Whether a product's telemetry is watched."""
    return definition is not None and any(one.beyond_s is not None for one in definition.characteristics)
