"""A line's calendar: which shift works at a moment, on which day it began, from when to when.

Times of day are the line's own, so a shift in the night in which clocks change is an hour longer or shorter. A shift
belongs to the day on which it began, also after midnight.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
LOOKED_BACK_DAYS = 8
"""How far back the last shift is looked for: over a week without work there is none to speak of."""


class Worked(NamedTuple):
    """A shift of a day: `name` is empty where the line has no shifts and the whole day counts as one."""

    name: str
    day: date
    start: datetime
    end: datetime

    def holds(self, at: datetime) -> bool:
        """Whether it is on at a moment."""
        return self.start <= at < self.end


class Calendar(NamedTuple):
    """When a line works. `shifts`: {name, days, start, end}; `exceptions`: {day, shifts [{name, start, end}]}."""

    time_zone: str
    shifts: Sequence[Mapping[str, Any]] = ()
    exceptions: Sequence[Mapping[str, Any]] = ()


def shift_at(calendar: Calendar, at: datetime) -> Worked:
    """The shift that is on, or else the last one that was; the whole day where the calendar knows none.

    Of two that overlap, the one that began last.
    """
    today = at.astimezone(ZoneInfo(calendar.time_zone)).date()
    days = (today - timedelta(days=back) for back in range(LOOKED_BACK_DAYS))
    begun = [shift for day in days for shift in shifts_of(calendar, day) if shift.start <= at]
    if not begun:
        return _whole_day(calendar, today)
    return max(begun, key=lambda shift: (shift.holds(at), shift.start))


def shifts_of(calendar: Calendar, day: date) -> Iterator[Worked]:
    """The shifts that begin on a day: those of an exception to it, or else those of its weekday."""
    exceptional = [one["shifts"] for one in calendar.exceptions if one["day"] == day.isoformat()]
    usual = [one for one in calendar.shifts if WEEKDAYS[day.weekday()] in one["days"]]
    for shift in exceptional[0] if exceptional else usual:
        yield _worked(calendar, shift["name"], day, shift["start"], shift["end"])


def _worked(calendar: Calendar, name: str, day: date, start: str, end: str) -> Worked:
    ends_on = day if end > start else day + timedelta(days=1)
    return Worked(name, day, _moment(calendar, day, start), _moment(calendar, ends_on, end))


def _whole_day(calendar: Calendar, day: date) -> Worked:
    return _worked(calendar, "", day, "00:00", "00:00")


def _moment(calendar: Calendar, day: date, clock: str) -> datetime:
    """A time of day as a moment in UTC: differences of moments in one zone would leave out a change of clocks."""
    local = datetime.combine(day, time.fromisoformat(clock), ZoneInfo(calendar.time_zone))
    return local.astimezone(ZoneInfo("UTC"))
