"""The verdict on a run: claim first, then limits and netlist, then what the program owed, in this order."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mes.domain.cable import SeenConnection
from mes.domain.facts import ABORTED, ERROR, FAIL, INTERRUPTED, PASS, SKIPPED
from mes.domain.limits import UNSET, Measurement
from mes.domain.product import Characteristic, Connection, Definition, Step
from mes.domain.refusals import SENTENCES, reason
from mes.domain.run import CLAIMS, Criteria, Defect, Judgement, Report, judge

CABLE = Definition(
    "CBL",
    "A",
    "Cable",
    "cabling",
    route=(
        Step("continuity", "tester", needs=("netlist",)),
        Step("hipot", "hipot", needs=("leakage", "temperature")),
        Step("look", "bench"),
    ),
    characteristics=(
        Characteristic("leakage", "mA", high=1.0),
        Characteristic("temperature", "Cel", high=40.0, position="J1"),
        Characteristic("temperature", "Cel", high=60.0, position="J2"),
        Characteristic("force", "N", low=300.0),
    ),
    netlist=(Connection("A1", "B1", 0.1), Connection("A2", "B2", 0.1)),
)
CRITERIA = Criteria(CABLE)
GOOD_HIPOT = (
    Measurement("leakage", 0.5, "mA"),
    Measurement("temperature", 30.0, "Cel", position="J1"),
    Measurement("temperature", 50.0, "Cel", position="J2"),
)
GOOD_WIRES = (SeenConnection("A1", "B1", ("B1",), 0.05), SeenConnection("A2", "B2", ("B2",), 0.05))


def run(step: str = "hipot", claim: str = PASS, **reported: Any) -> Judgement:
    return judge(CRITERIA, Report(step, claim, **reported))


def codes(judgement: Judgement) -> list[str]:
    found = [reason.code for reason in judgement.reasons]
    assert set(found) <= SENTENCES.keys()
    return found


def test_a_good_run_passes_without_a_word():
    judgement = run(measurements=GOOD_HIPOT)
    assert judgement.verdict == PASS
    assert judgement.reasons == judgement.deviations == ()
    assert [judged.verdict for judged in judgement.measured] == [PASS] * 3


@pytest.mark.parametrize("claim", [ERROR, ABORTED, SKIPPED, INTERRUPTED])
def test_a_run_that_did_not_end_keeps_its_claim_and_values(claim: str):
    judgement = run(claim=claim, measurements=(Measurement("leakage", 5.0, "mA"),), connections=())
    assert judgement.verdict == claim
    assert [(judged.value, judged.high, judged.verdict) for judged in judgement.measured] == [(5.0, 1.0, UNSET)]
    assert codes(judgement) == ["claim_kept"]


def test_a_claim_of_fail_is_believed():
    assert run(claim=FAIL, measurements=GOOD_HIPOT).verdict == FAIL
    assert codes(run(claim=FAIL, measurements=GOOD_HIPOT)) == ["claim_failed"]


def test_a_measurement_that_the_station_calls_failed_fails_the_run():
    judgement = run(measurements=(GOOD_HIPOT[0]._replace(outcome=FAIL), *GOOD_HIPOT[1:]))
    assert (judgement.verdict, codes(judgement)) == (FAIL, ["measurement_claimed_failed"])
    assert run("look", measurements=(Measurement("other", 1, outcome=FAIL),)).verdict == FAIL


def test_a_broken_limit_beats_the_claim_and_what_is_missing():
    judgement = run(measurements=(Measurement("leakage", 1500.0, "uA", high=9999.0, outcome=PASS),))
    assert judgement.verdict == FAIL
    assert codes(judgement) == ["limit_broken", "characteristic_missing", "characteristic_missing"]
    assert judgement.reasons[0].text == "leakage is 1.5 mA; it must be at most 1 mA."


def test_a_pass_with_values_that_nobody_could_read_is_the_program_s_fault():
    judgement = run(measurements=GOOD_HIPOT, doubts=(reason("values_unreadable", "In line 2."),))
    assert (judgement.verdict, codes(judgement)) == (ERROR, ["values_unreadable"])
    assert judgement.reasons[0].text == "In line 2."


def test_a_broken_limit_beats_the_values_that_nobody_could_read():
    hot = Measurement("leakage", 5.0, "mA")
    judgement = run(measurements=(hot, *GOOD_HIPOT[1:]), doubts=(reason("values_unreadable"),))
    assert (judgement.verdict, codes(judgement)) == (FAIL, ["limit_broken", "values_unreadable"])


def test_a_characteristic_is_judged_on_whatever_step_it_is_measured():
    assert run("look", measurements=(Measurement("force", 299.0, "N"),)).verdict == FAIL
    assert run("no such step", measurements=(Measurement("force", 299.0, "N"),)).verdict == FAIL


@pytest.mark.parametrize(
    ("leakage", "code"),
    [
        ((), "characteristic_missing"),
        ((Measurement("leakage", None, "mA"),), "characteristic_missing"),
        ((Measurement("leakage", math.nan, "mA"),), "not_finite"),
        ((Measurement("leakage", 0.5, "V"),), "unit_not_convertible"),
        ((Measurement("leakage", "low", "mA"),), "wrong_type"),
        ((Measurement("leakage", 0.5, "mA"), Measurement("leakage", math.nan, "mA")), "not_finite"),
    ],
)
def test_what_a_step_needs_and_does_not_get_is_the_program_s_fault(leakage: tuple[Measurement, ...], code: str):
    judgement = run(measurements=(*leakage, *GOOD_HIPOT[1:]))
    assert (judgement.verdict, codes(judgement)) == (ERROR, [code])


def test_a_need_is_met_at_its_own_position_only():
    judgement = run(measurements=(GOOD_HIPOT[0], GOOD_HIPOT[1], GOOD_HIPOT[2]._replace(position="J9")))
    assert judgement.verdict == ERROR
    assert judgement.reasons[0].text == "The step needs temperature at J2; the run has no value for it."
    assert run(measurements=(*GOOD_HIPOT[:2], GOOD_HIPOT[2]._replace(value=61.0))).verdict == FAIL


def test_a_characteristic_without_position_judges_every_position():
    assert run("look", measurements=(Measurement("force", 1.0, "N", position="J7"),)).verdict == FAIL


def test_what_nobody_needs_and_can_t_be_judged_is_noted():
    judgement = run("look", measurements=(Measurement("force", math.nan, "N"), Measurement("colour", "red")))
    assert judgement.verdict == PASS
    assert [reason.code for reason in judgement.deviations] == ["unknown_characteristic", "not_finite"]


def test_defects_with_a_claim_of_pass_are_noted():
    judgement = run("look", defects=(Defect("scratch", "J1"),))
    assert judgement.verdict == PASS
    (noted,) = judgement.deviations
    assert (noted.code, noted.facts) == ("defects_claimed_pass", {"defects": ["scratch"]})


def test_wires_are_judged_against_the_netlist():
    assert run("continuity", connections=GOOD_WIRES).verdict == PASS
    swapped = (GOOD_WIRES[0]._replace(seen=("B2",)), GOOD_WIRES[1]._replace(seen=("B1",)))
    judgement = run("continuity", connections=swapped)
    assert (judgement.verdict, codes(judgement)) == (FAIL, ["connection_differs"])
    assert judgement.reasons[0].text == "B1 and B2 are swapped: A1 reaches B2, A2 reaches B1."
    assert run("look", connections=swapped).verdict == FAIL


def test_wires_not_tested_are_the_program_s_fault():
    assert codes(run("continuity")) == ["connection_not_tested"]
    assert run("continuity").verdict == ERROR
    assert run("continuity", connections=GOOD_WIRES[:1]).verdict == ERROR
    unread = tuple(wire._replace(ohms=None) for wire in GOOD_WIRES)
    assert run("continuity", connections=unread).verdict == ERROR
    assert run("look", connections=unread).verdict == PASS
    opened = (GOOD_WIRES[0]._replace(seen=()),)
    assert run("continuity", connections=opened).verdict == FAIL


def test_without_a_definition_the_claim_decides():
    unknown = Criteria(None)
    report = Report("any", PASS, (Measurement("v", 1.0, "V"),), GOOD_WIRES)
    assert judge(unknown, report) == Judgement(PASS, judge(unknown, report).measured, (), (), ())
    assert judge(unknown, report._replace(claim=FAIL)).verdict == FAIL


@given(
    st.sampled_from(CLAIMS),
    st.sampled_from(["hipot", "look", "nowhere"]),
    st.lists(
        st.builds(
            Measurement,
            st.sampled_from(["leakage", "temperature", "force", "other"]),
            st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=3) | st.lists(st.floats()),
            st.sampled_from([None, "mA", "Cel", "N", "odd"]),
            outcome=st.sampled_from([None, PASS, FAIL]),
            position=st.sampled_from([None, "J1", "J2"]),
        ),
        max_size=6,
    ),
)
def test_the_order_of_the_rule_holds_for_any_run(claim: str, step: str, measurements: list[Measurement]):
    judgement = run(step, claim, measurements=measurements)
    assert len(judgement.measured) == len(measurements)
    assert bool(judgement.reasons) == (judgement.verdict != PASS)
    failed = any(judged.verdict == FAIL or judged.reported.outcome == FAIL for judged in judgement.measured)
    if claim in (ERROR, ABORTED, SKIPPED):
        assert judgement.verdict == claim
    elif claim == FAIL or failed:
        assert judgement.verdict == FAIL
    elif step != "hipot":
        assert judgement.verdict == PASS
    else:
        met = {(one.name, one.position) for one in judgement.measured if one.verdict == PASS}
        if judgement.verdict == PASS:
            assert {("temperature", "J1"), ("temperature", "J2")} <= met


def test_what_was_renamed_for_another_has_its_name_is_judged_by_its_own():
    twice = (
        *GOOD_HIPOT,
        Measurement("leakage#2", 5.0, "mA"),
        Measurement("burn.temperature", 45.0, "Cel", position="J1"),
    )
    known_as = {"leakage#2": "leakage", "burn.temperature": "temperature"}
    assert run(measurements=twice).verdict == PASS
    assert codes(run(measurements=twice, known_as=known_as)) == ["limit_broken", "limit_broken"]
    only = (GOOD_HIPOT[0]._replace(name="burn.leakage"), *GOOD_HIPOT[1:])
    assert run(measurements=only, known_as={"burn.leakage": "leakage"}).verdict == PASS
