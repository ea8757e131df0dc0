"""What may be done to a unit at a station: the open step, those that may start, or every reason why none may."""

from datetime import UTC, datetime

from mes.domain.facts import Key, Station
from mes.domain.hold import Hold
from mes.domain.product import Definition, Step
from mes.domain.progress import OpenAttempt, Progress, State
from mes.domain.workplace import next_steps, work_at

AT = datetime(2026, 11, 2, 8, tzinfo=UTC)
BENCH, TESTER = Station("as-1", "bench"), Station("ft-1", "tester")
UNIT = Definition(
    "UNIT",
    "A",
    "Unit",
    "compute",
    route=(
        Step("kit", "bench"),
        Step("left", "bench", after=("kit",)),
        Step("right", "bench", after=("kit",)),
        Step("test", "tester", after=("left", "right")),
    ),
)


def progress(*passed: str) -> Progress:
    made = Progress(State.IN_PROCESS)
    for step in passed:
        made.step(step).result = "passed"
    return made


def test_the_steps_that_may_start_are_told_in_working_order() -> None:
    assert work_at(progress(), UNIT, BENCH, AT).startable == ("kit",)
    assert work_at(progress("kit"), UNIT, BENCH, AT).startable == ("left", "right")
    assert next_steps(progress("kit"), UNIT) == (("left", "bench"), ("right", "bench"))


def test_an_open_step_goes_before_all_others() -> None:
    open_here = progress("kit")
    open_here.open.append(OpenAttempt("right", 1, "as-1", "r1", AT, Key(AT, 1, "s", "i")))
    work = work_at(open_here, UNIT, BENCH, AT)
    assert work.open is open_here.open[0]
    assert work_at(open_here, UNIT, Station("as-2", "bench"), AT).startable == ("left",)


def test_why_nothing_may_start_is_told() -> None:
    assert [why.code for why in work_at(progress("kit"), UNIT, TESTER, AT).reasons] == ["predecessor_open"]
    assert [why.code for why in work_at(progress("kit", "left", "right"), UNIT, BENCH, AT).reasons] == [
        "already_passed"
    ]
    assert [why.code for why in work_at(progress(), UNIT, Station("x", "oven"), AT).reasons] == ["wrong_station_kind"]
    assert [why.code for why in work_at(progress(), None, BENCH, AT).reasons] == ["not_made_here"]
    held = work_at(progress(), UNIT, BENCH, AT, [Hold("h", "unit", "u", "wet", AT)])
    assert [why.code for why in held.reasons] == ["on_hold"]
