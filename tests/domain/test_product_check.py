"""Definitions checked for sense: each mistake is found at its place, good ones pass without a word."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mes.domain.precedence import cycle_through, never_ready
from mes.domain.product import Alternate, BomLine, Characteristic, Connection, Definition, Firmware, Step
from mes.domain.product_check import check, check_against, children

GOOD = Definition(
    "TRAY",
    "A",
    "Compute tray",
    "compute",
    serial_pattern="CT-{n:06}",
    bom=(
        BomLine(("CPU1", "CPU2"), "CPU", (Alternate("CPU-B"), Alternate("CPU", "Other")), retest_from="boot"),
        BomLine(("W1",), "WIRE", quantity=Decimal("0.25")),
    ),
    route=(
        Step("build", "bench", installs=("CPU1", "CPU2")),
        Step("boot", "tester", ("build",), ("temperature",), min_s=0, attempts=1),
        Step("look", "bench", ("build",), on_no_answer="go_on"),
    ),
    characteristics=(
        Characteristic("temperature", "Cel", 10, 90, position="CPU1"),
        Characteristic("temperature", "Cel", 10, 90, position="CPU2/core"),
        Characteristic("bios", equals="1.2"),
    ),
    netlist=(Connection("A1", "B1"), Connection("A1", "B2")),
    firmware=(Firmware("BIOS", ("1.2",), position="CPU1"), Firmware("BMC", ("3",), kind="tray")),
)


def found(**changes: Any) -> dict[str, str]:
    return dict(check(replace(GOOD, **changes)))


def test_a_good_definition_passes_without_a_word():
    assert check(GOOD) == []


@pytest.mark.parametrize(
    ("changes", "place", "text"),
    [
        ({"part": "CT 1"}, "part", "contains a blank"),
        ({"part": "N/A"}, "part", "contains '/'"),
        ({"part": "TBD"}, "part", "unprogrammed hardware"),
        ({"revision": ""}, "revision", "is empty"),
        ({"name": " "}, "name", "is empty"),
        ({"family": "trays"}, "family", "'trays' is not known"),
        ({"source": "found"}, "source", "use made or bought"),
        ({"tracking": "none"}, "tracking", "use serial, lot or bulk"),
        ({"tracking": "lot", "serial_pattern": None}, "tracking", "a made part is tracked by serial"),
        ({"serial_pattern": "CT"}, "serial_pattern", "exactly one is needed"),
        ({"source": "bought"}, "route", "a bought part has no route"),
        ({"route": ()}, "route", "at least one step"),
        ({"bom": (BomLine((), "CPU"),)}, "bom[0].positions", "is empty"),
        ({"bom": (BomLine(("A/B",), "CPU"),)}, "bom[0].positions[0]", "contains '/'"),
        ({"bom": (BomLine(("A", "B", "A"), "CPU"),)}, "bom[0].positions[2]", "already at bom[0].positions[0]"),
        ({"bom": (BomLine(("A",), "TRAY"),)}, "bom[0].part", "TRAY contains itself"),
        ({"bom": (BomLine(("A",), "CPU", (Alternate("TRAY"),)),)}, "bom[0].alternates[0].part", "contains itself"),
        ({"bom": (BomLine(("A",), "CPU", (Alternate("X"), Alternate("X"))),)}, "bom[0].alternates[1]", "alternate X"),
        ({"bom": (BomLine(("A",), "CPU", quantity=Decimal(0)),)}, "bom[0].quantity", "more than 0"),
        ({"bom": (BomLine(("A",), "CPU", quantity=Decimal("NaN")),)}, "bom[0].quantity", "more than 0"),
        ({"bom": (BomLine(("A",), "CPU", quantity=Decimal("1e-7")),)}, "bom[0].quantity", "decimals"),
        ({"bom": (BomLine(("A",), "CPU", retest_from="burn"),)}, "bom[0].retest_from", "no step 'burn'"),
        ({"characteristics": (Characteristic("a"), Characteristic("a"))}, "characteristics[1].name", "already at"),
        ({"characteristics": (Characteristic("netlist"),)}, "characteristics[0].name", "use another name"),
        ({"characteristics": (Characteristic("a", "Vlot"),)}, "characteristics[0].unit", "'Vlot' is no known unit"),
        ({"characteristics": (Characteristic("a", "V", 2, 1),)}, "characteristics[0].low", "exchange them"),
        ({"characteristics": (Characteristic("a", low=float("nan")),)}, "characteristics[0].low", "finite"),
        ({"characteristics": (Characteristic("a", low=1, equals=2.0),)}, "characteristics[0].equals", "not both"),
        ({"characteristics": (Characteristic("a", position="A//B"),)}, "characteristics[0].position", "is empty"),
        ({"characteristics": (Characteristic("a", low=1, beyond_s=-1),)}, "characteristics[0].beyond_s", "0 or more"),
        ({"characteristics": (Characteristic("a", beyond_s=5),)}, "characteristics[0].beyond_s", "needs limits"),
        ({"netlist": (Connection("A", "A"),)}, "netlist[0].to", "wired to itself"),
        (
            {"netlist": (Connection("A", "B"), Connection("B", "A"))},
            "netlist[1]",
            "wire A - B is already at netlist[0]",
        ),
        ({"netlist": (Connection("", "B"),)}, "netlist[0].from", "is no endpoint"),
        ({"netlist": (Connection("A", "B", 0.0),)}, "netlist[0].ohms_max", "above 0 Ohm"),
        ({"firmware": (Firmware("x", ()),)}, "firmware[0].versions", "is empty"),
        ({"firmware": (Firmware("x", ("1",)),)}, "firmware[0]", "no position and no kind"),
        ({"firmware": (Firmware("x", ("1",), "CPU 9"),)}, "firmware[0].position", "a blank"),
    ],
)
def test_each_mistake_is_found_at_its_place(changes: dict[str, Any], place: str, text: str):
    assert text in found(**changes)[place]


@pytest.mark.parametrize(
    ("step", "place", "text"),
    [
        (Step("boot", "b"), "route[1].step", "step boot is already at route[0].step"),
        (Step("a b", "b"), "route[1].step", "a blank"),
        (Step("x", ""), "route[1].station_kind", "is empty"),
        (Step("x", "b", ("nowhere",)), "route[1].after[0]", "no step 'nowhere'"),
        (Step("x", "b", ("boot", "boot")), "route[1].after[1]", "already at route[1].after[0]"),
        (Step("x", "b", needs=("weight",)), "route[1].needs[0]", "no characteristic is named 'weight'"),
        (Step("x", "b", installs=("GPU1",)), "route[1].installs[0]", "no position 'GPU1'"),
        (Step("x", "b", min_s=-1), "route[1].min_s", "0 or more"),
        (Step("x", "b", min_s=float("inf")), "route[1].min_s", "0 or more"),
        (Step("x", "b", attempts=0), "route[1].attempts", "at least 1"),
        (Step("x", "b", on_no_answer="wait"), "route[1].on_no_answer", "use stop or go_on"),
        (Step("x", "b", ("x",)), "route[1].after", "x > x wait for each other"),
    ],
)
def test_each_mistake_in_a_step_is_found(step: Step, place: str, text: str):
    assert text in found(route=(Step("boot", "tester"), step))[place]


def test_a_need_of_the_netlist_wants_one():
    route = (Step("boot", "tester", needs=("netlist",)),)
    assert found(route=route) == {}
    assert "no netlist" in found(route=route, netlist=())["route[0].needs[0]"]


def test_a_cycle_is_named_and_what_waits_for_it_too():
    route = (
        Step("boot", "t"),
        Step("a", "t", ("boot", "c")),
        Step("b", "t", ("a",)),
        Step("c", "t", ("b",)),
        Step("d", "t", ("c",)),
    )
    assert found(route=route) == {
        "route[1].after": "the steps a > c > b > a wait for each other (>: after); take one out",
        "route[4]": "step d can never start: it waits for steps that wait for each other",
    }


def test_a_part_that_contains_itself_through_others_is_named_with_the_way():
    board = replace(GOOD, part="CPU", bom=(BomLine(("S",), "SOCKET"),))
    others = {"CPU": board, "SOCKET": ("PIN", "TRAY"), "WIRE": ()}
    assert check_against(GOOD, others) == [
        ("bom", "TRAY contains itself: TRAY > CPU > SOCKET > TRAY; take one of these parts out")
    ]
    assert "TRAY > CPU > TRAY" in check_against(GOOD, {"CPU": {"TRAY"}})[0].text
    assert check_against(GOOD, {"CPU": board, "SOCKET": {"CPU"}}) == []
    assert check_against(GOOD, {}) == []
    assert children(GOOD) == {"CPU", "CPU-B", "WIRE"}


def test_an_older_revision_of_the_part_itself_does_not_count():
    old = replace(GOOD, revision="0", bom=(BomLine(("X",), "TRAY"),))
    assert check_against(GOOD, {"TRAY": old}) == []


def test_a_serialized_part_has_a_position_each():
    wire = Definition("WIRE", "A", "Wire", "component", "bought", "serial")
    assert check_against(GOOD, {"WIRE": wire})[0].place == "bom[1].quantity"
    assert check_against(GOOD, {"WIRE": replace(wire, tracking="lot")}) == []


graphs = st.dictionaries(st.sampled_from("abcdef"), st.sets(st.sampled_from("abcdef")), max_size=6)


@given(graphs)
def test_precedence_agrees_with_trying_every_way(leads_to: dict[str, set[str]]):
    closed = {name: leads_to.get(name, set()) for name in "abcdef"}
    reach = {name: set(following) for name, following in closed.items()}
    for _ in closed:
        for name in reach:
            reach[name] |= {far for near in set(reach[name]) for far in reach[near]}
    stuck = never_ready(closed)
    for name in closed:
        assert (name in stuck) == any(other in reach[other] for other in {name, *reach[name]})
        cycle = cycle_through(name, closed)
        assert bool(cycle) == (name in reach[name])
        for here, following in zip(cycle, cycle[1:] + cycle[:1], strict=True):
            assert following in closed[here]
        assert cycle[:1] in ((), (name,))
        assert len(set(cycle)) == len(cycle)


def test_a_long_route_is_ordered_without_recursion():
    route = tuple(Step(f"s{n}", "k", (f"s{n - 1}",) if n else ()) for n in range(5_000))
    assert check(replace(GOOD, bom=(), firmware=(), route=route)) == []
