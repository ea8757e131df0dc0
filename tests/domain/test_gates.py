"""What an ask answers: every reason at once, and nothing where all is well."""

from datetime import datetime, timedelta

import pytest

from mes.domain.facts import FAIL, Entry, Station
from mes.domain.gates import (
    GRANT_VALID_S,
    BuiltIn,
    granted_elsewhere,
    is_fit,
    reasons_against_building_in,
    reasons_against_contents,
)
from mes.domain.hold import LOT, PART, STATION, UNIT, WORK_ORDER, Hold
from mes.domain.product import Definition
from mes.domain.refusals import SENTENCES, Reason
from mes.domain.unit import Progress, apply, new_progress, reasons_against
from tests.domain.floor_stories import BENCH, BOARD, TESTER, TESTER_2, TRAY, at, disposed, done, run, shipment, start


def after(*entries: Entry, definition: Definition | None = TRAY) -> Progress:
    progress = new_progress(definition)
    for one in entries:
        apply(progress, definition, one)
    return progress


def why(
    progress: Progress,
    step: str,
    station: Station,
    minute: float = 9,
    holds: tuple[Hold, ...] = (),
    closed: datetime | None = None,
    definition: Definition | None = TRAY,
) -> dict[str, Reason]:
    found = reasons_against(progress, definition, step, station, at(minute), holds, closed)
    assert all(one.code in SENTENCES for one in found)
    return {one.code: one for one in found}


def test_the_first_step_may_start() -> None:
    assert why(after(), "build", BENCH) == {}


def test_asking_changes_nothing() -> None:
    progress = after()
    why(progress, "test", TESTER)
    assert progress == after()


def test_all_reasons_are_given_at_once_with_their_facts() -> None:
    found = why(after(), "audit", TESTER, holds=(Hold("h", STATION, "ft-01", "probe", at(1)),), closed=at(9))
    assert found.keys() == {
        "wrong_station_kind",
        "predecessor_open",
        "as_built_incomplete",
        "on_hold",
        "work_order_closed",
    }
    assert found["predecessor_open"].facts["steps"] == ["build", "test"]
    assert found["as_built_incomplete"].facts["positions"] == ["B1", "B2", "SCREWS"]
    assert found["wrong_station_kind"].facts["wanted"] == "assembly"
    assert found["on_hold"].facts["holds"][0]["reason"] == "probe"


def test_a_hold_of_another_station_or_time_is_no_reason() -> None:
    other = Hold("h", STATION, "ft-02", "probe", at(1))
    over = Hold("i", PART, "TRAY", "recall", at(1), at(9))
    assert why(after(), "build", BENCH, holds=(other, over)) == {}
    assert why(after(), "build", BENCH, 8, holds=(other, over)).keys() == {"on_hold"}


def test_an_order_that_closes_later_is_no_reason() -> None:
    assert why(after(), "build", BENCH, closed=at(10)) == {}


def test_a_step_the_route_does_not_have() -> None:
    assert why(after(), "soak", TESTER)["wrong_step"].facts["steps"] == ["build", "test", "audit"]


def test_a_bought_part_is_not_made_here() -> None:
    assert why(after(definition=None), "soak", TESTER, definition=None).keys() == {"not_made_here"}


def test_a_step_in_progress_elsewhere_is_open_but_its_own_station_may_begin_again() -> None:
    progress = after(start(1, "build"))
    assert why(progress, "build", Station("bench-02", "assembly"))["already_open"].facts["stations"] == ["bench-01"]
    assert why(progress, "build", BENCH) == {}


def test_a_step_that_passed_and_one_whose_attempts_are_used() -> None:
    progress = after(run(1, "test", FAIL), run(2, "test", FAIL))
    assert why(progress, "test", TESTER)["attempts_used"].facts["attempts"] == 2
    progress = after(disposed(1, "x", "rework"), done(2, "build", outcome=FAIL))
    (failed,) = progress.nonconformances
    apply(progress, TRAY, disposed(3, failed, "use_as_is"))
    assert why(progress, "build", BENCH).keys() == {"already_passed"}


def test_a_unit_that_left_is_closed() -> None:
    assert why(after(shipment(1)), "build", BENCH)["unit_closed"].facts == {"state": "shipped"}


def test_an_interrupted_attempt_is_not_in_progress() -> None:
    progress = after(start(1, "test", TESTER, run="a"), start(2, "test", TESTER_2, run="b"))
    assert why(progress, "test", TESTER)["already_open"].facts["stations"] == ["ft-02"]


def test_a_part_made_here_is_built_in_when_it_is_finished() -> None:
    def codes(progress: Progress, definition: Definition | None = BOARD) -> list[str]:
        return [one.code for one in reasons_against_building_in(progress, definition)]

    assert codes(new_progress(None), None) == []
    assert codes(new_progress(BOARD)) == codes(after(run(1, "flash", FAIL), definition=BOARD)) == ["failed_part"]
    assert codes(after(run(1, "flash"), definition=BOARD)) == []
    assert codes(after(run(1, "flash"), shipment(2), definition=BOARD)) == ["unit_closed"]


def part(position: str, state: str | None = "created", *, is_made: bool = True) -> BuiltIn:
    return BuiltIn(position, "BOARD", "b1", "B-1", state, is_made, "WO-9", ("lot1",) if state is None else ())


def against(one: BuiltIn, step: str, *holds: Hold) -> list[str]:
    return [why.code for why in reasons_against_contents([one], TRAY, step, at(9), holds)]


def test_a_part_holds_up_the_steps_behind_the_one_that_installs_it() -> None:
    assert against(part("B1"), "build") == []
    assert against(part("B1"), "test") == against(part("B1"), "audit") == ["failed_part"]
    assert against(part("B1/CHIP"), "test") == ["failed_part"]
    assert against(part("B1", "completed"), "test") == []
    assert against(part("B1"), "no-such-step") == []


def test_a_hold_on_a_part_holds_up_the_same_steps() -> None:
    for scope, key in ((UNIT, "b1"), (PART, "BOARD"), (WORK_ORDER, "WO-9")):
        hold = Hold("h", scope, key, "recall", at(1))
        assert against(part("B1", "completed"), "test", hold) == ["on_hold"]
        assert against(part("B1", "completed"), "build", hold) == []
    assert against(part("SCREWS", None), "test", Hold("h", LOT, "lot1", "recall", at(1))) == ["on_hold"]
    for other in (Hold("h", STATION, TESTER.name, "probe", at(1)), Hold("h", UNIT, "b1", "over", at(1), at(9))):
        assert against(part("B1", "completed"), "test", other) == []


@pytest.mark.parametrize(
    ("state", "is_made", "expected"),
    [
        ("received", False, True),
        ("scrapped", False, False),
        ("nonconforming", False, False),
        ("created", True, False),
        ("in_process", True, False),
        ("packed", True, True),
        (None, False, True),
    ],
)
def test_what_is_fit(state: str | None, is_made: bool, expected: bool) -> None:
    assert is_fit(state, is_made=is_made) is expected


def test_a_grant_is_one_stations_until_it_is_used_or_ends() -> None:
    progress = after()
    progress.grants["test/ft-01"] = (at(9) + timedelta(seconds=GRANT_VALID_S)).isoformat()

    def codes(step: str, station: str, minute: float, **begun: datetime) -> list[str]:
        known = {f"test/{name.replace('_', '-')}": when for name, when in begun.items()}
        return [one.code for one in granted_elsewhere(progress, known, step, station, at(minute))]

    assert codes("test", "ft-02", 9) == codes("test", "ft-02", 13.9) == ["already_open"]
    assert codes("test", "ft-02", 14) == codes("test", "ft-02", 8.9) == []
    assert codes("test", "ft-01", 9) == codes("build", "ft-02", 9) == []
    assert codes("test", "ft-02", 10, ft_01=at(9)) == []
    assert codes("test", "ft-02", 10, ft_01=at(8)) == codes("test", "ft-02", 10, ft_02=at(9.5)) == ["already_open"]


def test_holds_are_told_in_words() -> None:
    shown = Hold("h", UNIT, "id", "suspect solder.", at(1), None, "PB-0016")
    assert why(after(), "build", BENCH, holds=(shown, Hold("i", WORK_ORDER, "WO-1", "wait", at(1)))) == {
        "on_hold": Reason(
            "on_hold",
            "On hold: unit PB-0016 (suspect solder); work order WO-1 (wait).",
            {
                "holds": [
                    {"id": "h", "scope": "unit", "key": "PB-0016", "reason": "suspect solder."},
                    {"id": "i", "scope": "work_order", "key": "WO-1", "reason": "wait"},
                ]
            },
        )
    }
    assert Hold("h", UNIT, "id", "wet", at(1)).told == "the unit (wet)"  # as the fold knows it
