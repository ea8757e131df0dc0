"""Runs in progress: what a program has told of them line by line so far, worked out from its lines at each reading."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, NamedTuple

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from mes.db.products import products
from mes.db.recordings import gaps_of, newest_beyond, telling_lines
from mes.domain.facts import PASS
from mes.domain.limits import JudgedMeasurement
from mes.domain.run import Criteria, Defect, Report, judge
from mes.formats import ocptv

ELEMENTS_MAX: Final = 500_000
"""Most values of series that are read for somebody who waits for the answer, the newest: some 5 µs each."""
GAPS_MAX: Final = 100
OPEN, ENDED, INTERRUPTED = "open", "ended", "interrupted"


@dataclass(frozen=True, slots=True)
class RecordingView:
    """How far a run was told (open, ended or interrupted). `gaps` are missing sequence numbers, first and last.

    `broken_off` says in words how its program ended without the run's end.
    """

    state: str
    lines: int
    last_at: datetime | None
    heard_at: datetime
    gaps: list[tuple[int, int]]
    broken_off: str | None = None


class Recorded(NamedTuple):
    """A recording with what it names. `started_at` is that of its start, or failing that of its first line."""

    id: str
    unit_id: str
    serial: str
    part: str
    revision: str | None
    product_id: str | None
    step: str
    station: str
    run: str
    purpose: str
    operator: int | None
    fixture: str | None
    started_at: datetime | None
    view: RecordingView


class SoFar(NamedTuple):
    """What a run in progress has measured, each value judged by itself, and what it found."""

    program: tuple[str, str] | None = None
    measured: Sequence[JudgedMeasurement] = ()
    defects: tuple[Defect, ...] = ()
    notes: dict[str, Any] | None = None


_RECORDED = """
    SELECT r.id::text, r.unit_id::text, u.serial, u.part, p.revision, u.product_id::text, r.step, r.station, r.run,
           r.purpose, r.operator, r.fixture, coalesce(r.started_at, r.began_at),
           CASE WHEN r.ended_at IS NOT NULL THEN 'ended' WHEN r.interrupted_at IS NOT NULL THEN 'interrupted'
                ELSE 'open' END AS state, r.lines, r.last_at, r.heard_at,
           CASE WHEN r.interrupted_at IS NOT NULL THEN r.broken_off END AS broken_off
    FROM recording r JOIN unit u ON u.id = r.unit_id LEFT JOIN product p ON p.id = u.product_id
"""
_ONE = text(_RECORDED + "WHERE r.id = :id AND r.lines > 0")
_OPEN_OF_UNIT = text(
    _RECORDED + "WHERE r.unit_id = :unit AND r.ended_at IS NULL AND r.interrupted_at IS NULL AND r.lines > 0 "
    "ORDER BY r.started_at DESC, r.id DESC LIMIT :limit"
)


async def recorded_run(connection: AsyncConnection, run_id: str) -> Recorded | None:
    """The recording that a run is made of; None for one that was reported as a whole."""
    row = (await connection.execute(_ONE, {"id": run_id})).one_or_none()
    return await _recorded(connection, row) if row else None


async def runs_in_progress(connection: AsyncConnection, unit_id: str, limit: int) -> list[Recorded]:
    """A unit's recordings whose end is waited for, the newest first."""
    rows = (await connection.execute(_OPEN_OF_UNIT, {"unit": unit_id, "limit": limit})).all()
    return [await _recorded(connection, row) for row in rows]


async def _recorded(connection: AsyncConnection, row: Any) -> Recorded:
    gaps = await gaps_of(connection, row[0], GAPS_MAX)
    view = RecordingView(row.state, row.lines, row.last_at, row.heard_at, gaps, row.broken_off)
    return Recorded._make([*row[:13], view])


async def told_so_far(connection: AsyncConnection, recorded: Recorded) -> SoFar:
    """What the lines tell by now."""
    known = await products(connection, [recorded.product_id] if recorded.product_id else [])
    criteria = next((one.criteria for one in known.values()), Criteria(None))
    lines = recorded.view.lines
    left_out_to = await newest_beyond(connection, recorded.id, ELEMENTS_MAX) if lines > ELEMENTS_MAX else None
    reader = ocptv.Reader(recorded.view.gaps, left_out_to)
    async for some in telling_lines(connection, recorded.id, left_out_to):
        await asyncio.to_thread(reader.feed, some)
    return await asyncio.to_thread(_judged, reader, recorded, criteria)


def _judged(reader: ocptv.Reader, recorded: Recorded, criteria: Criteria) -> SoFar:
    run = reader.read().run
    if run is None:
        return SoFar()
    judgement = judge(criteria, Report(recorded.step, PASS, run.measurements, (), run.defects))
    return SoFar(run.program, judgement.measured, run.defects, run.notes)
