"""Where a demo's floor is: there, the shift that people see has hours behind it, whenever they look."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from mes.demo import begun
from stations.floor import crew


def test_the_shift_has_hours_behind_it_at_any_time_of_day(tmp_path: Path) -> None:
    for minutes in range(0, 24 * 60, 10):
        now = datetime(2026, 11, 22, tzinfo=UTC) + timedelta(minutes=minutes)
        floor = begun.find(tmp_path, 1, 1, False, now)
        local = now.astimezone(ZoneInfo(floor.time_zone))
        into_shift = timedelta(hours=(local.hour - 6) % 8, minutes=local.minute)
        assert timedelta(hours=1.5) <= into_shift <= timedelta(hours=6.5)
        start = begun.shift_start(now - timedelta(days=14), floor.time_zone)
        assert (now - start).total_seconds() % crew.SHIFT_S == into_shift.total_seconds()


def test_floors_of_a_folder_are_in_one_place(tmp_path: Path) -> None:
    first = begun.find(tmp_path, 1, 1, False, datetime(2026, 11, 22, tzinfo=UTC))
    begun.keep(tmp_path, first)
    later = begun.find(tmp_path, 2, 1, False, datetime(2026, 11, 22, 4, tzinfo=UTC))
    assert begun.find(tmp_path / "other", 2, 1, False, datetime(2026, 11, 22, 4, tzinfo=UTC)) != later
    assert later.time_zone == first.time_zone
