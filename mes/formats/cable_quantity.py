"""What a cell of a cable tester's report says: a number with its unit, or an outcome in words.

A tester writes a decimal point. A comma in a number is refused, never guessed at: in a CSV `0,9 kOhm` is one cell or
two, and half of a number is a number, too.
"""

import math
import re
from collections.abc import Container, Sequence
from typing import Final, NamedTuple

from mes.domain import quantities
from mes.domain.facts import ABORTED, ERROR, FAIL, PASS
from mes.domain.limits import UNSET
from mes.formats.foreign_run import CODE_MAX, short

_WORDS: Final = {
    **dict.fromkeys(("pass", "passed", "good", "ok"), PASS),
    **dict.fromkeys(("fail", "failed", "bad", "open", "short"), FAIL),
    **dict.fromkeys(("abort", "aborted", "cancelled", "stopped"), ABORTED),
    "error": ERROR,
    **dict.fromkeys(("not tested", "skipped", "n/a", "-"), UNSET),
}
_BEYOND: Final = {"≥": ">", "≤": "<"}
_UNIT: Final = r"(?:[^\W\d_]|[%‰°]).*"  # begins with no comma and no digit: that would be the rest of the number
_BOUND: Final = r"(?P<bound>[<>≤≥])?=?\s*"
_QUANTITY = re.compile(
    rf"{_BOUND}(?P<number>[-+]?(?:\d++(?:\.\d*+)?|\.\d++)(?:[eE][-+]?\d++)?)\s*+(?P<unit>{_UNIT})?",
)
_COMMA = re.compile(rf"{_BOUND}[-+]?\d[\d.]*+,\d")
_HEAD = re.compile(rf"{_BOUND}[-+]?(?:\d+|[1-9]\d{{0,2}}(?:\.\d{{3}})+)")
_TAIL = re.compile(rf"(?:\d+(?:[eE][-+]?\d+)?|\d{{3}}\.\d*)\s*(?:{_UNIT})?")


class Quantity(NamedTuple):
    """A number with its unit; `bound` is > or < where the tester could only say that it is beyond."""

    bound: str | None
    number: float
    unit: str | None


def quantity(cell: str) -> Quantity | None:
    """The number and unit that fill a cell; None where anything else stands in it."""
    found = _QUANTITY.fullmatch(cell.strip())
    if not found or not math.isfinite(float(found["number"])):
        return None
    bound, unit = found["bound"], found["unit"]
    return Quantity(_BEYOND.get(bound, bound), float(found["number"]), short(unit, CODE_MAX) if unit else None)


def word(cell: str) -> str | None:
    """An outcome in the tester's words; None for anything else."""
    return _WORDS.get(" ".join(cell.lower().split()).rstrip("."))


def with_comma(cells: Sequence[str], at: int, others: Container[int]) -> str | None:
    """The number in the cell `at`, where a comma stands in it or tore it in two; None where all is well.

    A whole number beside another can't be told from a torn one. In `others`, the places of names
    and settings, digits are no part of a result.
    """
    if _COMMA.match(cells[at]):
        return cells[at]
    for left in (at - 1, at):
        is_pair = 0 <= left < len(cells) - 1 and left not in others and left + 1 not in others
        if is_pair and _HEAD.fullmatch(cells[left]) and _TAIL.fullmatch(cells[left + 1]):
            return f"{cells[left]},{cells[left + 1]}"
    return None


def proves_insulation(value: Quantity) -> bool:
    """Whether a bound shows that a limit was kept: that of a resistance is the lowest, of a current the highest."""
    if value.bound is None:
        return True
    if value.unit and quantities.convertible(value.unit, "A"):
        return value.bound == "<"
    return value.bound == ">" and (value.unit is None or quantities.convertible(value.unit, "Ohm"))
