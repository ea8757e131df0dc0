"""Lines with their calendars, and stations with how they last said they are."""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from mes.domain.refusals import refuse
from mes.queries.pages import Page, after, cut


@dataclass(frozen=True, slots=True)
class LineStation:
    """A station of a line."""

    name: str
    kind: str


@dataclass(frozen=True, slots=True)
class LineView:
    """A line: its stations, its calendar and its plan."""

    name: str
    time_zone: str
    stations: list[LineStation]
    shifts: list[dict[str, Any]]
    exceptions: list[dict[str, Any]]
    plan: list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class StationView:
    """A station. `clock_skew_s`: its clock minus ours, as measured last; `heard_at`: when it last said anything.

    `calibrated_until`: from then on no step is granted there; null: it needs no calibration.
    """

    name: str
    kind: str
    line: str | None
    state: str
    state_since: datetime | None
    state_reason: str | None
    heard_at: datetime | None
    clock_skew_s: float | None
    calibrated_until: datetime | None
    calibration: str | None


_LINES = """
    SELECT l.name, l.time_zone, l.document,
           coalesce((SELECT jsonb_agg(jsonb_build_object('name', s.name, 'kind', s.kind) ORDER BY s.name)
                     FROM station s WHERE s.line_id = l.id), '[]') AS stations
    FROM line l
"""
_LINE = text(_LINES + "WHERE l.site = :site AND l.name = :name")
_LIST = text(
    _LINES + "WHERE l.site = :site AND (CAST(:after AS text) IS NULL OR l.name > :after) ORDER BY l.name LIMIT :limit"
)
_STATIONS = """
    SELECT s.name, s.kind, l.name AS line, s.state, s.state_since, s.state_reason, s.heard_at, s.clock_skew_s,
           s.calibrated_until, s.calibration
    FROM station s LEFT JOIN line l ON l.id = s.line_id
"""
_STATION = text(_STATIONS + "WHERE s.site = :site AND s.name = :name")
_STATION_LIST = text(
    _STATIONS
    + """
    WHERE s.site = :site AND (CAST(:line AS text) IS NULL OR l.name = :line)
      AND (CAST(:kind AS text) IS NULL OR s.kind = :kind) AND (CAST(:after AS text) IS NULL OR s.name > :after)
    ORDER BY s.name LIMIT :limit
    """
)


async def line_view(connection: AsyncConnection, name: str, site: str) -> LineView:
    """One line. Refuses `unknown_line`."""
    row = (await connection.execute(_LINE, {"name": name, "site": site})).one_or_none()
    if row is None:
        raise refuse("unknown_line", line=name)
    return _line(*row)


async def list_lines(connection: AsyncConnection, site: str, *, limit: int, cursor: str | None) -> Page[LineView]:
    """Lines by name."""
    rows = await connection.execute(_LIST, {"site": site, "after": after(cursor)[0], "limit": limit + 1})
    return cut([_line(*row) for row in rows], limit, lambda one: (one.name,))


async def station_view(connection: AsyncConnection, name: str, site: str) -> StationView:
    """One station. Refuses `unknown_station`."""
    row = (await connection.execute(_STATION, {"name": name, "site": site})).one_or_none()
    if row is None:
        raise refuse("unknown_station", station=name)
    return StationView(*row)


async def list_stations(
    connection: AsyncConnection, site: str, *, line: str | None, kind: str | None, limit: int, cursor: str | None
) -> Page[StationView]:
    """Stations by name."""
    asked = {"site": site, "line": line, "kind": kind, "after": after(cursor)[0], "limit": limit + 1}
    rows = await connection.execute(_STATION_LIST, asked)
    return cut([StationView(*row) for row in rows], limit, lambda one: (one.name,))


def _line(name: str, time_zone: str, document: str, stations: list[dict[str, str]]) -> LineView:
    calendar = json.loads(document)
    told = [LineStation(**station) for station in stations]
    return LineView(name, time_zone, told, calendar["shifts"], calendar["exceptions"], calendar["plan"])
