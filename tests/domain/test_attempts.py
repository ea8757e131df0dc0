"""Attempts: how they open, end, get interrupted and count; each rule by an example."""

import pytest

from mes.domain.as_built import position_changes
from mes.domain.assembly import fold_assembly
from mes.domain.facts import (
    ABORTED,
    ENGINEERING,
    ERROR,
    FAIL,
    GAUGE,
    GOLDEN,
    INTERRUPTED,
    PASS,
    SKIPPED,
    Entry,
    SamplesTaken,
    Station,
)
from mes.domain.nonconformance import FAILED_STEP, id_from
from mes.domain.product import Definition, Step
from mes.domain.unit import State, UnitHistory, fold_unit, subject_of
from tests.domain.floor_stories import (
    BENCH,
    TESTER,
    TESTER_2,
    TRAY,
    at,
    done,
    grant,
    install,
    lot,
    run,
    said,
    start,
)

TWO_TESTS = Definition(
    "T", "A", "T", "compute", route=(Step("one", "test"), Step("two", "test", after=("one",), attempts=2))
)


def fold(*entries: Entry, definition: Definition | None = TWO_TESTS) -> UnitHistory:
    changes = position_changes(fold_assembly(entries).stays, definition)
    return fold_unit(definition, [one for one in entries if subject_of(one.what)], changes)


def told(history: UnitHistory) -> list[tuple[str, int, str, str | None, bool]]:
    return [(one.step, one.number, one.station, one.outcome, one.counted) for one in history.attempts]


def codes(history: UnitHistory, entry: Entry) -> set[str]:
    return {one.code for one in history.deviations.get(entry.key, ())} - {"not_asked"}


def test_a_start_opens_an_attempt_and_its_report_ends_it() -> None:
    opened, ended = start(1, "one", TESTER, run="r1"), run(3, "one", run="r1", claim=FAIL)
    (attempt,) = fold(opened).attempts
    assert (attempt.outcome, attempt.ended_at, attempt.started_at, attempt.opened_by) == (None, None, at(1), opened.key)
    assert fold(opened).progress.status("one") == "open"
    (attempt,) = fold(opened, ended).attempts
    assert (attempt.outcome, attempt.claim, attempt.counted) == (PASS, FAIL, True)
    assert (attempt.started_at, attempt.ended_at, attempt.run_id) == (at(1), at(3), ended.what.run_id)
    assert (attempt.opened_by, attempt.closed_by) == (opened.key, ended.key)


def test_a_report_without_a_start_is_an_attempt_from_its_own_start() -> None:
    ended = run(3, "one", took_s=60)
    (attempt,) = fold(ended).attempts
    assert (attempt.started_at, attempt.opened_by, attempt.closed_by) == (at(2), ended.key, ended.key)


def test_a_report_without_a_run_ends_what_is_open_at_its_station() -> None:
    assert told(fold(start(1, "one", TESTER, run="r1"), run(3, "one"))) == [("one", 1, "ft-01", PASS, True)]
    assert told(fold(start(1, "one", TESTER), run(3, "one", run="r1"))) == [("one", 1, "ft-01", PASS, True)]


def test_a_report_of_another_run_or_station_is_an_attempt_of_its_own() -> None:
    other = fold(start(1, "one", TESTER, run="r1"), run(3, "one", run="r2"))
    assert told(other) == [("one", 1, "ft-01", INTERRUPTED, False), ("one", 2, "ft-01", PASS, True)]
    elsewhere = run(3, "one", station=TESTER_2, took_s=30)
    history = fold(start(1, "one", TESTER), elsewhere)
    assert [one[:3] for one in told(history)] == [("one", 1, "ft-01"), ("one", 2, "ft-02")]
    assert codes(history, elsewhere) == {"already_open"}


def test_a_newer_start_interrupts_an_older_attempt() -> None:
    here, elsewhere = start(2, "one", TESTER, run="r2"), start(3, "one", TESTER_2, run="r1")
    history = fold(start(1, "one", TESTER, run="r1"), here, elsewhere)
    assert [one[3] for one in told(history)] == [INTERRUPTED, INTERRUPTED, None]
    assert (codes(history, here), codes(history, elsewhere)) == (set(), {"already_open"})
    assert (history.attempts[0].ended_at, history.attempts[0].closed_by) == (at(2), here.key)


def test_a_report_of_what_began_earlier_interrupts_nothing_newer() -> None:
    history = fold(start(2, "one", TESTER_2, run="r2"), run(3, "one", took_s=120), run(4, "one", station=TESTER_2))
    assert [one[2:4] for one in told(history)] == [("ft-02", PASS), ("ft-01", PASS)]


def test_the_end_of_an_interrupted_attempt_may_still_come() -> None:
    history = fold(
        start(1, "one", TESTER, run="r1"), start(2, "one", TESTER_2, run="r9"), run(3, "one", run="r1", verdict=FAIL)
    )
    assert told(history) == [("one", 1, "ft-01", FAIL, True), ("one", 2, "ft-02", None, False)]


def test_a_run_named_again_is_the_same_attempt() -> None:
    again, after = start(2, "one", TESTER, run="r1"), start(4, "one", TESTER, run="r1")
    history = fold(start(1, "one", TESTER, run="r1"), again, run(3, "one", run="r1"), after)
    assert told(history) == [("one", 1, "ft-01", PASS, True)]
    assert history.deviations.keys() == {history.attempts[0].opened_by}


def test_one_end_said_in_two_ways_is_one_attempt() -> None:
    history = fold(done(3, "one", TESTER, run="r1"), run(3, "one", run="r1"))
    assert told(history) == [("one", 1, "ft-01", PASS, True)]


def test_ends_that_contradict_each_other_never_pass_a_step() -> None:
    failed_first, passed_then = done(3, "one", TESTER, run="r1", outcome=FAIL), run(3, "one", run="r1")
    history = fold(failed_first, passed_then)
    assert "conflicting_report" in codes(history, passed_then)
    assert history.progress.result("one") == "failed"
    assert fold(done(3, "one", TESTER, run="r1"), run(3, "one", FAIL, run="r1")).progress.result("one") == "failed"


def test_a_fail_always_fails_the_step_and_opens_a_nonconformance() -> None:
    failure = run(3, "two", FAIL, station=BENCH)
    history = fold(failure)
    assert history.progress.state is State.NONCONFORMING
    assert codes(history, failure) == {"wrong_station_kind", "predecessor_open"}
    (opened,) = history.nonconformances.values()
    assert (opened.id, opened.kind, opened.step) == (id_from(failure.key), FAILED_STEP, "two")
    assert len(opened.id) == 32


@pytest.mark.parametrize("outcome", [ERROR, ABORTED, SKIPPED, INTERRUPTED])
def test_what_is_the_stations_fault_uses_no_attempt_and_moves_nothing(outcome: str) -> None:
    failing = [run(1, "one"), run(2, "two", FAIL)]
    history = fold(*failing, run(3, "two", outcome))
    assert told(history)[-1] == ("two", 2, "ft-01", outcome, False)
    assert (history.progress.steps["two"].failed, history.progress.state) == (1, State.NONCONFORMING)
    assert fold(run(1, "one"), run(2, "one", outcome)).progress.result("one") == "passed"


@pytest.mark.parametrize("purpose", [GOLDEN, GAUGE, ENGINEERING])
def test_only_production_counts(purpose: str) -> None:
    history = fold(run(1, "one", purpose=purpose), run(2, "one", FAIL, purpose=purpose, run="g1"))
    assert (history.attempts, history.deviations, history.nonconformances) == ([], {}, {})
    assert history.progress.state is State.CREATED


def test_an_attempt_that_turns_out_to_be_a_golden_run_is_let_go() -> None:
    history = fold(start(1, "one", TESTER, run="g1"), run(2, "one", run="g1", purpose=GOLDEN))
    assert told(history) == [("one", 1, "ft-01", SKIPPED, False)]
    assert history.progress.open == []


def test_a_golden_run_of_another_name_ends_no_attempt() -> None:
    history = fold(
        start(1, "one", TESTER, run="r1"), run(2, "one", purpose=GOLDEN), run(2, "one", run="g", purpose=GOLDEN)
    )
    assert told(history) == [("one", 1, "ft-01", None, False)]
    assert told(fold(start(1, "one", TESTER), run(2, "one", run="g", purpose=GOLDEN)))[0][3] is None


def test_samples_change_nothing() -> None:
    assert fold(said(1, SamplesTaken("t1", "one", TESTER))).attempts == []


def test_a_pass_out_of_turn_does_not_count() -> None:
    early = run(1, "two")
    history = fold(early)
    assert codes(history, early) == {"predecessor_open"}
    assert (told(history)[0][4], history.progress.result("two")) == (False, "waiting")


@pytest.mark.parametrize(
    ("step", "station", "code"), [("three", TESTER, "wrong_step"), ("one", BENCH, "wrong_station_kind")]
)
def test_a_pass_of_the_wrong_step_or_at_the_wrong_station_does_not_count(
    step: str, station: Station, code: str
) -> None:
    wrong = run(1, step, station=station)
    history = fold(wrong)
    assert codes(history, wrong) == {code}
    assert told(history)[0][4] is False


def test_a_predecessor_that_passes_later_does_not_mend_an_early_start() -> None:
    history = fold(start(1, "two", TESTER, run="r2"), run(2, "one"), run(3, "two", run="r2"))
    assert told(history)[0] == ("two", 1, "ft-01", PASS, False)
    assert "predecessor_open" in history.attempts[0].deviations


def test_a_pass_settles_what_failed_in_its_own_step_only() -> None:
    failures = [run(1, "one", FAIL), run(2, "two", FAIL)]
    history = fold(*failures, run(3, "one"))
    assert list(history.progress.nonconformances) == [id_from(failures[1].key)]


def test_a_predecessor_that_fails_again_is_open_again() -> None:
    refailed = [run(1, "one"), run(2, "one", FAIL)]
    after = run(3, "two")
    assert codes(fold(*refailed, after), after) == {"predecessor_open"}


def test_attempts_used_block_a_pass_until_they_are_given_again() -> None:
    used = [run(1, "one"), run(2, "two", FAIL), run(3, "two", FAIL)]
    third = run(4, "two")
    history = fold(*used, third)
    assert codes(history, third) == {"attempts_used"}
    assert history.progress.result("two") == "failed"


def test_an_attempt_is_judged_by_what_was_so_when_it_began() -> None:
    history = fold(run(1, "one"), start(2, "two", TESTER, run="r1"), run(3, "one", FAIL), run(4, "two", run="r1"))
    assert told(history)[-2:][0][3:] == (PASS, True)


def test_a_step_may_end_too_early_and_then_does_not_count() -> None:
    built = [install(1, "t1", "B1", "b1"), install(1, "t1", "B2", "b2"), lot(1, "t1", "SCREWS", "l"), done(2, "build")]
    hasty = run(3, "test", took_s=9.9)
    history = fold(*built, hasty, definition=TRAY)
    assert codes(history, hasty) == {"too_early"}
    assert not told(history)[-1][4]
    assert told(fold(*built, run(3, "test", took_s=10), definition=TRAY))[-1][4]


def test_a_completed_step_took_from_its_start_to_its_end() -> None:
    slow = Definition("T", "A", "T", "compute", route=(Step("cure", "assembly", min_s=60),))
    assert told(fold(start(1, "cure"), done(2, "cure"), definition=slow))[0][4]
    assert not told(fold(start(1, "cure"), done(1.5, "cure"), definition=slow))[0][4]


def test_a_step_does_not_pass_while_what_it_installs_is_missing() -> None:
    ended = done(2, "build")
    history = fold(install(1, "t1", "B1", "b1"), ended, definition=TRAY)
    assert codes(history, ended) == {"as_built_incomplete"}
    assert history.deviations[ended.key][-1].facts == {"positions": ["B2", "SCREWS"]}
    assert history.progress.result("build") == "waiting"


def test_a_signed_step_names_its_operator_at_its_start_or_end() -> None:
    signed = Definition("T", "A", "T", "compute", route=(Step("audit", "assembly", signed=True),))
    unsigned = done(2, "audit")
    assert codes(fold(unsigned, definition=signed), unsigned) == {"operator_missing"}
    opened = start(1, "audit")
    opened = opened._replace(what=opened.what._replace(operator="ann"))
    assert told(fold(opened, unsigned, definition=signed))[0][4]


def test_an_attempt_that_was_granted_was_asked_for() -> None:
    granted = grant(0, "one", TESTER, for_min=2)
    in_time, late, elsewhere = start(2, "one", TESTER), start(3, "one", TESTER), start(1, "one", TESTER_2)
    assert fold(granted, in_time).deviations == {}
    for other in (late, elsewhere):
        assert [one.code for one in fold(granted, other).deviations[other.key]] == ["not_asked"]


def test_a_newer_refusal_takes_a_grant_back() -> None:
    refused = grant(1, "one", TESTER)
    refused = refused._replace(what=refused.what._replace(granted=False))
    begun = start(2, "one", TESTER)
    assert begun.key in fold(grant(0, "one", TESTER), refused, begun).deviations


def test_what_came_in_the_same_second_as_a_start_came_before_it() -> None:
    """Stations stamp whole seconds: the start of a step carries the time of its predecessor's end, and of a scan."""
    begun = start(2, "test", TESTER, run="r1")
    history = fold(
        install(1, "t1", "B1", "b1"),
        lot(1, "t1", "SCREWS", "l"),
        install(2, "t1", "B2", "b2"),
        done(2, "build"),
        begun,
        run(3, "test", run="r1"),
        definition=TRAY,
    )
    assert codes(history, begun) == {"predecessor_open", "as_built_incomplete"}
    test = next(one for one in history.attempts if one.step == "test")
    assert (test.counted, test.deviations) == (True, ("not_asked",))


@pytest.mark.parametrize(("behind_s", "is_asked"), [(0, True), (4, True), (6, False)])
def test_a_clock_that_is_a_little_behind_makes_no_start_unasked(behind_s: float, is_asked: bool) -> None:
    begun, asked = start(2, "one", TESTER, run="r1"), grant(2 + behind_s / 60, "one", TESTER)
    history = fold(begun, asked)
    assert (begun.key not in history.deviations) == is_asked
    assert (history.attempts[0].deviations == ()) == is_asked
    elsewhere = fold(begun, grant(2 + behind_s / 60, "one", TESTER_2))
    assert [one.code for one in elsewhere.deviations[begun.key]] == ["not_asked"]
