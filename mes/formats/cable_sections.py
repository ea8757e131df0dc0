"""A cable tester's report taken apart into its sections: titles, `key:, value` pairs, and the numbered rows of tables.

A text is one report: where several stand in it, one cable's values would be told of another. A character that was lost
when the tester's bytes were decoded can be lived with in a remark, and not in a name or a unit of measure.
"""

import csv
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from mes.domain.product_check import Problem
from mes.formats.cable_tables import NUMBER
from mes.formats.foreign_run import NAME_MAX, TEXT_MAX, short

ROWS_MAX: Final = 50_000
REMARKS_MAX: Final = 100
LOST: Final = "\ufffd"  # stands where bytes were no character in the encoding that they were read in
RESULTS, PARAMETERS, HIPOT = "test results", "test parameters", "nets hipot status"
ERRORS, MEASURED = "error details", "measured values"
SECTIONS: Final = (RESULTS, PARAMETERS, HIPOT, ERRORS, MEASURED)
SERIALS: Final = ("s/n", "serial number")
_LOST_THERE: Final = f"holds {LOST} in the place of a character that could not be decoded"
_SEPARATED = re.compile(r"(?:#|\d+|title:?|(?:final )?(?:test )?result:)\s*(?P<by>[;\t])", re.I)
"""How a line begins that is read as one cell, for its cells are not separated by commas."""
_SEPARATORS: Final = {";": "semicolons", "\t": "tabs"}
_COMMAS: Final = "export with commas between cells and a decimal point in numbers"


@dataclass
class Report:
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
            self.remark(row, f"{_LOST_THERE}.")

    def row(self, title: str, row: int, cells: list[str]) -> None:
        """Take in a row of a section's table."""
        self.rows.setdefault(title, []).append((row, cells))
        is_lost = any(LOST in cell for cell in cells)
        if is_lost and (title not in (HIPOT, ERRORS, MEASURED) or NUMBER in cells):
            self.remark(row, f"{_LOST_THERE}.")
        elif is_lost and not self.problems:  # one such row is enough: the whole file was decoded wrongly
            self.note(row, f"{_LOST_THERE}; decode the tester's file as what it is (often cp1252) and send it again")

    def remark(self, row: int, text: str) -> None:
        """Say something of a row that decides nothing."""
        if len(self.remarks) < REMARKS_MAX:
            self.remarks.append(f"Row {row} {text}")

    def note(self, row: int, text: str) -> None:
        """Note what can't be read in a row."""
        self.problems.append(Problem("data.text", f"row {row} {text}"))


def taken_apart(text: str) -> Report:
    """A report by its sections, up to what can't be read."""
    report, title = Report(), RESULTS
    rows = csv.reader(io.StringIO(text.replace("\ufeff", ""), newline=""), skipinitialspace=True)
    try:
        for number, row in enumerate(rows, 1):
            cells = [cell.strip() for cell in row]
            if number > ROWS_MAX:
                report.note(number, f"is beyond the {ROWS_MAX} rows that a report may have")
                break
            if cells and (found := _SEPARATED.match(cells[0])):
                report.note(number, f"is separated by {_SEPARATORS[found['by']]}; {_COMMAS}")
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


def several(report: Report) -> str | None:
    """What is wrong with a text that is more than one report."""
    serials = max(report.serials.values(), key=len, default=[])
    count = max(report.begun, len(serials))
    if count < 2:
        return None
    shown = ", ".join(short(one, 64) for one in serials[:5]) + (" …" if len(serials) > 5 else "")
    return f"holds {count} reports{f' (of {shown})' if shown else ''}; send each by itself"


def _title(cells: Sequence[str]) -> str | None:
    """The section that a line begins: its title alone, or after `Title:`."""
    filled = [cell for cell in cells if cell]
    if filled and filled[0].lower() in ("title:", "title"):
        return " ".join(filled[1:]).lower() or None
    return filled[0].lower() if len(filled) == 1 and filled[0].lower() in SECTIONS else None
