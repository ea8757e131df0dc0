"""Cables against their netlist: every kind of fault is found, named and blamed on the right wires."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mes.domain.cable import (
    EXTRA,
    KINDS,
    MISSING,
    MISWIRE,
    OK,
    OPEN,
    RESISTANCE,
    SHORT,
    SWAPPED,
    WRONG_LENGTH,
    WRONG_TYPE,
    ConnectionVerdict,
    Netlist,
    SeenConnection,
    same_length,
)
from mes.domain.product import Connection

FOUR = Netlist([Connection(f"A{n}", f"B{n}", 0.1) for n in range(1, 5)])


def probes(**seen: str) -> list[SeenConnection]:
    """Good probes of the four wires from end A, but for those given: `A1="B2 B3"`."""
    found = {f"A{n}": f"B{n}" for n in range(1, 5)} | seen
    return [
        SeenConnection(end, end.replace("A", "B") if end.startswith("A") else None, tuple(reached.split()), 0.05)
        for end, reached in found.items()
        if reached != "untested"
    ]


def kinds(verdicts: tuple[ConnectionVerdict, ...]) -> list[str]:
    return [verdict.kind for verdict in verdicts]


@pytest.mark.parametrize(
    ("seen", "expected", "text"),
    [
        ({}, [OK, OK, OK, OK], "A1 - B1 is connected"),
        ({"A1": ""}, [OPEN, OK, OK, OK], "A1 - B1 is open: A1 does not reach B1"),
        (
            {"A1": "B2", "A2": "B1"},
            [SWAPPED, SWAPPED, OK, OK],
            "B1 and B2 are swapped: A1 reaches B2, A2 reaches B1",
        ),
        (
            {"A1": "B2", "A2": "B3", "A3": "B1"},
            [MISWIRE, MISWIRE, MISWIRE, OK],
            "3 wires are rotated: A1 reaches B2 instead of B1, A3 reaches B1 instead of B3, "
            "A2 reaches B3 instead of B2",
        ),
        ({"A1": "B2", "A2": ""}, [MISWIRE, MISWIRE, OK, OK], "A1 reaches B2 instead of B1"),
        ({"A1": "B1 B2", "A2": "B2 B1"}, [SHORT, SHORT, OK, OK], "A1 - B1 is shorted to A2"),
        ({"A1": "B1 B2"}, [SHORT, SHORT, OK, OK], "A1 - B1 is shorted to A2"),
        ({"A1": "untested"}, [MISSING, OK, OK, OK], "A1 - B1 was not tested"),
        ({"A1": "B1 X9"}, [OK, OK, OK, OK, EXTRA], "A1 - B1 is connected"),
        ({"A1": "X9"}, [MISWIRE, OK, OK, OK, EXTRA], "A1 reaches X9 instead of B1"),
        ({"X8": "X9"}, [OK, OK, OK, OK, EXTRA], "A1 - B1 is connected"),
        ({"X8": ""}, [OK, OK, OK, OK], "A1 - B1 is connected"),
    ],
)
def test_faults_are_named(seen: dict[str, str], expected: list[str], text: str):
    verdicts = FOUR.compare(probes(**seen))
    assert kinds(verdicts) == expected
    assert verdicts[0].text == text


def test_a_probe_from_the_other_end_is_the_same_wire():
    turned = [SeenConnection(f"B{n}", None, (f"A{n}",), 0.05) for n in range(1, 5)]
    assert kinds(FOUR.compare(turned)) == [OK] * 4
    turned[0], turned[1] = turned[0]._replace(seen=("A2",)), turned[1]._replace(seen=("A1",))
    assert kinds(FOUR.compare(turned)) == [SWAPPED, SWAPPED, OK, OK]


def test_ends_of_different_wires_joined_crosswise_are_a_swap():
    crossed = [SeenConnection("A1", "B1", ("A2",)), SeenConnection("B1", "A1", ("B2",))]
    assert FOUR.compare([*crossed, *probes()[2:]])[0].text == ("B1 and A2 are swapped: A1 reaches A2, B2 reaches B1")


def test_two_probes_that_disagree_do_not_pass():
    verdict = FOUR.compare([*probes(), SeenConnection("B1", "A1", ())])[0]
    assert verdict.kind == OPEN


def test_a_splice_is_understood_from_pairwise_and_net_testers():
    splice = Netlist([Connection("A1", "B1"), Connection("A1", "B2"), Connection("B2", "C1")])
    pairwise = [
        SeenConnection("A1", "B1", ("B1",)),
        SeenConnection("A1", "B2", ("B2",)),
        SeenConnection("C1", None, ("B2",)),
    ]
    whole = [SeenConnection("A1", None, ("B1", "B2", "C1"))]
    assert kinds(splice.compare(pairwise)) == [OK, OK, OK]
    assert kinds(splice.compare(whole)) == [OK, OK, OK]
    assert kinds(splice.compare([SeenConnection("A1", None, ("B1",))])) == [OK, OPEN, MISSING]
    assert kinds(splice.compare(pairwise[:1])) == [OK, MISSING, MISSING]
    denied = SeenConnection("A1", "B1", ("B2",))  # an intermittent wire: once seen, once not
    assert kinds(splice.compare([*pairwise, denied])) == [OPEN, OK, OK]


def test_resistance_is_inclusive_and_required_only_when_asked():
    assert kinds(FOUR.compare([probe._replace(ohms=0.1) for probe in probes()])) == [OK] * 4
    high = FOUR.compare([probe._replace(ohms=0.11) for probe in probes()])[0]
    assert (high.kind, high.text) == (RESISTANCE, "A1 - B1 has 0.11 Ohm, more than 0.1 Ohm")
    both_ends = [*probes(), SeenConnection("B1", "A1", ("A1",), 0.2), SeenConnection("B1", "A1", ("A1",), 0.01)]
    assert kinds(FOUR.compare(both_ends)) == [RESISTANCE, OK, OK, OK]  # the worst reading counts
    for reading in (None, float("nan"), float("inf")):
        unread = [probe._replace(ohms=reading) for probe in probes()]
        assert kinds(FOUR.compare(unread)) == [OK] * 4
        assert kinds(FOUR.compare(unread, resistance_required=True)) == [MISSING] * 4


def test_length_and_type_are_compared_where_both_are_known():
    wire = Netlist([Connection("P1", "P2", length="2 m", type="DAC")])
    good = SeenConnection("P1", "P2", ("P2",), length="2000mm", type="DAC")
    assert kinds(wire.compare([good])) == [OK]
    assert kinds(wire.compare([good._replace(length=None, type=None)])) == [OK]
    assert kinds(wire.compare([good._replace(length="3m")])) == [WRONG_LENGTH]
    assert kinds(wire.compare([good._replace(type="AOC")])) == [WRONG_TYPE]
    assert same_length("short", "short")
    assert not same_length("short", "long")


SIZE = 12


@settings(max_examples=150)
@given(st.permutations(range(SIZE)), st.booleans())
def test_any_exchange_of_ends_is_blamed_on_exactly_the_wires_moved(order: list[int], from_b: bool):
    wires = Netlist([Connection(f"A{n}", f"B{n}") for n in range(SIZE)])
    found = [(f"A{n}", f"B{order[n]}") for n in range(SIZE)]
    reports = [SeenConnection(b, None, (a,)) if from_b else SeenConnection(a, None, (b,)) for a, b in found]
    for n, verdict in enumerate(wires.compare(reports)):
        if order[n] == n:
            assert verdict.kind == OK
        elif order[order[n]] == n:
            assert verdict.kind == SWAPPED
            assert {f"B{n}", f"B{order[n]}"} <= set(verdict.endpoints)
        else:
            assert verdict.kind == MISWIRE


ends = st.sampled_from([f"{side}{n}" for side in "ABX" for n in range(5)])
reports_of_any_kind = st.lists(
    st.builds(
        SeenConnection,
        ends,
        st.none() | ends,
        st.lists(ends, max_size=4).map(tuple),
        st.none() | st.floats(),
    ),
    max_size=12,
)


@settings(max_examples=200)
@given(reports_of_any_kind)
def test_any_report_gets_one_verdict_per_wire_and_passes_only_what_it_shows(reports: list[SeenConnection]):
    wires = [Connection(f"A{n}", f"B{n}", 0.1) for n in range(5)]
    verdicts = Netlist(wires).compare(reports)
    assert all(verdict.kind in KINDS for verdict in verdicts)
    assert all(verdict.kind == EXTRA for verdict in verdicts[5:])
    for wire, verdict in zip(wires, verdicts, strict=False):
        if verdict.kind == OK:
            reached = {end for report in reports for end in (report.end, *report.seen)}
            assert {wire.end_a, wire.end_b} <= reached


@pytest.mark.parametrize("fault", ["none", "rotated", "shifted", "shorted", "one point"])
def test_ten_thousand_wires_take_no_time(fault: str):
    size = 10_000
    wires = Netlist([Connection(f"A{n}", f"B{n}", 0.1) for n in range(size)])
    reached = {
        "none": lambda n: (f"B{n}",),
        "rotated": lambda n: (f"B{(n + 1) % size}",),
        "shifted": lambda n: (f"B{n + 1}",) if n + 1 < size else (),
        "shorted": lambda n: (f"B{n}", f"B{(n + 1) % size}"),
        "one point": lambda n: ("B0",),
    }[fault]
    reports = [SeenConnection(f"A{n}", f"B{n}", reached(n), 0.05) for n in range(size)]
    begun = time.process_time()
    verdicts = wires.compare(reports)
    assert time.process_time() - begun < 2  # a quadratic way takes a minute
    assert len(verdicts) == size
    assert max(len(verdict.text) for verdict in verdicts) < 1000
