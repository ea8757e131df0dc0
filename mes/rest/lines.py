"""Lines and stations over REST."""

from typing import Annotated, Literal

from fastapi import Body as BodyOf
from fastapi import Request, Response
from pydantic import Field, model_validator

from mes.commands.calibrations import calibrate
from mes.commands.lines import LineCalendar, StationOfLine, put_line
from mes.queries.lines import LineView, StationView, line_view, list_lines, list_stations, station_view
from mes.queries.pages import Page
from mes.rest.door import act_of, database_of, router, settings_of
from mes.rest.values import LIMIT, Body, Clock, Cursor, Day, Label, Limit, Moment, Name

lines = router("/lines", "lines")
stations = router("/stations", "lines")

Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]


class StationBody(Body):
    """A station; route steps name its kind."""

    name: Name
    kind: Name


class ShiftBody(Body):
    """A shift on days of the week, in the line's time zone; one that ends before it starts ends the next day."""

    name: Label
    days: Annotated[list[Weekday], Field(min_length=1, max_length=7)]
    start: Clock
    end: Clock


class ExceptionalShift(Body):
    """A shift on a day that is not as usual."""

    name: Label
    start: Clock
    end: Clock


class ExceptionBody(Body):
    """A day with other shifts than its weekday has; with none, nothing is worked."""

    day: Day
    shifts: list[ExceptionalShift] = Field(default_factory=list, max_length=20)


class PlanBody(Body):
    """How many units of a part a shift should complete."""

    shift: Label
    part: Name
    quantity: Annotated[int, Field(ge=0, le=1_000_000)]


class LineBody(Body):
    """A line as it is from now on."""

    stations: list[StationBody] = Field(default_factory=list, max_length=1000)
    time_zone: Annotated[str, Field(min_length=1, max_length=64, description="IANA name.")] = "UTC"
    shifts: list[ShiftBody] = Field(default_factory=list, max_length=100)
    exceptions: list[ExceptionBody] = Field(default_factory=list, max_length=1000)
    plan: list[PlanBody] = Field(default_factory=list, max_length=1000)

    @model_validator(mode="after")
    def _names_once(self) -> "LineBody":
        for what, names in (
            ("stations", [one.name for one in self.stations]),
            ("shifts", [one.name for one in self.shifts]),
        ):
            if twice := sorted({name for name in names if names.count(name) > 1}):
                raise ValueError(f"{what}: {twice[0]!r} is named twice")
        known = {shift.name for shift in self.shifts}
        if unknown := [one.shift for one in self.plan if one.shift not in known]:
            raise ValueError(f"plan: there is no shift {unknown[0]!r}")
        return self


_EXAMPLE = {
    "stations": [{"name": "ct-01", "kind": "cable-tester"}],
    "time_zone": "Europe/Berlin",
    "shifts": [{"name": "early", "days": ["mon", "tue", "wed", "thu", "fri"], "start": "06:00", "end": "14:00"}],
    "exceptions": [{"day": "2026-12-25", "shifts": []}],
    "plan": [{"shift": "early", "part": "CB-0001", "quantity": 120}],
}
LineIn = Annotated[LineBody, BodyOf(openapi_examples={"cables": {"value": _EXAMPLE}})]


@lines.put("/{line}", status_code=201, responses={200: {"description": "The line was there and is changed."}})
async def put(request: Request, response: Response, line: Name, body: LineIn) -> LineView:
    """Make or change a line. Stations not named any more leave it; stations named leave the line they were in."""
    told = body.model_dump(mode="json")
    calendar = LineCalendar(told["time_zone"], told["shifts"], told["exceptions"], told["plan"])
    act = act_of(request)
    async with database_of(request).transaction() as connection:
        is_new = await put_line(
            connection, line, calendar, [StationOfLine(one.name, one.kind) for one in body.stations], act
        )
        view = await line_view(connection, line, act.site)
    response.status_code = 201 if is_new else 200
    return view


@lines.get("/{line}")
async def get(request: Request, line: Name) -> LineView:
    """One line."""
    async with database_of(request).reading() as connection:
        return await line_view(connection, line, settings_of(request).site)


@lines.get("")
async def get_list(request: Request, limit: Limit = LIMIT, cursor: Cursor = None) -> Page[LineView]:
    """Lines by name."""
    async with database_of(request).reading() as connection:
        return await list_lines(connection, settings_of(request).site, limit=limit, cursor=cursor)


class CalibrationBody(Body):
    """Until when a station is calibrated, and by which certificate; null: it measures nothing that needs it."""

    calibrated_until: Moment | None
    certificate: Label | None = None


_CALIBRATION = {"calibrated_until": "2027-11-22T00:00:00Z", "certificate": "DKD-4711"}
CalibrationIn = Annotated[CalibrationBody, BodyOf(openapi_examples={"a year": {"value": _CALIBRATION}})]


@stations.put("/{station}/calibration")
async def put_calibration(request: Request, station: Name, body: CalibrationIn) -> StationView:
    """Say until when a station is calibrated. After that no step is granted there."""
    act = act_of(request)
    async with database_of(request).transaction() as connection:
        await calibrate(connection, station, body.calibrated_until, body.certificate, act)
        return await station_view(connection, station, act.site)


@stations.get("/{station}")
async def get_station(request: Request, station: Name) -> StationView:
    """One station and how it last said it is."""
    async with database_of(request).reading() as connection:
        return await station_view(connection, station, settings_of(request).site)


@stations.get("")
async def get_stations(
    request: Request,
    line: Name | None = None,
    kind: Name | None = None,
    limit: Limit = LIMIT,
    cursor: Cursor = None,
) -> Page[StationView]:
    """Stations by name."""
    site = settings_of(request).site
    async with database_of(request).reading() as connection:
        return await list_stations(connection, site, line=line, kind=kind, limit=limit, cursor=cursor)
