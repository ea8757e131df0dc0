"""First-pass yield and why runs do not pass."""

import itertools
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from mes.domain.causes import Bad, causes, what_of
from mes.domain.refusals import reason
from mes.domain.yields import JudgedRun, Yield, first_pass, first_runs

START = datetime(2026, 11, 2, 6, tzinfo=UTC)
END = START + timedelta(hours=8)


def run(number: int, unit: str, verdict: str, minute: float, **more: Any) -> JudgedRun:
    told = {"step": "test", "station": "ft-1", **more}
    ended_at = START + timedelta(minutes=minute)
    return JudgedRun(f"{number:04}", unit, ended_at=ended_at, verdict=verdict, **told)


def test_a_retest_changes_nothing() -> None:
    runs = [run(1, "A", "fail", 1), run(2, "A", "pass", 2), run(3, "B", "pass", 3)]
    assert first_pass(first_runs(runs).values(), START, END) == Yield(1, 2)


def test_an_error_is_the_stations_and_the_next_run_is_first() -> None:
    runs = [run(1, "A", "error", 1), run(2, "A", "aborted", 2), run(3, "A", "pass", 3)]
    assert first_pass(first_runs(runs).values(), START, END) == Yield(1, 1)


def test_only_production_counts() -> None:
    runs = [run(1, "A", "fail", 1, purpose="golden"), run(2, "A", "pass", 2)]
    assert first_pass(first_runs(runs).values(), START, END) == Yield(1, 1)


def test_a_first_run_of_an_earlier_shift_is_not_of_this_one() -> None:
    runs = [run(1, "A", "fail", -5), run(2, "A", "pass", 2), run(3, "B", "pass", 480)]
    assert first_pass(first_runs(runs).values(), START, END) == Yield(0, 0)
    assert Yield(0, 0).share is None


def test_each_step_has_a_first_run() -> None:
    runs = [run(1, "A", "pass", 1), run(2, "A", "fail", 2, step="soak")]
    assert first_pass(first_runs(runs).values(), START, END) == Yield(1, 2)


@given(st.permutations(range(8)))
def test_the_order_of_arrival_does_not_matter(order: list[int]) -> None:
    verdicts = itertools.cycle(["fail", "pass", "error", "pass"])
    runs = [run(n, f"U{n % 3}", next(verdicts), n // 2) for n in range(8)]
    assert first_runs(runs[n] for n in order) == first_runs(runs)


def bad(serial: str, *reasons: Any) -> Bad:
    return Bad(serial, "TRAY-1", "test", "ft-1", [one._asdict() for one in reasons])


def test_causes_count_units_not_runs() -> None:
    power = reason("limit_broken", "power at GPU1 is 300 W.", measurement="power at GPU1")
    again = reason("limit_broken", "power at GPU2 is 310 W.", measurement="power at GPU2")
    leak = reason("limit_broken", "leak is 9 Pa.", measurement="leak")
    told = causes([bad("A", power), bad("A", again), bad("B", leak, power), bad("C", leak)], most=5)
    assert [(one.what, one.units, one.example, one.serial) for one in told] == [
        ("leak", 2, "leak is 9 Pa.", "C"),
        ("power", 2, "power at GPU1 is 300 W.", "B"),
    ]


def test_a_bare_claim_is_told_only_where_nothing_else_is() -> None:
    claim, leak = (
        reason("claim_failed", "The station says so."),
        reason("limit_broken", "leak is 9 Pa.", measurement="leak"),
    )
    (told,) = causes([bad("A", claim, leak)], most=5)
    assert (told.what, told.example) == ("leak", "leak is 9 Pa.")
    (told,) = causes([bad("A", claim)], most=5)
    assert told.what == "claim failed"


def test_what_a_reason_is_about() -> None:
    assert what_of(reason("connection_differs", kind="swapped")._asdict()) == "connection swapped"
    assert what_of(reason("claim_kept", claim="error")._asdict()) == "ended with error"
    assert what_of(reason("claim_failed")._asdict()) == "claim failed"
