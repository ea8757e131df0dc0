"""A cable tester's CSV report: titled sections for people, read as the connections that the tester saw.

A line begins with a blank; a section with its title, alone or after `Title:`; what is true of the whole test stands in
`key:, value` pairs. Resistances of wires are under *Measured Values*, insulation per net under *Nets Hipot Status*.
What is wrong is told in *Error Details* only, as free text wrapped over rows with the same number: `Net Net2: OPEN a to
b`. The report's own date has no zone, so it is kept as text; a run is as of the moment that its message gives.
"""

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

from mes.domain import quantities
from mes.domain.cable import SeenConnection
from mes.domain.facts import ABORTED, ERROR, FAIL, PASS
from mes.domain.limits import UNSET, Measurement
from mes.domain.product_check import Problem
from mes.domain.run import Defect
from mes.formats import cable_tables as tables
from mes.formats.cable_quantity import Quantity, proves_insulation, quantity, word
from mes.formats.cable_sections import ERRORS, HIPOT, MEASURED, SECTIONS, SERIALS, Report, several, taken_apart
from mes.formats.cable_tables import NUMBER, Row, rows
from mes.formats.fields import show
from mes.formats.foreign_run import NAME_MAX, TEXT_MAX, ForeignRun, Reading, notable, numbered, short, unread

WIRES: Final = frozenset(("WIRE", "4WIRE"))
"""Instructions that measure a connection, with two wires or four."""
_FAULT = re.compile(r"\b(?P<kind>OPEN|SHORT|MISWIRE)(?:ED|S)?\b:?\s*(?P<ends>.*)", re.S)
_BETWEEN = re.compile(r"\s+(?:to|and)\s+|\s*,\s*", re.I)


class _Fault(NamedTuple):
    """One error in the tester's words: what kind it is (None: not understood), and the endpoints it names."""

    kind: str | None
    ends: tuple[str, ...]
    text: str


class _Wire(NamedTuple):
    """A row of measured values: an instruction from one endpoint to another, and what came of it."""

    row: int
    instruction: str
    end_a: str
    end_b: str
    measured: str


def read(text: str, at: datetime, unit: str | None = None) -> Reading:
    """The run that a report tells of, as of `at`. Without a unit's serial of its own the run's `unit` is None.

    `unit` is the serial of the unit that it is sent for, where that is known: the run's name depends on it.
    """
    report = taken_apart(text)
    if why := several(report):
        return unread([Problem("data.text", why)])
    if not report.rows and not report.pairs and not report.problems:
        why = f"has none of the sections {', '.join(SECTIONS)}; send the tester's CSV report as it is"
        report.problems.append(Problem("data.text", why))
    wires, faults = list(_wires(report)), _faults(report.rows.get(ERRORS, ()))
    hipot = list(_hipot(report))
    outcome = _claim(report, bool(faults) or any(one.outcome == FAIL for one in hipot))
    if report.problems or outcome is None:
        return unread(report.problems)
    measurements = [*hipot, *_others(report, wires)]
    names = numbered(one.name for one in measurements)
    return Reading(
        ForeignRun(
            at,
            at,
            outcome,
            _run_name(report, text, unit),
            report.value(*SERIALS),
            _program(report),
            tuple(one._replace(name=name) for one, name in zip(measurements, names, strict=True)),
            tuple(_connections(wires, faults)),
            tuple(_defects(faults, hipot)),
            _notes(report),
        )
    )


def _notes(report: Report) -> dict[str, Any]:
    sections = {title: notable(pairs) for title, pairs in report.pairs.items() if pairs}
    return {"format": "cable-report"} | ({"problems": report.remarks} if report.remarks else {}) | sections


def _claim(report: Report, has_faults: bool) -> str | None:
    """What the tester claims. Faults it tells of are a fail, whatever it calls the test as a whole."""
    stated = report.value("final test result", "test result", "final result", "result")
    if has_faults:
        return FAIL
    claim = word(stated or "")
    if claim in (PASS, FAIL, ABORTED, ERROR):
        return claim
    if not report.problems:
        why = f"has {show(stated)} as Final Test Result; it must be Passed, Failed or Aborted"
        report.problems.append(Problem("data.text", why))
    return None


def _wires(report: Report) -> Iterator[_Wire]:
    for row in rows(report.rows.get(MEASURED, ()), tables.MEASURED, report.note):
        end_a, end_b = (short(row.cell(name), NAME_MAX) for name in ("From", "To"))
        at = row.columns.at["Measured"]
        if max(row.columns.at.values()) >= len(row.cells) or not (end_a and end_b):
            report.note(row.number, "names no connection; it needs an instruction, two endpoints and what was measured")
            return
        if flaw := row.flaw(at):
            report.note(row.number, flaw)
            return
        yield _Wire(row.number, row.cell("Instruction").upper(), end_a, end_b, row.value(at))


def _faults(table: Iterable[tuple[int, list[str]]]) -> list[_Fault]:
    """Errors, each put together from its rows: those with its number, and those with none that follow."""
    texts: list[tuple[str, list[str]]] = []
    at = 0
    for _, cells in table:
        if NUMBER in cells:  # the section's header
            at = cells.index(NUMBER)
            continue
        number = cells[at] if at < len(cells) else ""
        text = ", ".join(cell for place, cell in enumerate(cells) if cell and place != at)
        if not number.isdigit() and number:
            number, text = "", ", ".join(cell for cell in cells if cell)
        if texts and number in ("", texts[-1][0]):
            texts[-1][1].append(text)
        else:
            texts.append((number, [text]))
    return [_fault(short(" ".join(parts), TEXT_MAX)) for _, parts in texts if any(parts) and not _is_none(parts)]


def _is_none(parts: Sequence[str]) -> bool:
    return " ".join(parts).strip(" .").lower() in ("none", "no errors", "no errors found")


def _fault(text: str) -> _Fault:
    found = _FAULT.search(text)
    if not found:
        return _Fault(None, (), text)
    ends = tuple(short(end, NAME_MAX) for end in _BETWEEN.split(found["ends"].strip(" .")) if end.strip())
    return _Fault(found["kind"], ends, text)


def _connections(wires: Sequence[_Wire], faults: Sequence[_Fault]) -> Iterator[SeenConnection]:
    """What each probe saw. A wire that was not tested is left out; one that the tester calls open was seen open."""
    opened = {frozenset(one.ends[:2]) for one in faults if one.kind == "OPEN" and len(one.ends) > 1}
    partners: dict[str, list[str]] = {}
    for one in wires:
        if one.instruction in WIRES and frozenset((one.end_a, one.end_b)) not in opened:
            partners.setdefault(one.end_a, []).append(one.end_b)
            partners.setdefault(one.end_b, []).append(one.end_a)
            yield from _probed(one)
    for fault in faults:
        first, *others = fault.ends or ("",)
        drawn = partners.get(first, ())
        if fault.kind == "OPEN" and others:
            yield SeenConnection(first, others[0], ())
        elif fault.kind == "SHORT" and others:
            # The wire itself is whole, or an OPEN would say otherwise: the short comes on top of it.
            yield SeenConnection(first, [*drawn, *others][0], tuple(dict.fromkeys((*drawn, *others))))
        elif fault.kind == "MISWIRE" and others:
            yield SeenConnection(first, [*drawn, *others][0], tuple(others))


def _probed(wire: _Wire) -> Iterator[SeenConnection]:
    value, outcome = quantity(wire.measured), word(wire.measured)
    if value is not None:
        ohms = quantities.convert(value.number, value.unit or "Ohm", "Ohm")
        is_beyond = value.bound == ">"  # more than the tester can measure: nothing connects the two
        seen = () if is_beyond else (wire.end_b,)
        yield SeenConnection(wire.end_a, wire.end_b, seen, None if is_beyond else ohms)
    elif outcome in (PASS, FAIL):
        yield SeenConnection(wire.end_a, wire.end_b, (wire.end_b,) if outcome == PASS else ())


def _others(report: Report, wires: Iterable[_Wire]) -> Iterator[Measurement]:
    """Instructions that measure something else than a connection: a resistor, a diode, a capacitor.

    Whether such a thing may be too large or too small is not known here, so a bound proves nothing of it.
    """
    for one in wires:
        if one.instruction not in WIRES:
            name = f"{one.instruction} {one.end_a} {one.end_b}"
            value = _proven(report, one.row, name, one.measured, lambda value: value.bound is None)
            yield _measurement(name, value, (one.measured,))


def _hipot(report: Report) -> Iterator[Measurement]:
    for row in rows(report.rows.get(HIPOT, ()), tables.INSULATION, report.note):
        if len(row.cells) < 2:
            continue
        name, found = f"hipot {row.cell('Net') or row.cell(NUMBER)}", _insulation(row)
        if flaw := next(filter(None, map(row.flaw, found)), None):
            report.note(row.number, flaw)
            return
        value = None
        if len(found) == 1:
            value = _proven(report, row.number, name, row.value(found[0]), proves_insulation)
        elif found:
            report.remark(row.number, "has several numbers, and its header names no Insulation; none of them is taken.")
        yield _measurement(name, value, [row.cells[at] for at in row.results()])


def _insulation(row: Row) -> list[int]:
    """Where the value of a net stands; without a column of its own, the places where it may stand."""
    if "Insulation" in row.columns.at:
        return [at for at in row.results() if at == row.columns.at["Insulation"]]
    maybe = [at for at in row.results() if quantity(row.cells[at]) or row.flaw(at)]
    flawed = [at for at in maybe if row.flaw(at)]
    with_unit = [at for at in maybe if (value := quantity(row.value(at))) and value.unit]
    return flawed or with_unit[:1] or maybe


def _proven(report: Report, row: int, name: str, cell: str, is_proof: Callable[[Quantity], bool]) -> Quantity | None:
    """The quantity in a cell, unless it is a bound by which no limit can be seen to be kept: that is said."""
    value = quantity(cell)
    if value is None or is_proof(value):
        return value
    told = "a bound that proves no limit was kept; it counts as not measured."
    report.remark(row, f"has {show(cell)} for {short(name, NAME_MAX)}, {told}")
    return None


def _measurement(name: str, value: Quantity | None, cells: Iterable[str]) -> Measurement:
    """A measurement with the first outcome among its cells."""
    claim = next(filter(None, map(word, cells)), None)
    outcome = claim if claim in (PASS, FAIL, UNSET) else None
    return Measurement(
        short(name, NAME_MAX), value.number if value else None, value.unit if value else None, outcome=outcome
    )


def _defects(faults: Iterable[_Fault], hipot: Iterable[Measurement]) -> Iterator[Defect]:
    for fault in faults:
        yield Defect(fault.kind or "FAULT", None, fault.text)
    for one in hipot:
        if one.outcome == FAIL:
            yield Defect("HIPOT", None, f"{one.name} failed")


def _run_name(report: Report, text: str, unit: str | None) -> str | None:
    """A name that the same report always has; only a dated one is sure to differ from the next of the same cable.

    Sent for another unit than it names, it is another run: one that was sent for a wrong unit can be sent again.
    """
    if not (report.value("test date") and report.value("test time")):
        return None
    said = text if unit in (None, report.value(*SERIALS)) else f"{unit}\n{text}"
    return f"report-{hashlib.sha256(said.encode()).hexdigest()[:32]}"


def _program(report: Report) -> tuple[str, str] | None:
    name = report.value("test name", "test program", "program")
    version = report.value("test revision", "test version", "revision") or "unknown"
    return (short(name, NAME_MAX), short(version, NAME_MAX)) if name else None
