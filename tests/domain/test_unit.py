"""One unit's life: packing, shipping, parts that come and go, dispositions; each rule by an example."""

import pytest

from mes.domain.as_built import position_changes
from mes.domain.assembly import fold_assembly
from mes.domain.facts import FAIL, Entry, PartReceived, SamplesTaken, UnitIdentified, in_order
from mes.domain.hold import UNIT, Hold
from mes.domain.nonconformance import CONTRADICTION, DECIDED, PASSED_ON_RETEST, SCRAPPED, USED_AS_IS, id_from
from mes.domain.product import BomLine, Definition, Step
from mes.domain.unit import MOVES, SENTENCES, State, UnitHistory, apply, fold_unit, is_late, new_progress, subject_of
from tests.domain.floor_stories import (
    TESTER,
    TRAY,
    at,
    disposed,
    done,
    install,
    lot,
    packed,
    remove,
    run,
    said,
    shipment,
    shipped,
    start,
)

FILLED = [install(1, "t1", "B1", "b1"), install(2, "t1", "B2", "b2"), lot(3, "t1", "SCREWS", "lot7")]
BUILT = [*FILLED, done(5, "build")]
TESTED = [*BUILT, run(7, "test")]
FINISHED = [*TESTED, done(9, "audit", operator="ann")]


def fold(*entries: Entry, definition: Definition | None = TRAY, holds: tuple[Hold, ...] = ()) -> UnitHistory:
    """The tray t1 with its stays, from one set of entries."""
    stays = [stay for stay in fold_assembly(entries).stays if stay.parent == "t1"]
    own = [one for one in entries if subject_of(one.what) == "t1"]
    return fold_unit(definition, own, position_changes(stays, definition), holds)


def state(*entries: Entry, definition: Definition | None = TRAY) -> State:
    return fold(*entries, definition=definition).progress.state


def codes(history: UnitHistory, entry: Entry) -> set[str]:
    """What was noted on an entry, but that nobody had asked."""
    return {one.code for one in history.deviations.get(entry.key, ())} - {"not_asked"}


def test_a_made_unit_begins_as_created_and_a_bought_one_as_received() -> None:
    bought = Definition("PSU", "A", "PSU", "power", source="bought")
    assert state() is State.CREATED
    assert state(definition=None) is state(definition=bought) is State.RECEIVED


def test_labels_and_receipts_are_no_work() -> None:
    history = fold(said(1, UnitIdentified("t1", (("serial", "X"),))), said(2, PartReceived("TRAY", "t1")))
    assert history.progress.state is State.CREATED
    assert history.progress.received_at == at(2)


@pytest.mark.parametrize("first", [start(1, "build"), install(1, "t1", "B1", "b1"), done(1, "build", outcome="error")])
def test_any_work_puts_a_unit_in_process(first: Entry) -> None:
    assert state(first) is State.IN_PROCESS


def test_a_unit_completes_when_all_steps_passed_and_all_positions_are_filled() -> None:
    assert state(*TESTED) is State.IN_PROCESS
    assert state(*FINISHED) is State.COMPLETED


def test_a_last_part_may_complete_a_unit() -> None:
    definition = Definition("T", "A", "T", "compute", bom=(BomLine(("B1",), "BOARD"),), route=(Step("look", "test"),))
    assert state(run(1, "look"), definition=definition) is State.IN_PROCESS
    assert state(run(1, "look"), install(2, "t1", "B1", "b1"), definition=definition) is State.COMPLETED


def test_a_part_that_is_not_approved_does_not_complete_a_unit() -> None:
    swapped = [install(9.5, "t1", "B2", "b9", part="JUNK"), run(11, "test"), done(12, "audit", operator="ann")]
    history = fold(*FINISHED, *swapped)
    assert history.progress.state is State.IN_PROCESS
    assert history.progress.unfit == {"B2"}
    assert codes(history, swapped[1]) == {"as_built_incomplete"}
    assert fold(*FINISHED, *swapped, install(13, "t1", "B2", "b2")).progress.unfit == set()


def test_a_part_outside_the_bill_of_materials_changes_nothing_of_the_unit() -> None:
    progress = fold(*FINISHED, install(9.5, "t1", "B9", "b9")).progress
    assert (progress.state, "B9" in progress.positions) == (State.COMPLETED, False)


def test_taking_a_part_out_makes_the_unit_be_tested_again() -> None:
    out, back = remove(10, "t1", "B1", "b1"), install(11, "t1", "B1", "b3")
    progress = fold(*FINISHED, out).progress
    assert (progress.state, [progress.result(step) for step in ("build", "test", "audit")]) == (
        State.IN_PROCESS,
        ["passed", "waiting", "waiting"],
    )
    again = fold(*FINISHED, out, back, run(13, "test"), done(14, "audit", operator="ann"))
    assert again.progress.state is State.COMPLETED
    assert [(one.step, one.number) for one in again.attempts if one.step == "test"] == [("test", 1), ("test", 2)]


def test_a_line_without_retest_only_has_to_be_filled_again() -> None:
    definition = Definition("T", "A", "T", "compute", bom=(BomLine(("B1",), "BOARD"),), route=(Step("look", "test"),))
    story = [install(1, "t1", "B1", "b1"), run(2, "look"), remove(3, "t1", "B1", "b1")]
    assert state(*story, definition=definition) is State.IN_PROCESS
    assert state(*story, install(4, "t1", "B1", "b1"), definition=definition) is State.COMPLETED


def test_a_swap_gives_a_failing_unit_a_new_cycle_and_its_pass_settles_what_failed() -> None:
    failing = [*BUILT, run(6, "test", FAIL), run(7, "test", FAIL)]
    assert fold(*failing).progress.steps["test"].failed == 2
    history = fold(*failing, install(8, "t1", "B1", "b3"), run(10, "test"))
    assert history.progress.result("test") == "passed"
    assert {one.settled for one in history.nonconformances.values()} == {PASSED_ON_RETEST}


def test_a_test_that_began_before_a_part_was_taken_out_proves_nothing() -> None:
    late = run(8, "test", took_s=120)
    swap = [remove(7, "t1", "B1", "b1"), install(7, "t1", "B1", "b3")]
    history = fold(*BUILT, *swap, late)
    assert codes(history, late) == {"part_taken_out"}
    assert history.progress.result("test") == "waiting"
    assert fold(*BUILT, *swap, run(8, "test", took_s=60)).progress.result("test") == "passed"


def test_a_swap_within_the_step_that_installs_the_part_is_its_work() -> None:
    mount = Definition(
        "R",
        "A",
        "R",
        "rack",
        bom=(BomLine(("U1",), "TRAY", retest_from="mount"),),
        route=(Step("mount", "assembly", installs=("U1",)),),
    )
    story = [
        start(1, "mount"),
        install(2, "t1", "U1", "x", "TRAY"),
        install(3, "t1", "U1", "y", "TRAY"),
        done(4, "mount"),
    ]
    assert state(*story, definition=mount) is State.COMPLETED


def test_a_completed_unit_packs_and_ships() -> None:
    history = fold(*FINISHED, packed(10, into="crate-1"))
    assert (history.progress.state, history.progress.packed_into, history.progress.packed_at) == (
        State.PACKED,
        "crate-1",
        at(10),
    )
    assert fold(*FINISHED, packed(10), shipped(11)).progress.shipped_at == at(11)
    assert state(*FINISHED, shipped(11)) is State.SHIPPED


@pytest.mark.parametrize("leave", [packed, shipped])
def test_a_unit_that_is_not_finished_stays_and_all_reasons_are_noted(leave: object) -> None:
    fact = packed(10) if leave is packed else shipped(10)
    history = fold(*FILLED[1:], run(7, "test", FAIL), fact)
    assert history.progress.state is State.NONCONFORMING
    assert codes(history, fact) == {"steps_open", "as_built_incomplete", "nonconformance_open"}


def test_a_unit_on_hold_does_not_leave_until_the_hold_is_released() -> None:
    held = (Hold("h", UNIT, "t1", "why", at(9), at(11)),)
    early, late = shipped(10), shipped(11)
    history = fold(*FINISHED, early, late, holds=held)
    assert codes(history, early) == {"on_hold"}
    assert (history.progress.shipped_at, codes(history, late)) == (at(11), set())


def test_a_packed_unit_that_fails_or_loses_a_part_is_no_longer_packed() -> None:
    audited = fold(*FINISHED, packed(10, into="crate"), done(11, "audit", outcome=FAIL))
    assert (audited.progress.state, audited.progress.packed_into) == (State.NONCONFORMING, None)
    assert state(*FINISHED, packed(10), remove(11, "t1", "B1", "b1")) is State.IN_PROCESS


def test_a_packed_unit_may_be_packed_into_something_else() -> None:
    assert fold(*FINISHED, packed(10, into="a"), packed(11, into="b")).progress.packed_into == "b"


def test_a_bought_part_leaves_as_it_came_and_is_not_worked_on() -> None:
    worked = run(1, "test")
    history = fold(worked, packed(2), shipped(3), definition=None)
    assert history.progress.state is State.SHIPPED
    assert codes(history, worked) == {"not_made_here"}


def test_a_decided_shipment_stands_and_what_contradicts_it_is_looked_at() -> None:
    decision = shipment(10)
    history = fold(*BUILT, run(9, "test", FAIL), decision)
    assert history.progress.state is State.SHIPPED
    assert history.nonconformances[id_from(decision.key)].kind == CONTRADICTION
    assert codes(history, decision) == {"steps_open", "nonconformance_open"}


def test_a_decided_shipment_of_a_finished_unit_contradicts_nothing() -> None:
    assert fold(*FINISHED, shipment(10)).nonconformances == {}
    assert fold(*FINISHED, shipped(10), shipment(11)).nonconformances == {}


def test_after_shipment_facts_are_recorded_and_move_nothing() -> None:
    late = [run(12, "test", FAIL), packed(13), shipped(14), start(15, "test", TESTER), remove(16, "t1", "B1", "b1")]
    history = fold(*FINISHED, shipped(11), *late)
    assert history.progress.state is State.SHIPPED
    assert history.progress.result("test") == "passed"
    assert history.nonconformances == {}
    assert all("unit_closed" in codes(history, one) for one in late[:4])
    assert [one.counted for one in history.attempts if one.opened_by == late[0].key] == [False]
    assert "B1" not in history.progress.positions


def test_a_test_that_ends_after_the_shipment_moves_nothing() -> None:
    end = run(12, "test", run="r9", took_s=240)
    history = fold(*FINISHED, start(10, "test", TESTER, run="r9"), shipped(11), end)
    assert codes(history, end) == {"unit_closed"}
    assert not history.attempts[-1].counted


def failed_tray() -> tuple[list[Entry], str]:
    failure = run(7, "test", FAIL)
    return [*BUILT, failure], id_from(failure.key)


def test_rework_opens_the_step_again_and_the_pass_settles_it() -> None:
    story, why = failed_tray()
    reworked = [*story, run(8, "test", FAIL), disposed(9, why, "rework")]
    progress = fold(*reworked).progress
    assert (progress.state, progress.result("test"), progress.steps["test"].failed) == (State.IN_PROCESS, "waiting", 0)
    assert len(progress.nonconformances) == 2
    assert fold(*reworked, run(11, "test")).progress.nonconformances == {}


def test_use_as_is_counts_as_passed() -> None:
    story, why = failed_tray()
    history = fold(*story, disposed(9, why, "use_as_is"), done(10, "audit", operator="ann"))
    assert history.progress.state is State.COMPLETED
    assert history.nonconformances[why].settled == USED_AS_IS


def test_each_nonconformance_is_ruled_on_by_itself() -> None:
    story, why = failed_tray()
    second = run(8, "test", FAIL)
    ruled = [*story, second, disposed(9, why, "use_as_is"), done(10, "audit", operator="ann")]
    assert state(*ruled) is State.IN_PROCESS
    assert codes(fold(*ruled, leaving := packed(11)), leaving) == {"nonconformance_open"}
    assert state(*ruled, disposed(12, id_from(second.key), "use_as_is")) is State.COMPLETED


def test_scrap_is_the_end_and_settles_everything() -> None:
    story, why = failed_tray()
    history = fold(*story, disposed(9, why, "scrap"), run(10, "test"))
    assert (history.progress.state, history.progress.scrapped_at) == (State.SCRAPPED, at(9))
    assert history.nonconformances[why].settled == SCRAPPED
    assert history.attempts[-1].deviations[0] == "unit_closed"


def test_a_ruling_on_what_is_settled_moves_nothing_but_scrap_scraps() -> None:
    story, why = failed_tray()
    again = disposed(10, why, "rework")
    history = fold(*story, run(9, "test"), again)
    assert codes(history, again) == {"not_nonconforming"}
    assert history.progress.result("test") == "passed"
    assert state(*story, run(9, "test"), disposed(10, why, "scrap")) is State.SCRAPPED


def test_what_contradicted_a_shipment_is_settled_by_any_ruling() -> None:
    decision = shipment(10)
    history = fold(*BUILT, decision, disposed(11, id_from(decision.key), "use_as_is"))
    assert history.nonconformances[id_from(decision.key)].settled == DECIDED
    assert history.progress.state is State.SHIPPED


def test_applying_event_by_event_gives_what_folding_all_gives() -> None:
    progress = new_progress(TRAY)
    changes = position_changes(fold_assembly(FINISHED).stays, TRAY)
    for event in sorted([*changes, *in_order(FINISHED)], key=lambda one: one.key):
        apply(progress, TRAY, event)
    assert progress.to_plain() == fold(*FINISHED).progress.to_plain() | {"last": progress.to_plain()["last"]}


def test_what_moves_nothing_is_never_late() -> None:
    progress = fold(*FINISHED, said(20, SamplesTaken("t1", "test", TESTER))).progress
    assert progress.last_key == FINISHED[-1].key
    assert not is_late(progress, said(1, SamplesTaken("t1", "test", TESTER)))
    assert not is_late(progress, FINISHED[-1])
    assert is_late(progress, start(1, "build"))


def test_every_state_has_a_sentence_and_moves() -> None:
    assert set(MOVES) == set(SENTENCES) == set(State)
