"""Lines: stations, calendar and plan. Putting a line again says what it is from now on."""

from collections.abc import Sequence
from typing import Any, NamedTuple
from zoneinfo import available_timezones

from sqlalchemy import text
from sqlalchemy.dialects import postgresql
from sqlalchemy.ext.asyncio import AsyncConnection

from mes.commands.act import Act, number_of
from mes.db import tables
from mes.db.journal import Event, Subject, append, new_id
from mes.domain.refusals import refuse
from mes.formats.canonical import canonical


class StationOfLine(NamedTuple):
    """A station and the kind of work that route steps name."""

    name: str
    kind: str


class LineCalendar(NamedTuple):
    """When a line works and what it should make: IANA time zone, shifts, exceptions to them, plan per shift."""

    time_zone: str
    shifts: Sequence[dict[str, Any]] = ()
    exceptions: Sequence[dict[str, Any]] = ()
    plan: Sequence[dict[str, Any]] = ()


_STATIONS = text(
    """
    INSERT INTO station (id, site, name, kind, line_id)
    SELECT id, :site, name, kind, :line_id
    FROM unnest(CAST(:ids AS uuid[]), CAST(:names AS text[]), CAST(:kinds AS text[])) AS told(id, name, kind)
    ORDER BY name
    ON CONFLICT (site, name) DO UPDATE SET kind = excluded.kind, line_id = excluded.line_id
    """
)
_LEFT = text("UPDATE station SET line_id = NULL WHERE line_id = :line_id AND name <> ALL(CAST(:names AS text[]))")


async def put_line(
    connection: AsyncConnection, name: str, calendar: LineCalendar, stations: Sequence[StationOfLine], act: Act
) -> bool:
    """Make or change a line; True if it is new. A station named here leaves the line it was in."""
    if calendar.time_zone not in available_timezones():
        text_ = f"{calendar.time_zone!r} is no IANA time zone; write one such as Europe/Berlin."
        raise refuse("invalid", text_, field="time_zone")
    document = canonical(
        {"shifts": list(calendar.shifts), "exceptions": list(calendar.exceptions), "plan": list(calendar.plan)}
    ).decode()
    line_id, is_new = await _upsert(connection, name, calendar.time_zone, document, act.site)
    names = [station.name for station in stations]
    await connection.execute(_LEFT, {"line_id": line_id, "names": names})
    await _put_stations(connection, line_id, stations, act.site)
    data = {"line": name, "time_zone": calendar.time_zone, "stations": names, "by": await number_of(connection, act.by)}
    event = Event("mes.line.changed", [Subject("line", line_id, name)], data)
    await append(connection, [event], site=act.site, at=act.at)
    return is_new


async def add_station(connection: AsyncConnection, line: str, station: StationOfLine, act: Act) -> bool:
    """Put one station into a line, which is made with the time zone UTC if there is none of that name: True then."""
    line_id, is_new = await _upsert(connection, line, None, None, act.site)
    await _put_stations(connection, line_id, [station], act.site)
    data = {"line": line, "added": station.name, "by": await number_of(connection, act.by)}
    await append(
        connection, [Event("mes.line.changed", [Subject("line", line_id, line)], data)], site=act.site, at=act.at
    )
    return is_new


async def _upsert(
    connection: AsyncConnection, name: str, time_zone: str | None, document: str | None, site: str
) -> tuple[str, bool]:
    """The line's id and whether it is new; None leaves what an existing line says as it is."""
    table = tables.line
    made_id = new_id()
    empty = canonical({"shifts": [], "exceptions": [], "plan": []}).decode()
    made = postgresql.insert(table).values(
        id=made_id, site=site, name=name, time_zone=time_zone or "UTC", document=document or empty
    )
    changes = {"time_zone": time_zone, "document": document} if time_zone else {"name": made.excluded.name}
    statement = made.on_conflict_do_update(index_elements=["site", "name"], set_=changes).returning(table.c.id)
    line_id: str = (await connection.execute(statement)).scalar_one()
    return line_id, line_id == made_id


async def _put_stations(
    connection: AsyncConnection, line_id: str, stations: Sequence[StationOfLine], site: str
) -> None:
    if not stations:
        return
    await connection.execute(
        _STATIONS,
        {
            "site": site,
            "line_id": line_id,
            "ids": [new_id() for _ in stations],
            "names": [station.name for station in stations],
            "kinds": [station.kind for station in stations],
        },
    )
