"""Cable testers' CSV reports: what was seen between which endpoints, faults from free text, and mistakes by row."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mes.domain.cable import Netlist, SeenConnection
from mes.domain.limits import Measurement
from mes.domain.product import Connection
from mes.formats.cable_report import read
from mes.formats.messages import ForeignRunReported, Message, UnitRef, Unreadable, decode
from tests.formats.examples import AT, event

NOW = datetime(2026, 11, 22, 10, tzinfo=UTC)
TYPE = "mes.cable.report"
WIRES = [(f"A{at}", f"B{at}") for at in range(1, 5)]
NETLIST = Netlist([Connection(one, other, ohms_max=2.0) for one, other in WIRES])


def report(result: str = "Passed", errors: str = "", measured: dict[int, str] | None = None, hipot: str = "") -> str:
    """A report as a tester writes it, of a cable of four wires; `measured` gives rows other values."""
    values = {at: f"{0.1 * at:.1f} Ohm" for at in range(1, 5)} | (measured or {})
    rows = "".join(f" {at}, WIRE, A{at}, B{at}, {values[at]}, 2.0 Ohm, Measured\n" for at in range(1, 5))
    return (
        "Title:, Test Results\n S/N:, CB-7\n Cable Number:, 12\n Test Date:, 5/30/2024\n Test Time:, 10:52:32 AM\n"
        f" Test Name:, four wires\n Final Test Result:, {result}\n\n"
        "Title:, Test Parameters\n Connection Resistance:, 2.0 Ohm\n Hipot Voltage:, 500 V, dc\n\n"
        f"Title:, Nets Hipot Status\n #, Net, Status, Insulation\n{hipot}\n"
        f"Title:, Error Details\n #, Error\n{errors}\n"
        f"Title:, Measured Values\n #, Instruction, From, To, Measured, Expected, Comment\n{rows}"
    )


def run_of(text: str) -> Any:
    reading = read(text, NOW)
    assert reading.run, reading.reasons
    return reading.run


def verdicts(text: str) -> list[str]:
    """What our netlist makes of a report, wire by wire."""
    return [one.kind for one in NETLIST.compare(run_of(text).connections, resistance_required=True)]


def test_a_good_cable() -> None:
    run = run_of(report())
    assert (run.outcome, run.unit, run.program) == ("pass", "CB-7", ("four wires", "unknown"))
    assert run.connections[1] == SeenConnection("A2", "B2", ("B2",), 0.2)
    assert (run.measurements, run.defects) == ((), ())
    assert verdicts(report()) == ["ok"] * 4


def test_the_date_has_no_zone_so_the_message_says_when() -> None:
    run = run_of(report())
    assert (run.started_at, run.ended_at) == (NOW, NOW)
    assert run.notes["test results"]["test date"] == "5/30/2024"
    assert run.notes["test parameters"]["hipot voltage"] == "500 V, dc"


def test_a_dated_report_has_the_same_name_each_time() -> None:
    assert run_of(report()).run == run_of(report()).run
    assert run_of(report()).run != run_of(report(measured={1: "0.2 Ohm"})).run
    assert run_of(report().replace("Test Date", "Datum")).run is None


@pytest.mark.parametrize(
    ("errors", "kinds", "codes"),
    [
        (" 1, Net Net2: OPEN A2 to B2\n", ["ok", "open", "ok", "ok"], ["OPEN"]),
        (" 1, Net Net2: OPEN A2\n 1, to B2\n 2, Net Net3: OPEN A3 to B3\n", ["ok", "open", "open", "ok"], ["OPEN"] * 2),
        (" 1, Net Net2: OPEN\n , A2 to\n , B2\n", ["ok", "open", "ok", "ok"], ["OPEN"]),
        (" 1, Net Net1: SHORT A1 to A2\n", ["short", "short", "ok", "ok"], ["SHORT"]),
        (" 1, Net Net1: SHORT A1 to A2, A3\n", ["short", "short", "short", "ok"], ["SHORT"]),
    ],
)
def test_faults_are_found_in_free_text(errors: str, kinds: list[str], codes: list[str]) -> None:
    text = report("Failed", errors)
    assert verdicts(text) == kinds
    assert [one.code for one in run_of(text).defects] == codes


def test_a_miswire_is_where_the_tester_found_it() -> None:
    errors = " 1, Net Net1: MISWIRE A1 to B2\n 2, Net Net2: MISWIRE A2 to B1\n"
    untested = {1: "Not tested", 2: "Not tested"}
    assert verdicts(report("Failed", errors, untested)) == ["swapped", "swapped", "ok", "ok"]


def test_the_text_of_a_fault_is_kept_whole() -> None:
    (defect,) = run_of(report("Failed", " 1, Net Net9: something, odd\n 1, happened\n")).defects
    assert (defect.code, defect.text) == ("FAULT", "Net Net9: something, odd happened")


def test_faults_are_a_fail_whatever_the_result_says() -> None:
    assert run_of(report("Passed", " 1, Net Net2: OPEN A2 to B2\n")).outcome == "fail"
    assert run_of(report("Passed", " 1, No errors found.\n")).outcome == "pass"


@pytest.mark.parametrize("said", ["Not tested", "not tested.", "", "1e999 Ohm", "???"])
def test_not_tested_is_not_zero(said: str) -> None:
    text = report(measured={3: said})
    assert [one.end for one in run_of(text).connections] == ["A1", "A2", "A4"]
    assert verdicts(text) == ["ok", "ok", "missing", "ok"]


@pytest.mark.parametrize(
    ("measured", "kind", "ohms"),
    [
        ("223 mOhm", "ok", 0.223),
        ("0.003 kOhm", "resistance", 3.0),
        ("1.5", "ok", 1.5),
        ("< 0.1 Ohm", "ok", 0.1),
        ("> 5 MOhm", "open", None),
        ("Open", "open", None),
        ("Pass", "missing", None),
        ("7 apples", "missing", None),
    ],
)
def test_resistances_are_in_ohms(measured: str, kind: str, ohms: float | None) -> None:
    text = report("Failed", measured={1: measured})
    verdict = NETLIST.compare(run_of(text).connections, resistance_required=True)[0]
    assert (verdict.kind, run_of(text).connections[0].ohms) == (kind, ohms)


def test_insulation_is_measured_per_net() -> None:
    hipot = " 1, Net1, Passed, 640 MOhm\n 2, Net2, Failed, 3 MOhm\n 3, Net3, Not tested\n 4, Net4, Passed, > 999 MOhm\n"
    run = run_of(report("Passed", hipot=hipot))
    assert run.measurements == (
        Measurement("hipot Net1", 640, "MOhm", outcome="pass"),
        Measurement("hipot Net2", 3, "MOhm", outcome="fail"),
        Measurement("hipot Net3", None, outcome="unset"),
        Measurement("hipot Net4", 999, "MOhm", outcome="pass"),
    )
    assert (run.outcome, [one.code for one in run.defects]) == ("fail", ["HIPOT"])


def test_other_instructions_are_measurements() -> None:
    text = report() + " 5, RES, A1, A2, 4.7 kOhm, 5 kOhm, Measured\n 6, RES, A1, A2, 4.8 kOhm, 5 kOhm, again\n"
    assert [(one.name, one.value, one.unit) for one in run_of(text).measurements] == [
        ("RES A1 A2", 4.7, "kOhm"),
        ("RES A1 A2#2", 4.8, "kOhm"),
    ]


def test_columns_are_where_the_header_says() -> None:
    text = (
        "Final Test Result:,Passed\nMeasured Values\n#,Type,Value,Measured,From Point,To Point\n1,WIRE,x,1 Ohm,A1,B1\n"
    )
    assert run_of(text).connections == (SeenConnection("A1", "B1", ("B1",), 1.0),)


@pytest.mark.parametrize("change", [str.upper, lambda text: text.replace("\n", "\r\n"), lambda text: "\ufeff" + text])
def test_looks_do_not_matter(change: Any) -> None:
    assert run_of(change(report())).outcome == "pass"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "none of the sections"),
        ("hello\n", "Final Test Result"),
        (report("Perhaps"), "'Perhaps'"),
        (report().replace(" Final Test Result:, Passed", ""), "null"),
        (report() + " 5, WIRE, A5\n", "row 25 names no connection"),
        ("a\0b", "Final Test Result"),
        ('"' + "x" * 200_000 + '"', "no CSV"),
        ("x\n" * 60_000, "beyond the 50000 rows"),
    ],
)
def test_mistakes_are_told_by_row(text: str, says: str) -> None:
    reading = read(text, NOW)
    assert reading.run is None
    assert all(one.facts["field"] == "data.text" for one in reading.reasons)
    assert any(says in one.text for one in reading.reasons), reading.reasons


def of(serial: str, result: str, time: str = "10:52:32 AM") -> str:
    return report(result).replace("CB-7", serial).replace("10:52:32 AM", time)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (of("C4-0011", "Failed") + of("C4-0012", "Passed"), "holds 2 reports (of C4-0011, C4-0012)"),
        (of("C4-0011", "Failed") + "\ufeff" + of("C4-0011", "Passed", "11:02"), "holds 2 reports (of C4-0011)"),
        ("".join(of(f"C4-{at}", "Passed") for at in range(7)), "holds 7 reports (of C4-0, C4-1, C4-2, C4-3, C4-4 …)"),
        ((report() * 2).replace("S/N", "Serie"), "holds 2 reports;"),
        (report() + " S/N:, CB-8\n", "holds 2 reports (of CB-7, CB-8)"),
        (report().replace(" Test Name", " S/N:, CB-8\n Test Name"), "holds 2 reports (of CB-7, CB-8)"),
        ((report() + " S/N:, CB-8\n").replace("S/N", "Serial Number"), "holds 2 reports (of CB-7, CB-8)"),
    ],
)
def test_several_reports_in_one_text_are_refused(text: str, says: str) -> None:
    reading = read(text, NOW)
    assert reading.run is None
    (why,) = reading.reasons
    assert (why.facts["field"], says in why.text, "send each by itself" in why.text) == ("data.text", True, True), why


@pytest.mark.parametrize(
    "text",
    [
        report() + " S/N:, CB-7\n",
        report() + " Serial Number:, of the tester\n",
        "Test Results\n" + report(),
        "Site:, 7\n" + report(),
    ],
)
def test_what_is_said_twice_of_one_cable_is_one_report(text: str) -> None:
    assert (run_of(text).unit, run_of(text).outcome) == ("CB-7", "pass")


@pytest.mark.parametrize(
    ("text", "row"),
    [
        (report(hipot=" 1, Net1, Passed, 0.5 \ufffdA\n"), 15),
        (report(measured={2: "0.2 \ufffd"}), 22),
        (report("Failed", " 1, Net Net2: OPEN A\ufffd to B2\n 2, Net \ufffd\n"), 18),
    ],
)
def test_a_lost_character_where_it_counts_is_refused(text: str, row: int) -> None:
    reading = read(text, NOW)
    assert reading.run is None
    (why,) = reading.reasons
    assert why.text.startswith(f"data.text: row {row} holds \ufffd in the place of a character")
    assert "cp1252" in why.text


def test_a_lost_character_elsewhere_is_noted() -> None:
    text = report().replace("four wires", "f\ufffdnf").replace("#, Net,", "#, N\ufffdt,")
    run = run_of("Gepr\ufffdft, ja\n" + text)
    assert (run.outcome, run.program) == ("pass", ("f\ufffdnf", "unknown"))
    assert [one.split(" holds")[0] for one in run.notes["problems"]] == ["Row 1", "Row 7", "Row 15"]
    assert "problems" not in run_of(report()).notes


def test_remarks_have_an_end() -> None:
    assert len(run_of(report() + " Info:, \ufffd\n" * 500).notes["problems"]) == 100


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=200), st.integers(0, 500))
def test_any_text_is_an_answer(text: str, at: int) -> None:
    whole = report("Failed", " 1, Net Net2: OPEN A2 to B2\n")
    reading = read(whole[:at] + text + whole[at:], NOW)
    assert (reading.run is None) == bool(reading.reasons)


def wire(**data: Any) -> Message | Unreadable:
    (one,) = decode("ct-1", "run/cable-report", json.dumps(event(TYPE, data, station="ct-1")).encode())
    return one


def test_on_the_wire_it_is_a_run_like_any_other() -> None:
    one = wire(unit="CB-8", step="cable-test", text=report("Failed", " 1, Net Net2: OPEN A2 to B2\n"), run="r1")
    assert isinstance(one, Message), one
    assert isinstance(one.data, ForeignRunReported)
    assert (one.data.unit, one.data.step, one.data.run, one.data.outcome) == (
        UnitRef("CB-8"),
        "cable-test",
        "r1",
        "fail",
    )
    assert one.data.started_at == datetime.fromisoformat(AT)
    assert [(one.end_a, one.end_b, one.seen) for one in one.data.connections][-1] == ("A2", "B2", ())


@pytest.mark.parametrize(
    ("data", "field"),
    [
        ({"step": "cable-test", "unit": "CB-8"}, "data.text"),
        ({"step": "cable-test", "unit": "CB-8", "text": 7}, "data.text"),
        ({"step": "cable-test", "unit": "CB-8", "text": "x"}, "data.text"),
        ({"unit": "CB-8", "text": report()}, "data.step"),
        ({"step": "cable-test", "unit": 7, "text": report()}, "data.unit"),
        ({"step": "cable-test", "text": report().replace("CB-7", "N/A")}, "data.unit"),
        ({"step": "cable-test", "text": report().replace("S/N", "Serie")}, "data.unit"),
    ],
)
def test_on_the_wire_a_mistake_is_unreadable(data: dict[str, Any], field: str) -> None:
    one = wire(**data)
    assert isinstance(one, Unreadable)
    assert one.reasons[0].facts["field"] == field


def test_without_a_unit_the_serial_in_the_report_counts() -> None:
    one = wire(step="cable-test", text=report())
    assert isinstance(one, Message), one
    assert one.data.unit == UnitRef("CB-7")  # type: ignore[attr-defined]
