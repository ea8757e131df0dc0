"""Runs: the station's claim, our verdict, and the values with the limits in force when they were judged."""

import json
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from mes.domain.facts import PASS
from mes.domain.refusals import refuse
from mes.queries.pages import Page, after_id, cut
from mes.queries.recordings import Recorded, RecordingView, recorded_run, runs_in_progress, told_so_far


@dataclass(frozen=True, slots=True)
class RunSummary:
    """A run without its values. One in progress, told line by line, has no end, claim and verdict yet."""

    id: str
    step: str
    station: str
    run: str | None
    purpose: str
    started_at: datetime | None
    ended_at: datetime | None
    received_at: datetime
    claim: str | None
    verdict: str | None


@dataclass(frozen=True, slots=True)
class MeasurementView:
    """One value with its inclusive limits in force and our verdict on it."""

    name: str
    value: Any
    unit: str | None
    low: float | None
    high: float | None
    position: str | None
    verdict: str | None


@dataclass(frozen=True, slots=True)
class RunView(RunSummary):
    """A run with all that was reported. `operator` is a number; `digest` is what the journal binds.

    `recording` is there where its program tells of it line by line: how many lines came, and which are missing.
    `notes` are what a foreign format says beside values and defects: its steps, its diagnoses, what was odd in it.
    """

    unit: str
    part: str
    revision: str | None
    operator: int | None
    fixture: str | None
    program: str | None
    program_version: str | None
    reasons: list[dict[str, Any]]
    measurements: list[MeasurementView]
    connections: list[dict[str, Any]]
    defects: list[dict[str, Any]]
    digest: str | None
    notes: dict[str, Any] | None = None
    recording: RecordingView | None = None


_LIST = text(
    """
    SELECT id::text, step, station, run, purpose, started_at, ended_at, received_at, claim, verdict FROM (
        SELECT id, unit_id, step, station, run, purpose, started_at, ended_at, received_at, claim, verdict FROM run
        UNION ALL
        SELECT id, unit_id, step, station, run, purpose, coalesce(started_at, began_at), NULL, heard_at, NULL, NULL
        FROM recording WHERE ended_at IS NULL AND interrupted_at IS NULL
    ) AS every
    WHERE unit_id = :unit AND (CAST(:step AS text) IS NULL OR step = :step)
      AND (CAST(:after AS uuid) IS NULL OR id > :after)
    ORDER BY id LIMIT :limit
    """
)
_VALUES = """
    SELECT r.id::text, r.step, r.station, r.run, r.purpose, r.started_at, r.ended_at, r.received_at, r.claim,
           r.verdict, u.serial, u.part, p.revision, r.operator, r.fixture, r.program, r.program_version, r.reasons,
           r.connections, r.defects, r.digest, r.notes, r.numbers, r.others, r.verdicts,
           l.names, l.units, l.lows, l.highs, l.positions
    FROM run r JOIN unit u ON u.id = r.unit_id LEFT JOIN product p ON p.id = r.product_id
    LEFT JOIN layout l ON l.id = r.layout_id
"""
_ONE = text(_VALUES + "WHERE r.id = :id")
_NEWEST = text(_VALUES + "WHERE r.unit_id = :unit ORDER BY r.started_at DESC, r.id DESC LIMIT :limit")


async def list_runs(
    connection: AsyncConnection, unit_id: str, *, step: str | None, limit: int, cursor: str | None
) -> Page[RunSummary]:
    """A unit's runs in the order in which they arrived."""
    asked = {"unit": unit_id, "step": step, "after": after_id(cursor), "limit": limit + 1}
    rows = await connection.execute(_LIST, asked)
    return cut([RunSummary(*row) for row in rows], limit, lambda one: (one.id,))


async def run_view(connection: AsyncConnection, run_id: str) -> RunView:
    """One run with its values; one in progress with those that came so far. Refuses `unknown_run`."""
    recorded = await recorded_run(connection, run_id)
    row = (await connection.execute(_ONE, {"id": run_id})).one_or_none()
    if row is not None:
        return replace(_view(row), recording=recorded.view if recorded else None)
    if recorded is None:
        raise refuse("unknown_run", run=run_id)
    return await _in_progress(connection, recorded)


async def newest_runs(connection: AsyncConnection, unit_id: str, limit: int) -> list[RunView]:
    """A unit's newest runs with their values: those in progress, then the others, the newest first."""
    going_on = [await _in_progress(connection, one) for one in await runs_in_progress(connection, unit_id, limit)]
    rows = await connection.execute(_NEWEST, {"unit": unit_id, "limit": limit - len(going_on)})
    return [*going_on, *map(_view, rows)]


async def _in_progress(connection: AsyncConnection, one: Recorded) -> RunView:
    told = await told_so_far(connection, one)
    program, version = told.program or (None, None)
    return RunView(
        *(one.id, one.step, one.station, one.run, one.purpose, one.started_at, None, one.view.heard_at, None, None),
        *(one.serial, one.part, one.revision, one.operator, one.fixture, program, version, []),
        [
            MeasurementView(each.name, each.value, each.unit, each.low, each.high, each.position, each.verdict)
            for each in told.measured
        ],
        [],
        [defect._asdict() for defect in told.defects],
        None,
        told.notes,
        one.view,
    )


def _view(row: Any) -> RunView:
    reported = (json.loads(row.connections or "[]"), json.loads(row.defects or "[]"))
    notes = json.loads(row.notes) if row.notes else None
    return RunView(*(*row[:17], json.loads(row.reasons), _measurements(row), *reported, row.digest, notes))


def _measurements(row: Any) -> list[MeasurementView]:
    if row.names is None:
        return []
    others = json.loads(row.others) if row.others else {}
    numbers = row.numbers or [None] * len(row.names)
    verdicts = row.verdicts or [PASS] * len(row.names)
    told = zip(row.names, numbers, row.units, row.lows, row.highs, row.positions, verdicts, strict=True)
    return [
        MeasurementView(name, others.get(str(index), number), *rest) for index, (name, number, *rest) in enumerate(told)
    ]
