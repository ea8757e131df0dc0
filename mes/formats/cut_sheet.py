"""A cut sheet, the CSV that tells installers which port is wired to which, read as a netlist.

Two header rows: the first names the blocks *Source* and *Destination*, then the cable's length and type; the second
names each block's columns. A cable's endpoint is its *Label* column; the unit is the pod that the sheet wires.
"""

import csv
import io
from typing import NamedTuple

from mes.domain.product import Connection
from mes.domain.product_check import ENDPOINT_RULE, Problem, is_endpoint

CABLES_MAX = 50_000
_NONE_TEXTS = frozenset({"", "n/a", "na", "-", "none", "tbd"})


class InvalidCutSheet(ValueError):  # noqa: N818 - named for the sheet
    """A cut sheet can't be read as a netlist. Carries every problem, each with its row and column."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("; ".join(f"{problem.place}: {problem.text}" for problem in problems))
        self.problems = problems


class _Columns(NamedTuple):
    """Where in a row the endpoints, the length and the type stand (None: the sheet has no such column)."""

    source: int
    destination: int
    length: int | None
    type: int | None


def read(content: str | bytes) -> tuple[Connection, ...]:
    """The cables of a cut sheet, in its order. Byte order mark, any line ends and blank lines are taken as they come.

    Raises InvalidCutSheet with every problem at once: bytes that are no UTF-8, headers without the label columns, rows
    without an endpoint, an endpoint used twice.
    """
    rows = _rows(content)
    if len(rows) < 2:
        raise InvalidCutSheet([Problem("row 1", "has no two header rows; begin with Source, Destination and a Label")])
    columns = _columns(rows[0][1], rows[1][1])
    cables, problems = [], []
    used: dict[str, int] = {}
    for number, row in rows[2:]:
        cable = _cable(row, columns)
        found = _problems(number, cable, columns, used)
        problems += found
        if not found:
            cables.append(cable)
    if not rows[2:]:
        problems.append(Problem("row 3", "is missing: the sheet has no cables"))
    if problems:
        raise InvalidCutSheet(problems)
    return tuple(cables)


def _rows(content: str | bytes) -> list[tuple[int, list[str]]]:
    """Rows with anything in them, with their number as a spreadsheet shows it."""
    try:
        text = content.decode("utf-8") if isinstance(content, bytes) else content
    except UnicodeDecodeError as error:
        raise InvalidCutSheet(
            [Problem("row 1", f"is no UTF-8 text at byte {error.start}; export it as UTF-8")]
        ) from None
    reader = csv.reader(io.StringIO(text.removeprefix("\ufeff"), newline=""), strict=True)
    rows = []
    try:
        for number, row in enumerate(reader, 1):
            if any(cell.strip() for cell in row):
                rows.append((number, [cell.strip() for cell in row]))
            if len(rows) > CABLES_MAX + 2:
                raise InvalidCutSheet([Problem(f"row {number}", f"is beyond the {CABLES_MAX} cables a sheet may have")])
    except csv.Error as error:
        raise InvalidCutSheet([Problem(f"row {reader.line_num}", f"is no CSV: {error}")]) from None
    return rows


def _columns(blocks: list[str], names: list[str]) -> _Columns:
    blocks, names = [block.lower() for block in blocks], [name.lower() for name in names]
    problems = [
        Problem("row 1", f"has no column {block}; name both blocks, Source and Destination")
        for block in ("Source", "Destination")
        if block.lower() not in blocks
    ]
    labels = [index for index, name in enumerate(names) if name == "label"]
    if not problems:
        destination = blocks.index("destination")
        before = [index for index in labels if index < destination]
        after = [index for index in labels if index >= destination]
        if len(before) == len(after) == 1:
            return _Columns(before[0], after[0], _cable_column(blocks, "length"), _cable_column(blocks, "type"))
    text = f"has {len(labels)} columns Label; each of Source and Destination needs one"
    raise InvalidCutSheet(problems or [Problem("row 2", text)])


def _cable_column(blocks: list[str], word: str) -> int | None:
    return next((index for index, block in enumerate(blocks) if block in (f"cable {word}", word)), None)


def _cable(row: list[str], columns: _Columns) -> Connection:
    def cell(index: int | None) -> str:
        return row[index] if index is not None and index < len(row) else ""

    length, kind = cell(columns.length), cell(columns.type)
    return Connection(
        cell(columns.source),
        cell(columns.destination),
        length=None if length.lower() in _NONE_TEXTS else length,
        type=None if kind.lower() in _NONE_TEXTS else kind,
    )


def _problems(number: int, cable: Connection, columns: _Columns, used: dict[str, int]) -> list[Problem]:
    """What is wrong with one cable's endpoints; notes them as used."""
    problems = []
    for end, column in ((cable.end_a, columns.source), (cable.end_b, columns.destination)):
        place = f"row {number}, column {column + 1} (Label)"
        if end.lower() in _NONE_TEXTS:
            problems.append(Problem(place, "names no endpoint; give the port's label"))
        elif not is_endpoint(end):
            problems.append(Problem(place, f"{end[:80]!r} is no endpoint; {ENDPOINT_RULE}"))
        elif end in used:
            problems.append(Problem(place, f"{end} is already wired in row {used[end]}; a port takes one cable"))
        else:
            used[end] = number
    return problems
