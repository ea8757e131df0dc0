"""The tables of a cable tester's report: which cell of a row is what, told by the table's header or by its place.

Rows have a number. What can't be read is noted and ends the table: a header that names some of what is needed and not
the rest, a row with more cells than its header, and a row that tells of something and has no number.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple, TypeAlias

from mes.domain import quantities
from mes.formats.cable_quantity import quantity, with_comma, word
from mes.formats.fields import show

Note: TypeAlias = Callable[[int, str], None]
NUMBER: Final = "#"
_SPELLINGS: Final[Mapping[str, tuple[str, ...]]] = {
    NUMBER: ("#", "no", "nr", "number"),
    "Instruction": ("instruction", "type"),
    "From": ("from",),
    "To": ("to",),
    "Measured": ("measured", "measurement", "actual", "reading"),
    "Net": ("net", "name"),
    "Insulation": ("insulation", "resistance", "leakage", "measured", "value"),
    "Voltage": ("voltage", "volts", "volt"),
    "Time": ("time", "dwell", "seconds"),
}
"""How headers begin that name a column, the likeliest first."""
_SETTINGS: Final = ("Voltage", "Time")
_NO_RESULTS: Final = (NUMBER, "Instruction", "From", "To", "Net", *_SETTINGS)
"""Columns whose cells are no results, however much they look like values."""
_FIRST_WORD = re.compile(r"#|[^\W\d_]+")
_UNIT = re.compile(r"[(\[]([^()\[\]]{1,64})[)\]]")


class Layout(NamedTuple):
    """A kind of table: the columns that it must have, and their `places` where its header names none of `tellers`.

    A row with something in all of `tellers` tells of something. `others` are columns that it may have.
    """

    places: Mapping[str, int]
    tellers: tuple[str, ...]
    others: tuple[str, ...] = ()


MEASURED: Final = Layout(
    {NUMBER: 0, "Instruction": 1, "From": 2, "To": 3, "Measured": 4}, tellers=("From", "To", "Measured")
)
INSULATION: Final = Layout({NUMBER: 0, "Net": 1}, tellers=("Net",), others=("Insulation",))


class Columns(NamedTuple):
    """Where a table's rows have their cells: columns by name, how many there are, and units that the header gives."""

    at: Mapping[str, int]
    width: int | None = None
    units: Mapping[int, str] = {}

    def others(self) -> set[int]:
        """The places of names and settings."""
        return {self.at[name] for name in _NO_RESULTS if name in self.at}


class Row(NamedTuple):
    """A row of a table; `number` is its place in the text."""

    number: int
    cells: Sequence[str]
    columns: Columns

    def cell(self, name: str) -> str:
        """What stands in a column; an empty text where the row is too short."""
        at = self.columns.at.get(name, len(self.cells))
        return self.cells[at] if at < len(self.cells) else ""

    def value(self, at: int) -> str:
        """A cell by its place. A bare number has the unit that the header gives."""
        cell, unit = self.cells[at], self.columns.units.get(at)
        return f"{cell} {unit}" if unit and (value := quantity(cell)) and not value.unit else cell

    def results(self) -> list[int]:
        """The places of the cells that may be results: all but names and settings."""
        others = self.columns.others()
        return [at for at in range(len(self.cells)) if at not in others]

    def flaw(self, at: int) -> str | None:
        """What is wrong with the result in a cell."""
        torn = with_comma(self.cells, at, self.columns.others())
        return f"holds the decimal comma of {show(torn)}: export with a decimal point and with units" if torn else None


def rows(table: Iterable[tuple[int, list[str]]], layout: Layout, note: Note) -> Iterator[Row]:
    """The numbered rows of a table. Remarks between and below them are passed over."""
    columns = Columns(layout.places)
    for number, found in table:
        cells = found[: max(at for at, cell in enumerate(found, 1) if cell)]
        is_header = _is_header(cells, layout)
        columns = _columns(cells, layout) if is_header else columns
        row = Row(number, cells, columns)
        if why := _lost(columns, layout) if is_header else _wrong(row, layout):
            note(number, why)
            return
        if not is_header and _is_number(row.cell(NUMBER)):
            yield row


def _lost(columns: Columns, layout: Layout) -> str | None:
    """What a header lacks."""
    lost = ", ".join(name for name in layout.places if name not in columns.at)
    *most, last = layout.places
    return f"is a header without {lost}; it must name {', '.join(most)} and {last}" if lost else None


def _wrong(row: Row, layout: Layout) -> str | None:
    """Why a row under a header can't be read."""
    width = row.columns.width
    if width is not None and len(row.cells) > width:
        mend = "a decimal comma makes two of one: export with a decimal point, and quote texts that hold a comma"
        return f"has {len(row.cells)} cells, its header {width}; {mend}"
    tells = all(map(row.cell, layout.tellers)) and any(quantity(cell) or word(cell) for cell in row.cells)
    if tells and not _is_number(row.cell(NUMBER)):
        return f"has no number in its column {NUMBER}; every row that tells of something needs one"
    return None


def _is_number(cell: str) -> bool:
    return cell.rstrip(".").isdigit()


def _is_header(cells: Sequence[str], layout: Layout) -> bool:
    """Whether a row names columns: it has a # for the rows' numbers, or names all that tells of something."""
    if _is_number(cells[0]):
        return False
    named = _named(cells)
    return NUMBER in cells or all(name in named for name in (*layout.tellers, *layout.others))


def _named(cells: Sequence[str]) -> dict[str, int]:
    """Columns by name: of each, the first that is spelled most likely."""
    words = [found[0].lower() if (found := _FIRST_WORD.match(cell)) else "" for cell in cells]
    likeliest = ((name, next((one for one in _SPELLINGS[name] if one in words), None)) for name in _SPELLINGS)
    return {name: words.index(spelling) for name, spelling in likeliest if spelling}


def _columns(cells: Sequence[str], layout: Layout) -> Columns:
    """Columns by a header. One in other words is read by its places, as long as it begins with the number."""
    named = {NUMBER: 0} | {
        name: at for name, at in _named(cells).items() if name in (*layout.places, *layout.others, *_SETTINGS)
    }
    told = ((at, found[1].strip()) for at, cell in enumerate(cells) if (found := _UNIT.search(cell)))
    units = {at: unit for at, unit in told if quantities.known(unit)}
    is_foreign = not any(name in named for name in layout.tellers)
    for name, at in layout.places.items():
        is_free = at not in named.values()
        if named[NUMBER] == 0 and name not in named and is_free and (is_foreign or name not in layout.tellers):
            named[name] = at
    return Columns(named, len(cells), units)
