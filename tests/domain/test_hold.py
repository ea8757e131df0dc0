"""Holds: which of them concern a unit, and when."""

import pytest

from mes.domain.hold import MOVES, SCOPES, SENTENCES, Hold, State, concerning, in_force, matching
from tests.domain.floor_stories import at

THE_UNIT = {"unit": "t1", "part": "TRAY", "order": "WO-1", "lots": ("lot7", "lot8")}
KEYS = {"unit": "t1", "part": "TRAY", "work_order": "WO-1", "lot": "lot8", "station": "ft-01"}


def hold(scope: str, key: str, until: float | None = None) -> Hold:
    return Hold("h", scope, key, "why", at(1), None if until is None else at(until))


@pytest.mark.parametrize("scope", SCOPES)
def test_a_hold_matches_by_its_scope_and_key(scope: str) -> None:
    right, wrong = hold(scope, KEYS[scope]), hold(scope, "other")
    assert matching([right, wrong], at(2), **THE_UNIT, station="ft-01") == (right,)


def test_it_holds_from_its_beginning_until_just_before_its_end() -> None:
    one = hold("unit", "t1", until=3)
    assert [one.holds_at(at(minute)) for minute in (0.9, 1, 2.9, 3)] == [False, True, True, False]
    assert hold("unit", "t1").holds_at(at(999))


def test_holds_on_stations_may_come_to_concern_any_unit() -> None:
    holds = (hold("station", "ft-01"), hold("unit", "t2"))
    assert concerning(holds, unit="t1") == holds[:1]
    assert in_force(holds[:1], at(2)) == ()
    assert in_force(holds[:1], at(2), "ft-01") == holds[:1]


def test_a_hold_is_placed_and_released_once() -> None:
    assert (hold("unit", "t1").state, hold("unit", "t1", until=2).state) == (State.PLACED, State.RELEASED)
    assert set(MOVES) == set(SENTENCES) == set(State)
    assert MOVES[State.RELEASED] == frozenset()
