"""What an ask answers: every reason at once, and nothing where all is well."""

from datetime import datetime

from mes.domain.facts import FAIL, Entry, Station
from mes.domain.gates import reasons_against_building_in
from mes.domain.hold import PART, STATION, Hold
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
