"""Cut sheets: cables with their labels, and mistakes by row and column. The real sheet is read where it is at hand."""

from pathlib import Path

import pytest

from mes.domain.cable import OK, SWAPPED, Netlist, SeenConnection
from mes.domain.product import Connection
from mes.formats.cut_sheet import InvalidCutSheet, read

HEAD = "Source,,Destination,,Cable Length,Cable Type\nRack,Label,Rack,Label,,\n"
SAMPLE = Path(__file__).parents[3] / "shared" / "samples" / "cabling" / "tt_SP5_C1-10_full.csv"


def places(text: str | bytes) -> dict[str, str]:
    with pytest.raises(InvalidCutSheet) as caught:
        read(text)
    return dict(caught.value.problems)


def test_a_cable_is_its_two_labels_with_length_and_type():
    assert read(HEAD + "1,P1,2,P2,3m,DAC\n1,P3,2,P4,N/A,\n") == (
        Connection("P1", "P2", length="3m", type="DAC"),
        Connection("P3", "P4"),
    )


@pytest.mark.parametrize("ends", ["\n", "\r\n", "\r"])
def test_byte_order_mark_line_ends_and_blank_lines_do_not_matter(ends: str):
    text = "\ufeff" + HEAD + "\n,,,,,\n1, P1 ,2,P2\n\n"
    assert read(text.replace("\n", ends).encode()) == (Connection("P1", "P2"),)


def test_mistakes_are_placed_by_row_and_column():
    found = places(HEAD + "1,P1,2,P2,,\n\n1,P1,2,,,\n1,P5,2,P5,,\n1,P\x007,2," + "x" * 65)
    assert found == {
        "row 5, column 2 (Label)": "P1 is already wired in row 3; a port takes one cable",
        "row 5, column 4 (Label)": "names no endpoint; give the port's label",
        "row 6, column 4 (Label)": "P5 is already wired in row 6; a port takes one cable",
        "row 7, column 2 (Label)": found["row 7, column 2 (Label)"],
        "row 7, column 4 (Label)": found["row 7, column 4 (Label)"],
    }


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("", "row 1"),
        ("a,b\nc,d\n", "row 1"),
        ("Source,,Destination,\nRack,Port,Rack,Label\n1,2,3,4\n", "row 2"),
        ("Source,,Destination,\nLabel,Label,Rack,Label\n1,2,3,4\n", "row 2"),
        (HEAD, "row 3"),
        (HEAD + '1,"P1', "row 3"),
        (b"\xff\xfe\x00", "row 1"),
        (HEAD + "1," + "x" * 200_000, "row 3"),
    ],
)
def test_what_is_no_cut_sheet_is_refused(text: str | bytes, place: str):
    assert place in places(text)


@pytest.mark.skipif(not SAMPLE.exists(), reason="the sample cut sheet is not beside this checkout")
def test_a_real_pod_is_tested_against_its_sheet():
    wires = read(SAMPLE.read_bytes())
    assert len(wires) == 160
    pod = Netlist(wires)
    reports = [SeenConnection(wire.end_a, wire.end_b, (wire.end_b,)) for wire in wires]
    assert {verdict.kind for verdict in pod.compare(reports)} == {OK}
    first, second = wires[3], wires[40]
    reports[3] = reports[3]._replace(seen=(second.end_b,))
    reports[40] = reports[40]._replace(seen=(first.end_b,))
    wrong = [verdict for verdict in pod.compare(reports) if verdict.kind != OK]
    assert {verdict.kind for verdict in wrong} == {SWAPPED}
    assert len(wrong) == 2
    assert f"{first.end_b} and {second.end_b} are swapped" in wrong[0].text
