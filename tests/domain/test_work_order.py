"""The lives of work orders and nonconformances."""

from types import ModuleType

import pytest

from mes.domain import nonconformance, work_order
from mes.domain.refusals import Refusal
from tests.domain.floor_stories import run


@pytest.mark.parametrize("life", [work_order, nonconformance])
def test_every_state_has_a_sentence_and_moves_to_known_states(life: ModuleType) -> None:
    assert set(life.MOVES) == set(life.SENTENCES) == set(life.State)
    assert {after for moves in life.MOVES.values() for after in moves} <= set(life.State)


def test_an_order_goes_from_created_to_closed() -> None:
    state: str = "created"
    for verb, after in [
        ("release", "released"),
        ("hold", "held"),
        ("resume", "released"),
        ("complete", "completed"),
        ("close", "closed"),
    ]:
        state = work_order.move(state, verb)
        assert state == after


@pytest.mark.parametrize(
    ("state", "verb", "possible"),
    [
        ("created", "hold", ["cancel", "release"]),
        ("released", "release", ["cancel", "close", "complete", "hold"]),
        ("closed", "resume", []),
        ("cancelled", "release", []),
    ],
)
def test_a_move_that_is_not_allowed_names_what_is(state: str, verb: str, possible: list[str]) -> None:
    with pytest.raises(Refusal) as refused:
        work_order.move(state, verb)
    (why,) = refused.value.reasons
    assert why.code == "move_not_allowed"
    assert why.facts == {"state": state, "verb": verb, "possible": possible}


@pytest.mark.parametrize(
    ("state", "counts", "after"),
    [
        ("released", {"completed": 1, "packed": 1, "shipped": 1}, "completed"),
        ("released", {"completed": 2, "in_process": 1, "scrapped": 1}, "released"),
        ("completed", {"completed": 2, "nonconforming": 1}, "released"),
        ("completed", {"shipped": 3}, "completed"),
        ("held", {"shipped": 3}, "held"),
        ("closed", {}, "closed"),
    ],
)
def test_an_order_of_three_is_completed_by_its_units(state: str, counts: dict[str, int], after: str) -> None:
    assert work_order.after_counting(state, 3, counts) == after


def test_a_nonconformance_is_diagnosed_repaired_disposed_of_and_closed() -> None:
    state: str = "open"
    for verb, after in [
        ("diagnose", "diagnosed"),
        ("repair", "repaired"),
        ("dispose", "disposed"),
        ("close", "closed"),
    ]:
        state = nonconformance.move(state, verb)
        assert state == after


def test_a_settled_nonconformance_stays_settled() -> None:
    with pytest.raises(Refusal, match="already closed"):
        nonconformance.move("closed", "repair")
    with pytest.raises(Refusal, match="can't be done"):
        nonconformance.move("disposed", "diagnose")


def test_a_nonconformance_is_known_by_the_entry_that_opened_it() -> None:
    one, other = run(1, "test"), run(1, "test")
    assert nonconformance.id_from(one.key) == nonconformance.id_from(one.key) != nonconformance.id_from(other.key)
