"""A run fails while it is on, and stays failed however the station ends it."""

from datetime import timedelta
from itertools import permutations

import pytest

from mes.domain.facts import ABORTED, ERROR, FAIL, PASS, Entry, SamplesTaken, entry
from mes.domain.floor import fold_floor
from mes.domain.progress import State
from mes.domain.unit import UnitHistory
from mes.domain.watch import Excursion
from tests.domain.floor_stories import BOARD, TESTER, TRAY, at, done, install, lot, run, start

BUILT = [
    start(0, "build"),
    install(0, "t1", "B1", "b1"),
    install(0, "t1", "B2", "b2"),
    lot(0, "t1", "SCREWS", "lot7", 4),
    done(1, "build"),
]


def hot(first: float, last: float, *, run: str | None = "r1", allowed_s: float = 120, step: str = "test") -> Entry:
    """A message of telemetry, a sample a minute, that shows a channel too hot from its first sample to its last."""
    lasted_s = (at(last) - at(first)) / timedelta(seconds=1)
    stretch = (0.0, lasted_s, 0.0, lasted_s, -90.0, lasted_s + 90.0)
    one = Excursion("temperature", *stretch, False, False, allowed_s, 91.0, None, 85.0)
    what = SamplesTaken("t1", step, TESTER, run, (one,), at(first))
    return entry(at(first), "stations/ft-01", f"hot-{first}-{last}", what)


def fold(*more: Entry) -> UnitHistory:
    floor = fold_floor({"t1": TRAY, "b1": BOARD, "b2": BOARD}, [*BUILT, *more])
    return UnitHistory(*floor.units["t1"], floor.deviations, floor.nonconformances)


def outcomes(history: UnitHistory) -> list[str | None]:
    return [one.outcome for one in history.attempts if one.step == "test"]


def test_too_long_beyond_a_limit_fails_the_step_at_once() -> None:
    history = fold(start(2, "test", TESTER, run="r1"), hot(3, 5))
    assert history.progress.state is State.NONCONFORMING
    assert history.progress.steps["test"].failed == 1
    assert len(history.nonconformances) == 1
    assert [(one.run, one.channel) for one in history.progress.failing] == [("r1", "temperature")]
    assert history.progress.in_progress("test"), "the station has not ended it yet"


def test_less_than_it_may_is_nothing() -> None:
    history = fold(start(2, "test", TESTER, run="r1"), hot(3, 4))
    assert history.progress.state is State.IN_PROCESS
    assert not history.nonconformances


def test_two_messages_are_one_stay_where_the_second_goes_on() -> None:
    assert fold(hot(3, 4), hot(5, 5)).nonconformances
    assert not fold(hot(3, 4), hot(6, 6)).nonconformances


@pytest.mark.parametrize("claim", [PASS, ABORTED, ERROR, FAIL])
@pytest.mark.parametrize("of_samples", ["r1", None])
@pytest.mark.parametrize("of_start", ["r1", None])
@pytest.mark.parametrize("of_end", ["r1", None])
def test_however_the_station_ends_it_and_whoever_names_it_the_run_has_failed(
    claim: str, of_samples: str | None, of_start: str | None, of_end: str | None
) -> None:
    ended = run(6, "test", run=of_end)
    ended = ended._replace(what=ended.what._replace(claim=claim, verdict=claim))
    history = fold(start(2, "test", TESTER, run=of_start), hot(3, 5, run=of_samples), ended)
    (attempt,) = [one for one in history.attempts if one.step == "test"]
    assert (attempt.outcome, attempt.claim, attempt.counted) == (FAIL, claim, True)
    assert "limit_broken_live" in attempt.deviations
    assert history.progress.steps["test"].failed == 1
    assert len(history.nonconformances) == 1
    assert history.progress.failing == []


def test_a_run_that_was_never_started_by_name_fails_too() -> None:
    history = fold(hot(3, 5), run(6, "test", run="r1"))
    assert outcomes(history) == [FAIL]


def test_the_next_run_begins_anew_and_may_pass() -> None:
    history = fold(hot(3, 5), run(6, "test", run="r1"), hot(7, 8, run="r2"), run(9, "test", run="r2"))
    assert history.progress.steps["test"].result == "passed"
    assert not history.progress.nonconformances


def test_a_run_whose_name_extends_anothers_is_its_own() -> None:
    told = [start(2, "test", TESTER, run="burn"), start(2.5, "test", TESTER, run="burn/2")]
    history = fold(*told, hot(3, 4, run="burn/2"), run(4.5, "test", run="burn"), hot(5, 5, run="burn/2"))
    assert [one.run for one in history.progress.failing] == ["burn/2"]


def test_without_a_run_name_it_is_the_run_that_is_on() -> None:
    told = [start(2, "test", TESTER), hot(3, 5, run=None), start(5.5, "test", TESTER), run(7, "test")]
    history = fold(*told)
    assert outcomes(history) == ["interrupted", PASS], "what failed the first is not the second's"


def test_what_was_measured_after_the_end_changes_nothing() -> None:
    ended = run(4, "test", run="r1")
    assert fold(ended, hot(5, 9)).progress.steps["test"].result == "passed"
    assert fold(ended, hot(3, 9)).progress.steps["test"].result == "passed", "it was too long only after the end"
    assert fold(run(4, "test"), hot(5, 9, run=None)).progress.steps["test"].result == "passed"


def test_any_order_of_arrival_ends_the_same() -> None:
    told = [start(2, "test", TESTER, run="r1"), hot(3, 4), hot(5, 5), run(6, "test", run="r1")]
    ends = [fold(*some) for some in permutations(told)]
    assert all(one == ends[0] for one in ends)
    assert ends[0].progress.state is State.NONCONFORMING


def test_a_step_the_route_does_not_have_fails_nothing() -> None:
    assert not fold(hot(3, 5, step="nowhere")).nonconformances
