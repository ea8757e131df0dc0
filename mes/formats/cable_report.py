"""A cable tester's CSV report: titled sections for people, read as the connections that the tester saw.

A line begins with a blank; a section with its title, alone or after `Title:`; what is true of the whole test stands in
`key:, value` pairs. Resistances of wires are under *Measured Values*, insulation per net under *Nets Hipot Status*.
What is wrong is told in *Error Details* only, as free text wrapped over rows with the same number: `Net Net2: OPEN a to
b`. The report's own date has no zone, so it is kept as text; a run is as of the moment that its message gives.

A text is one report: where several stand in it, one cable's values would be told of another. A character that was lost
when the tester's bytes were decoded can be lived with in a remark, and not in a name or a unit of measure.
"""

import csv
import hashlib
import io
import math
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, NamedTuple

from mes.domain import quantities
from mes.domain.cable import SeenConnection
from mes.domain.facts import ABORTED, ERROR, FAIL, PASS
from mes.domain.limits import UNSET, Measurement
from mes.domain.product_check import Problem
from mes.domain.run import Defect
from mes.formats.fields import show
from mes.formats.foreign_run import NAME_MAX, TEXT_MAX, ForeignRun, Reading, notable, numbered, short, unread

ROWS_MAX: Final = 50_000
REMARKS_MAX: Final = 100
LOST: Final = "\ufffd"  # stands where bytes were no character in the encoding that they were read in
RESULTS, PARAMETERS, HIPOT = "test results", "test parameters", "nets hipot status"
ERRORS, MEASURED = "error details", "measured values"
SECTIONS: Final = (RESULTS, PARAMETERS, HIPOT, ERRORS, MEASURED)
SERIALS: Final = ("s/n", "serial number")
WIRES: Final = frozenset(("WIRE", "4WIRE"))
"""Instructions that measure a connection, with two wires or four."""
_WORDS: Final = {
    **dict.fromkeys(("pass", "passed", "good", "ok"), PASS),
    **dict.fromkeys(("fail", "failed", "bad", "open", "short"), FAIL),
    **dict.fromkeys(("abort", "aborted", "cancelled", "stopped"), ABORTED),
    "error": ERROR,
    **dict.fromkeys(("not tested", "skipped", "n/a", "-"), UNSET),
}
_QUANTITY = re.compile(r"(?P<bound>[<>])?=?\s*(?P<number>[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*(?P<unit>\S.*)?")
_FAULT = re.compile(r"\b(?P<kind>OPEN|SHORT|MISWIRE)(?:ED|S)?\b:?\s*(?P<ends>.*)", re.S)
_BETWEEN = re.compile(r"\s+(?:to|and)\s+|\s*,\s*", re.I)
_LOST_THERE: Final = f"holds {LOST} in the place of a character that could not be decoded"
_COLUMNS: Final = {"from": 2, "to": 3, "measured": 4}
"""Where a measured row has its cells unless the section's header names them."""


class _Quantity(NamedTuple):
    """A number with its unit; `bound` is > or < where the tester could only say that it is beyond."""

    bound: str | None
    number: float
    unit: str | None


class _Fault(NamedTuple):
    """One error in the tester's words: what kind it is (None: not understood), and the endpoints it names."""

    kind: str | None
    ends: tuple[str, ...]
    text: str


class _Wire(NamedTuple):
    """A row of measured values: an instruction from one endpoint to another, and what came of it."""

    instruction: str
    end_a: str
    end_b: str
    measured: str


@dataclass
class _Report:
    """A report taken apart: pairs of all sections, and the numbered rows of each.

    `begun` counts its *Test Results*; `serials` are those given, by key; `remarks` decide nothing.
    """

    pairs: dict[str, dict[str, str]] = field(default_factory=dict)
    rows: dict[str, list[tuple[int, list[str]]]] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    begun: int = 0
    serials: dict[str, list[str]] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)

    def value(self, *keys: str) -> str | None:
        """The first value given for any of these keys, wherever it stands."""
        found = (pairs[key] for key in keys for pairs in self.pairs.values() if pairs.get(key))
        return next(found, None)

    def begin(self, title: str) -> None:
        """Go on with the section of this title. A heading over another is no report of its own."""
        self.begun += title == RESULTS and (not self.begun or bool(self.pairs.get(RESULTS)))
        self.rows.setdefault(title, [])

    def pair(self, title: str, row: int, cells: Sequence[str]) -> None:
        """Take in a key and its value; one that came before under this key in this section no longer counts."""
        key = short(cells[0].rstrip(": "), NAME_MAX).lower()
        value = short(", ".join(cell for cell in cells[1:] if cell), TEXT_MAX)
        self.pairs.setdefault(title, {})[key] = value
        if key in SERIALS and value and value not in self.serials.setdefault(key, []):
            self.serials[key].append(value)
        if LOST in key + value:
            self._remark(row)

    def row(self, title: str, row: int, cells: list[str]) -> None:
        """Take in a row of a section's table."""
        self.rows.setdefault(title, []).append((row, cells))
        is_lost = any(LOST in cell for cell in cells)
        if is_lost and (title not in (HIPOT, ERRORS, MEASURED) or cells[0] == "#"):
            self._remark(row)
        elif is_lost and not self.problems:  # one such row is enough: the whole file was decoded wrongly
            self.note(row, f"{_LOST_THERE}; decode the tester's file as what it is (often cp1252) and send it again")

    def _remark(self, row: int) -> None:
        if len(self.remarks) < REMARKS_MAX:
            self.remarks.append(f"Row {row} {_LOST_THERE}.")

    def note(self, row: int, text: str) -> None:
        """Note what can't be read in a row."""
        self.problems.append(Problem("data.text", f"row {row} {text}"))


def read(text: str, at: datetime) -> Reading:
    """The run that a report tells of, as of `at`. Without a unit's serial of its own the run's `unit` is None."""
    report = _taken_apart(text)
    if why := _several(report):
        return unread([Problem("data.text", why)])
    if not report.rows and not report.pairs and not report.problems:
        why = f"has none of the sections {', '.join(SECTIONS)}; send the tester's CSV report as it is"
        report.problems.append(Problem("data.text", why))
    wires, faults = list(_wires(report)), _faults(report.rows.get(ERRORS, ()))
    hipot = list(_hipot(report))
    outcome = _claim(report, bool(faults) or any(one.outcome == FAIL for one in hipot))
    if report.problems or outcome is None:
        return unread(report.problems)
    measurements = [*hipot, *_others(wires)]
    names = numbered(one.name for one in measurements)
    return Reading(
        ForeignRun(
            at,
            at,
            outcome,
            _run_name(report, text),
            report.value(*SERIALS),
            _program(report),
            tuple(one._replace(name=name) for one, name in zip(measurements, names, strict=True)),
            tuple(_connections(wires, faults)),
            tuple(_defects(faults, hipot)),
            _notes(report),
        )
    )


def _taken_apart(text: str) -> _Report:
    report, title = _Report(), RESULTS
    rows = csv.reader(io.StringIO(text.replace("\ufeff", ""), newline=""), skipinitialspace=True)
    try:
        for number, row in enumerate(rows, 1):
            cells = [cell.strip() for cell in row]
            if number > ROWS_MAX:
                report.note(number, f"is beyond the {ROWS_MAX} rows that a report may have")
                break
            if named := _title(cells):
                title = named
                report.begin(title)
            elif cells and cells[0].endswith(":"):
                report.pair(title, number, cells)
            elif any(cells):
                report.row(title, number, cells)
    except csv.Error as error:
        report.note(rows.line_num, f"is no CSV: {error}")
    return report


def _several(report: _Report) -> str | None:
    """What is wrong with a text that is more than one report."""
    serials = max(report.serials.values(), key=len, default=[])
    count = max(report.begun, len(serials))
    if count < 2:
        return None
    shown = ", ".join(short(one, 64) for one in serials[:5]) + (" …" if len(serials) > 5 else "")
    return f"holds {count} reports{f' (of {shown})' if shown else ''}; send each by itself"


def _notes(report: _Report) -> dict[str, Any]:
    sections = {title: notable(pairs) for title, pairs in report.pairs.items() if pairs}
    return {"format": "cable-report"} | ({"problems": report.remarks} if report.remarks else {}) | sections


def _title(cells: Sequence[str]) -> str | None:
    """The section that a line begins: its title alone, or after `Title:`."""
    filled = [cell for cell in cells if cell]
    if filled and filled[0].lower() in ("title:", "title"):
        return " ".join(filled[1:]).lower() or None
    return filled[0].lower() if len(filled) == 1 and filled[0].lower() in SECTIONS else None


def _claim(report: _Report, has_faults: bool) -> str | None:
    """What the tester claims. Faults it tells of are a fail, whatever it calls the test as a whole."""
    stated = report.value("final test result", "test result", "final result", "result")
    if has_faults:
        return FAIL
    word = _word(stated or "")
    if word in (PASS, FAIL, ABORTED, ERROR):
        return word
    if not report.problems:
        why = f"has {show(stated)} as Final Test Result; it must be Passed, Failed or Aborted"
        report.problems.append(Problem("data.text", why))
    return None


def _word(text: str) -> str | None:
    """An outcome in the tester's words; None for anything else."""
    return _WORDS.get(" ".join(text.lower().split()).rstrip("."))


def _quantity(text: str) -> _Quantity | None:
    found = _QUANTITY.fullmatch(text.strip())
    if not found or not math.isfinite(float(found["number"])):
        return None
    unit = found["unit"]
    return _Quantity(found["bound"], float(found["number"]), short(unit, 64) if unit else None)


def _wires(report: _Report) -> Iterator[_Wire]:
    columns = dict(_COLUMNS)
    for number, cells in report.rows.get(MEASURED, ()):
        if cells[0] == "#":  # the section's header
            columns |= {name: at for at, cell in enumerate(cells) for name in columns if cell.lower().startswith(name)}
        if not cells[0].isdigit():
            continue
        if len(cells) <= max(columns.values()) or not (cells[columns["from"]] and cells[columns["to"]]):
            report.note(number, "names no connection; it needs an instruction, two endpoints and what was measured")
            return
        end_a, end_b = (short(cells[columns[name]], NAME_MAX) for name in ("from", "to"))
        yield _Wire(cells[1].upper(), end_a, end_b, cells[columns["measured"]])


def _faults(rows: Iterable[tuple[int, list[str]]]) -> list[_Fault]:
    """Errors, each put together from its rows: those with its number, and those with none that follow."""
    texts: list[tuple[str, list[str]]] = []
    for _, cells in rows:
        number, text = cells[0], ", ".join(cell for cell in cells[1:] if cell)
        if number == "#":
            continue
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
    value, word = _quantity(wire.measured), _word(wire.measured)
    if value is not None:
        ohms = quantities.convert(value.number, value.unit or "Ohm", "Ohm")
        is_beyond = value.bound == ">"  # more than the tester can measure: nothing connects the two
        seen = () if is_beyond else (wire.end_b,)
        yield SeenConnection(wire.end_a, wire.end_b, seen, None if is_beyond else ohms)
    elif word in (PASS, FAIL):
        yield SeenConnection(wire.end_a, wire.end_b, (wire.end_b,) if word == PASS else ())


def _others(wires: Iterable[_Wire]) -> Iterator[Measurement]:
    """Instructions that measure something else than a connection: a resistor, a diode, a capacitor."""
    for one in wires:
        if one.instruction not in WIRES:
            yield _measurement(f"{one.instruction} {one.end_a} {one.end_b}", (one.measured,))


def _hipot(report: _Report) -> Iterator[Measurement]:
    for _, cells in report.rows.get(HIPOT, ()):
        if cells[0].isdigit() and len(cells) > 1:
            yield _measurement(f"hipot {cells[1] or cells[0]}", cells[2:])


def _measurement(name: str, cells: Sequence[str]) -> Measurement:
    """Its first quantity and its first outcome. A bound such as `> 500 MOhm` counts as its number."""
    value = next(filter(None, map(_quantity, cells)), None)
    word = next(filter(None, map(_word, cells)), None)
    outcome = word if word in (PASS, FAIL, UNSET) else None
    return Measurement(
        short(name, NAME_MAX), value.number if value else None, value.unit if value else None, outcome=outcome
    )


def _defects(faults: Iterable[_Fault], hipot: Iterable[Measurement]) -> Iterator[Defect]:
    for fault in faults:
        yield Defect(fault.kind or "FAULT", None, fault.text)
    for one in hipot:
        if one.outcome == FAIL:
            yield Defect("HIPOT", None, f"{one.name} failed")


def _run_name(report: _Report, text: str) -> str | None:
    """A name that the same report always has; only a dated one is sure to differ from the next of the same cable."""
    is_dated = report.value("test date") and report.value("test time")
    return f"report-{hashlib.sha256(text.encode()).hexdigest()[:32]}" if is_dated else None


def _program(report: _Report) -> tuple[str, str] | None:
    name = report.value("test name", "test program", "program")
    version = report.value("test revision", "test version", "revision") or "unknown"
    return (short(name, NAME_MAX), short(version, NAME_MAX)) if name else None
