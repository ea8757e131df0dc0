"""Values in cable testers' reports: decimal commas, bounds, units, and tables whose columns stand in another order."""

from typing import Any

import pytest

from mes.domain.cable import SeenConnection
from mes.domain.limits import Measurement
from mes.domain.product import Characteristic, Definition, Step
from mes.domain.run import Criteria, Report, judge
from mes.formats.cable_report import read
from stations.files import recognise
from tests.formats.test_cable_report import NOW, report, run_of, verdicts

HIPOT_HEADER = "#, Net, Status, Insulation"


def why_not(text: str) -> str:
    """The one reason why a report can't be read."""
    reading = read(text, NOW)
    assert reading.run is None, reading.run
    (why,) = reading.reasons
    assert why.facts["field"] == "data.text"
    return why.text


def measured(*rows: str, header: str = "#, Instruction, From, To, Measured, Expected, Comment") -> str:
    """A report of nothing but measured values."""
    return "\n".join(("Final Test Result:, Passed", "Measured Values", f" {header}", *(f" {row}" for row in rows), ""))


def insulated(*rows: str, header: str = HIPOT_HEADER) -> str:
    """A good cable whose nets have these rows under this header."""
    text = report(hipot="".join(f" {row}\n" for row in rows))
    return text.replace(HIPOT_HEADER, header)


def nets(*rows: str, header: str = HIPOT_HEADER) -> list[tuple[Any, str | None]]:
    """Value and unit of each net."""
    return [(one.value, one.unit) for one in run_of(insulated(*rows, header=header)).measurements]


@pytest.mark.parametrize(
    ("row", "shown"),
    [
        ("1, WIRE, A1, B1, 0,9 kOhm, 2.0 Ohm", "0,9 kOhm"),  # as many cells as the header: there is no comment
        ("1, WIRE, A1, B1, 1,9 Ohm", "1,9 Ohm"),
        ("1, WIRE, A1, B1, 0,9, 2.0 Ohm", "0,9"),
        ("1, WIRE, A1, B1, 1,500.0 Ohm", "1,500.0 Ohm"),
        ("1, WIRE, A1, B1, 1.234,5 Ohm", "1.234,5 Ohm"),
        ("1, WIRE, A1, B1, < 1,9 Ohm", "< 1,9 Ohm"),
        ('1, WIRE, A1, B1, "12,9 Ohm", 2.0 Ohm, Measured', "12,9 Ohm"),
        ('1, WIRE, A1, B1, "1,900 Ohm", 2.0 Ohm, Measured', "1,900 Ohm"),
        ('1, WIRE, A1, B1, "1.234,5", 2.0 Ohm, Measured', "1.234,5"),
        ('1, RES, A1, B1, "4,7 kOhm"', "4,7 kOhm"),
        ("1, RES, A1, B1, 4,7 kOhm", "4,7 kOhm"),
    ],
)
def test_a_decimal_comma_is_refused_by_name(row: str, shown: str) -> None:
    why = why_not(measured(row))
    assert why.startswith(f"data.text: row 4 holds the decimal comma of {shown!r}: export with a decimal point"), why


def test_a_limit_with_a_decimal_comma_does_not_move_what_was_measured() -> None:
    header = "#, Instruction, From, To, Expected, Measured, Comment"
    assert "'2,0 Ohm'" in why_not(measured("1, WIRE, A1, B1, 2,0 Ohm, 900 Ohm", header=header))


@pytest.mark.parametrize(
    ("row", "header", "shown"),
    [
        ('1, Net1, Passed, "99,5 MOhm"', HIPOT_HEADER, "99,5 MOhm"),
        ('1, Net1, Passed, "99,5 MOhm"', "#, Netz, Status, Isolation", "99,5 MOhm"),
        ("1, Net1, Passed, 100,5 kOhm", f"{HIPOT_HEADER}, Comment", "100,5 kOhm"),
        ("1, Net1, Passed, 100,5 kOhm", "#, Netz, Status, Isolation, Kommentar", "100,5 kOhm"),
    ],
)
def test_a_decimal_comma_of_an_insulation_is_refused_by_name(row: str, header: str, shown: str) -> None:
    assert f"the decimal comma of {shown!r}" in why_not(insulated(row, header=header))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (measured("1, WIRE, A1, B1, 0,9 kOhm, 2.0 Ohm, Measured"), "row 4 has 8 cells, its header 7"),
        (measured("1, WIRE, A1, B1, 0.9 Ohm, 2.0 Ohm, well, measured"), "row 4 has 8 cells, its header 7"),
        (insulated("1, Net1, Passed, 100,5 kOhm"), "row 15 has 5 cells, its header 4"),
    ],
)
def test_a_row_wider_than_its_header_is_refused(text: str, says: str) -> None:
    why = why_not(text)
    assert says in why
    assert "a decimal point" in why
    assert "quote" in why


def test_empty_cells_at_the_end_are_no_cells() -> None:
    assert verdicts(report().replace("Measured\n", "Measured,,\n")) == ["ok"] * 4


@pytest.mark.parametrize(("separator", "named"), [(";", "semicolons"), ("\t", "tabs")])
def test_other_separators_are_refused_by_name(separator: str, named: str) -> None:
    text = report(hipot=" 1, Net1, Passed, 500 MOhm\n").replace(",", separator)
    for exported in (text, text.replace("0.1 Ohm", "0,1 Ohm").replace("500 M", "500,0 M")):
        assert f"row 1 is separated by {named}; export with commas" in why_not(exported)
    mixed = report().replace("3, WIRE, A3, B3,", f"3{separator} WIRE{separator} A3{separator} B3{separator}")
    assert f"row 23 is separated by {named}" in why_not(mixed)


@pytest.mark.parametrize(
    ("said", "ohms"), [("0", 0.0), ("0.1", 0.1), ("2", 2.0), ("0.5Ohm", 0.5), ("5e-1 Ω", 0.5), ("1.5e0", 1.5)]
)
def test_a_number_alone_in_its_cell_is_the_whole_value(said: str, ohms: float) -> None:
    assert run_of(measured(f"1, WIRE, A1, B1, {said}, 2.0 Ohm")).connections[0].ohms == ohms


@pytest.mark.parametrize("said", ["1 500 Ohm", "1'500 Ohm", '"0, 9 Ohm"', "1.5.3 Ohm", "10-20 Ohm", "0;9 kOhm"])
def test_half_of_a_number_is_no_value(said: str) -> None:
    assert verdicts(report(measured={2: said})) == ["ok", "missing", "ok", "ok"]


@pytest.mark.parametrize(("header", "verdict"), [("Measured (kOhm)", "resistance"), ("Measured [mOhm]", "ok")])
def test_a_unit_in_the_header_is_that_of_bare_numbers(header: str, verdict: str) -> None:
    text = report("Passed", measured={1: "0.9"}).replace("To, Measured,", f"To, {header},")
    assert verdicts(text) == [verdict, "ok", "ok", "ok"]
    assert nets("1, Net1, Passed, 0.5", header="#, Net, Status, Insulation (GOhm)") == [(0.5, "GOhm")]
    assert nets("1, Net1, Passed, 500", header="#, Net, Status, Insulation (typ.)") == [(500, None)]


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("> 500 MOhm", (500, "MOhm")),
        (">= 500 MOhm", (500, "MOhm")),
        ("≥ 500 MOhm", (500, "MOhm")),
        ("> 500", (500, None)),
        ("< 0.5 mA", (0.5, "mA")),
        ("< 500 MOhm", (None, None)),
        ("<500", (None, None)),
        ("≤ 500 MOhm", (None, None)),
        ("> 0.5 mA", (None, None)),
        ("> 5 apples", (None, None)),
    ],
)
def test_a_bound_counts_where_it_proves_a_limit_was_kept(said: str, kept: tuple[float | None, str | None]) -> None:
    run = run_of(insulated(f"1, Net1, Passed, {said}"))
    assert run.measurements == (Measurement("hipot Net1", *kept, outcome="pass"),)
    told = [f"Row 15 has {said!r} for hipot Net1, a bound that proves no limit was kept; it counts as not measured."]
    assert run.notes.get("problems", []) == ([] if kept[0] is not None else told)


@pytest.mark.parametrize(
    ("said", "verdict"),
    [
        ("500 MOhm", "pass"),
        ("> 500 MOhm", "pass"),
        ("< 500 MOhm", "error"),
        ("> 50 MOhm", "fail"),
        ("0.5 MOhm", "fail"),
    ],
)
def test_an_insulation_is_judged_by_what_is_known_of_it(said: str, verdict: str) -> None:
    definition = Definition(
        "CBL",
        "A",
        "Cable",
        "cabling",
        route=(Step("cable-test", "tester", needs=("hipot Net1",)),),
        characteristics=(Characteristic("hipot Net1", "MOhm", low=100.0),),
    )
    run = run_of(insulated(f"1, Net1, Passed, {said}"))
    assert judge(Criteria(definition), Report("cable-test", run.outcome, run.measurements)).verdict == verdict


def test_which_way_a_part_is_limited_is_not_known() -> None:
    run = run_of(measured("1, RES, A1, A2, < 4.7 kOhm", "2, RES, A3, A4, > 4.7 kOhm", "3, RES, A5, A6, 4.7 kOhm"))
    assert [(one.name, one.value) for one in run.measurements] == [
        ("RES A1 A2", None),
        ("RES A3 A4", None),
        ("RES A5 A6", 4.7),
    ]
    assert [one.split(" has")[0] for one in run.notes["problems"]] == ["Row 4", "Row 5"]


@pytest.mark.parametrize(
    ("header", "row"),
    [
        ("#, Instruction, To, Measured, From, Expected, Comment", "1, WIRE, B1, 0.1 Ohm, A1, 2.0 Ohm, Measured"),
        ("Comment, #, Instruction, From, To, Measured, Expected", "Measured, 1, WIRE, A1, B1, 0.1 Ohm, 2.0 Ohm"),
        ("#, From, To, Instruction, Measured, Expected, Comment", "1, A1, B1, WIRE, 0.1 Ohm, 2.0 Ohm, Measured"),
        ("From Point, To Point, Measured, Type, #", "A1, B1, 0.1 Ohm, WIRE, 1"),
        ("No., Instruction, From, To, Tolerance, Total, Measured", "1, WIRE, A1, B1, 10 %, x, 0.1 Ohm"),
        ("#, Instruction, From, To, Tolerance, Measured, Measured at", "1., WIRE, A1, B1, 10 %, 0.1 Ohm, 10:00"),
        ("#, Anweisung, Von, Nach, Gemessen", "1, WIRE, A1, B1, 0.1 Ohm"),
    ],
)
def test_columns_are_read_in_any_order(header: str, row: str) -> None:
    assert run_of(measured(row, header=header)).connections == (SeenConnection("A1", "B1", ("B1",), 0.1),)


@pytest.mark.parametrize(
    ("header", "row", "kept"),
    [
        ("#, Net, Insulation, Status", "1, Net1, 640 MOhm, Passed", (640, "MOhm")),
        ("Status, Net, Insulation, #", "Passed, Net1, 640 MOhm, 1", (640, "MOhm")),
        ("#, Net, Volts, Insulation, Status", "1, Net1, 500, 0.1 MOhm, Passed", (0.1, "MOhm")),
        ("#, Netz, Volt, Isolation, Status", "1, Net1, 500, 0.1 MOhm, Passed", (0.1, "MOhm")),
        ("#, Net, Voltage, Insulation, Dwell, Status", "1, Net1, 500, 640, 60, Passed", (640, None)),
        ("#, Netz, Spannung, Isolation, Status", "1, Net1, 500, 3.5, Passed", (None, None)),
    ],
)
def test_insulation_is_read_in_any_order(header: str, row: str, kept: tuple[float | None, str | None]) -> None:
    run = run_of(insulated(row, header=header))
    assert run.measurements == (Measurement("hipot Net1", *kept, outcome="pass"),)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            measured("1, WIRE, A1, B1, 0.1 Ohm", header="#, Instruction, From, Nach, Measured"),
            "row 3 is a header without To; it must name #, Instruction, From, To and Measured",
        ),
        (
            measured("WIRE, 1, A1, B1, 1", header="Befehl, #, Von, Nach, Wert"),
            "without Instruction, From, To, Measured",
        ),
        (measured("A1, B1, 1 Ohm, 1", header="From, To, Measured, #"), "is a header without Instruction"),
        (
            measured("WIRE, A1, B1, 0.1 Ohm", header="Instruction, From, To, Measured"),
            "row 4 has no number in its column #",
        ),
        (measured("x, WIRE, A1, B1, 0.1 Ohm"), "row 4 has no number in its column #"),
        (insulated("Passed, Net1, 1, 640 MOhm"), "row 15 has no number in its column #"),
        (insulated("Passed, 1, 5 MOhm", header="Status, #, Isolation"), "row 14 is a header without Net"),
    ],
)
def test_a_table_that_can_not_be_read_is_not_passed_over(text: str, says: str) -> None:
    assert says in why_not(text)


@pytest.mark.parametrize("odd", ["9" * 100_000 + ",", "(" * 100_000, "1.111" + ".111" * 25_000 + "x"])
def test_odd_cells_keep_nobody_waiting(odd: str) -> None:
    assert read(measured(f"1, WIRE, A1, B1, {odd}, {odd}", header=f"#, Instruction, From, To, {odd}"), NOW).reasons


def test_remarks_below_a_table_are_passed_over() -> None:
    assert verdicts(report() + " End of report\n Tested by, J. Doe\n ,,,,,, more of a comment\n") == ["ok"] * 4


def test_errors_are_read_wherever_their_number_stands() -> None:
    text = report("Failed", " Net Net2: OPEN A2, 1\n to B2, 1\n").replace(" #, Error\n", " Error, #\n")
    assert verdicts(text) == ["ok", "open", "ok", "ok"]
    assert [one.text for one in run_of(text).defects] == ["Net Net2: OPEN A2 to B2"]


@pytest.mark.parametrize("change", [str.upper, str.lower, str])
def test_a_file_is_recognised_whatever_its_case(change: Any) -> None:
    assert recognise(change(report())) == "cable-report"
    assert recognise(change(report()).replace(",", ";")) == "cable-report"  # the MES says what is wrong with it


def test_a_run_is_named_after_the_unit_that_it_is_sent_for() -> None:
    def named(unit: str | None) -> str | None:
        reading = read(report(), NOW, unit)
        assert reading.run
        return reading.run.run

    assert named("CB-7") == named(None), "the report says so itself"
    assert len({named(None), named("CB-8"), named("CB-9")}) == 3
    assert named("CB-8") == named("CB-8")
