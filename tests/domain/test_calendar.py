"""Which shift is on, on the line's own clock."""

from datetime import UTC, date, datetime

import pytest

from mes.domain.calendar import Calendar, shift_at, shifts_of

DAYS = ["mon", "tue", "wed", "thu", "fri"]
SHIFTS = [
    {"name": "early", "days": DAYS, "start": "06:00", "end": "14:00"},
    {"name": "late", "days": DAYS, "start": "14:00", "end": "22:00"},
    {"name": "night", "days": [*DAYS, "sun"], "start": "22:00", "end": "06:00"},
]
BERLIN = Calendar("Europe/Berlin", SHIFTS, [{"day": "2026-11-18", "shifts": []}])


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)


@pytest.mark.parametrize(
    ("moment", "name", "day"),
    [
        ("2026-11-16T09:00+01:00", "early", date(2026, 11, 16)),
        ("2026-11-16T14:00+01:00", "late", date(2026, 11, 16)),
        ("2026-11-17T03:00+01:00", "night", date(2026, 11, 16)),
        ("2026-11-17T05:59:59+01:00", "night", date(2026, 11, 16)),
        ("2026-11-17T06:00+01:00", "early", date(2026, 11, 17)),
        ("2026-11-16T02:00+01:00", "night", date(2026, 11, 15)),
    ],
)
def test_a_shift_belongs_to_the_day_it_began(moment: str, name: str, day: date) -> None:
    shift = shift_at(BERLIN, at(moment))
    assert (shift.name, shift.day) == (name, day)
    assert shift.holds(at(moment))


def test_between_shifts_it_is_the_last_one() -> None:
    saturday = at("2026-11-21T12:00+01:00")
    shift = shift_at(BERLIN, saturday)
    assert (shift.name, shift.day, shift.holds(saturday)) == ("night", date(2026, 11, 20), False)


def test_an_exception_replaces_its_day() -> None:
    assert list(shifts_of(BERLIN, date(2026, 11, 18))) == []
    assert shift_at(BERLIN, at("2026-11-18T10:00+01:00")).name == "night"
    special = Calendar(
        "Europe/Berlin",
        SHIFTS,
        [{"day": "2026-11-21", "shifts": [{"name": "extra", "start": "08:00", "end": "12:00"}]}],
    )
    assert shift_at(special, at("2026-11-21T09:00+01:00")).name == "extra"


def test_a_night_in_which_clocks_change_is_longer() -> None:
    shift = shift_at(BERLIN, at("2026-10-26T03:00+01:00"))
    assert (shift.end - shift.start).total_seconds() == 8 * 3600
    sunday = Calendar("Europe/Berlin", [{"name": "night", "days": ["sat"], "start": "22:00", "end": "06:00"}])
    shift = shift_at(sunday, at("2026-10-25T03:00+01:00"))
    assert (shift.end - shift.start).total_seconds() == 9 * 3600
    assert shift.start.tzinfo == shift.end.tzinfo


def test_without_shifts_it_is_the_day_of_the_line() -> None:
    shift = shift_at(Calendar("America/Chicago"), at("2026-11-22T03:00:00+00:00"))
    assert (shift.name, shift.day) == ("", date(2026, 11, 21))
    assert shift.start == datetime(2026, 11, 21, 6, tzinfo=UTC)
    assert shift.end == datetime(2026, 11, 22, 6, tzinfo=UTC)
