"""What a scan at a bench means: the next position, a position pointed at, and what is said instead of doing wrong."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from mes.domain.hold import Hold
from mes.domain.product import Alternate, BomLine, Definition, Step
from mes.domain.progress import Progress, State
from mes.domain.scanning import (
    Found,
    Install,
    Label,
    Mend,
    NamePart,
    Objection,
    OnBench,
    PartKnown,
    Place,
    PointAt,
    TakeUp,
    read,
)

START = datetime(2026, 11, 2, 8, tzinfo=UTC)
RACK = Definition(
    "RACK",
    "A",
    "Rack",
    "rack",
    bom=(
        BomLine(("U1", "U2", "U3"), "TRAY"),
        BomLine(("PSU1",), "PSU-A", (Alternate("PSU-B"),)),
        BomLine(("SCREWS",), "SCREW", quantity=Decimal(8)),
        BomLine(("CABLE",), "WIRE"),
    ),
    route=(Step("mount", "bay", installs=("U1", "U2", "PSU1", "SCREWS")), Step("cable", "bay", installs=("CABLE",))),
)
TRAY = Definition("TRAY", "A", "Tray", "compute", route=(Step("build", "bench"),))
PARTS = {
    "TRAY": PartKnown("TRAY", "Tray", "made", "serial", False),
    "PSU-A": PartKnown("PSU-A", "Supply", "bought", "serial", False),
    "PSU-B": PartKnown("PSU-B", "Supply", "bought", "serial", True),
    "SCREW": PartKnown("SCREW", "Screw", "bought", "lot", False),
    "WIRE": PartKnown("WIRE", "Wire", "bought", "serial", False),
}


def bench(filled: dict[str, str] | None = None, **fields: Any) -> OnBench:
    """A rack in its step `mount`, with some positions filled."""
    progress = Progress(State.IN_PROCESS, positions=filled or {})
    positions = ("U1", "U2", "PSU1", "SCREWS")
    return OnBench("rack", "R-1", RACK, progress, positions, PARTS, fields.pop("quantities", {}), **fields)


def tray(serial: str, state: State = State.COMPLETED, **fields: Any) -> Found:
    progress = Progress(state)
    if state is State.COMPLETED:
        progress.step("build").result = "passed"
    return Found(serial.lower(), "TRAY", "", serial, TRAY, progress, **fields)


def scan(text: str, on: OnBench, *found: Found, confirmed: bool = False, **fields: Any) -> Any:
    return read(on, Label(text, (text,), **fields), found, confirmed)


def refused(move: Any, code: str) -> Objection:
    assert isinstance(move, Objection), move
    assert move.why.code == code
    return move


def test_parts_fill_the_next_position() -> None:
    assert scan("T-1", bench(), tray("T-1")) == Install("U1", "TRAY", "T-1")
    assert scan("T-2", bench({"U1": "t-1"}), tray("T-2")) == Install("U2", "TRAY", "T-2")


def test_a_position_can_be_pointed_at() -> None:
    assert scan("U2", bench()) == PointAt("U2")
    assert scan("CABLE", bench()) == PointAt("CABLE")
    assert scan("T-1", bench(pointed_at="U2"), tray("T-1")) == Install("U2", "TRAY", "T-1")


def test_a_second_scan_changes_nothing_and_a_pointed_one_moves() -> None:
    inside = tray("T-1", place=Place("rack", "R-1", "U1"))
    assert scan("T-1", bench({"U1": "t-1"}), inside) == Install("U1", "TRAY", "T-1", again=True)
    assert scan("T-1", bench({"U1": "t-1"}, pointed_at="U1"), inside) == Install("U1", "TRAY", "T-1", again=True)
    assert scan("T-1", bench({"U1": "t-1"}, pointed_at="U2"), inside) == Install("U2", "TRAY", "T-1", moved_from="U1")
    full = bench({"U1": "t-1", "U2": "t-2"}, pointed_at="U2")
    assert refused(scan("T-1", full, inside), "position_occupied").mends == (Mend("remove", "U2"),)
    refused(scan("T-1", bench({"U1": "t-1"}, pointed_at="PSU1"), inside), "wrong_part")


def test_what_does_not_fit_is_told_with_where_it_would() -> None:
    supply = Found("p", "PSU-A", "", "P-1", None, Progress(State.RECEIVED))
    assert refused(scan("P-1", bench(), supply), "wrong_part").mends == (Mend("position", "PSU1"),)
    wire = Found("w", "WIRE", "", "W-1", None, Progress(State.RECEIVED))
    assert "CABLE, in another step" in refused(scan("W-1", bench(), wire), "wrong_part").why.text
    at_supply = bench({"U1": "a", "U2": "b"})
    assert Mend("unit", "T-9") in refused(scan("T-9", at_supply, tray("T-9")), "wrong_part").mends


def test_parts_that_may_not_be_built_in() -> None:
    refused(scan("T-1", bench(), tray("T-1", State.IN_PROCESS)), "failed_part")
    refused(scan("T-1", bench(), tray("T-1", State.SCRAPPED)), "unit_closed")
    held = tray("T-1", holds=(Hold("h", "unit", "t-1", "dented", START),))
    assert "dented" in refused(scan("T-1", bench(), held), "on_hold").why.text
    elsewhere = tray("T-1", place=Place("other", "R-9", "U7"))
    assert refused(scan("T-1", bench(), elsewhere), "already_installed").mends == (Mend("confirm", "U1"),)
    assert scan("T-1", bench(), elsewhere, confirmed=True) == Install("U1", "TRAY", "T-1")
    refused(scan("T-3", bench({"U1": "t-1"}, pointed_at="U1"), tray("T-3")), "position_occupied")


def test_a_made_part_is_never_made_up_and_a_bought_one_is() -> None:
    refused(scan("T-9", bench()), "unknown_unit")
    at_supply = {"U1": "a", "U2": "b"}
    asked = refused(scan("P-9", bench(at_supply)), "part_not_named")
    assert asked.mends == (Mend("part", "PSU-A"), Mend("part", "PSU-B"))
    assert scan("P-9", bench(at_supply, part_named="PSU-A")) == Install("PSU1", "PSU-A", "P-9")
    refused(scan("P-9", bench(at_supply, part_named="PSU-B")), "not_received")
    refused(scan("P-9", bench(at_supply), part="TRAY"), "wrong_part")
    refused(scan("N/A", bench(at_supply, part_named="PSU-A")), "placeholder_serial")
    refused(scan("a b", bench(at_supply, part_named="PSU-A")), "unreadable")


def test_a_part_number_is_named_before_its_serial() -> None:
    assert read(bench(), Label("1PPSU-A", (), "PSU-A"), []) == NamePart("PSU-A")
    refused(read(bench(), Label("1PNUT", (), "NUT"), []), "wrong_part")
    refused(read(bench(), Label("(01)1", ()), []), "unreadable")


def test_lots_fill_what_is_missing() -> None:
    at_screws = bench({"U1": "a", "U2": "b", "PSU1": "c"}, quantities={"SCREWS": Decimal(3)})
    assert scan("L-1", at_screws) == Install("SCREWS", "SCREW", lot="L-1", quantity=Decimal(5))
    refused(scan("T-1", at_screws, tray("T-1")), "wrong_part")
    refused(scan("L 1", at_screws), "unreadable")
    full = bench({"SCREWS": "l"}, pointed_at="SCREWS", quantities={"SCREWS": Decimal(8)})
    refused(scan("L-2", full), "position_occupied")
    refused(scan("L-2", at_screws, part="WIRE"), "wrong_part")


def test_when_all_is_filled_another_unit_comes_onto_the_bench() -> None:
    done = bench({"U1": "a", "U2": "b", "PSU1": "c", "SCREWS": "d"})
    other = tray("T-9")
    assert scan("T-9", done, other) == TakeUp(other)
    refused(scan("P-9", done), "nothing_to_install")
    own = Found("rack", "RACK", "", "R-1", RACK, Progress(State.IN_PROCESS))
    assert scan("R-1", bench(), own) == TakeUp(own)


def test_a_serial_of_several_approved_parts_is_asked_about() -> None:
    at_supply = bench({"U1": "a", "U2": "b"})
    both = [Found(part, part, "", "P-1", None, Progress(State.RECEIVED)) for part in ("PSU-A", "PSU-B")]
    assert refused(scan("P-1", at_supply, *both), "ambiguous_serial").mends == (
        Mend("part", "PSU-A"),
        Mend("part", "PSU-B"),
    )
    assert scan("P-1", at_supply, *both, part="PSU-B") == Install("PSU1", "PSU-B", "P-1")


@pytest.mark.parametrize("position", ["U1", "SCREWS"])
def test_the_next_position_is_the_first_that_is_not_filled(position: str) -> None:
    filled = {one: "x" for one in ("U1", "U2", "PSU1", "SCREWS") if one != position}
    assert bench(filled).next == position
