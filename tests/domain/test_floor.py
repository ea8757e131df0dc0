"""The reference fold: both layers over one set."""

from mes.domain.facts import PartInstalled, PartReceived
from mes.domain.floor import fold_floor
from mes.domain.hold import LOT, WORK_ORDER, Hold
from mes.domain.unit import State
from tests.domain.floor_stories import BOARD, RACK, TRAY, at, done, install, lot, run, said, start

DEFINITIONS = {"rack": RACK, "t1": TRAY, "b1": BOARD, "psu": None}


def codes(floor_deviations: object) -> list[str]:
    return [one.code for one in floor_deviations]


def test_a_unit_of_which_nothing_is_known_has_its_first_state() -> None:
    floor = fold_floor(DEFINITIONS, [])
    assert {unit: progress.state for unit, (progress, _) in floor.units.items()} == {
        "rack": State.CREATED,
        "t1": State.CREATED,
        "b1": State.CREATED,
        "psu": State.RECEIVED,
    }


def test_the_same_source_and_id_is_taken_once_and_the_earliest_of_them() -> None:
    once = start(1, "build")
    again = once._replace(key=once.key._replace(at=at(2)))
    assert len(fold_floor(DEFINITIONS, [again, once, once]).units["t1"][1]) == 1
    assert (
        fold_floor(DEFINITIONS, [again, once])
        == fold_floor(DEFINITIONS, [once, again])
        == fold_floor(DEFINITIONS, [once])
    )


def test_a_misfit_is_noted_with_what_else_was_odd_about_the_scan() -> None:
    first = install(1, "t1", "B1", "b1")
    second = said(2, PartInstalled("t1", "B2", "b1", None, "JUNK"))
    floor = fold_floor(DEFINITIONS, [first, second])
    assert codes(floor.deviations[second.key]) == ["already_installed", "wrong_part"]
    assert first.key not in floor.deviations


def test_a_part_that_moves_changes_both_of_its_parents() -> None:
    floor = fold_floor(
        DEFINITIONS | {"t2": TRAY}, [install(1, "t1", "B1", "b1"), done(2, "build"), install(3, "t2", "B1", "b1")]
    )
    assert floor.units["t1"][0].positions == {}
    assert floor.units["t2"][0].positions == {"B1": "b1"}
    assert floor.units["t2"][0].state is State.IN_PROCESS


def test_holds_find_units_by_order_and_by_the_lots_in_them() -> None:
    holds = (Hold("h", LOT, "lot7", "recall", at(0)), Hold("i", WORK_ORDER, "WO-1", "wait", at(0)))
    by_lot, by_order, neither = start(3, "build"), start(3, "mount", unit="rack"), run(3, "flash", unit="b1")
    floor = fold_floor(
        DEFINITIONS, [lot(1, "t1", "SCREWS", "lot7"), by_lot, by_order, neither], holds, orders={"rack": "WO-1"}
    )
    assert "on_hold" in codes(floor.deviations[by_lot.key])
    assert "on_hold" in codes(floor.deviations[by_order.key])
    assert "on_hold" not in codes(floor.deviations[neither.key])


def test_work_after_its_order_closed_is_noted() -> None:
    before, after = start(1, "build"), start(2, "build")
    floor = fold_floor(DEFINITIONS, [before, after], orders={"t1": "WO-1"}, orders_closed_at={"WO-1": at(2)})
    assert "work_order_closed" in codes(floor.deviations[after.key])
    assert "work_order_closed" not in codes(floor.deviations[before.key])


def test_a_received_lot_is_no_unit() -> None:
    assert fold_floor({}, [said(1, PartReceived("M3", lot="lot7"))]).units == {}
