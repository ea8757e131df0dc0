"""The whole floor, looked at again and again by one hub for all who watch.

What grows with the factory's past (runs of the shift, progress of units, journal) is kept between two looks and added
to; the rest is a few statements over what is open now.
"""

import asyncio
import json
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from math import ceil
from typing import Any, Final, NamedTuple

import msgspec
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from mes.domain.calendar import Calendar, Worked, shift_at
from mes.domain.causes import Bad, Cause, causes
from mes.domain.facts import ERROR, FAIL
from mes.domain.yields import JudgedRun, Yield, first_pass
from mes.queries.board_views import AtWork, FloorNow, Hour, LineNow, StationNow
from mes.queries.floor_events import FloorEvents
from mes.queries.queues import Queue, Queues, by_line
from mes.queries.shift_runs import ShiftRuns
from mes.queries.troubles import read_troubles

CAUSES_SHOWN: Final = 6
RATE_OVER: Final = timedelta(seconds=60)
RATE_FROM_S: Final = 10.0
"""A rate needs a while to be one."""
AN_HOUR: Final = timedelta(hours=1)

_LINES = text("SELECT id::text, name, time_zone, document FROM line WHERE site = :site ORDER BY name")
_STATIONS = text(
    """
    SELECT s.name, s.kind, s.state, s.state_since, s.state_reason, s.line_id::text AS line_id, w.at_work,
           EXISTS (SELECT FROM hold h WHERE h.key = s.name AND h.scope = 'station' AND upper_inf(h.during)) AS is_held
    FROM station s LEFT JOIN LATERAL (
        SELECT jsonb_build_object('serial', u.serial, 'part', u.part, 'step', a.step, 'since', a.started_at,
                                  'others', count(*) OVER () - 1) AS at_work
        FROM attempt a JOIN unit u ON u.id = a.unit_id
        WHERE a.station = s.name AND a.ended_at IS NULL AND a.outcome IS NULL
          AND u.state NOT IN ('shipped', 'scrapped')
        ORDER BY a.started_at DESC LIMIT 1
    ) w ON true
    WHERE s.site = :site ORDER BY s.name
    """
)
_UNITS = text(
    """
    SELECT state, count(*) FROM unit
    WHERE site = :site AND state IN ('created', 'in_process', 'nonconforming') GROUP BY state
    """
)
_NUMBERS = text("SELECT (SELECT next_position FROM ledger_head), (SELECT count(*) FROM product)")
_SIGNS = text(
    """
    SELECT (SELECT next_position FROM ledger_head),
           (SELECT count(*) FROM line), count(*), max(state_at), max(heard_at) FROM station
    """
)


async def signs_of_change(connection: AsyncConnection) -> tuple[object, ...]:
    """Something cheap that is another whenever the floor may look different, also on a standby."""
    return tuple((await connection.execute(_SIGNS)).one())


class _Tally(NamedTuple):
    """What a line's runs of the shift come to."""

    first_pass: Yield
    hours: Sequence[Hour]
    failing: Sequence[Cause]
    erring: Sequence[Cause]


class Floor:
    """The floor as it was looked at last; `look` brings it up to date."""

    def __init__(self, site: str) -> None:
        self.site = site
        self._runs = ShiftRuns()
        self._queues = Queues()
        self._events = FloorEvents()
        self._tallies: dict[str, tuple[object, _Tally]] = {}
        self._positions: list[tuple[datetime, int]] = []
        self._one_looks = asyncio.Lock()

    async def look(self, connection: AsyncConnection, at: datetime) -> FloorNow:
        """The floor at this moment, in the snapshot of the connection."""
        async with self._one_looks:
            return await self._look(connection, at)

    async def _look(self, connection: AsyncConnection, at: datetime) -> FloorNow:
        site = {"site": self.site}
        lines = [(row.id, row.name, _calendar(row)) for row in await connection.execute(_LINES, site)]
        shifts = {line_id: shift_at(calendar, at) for line_id, _, calendar in lines}
        since = min((shift.start for shift in shifts.values()), default=at - timedelta(days=1))
        self._runs = await self._runs.read(connection, since, at)
        rows = (await connection.execute(_STATIONS, site)).all()
        queues = await self._waiting(connection, rows)
        of_kind = {line: _by_kind(waiting) for line, waiting in queues.items()}
        stations = defaultdict(list)
        for row in rows:
            waiting = of_kind[row.line_id][row.kind] if row.line_id in of_kind else 0
            stations[row.line_id].append(self._station(row, waiting))
        if None in stations:
            lines.append((None, "", Calendar("UTC")))
            shifts[None] = shift_at(Calendar("UTC"), at)
        position, products = (await connection.execute(_NUMBERS)).one()
        return FloorNow(
            at,
            [
                self._line(name, calendar, shifts[key], stations[key], queues.get(key, {}), at)
                for key, name, calendar in lines
            ],
            dict(iter(await connection.execute(_UNITS, site))),
            await read_troubles(connection, self.site),
            await self._events.read(connection),
            self._rate(at, position),
            products,
        )

    async def _waiting(self, connection: AsyncConnection, rows: Sequence[Any]) -> Mapping[str | None, Counter[Queue]]:
        """What waits on each line that has stations."""
        kinds: dict[str | None, set[str]] = defaultdict(set)
        for row in rows:
            kinds[row.line_id].add(row.kind)
        return by_line(await self._queues.read(connection, self.site), kinds, {row.name: row.line_id for row in rows})

    def _station(self, row: Any, waiting: int) -> StationNow:
        last = self._runs.last.get(row.name)
        return StationNow(
            row.name,
            row.kind,
            row.state,
            row.state_since,
            row.state_reason,
            msgspec.convert(row.at_work, AtWork | None),
            waiting,
            last.verdict if last else None,
            row.is_held,
        )

    def _line(
        self,
        name: str,
        calendar: Calendar,
        shift: Worked,
        stations: Sequence[StationNow],
        queues: Mapping[Queue, int],
        at: datetime,
    ) -> LineNow:
        names = frozenset(one.name for one in stations)
        return LineNow(
            name,
            calendar.time_zone,
            shift,
            shift.holds(at),
            stations=stations,
            queues=sorted(queues.items(), key=lambda one: (-one[1], one[0])),
            **self._tally(name, names, shift, at)._asdict(),
        )

    def _tally(self, line: str, stations: frozenset[str], shift: Worked, at: datetime) -> _Tally:
        """What the runs of a shift come to, counted again only when there are others or another hour began."""
        key = (self._runs.version, stations, shift, int((at - shift.start) / AN_HOUR))
        known, tally = self._tallies.get(line, (None, None))
        if tally is None or known != key:
            first = [run for run in self._runs.first.values() if run.station in stations]
            tally = _Tally(
                first_pass(first, shift.start, shift.end),
                _by_hour(first, shift, at),
                self._causes(FAIL, stations, shift),
                self._causes(ERROR, stations, shift),
            )
            self._tallies[line] = key, tally
        return tally

    def _causes(self, verdict: str, stations: frozenset[str], shift: Worked) -> list[Cause]:
        told = [
            one
            for one in self._runs.bad.values()
            if one.run.verdict == verdict and one.run.station in stations and shift.holds(one.run.ended_at)
        ]
        told.sort(key=lambda one: one.run.ended_at)
        return causes(
            (Bad(one.serial, one.part, one.run.step, one.run.station, one.reasons) for one in told), CAUSES_SHOWN
        )

    def _rate(self, at: datetime, position: int) -> float | None:
        """Entries a minute, over the last minute as far as it was watched."""
        self._positions = [one for one in self._positions if one[0] > at - RATE_OVER] + [(at, position)]
        begun, first = self._positions[0]
        watched_s = (at - begun).total_seconds()
        return (position - first) / watched_s * 60 if watched_s >= RATE_FROM_S else None


def _by_kind(queues: Mapping[Queue, int]) -> Counter[str]:
    """Units that wait for each kind of station."""
    of_kind: Counter[str] = Counter()
    for queue, units in queues.items():
        of_kind[queue.kind] += units
    return of_kind


def _calendar(row: Any) -> Calendar:
    document = json.loads(row.document)
    return Calendar(row.time_zone, document["shifts"], document["exceptions"])


def _by_hour(first: Sequence[JudgedRun], shift: Worked, at: datetime) -> list[Hour]:
    """The hours of the shift that have begun."""
    begun = max(0, ceil((min(shift.end, at) - shift.start) / AN_HOUR))
    of_hour = defaultdict(list)
    for run in first:
        of_hour[int((run.ended_at - shift.start) // AN_HOUR)].append(run)
    starts = [shift.start + hour * AN_HOUR for hour in range(begun)]
    return [Hour(start, first_pass(of_hour[hour], start, shift.end)) for hour, start in enumerate(starts)]
