"""Shapes for the templates' SVG: rack elevations, bars of values against limits, sparklines, timelines.

Values in, numbers and words out: templates draw, styles colour. A tone names what a thing is (good, busy, wait, bad,
gone), and a word always stands beside it.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Final, NamedTuple

from mes.domain.product import Definition
from mes.domain.scanning import PartKnown
from mes.queries.genealogy import Node
from mes.queries.runs import MeasurementView
from mes.queries.samples import Point, Series

TONES: Final[Mapping[str | None, str]] = {
    "received": "good",
    "created": "wait",
    "in_process": "busy",
    "nonconforming": "bad",
    "completed": "good",
    "packed": "good",
    "shipped": "good",
    "scrapped": "gone",
    "pass": "good",
    "passed": "good",
    "fail": "bad",
    "failed": "bad",
    "error": "wait",
    "aborted": "wait",
    "interrupted": "wait",
    "skipped": "gone",
    "unset": "gone",
    "open": "busy",
    "waiting": "gone",
    None: "gone",
}
"""How states and verdicts look."""

_RACK_UNIT: Final = re.compile(r"U0*([1-9]\d{0,2})")
_HEIGHT: Final = re.compile(r"(?<![\w.])(\d{1,2}) ?U(?!\w)")
RACK_UNITS: Final = 42
UNIT_PX: Final = 21
_BAD: Final = frozenset({"nonconforming", "scrapped"})


class Box(NamedTuple):
    """What is in a rack's position, or nothing: `y` and `height` in pixels. `troubles` counts bad units inside it."""

    position: str
    y: int
    height: int
    name: str
    part: str
    serial: str | None
    state: str | None
    tone: str
    troubles: int


class Elevation(NamedTuple):
    """A rack seen from the front; `beside` are positions that take no rack unit."""

    height_u: int
    height: int
    boxes: list[Box]
    marks: list[tuple[int, int]]
    beside: list[Box]


def elevation(definition: Definition, tree: Node, parts: Mapping[str, PartKnown]) -> Elevation | None:
    """A rack's elevation by its definition's positions U1, U2, …; None for a product that has none.

    A position is the lowest rack unit that its part takes; how many it takes, and how high the rack is, their names
    say as the trade writes it (`4 U`), else 1 and 42.
    """
    held = {child.position: child for child in tree.children}
    taken = [(position, line.part) for line in definition.bom for position in line.positions]
    known = {position for position, _ in taken}
    taken += [(child.position, child.part) for child in tree.children if child.position and child.position not in known]
    if not any(_RACK_UNIT.fullmatch(position) for position, _ in taken):
        return None
    spans = {position: (_rack_unit(position), _height_u(parts, part)) for position, part in taken}
    in_rack = [one for one in taken if spans[one[0]][0]]
    top = max(low + height - 1 for low, height in spans.values() if low)
    total = max(top, _named_height(definition.name) or RACK_UNITS)
    boxes = [
        _box(one, held, parts, (total - spans[one[0]][0] + 1 - spans[one[0]][1], spans[one[0]][1])) for one in in_rack
    ]
    marks = [(unit, (total - unit) * UNIT_PX) for unit in range(1, total + 1)]
    beside = [_box(one, held, parts, (0, 1)) for one in taken if not spans[one[0]][0]]
    return Elevation(total, total * UNIT_PX, boxes, marks, beside)


def _box(
    taken: tuple[str, str], held: Mapping[str | None, Node], parts: Mapping[str, PartKnown], span: tuple[int, int]
) -> Box:
    position, part = taken
    child = held.get(position)
    part = child.part if child else part
    known = parts.get(part)
    name = known.name if known and known.name else part
    place = (span[0] * UNIT_PX, span[1] * UNIT_PX)
    if child is None:
        return Box(position, *place, name, part, None, None, "none", 0)
    tone = TONES[child.state] if child.serial else "good"
    return Box(position, *place, name, part, child.serial or child.lot, child.state, tone, troubles(child))


def troubles(node: Node) -> int:
    """How many units below a node are nonconforming or scrapped."""
    return sum((child.state in _BAD) + troubles(child) for child in node.children)


def _rack_unit(position: str) -> int:
    found = _RACK_UNIT.fullmatch(position)
    return int(found[1]) if found else 0


def _height_u(parts: Mapping[str, PartKnown], part: str) -> int:
    known = parts.get(part)
    return (_named_height(known.name) if known else None) or 1


def _named_height(name: str) -> int | None:
    found = _HEIGHT.search(name)
    return int(found[1]) if found and int(found[1]) > 0 else None


class Bar(NamedTuple):
    """A value against its limits, in percent of the width: where the limits are (None: none) and where the value."""

    low: float | None
    high: float | None
    value: float
    tone: str


def bar(one: MeasurementView) -> Bar | None:
    """The bar of a number that has a limit; the limits leave a fifth of the width free on their outer sides."""
    if isinstance(one.value, bool) or not isinstance(one.value, int | float) or (one.low is None and one.high is None):
        return None
    low, high = one.low, one.high
    tone = TONES.get(one.verdict, "gone")
    if low is not None and high is not None:
        width = (high - low) or max(abs(high), 1.0)
        return Bar(20, 80, _within(20 + 60 * (one.value - low) / width), tone)
    limit = low if low is not None else high
    assert limit is not None
    scale = max(abs(limit), abs(one.value - limit), 1e-300)
    if low is not None:
        return Bar(20, None, _within(20 + 60 * (one.value - limit) / scale), tone)
    return Bar(None, 80, _within(80 + 60 * (one.value - limit) / scale), tone)


def _within(percent: float) -> float:
    return round(min(max(percent, 1.5), 98.5), 1) if percent == percent else 1.5


class Sparkline(NamedTuple):
    """A series as two SVG paths in a box of `width` and `height`: from low to high of each bucket, and the mean."""

    width: int
    height: int
    band: str
    line: str


def sparkline(one: Series, width: int = 240, height: int = 44) -> Sparkline | None:
    """A series drawn small; None where it has no values. A gap breaks the line."""
    if not one.points:
        return None
    lowest, highest = min(point.low for point in one.points), max(point.high for point in one.points)
    length_s = max((one.until - one.since).total_seconds(), 1e-6)
    spread = (highest / 2 - lowest / 2) or 0.5  # halves, for the difference of two doubles may be none

    def x(at: datetime) -> float:
        return round(2 + (width - 4) * (at - one.since).total_seconds() / length_s, 1)

    def y(value: float) -> float:
        return round(height - 3 - (height - 6) * ((value / 2 - lowest / 2) / spread), 1)

    band, line = [], []
    for stretch in _stretches(one.points, gap_s(one)):
        upper = " ".join(f"{x(point.at)},{y(point.high)}" for point in stretch)
        lower = " ".join(f"{x(point.at)},{y(point.low)}" for point in reversed(stretch))
        band.append(f"M{upper} {lower}Z")
        line.append("M" + " ".join(f"{x(point.at)},{y(point.mean)}" for point in stretch))
    return Sparkline(width, height, "".join(band), "".join(line))


def gap_s(one: Series) -> float:
    """From how many seconds on nothing was measured between two points, not just seldom: three times the usual."""
    apart = sorted((later.at - point.at).total_seconds() for point, later in pairwise(one.points))
    return 3 * max(one.bucket_s, apart[len(apart) // 2] if apart else 0.0)


def _stretches(points: Sequence[Point], gap_s: float) -> Iterable[list[Point]]:
    """Points without a gap between them."""
    stretch = [points[0]]
    for point in points[1:]:
        if (point.at - stretch[-1].at).total_seconds() > gap_s:
            yield stretch
            stretch = []
        stretch.append(point)
    yield stretch


def lasting(length: timedelta) -> str:
    """A length of time for reading: 41 s, 12 min, 3 h 05 min, 2 d 4 h."""
    seconds = max(round(length.total_seconds()), 0)
    if seconds < 100:
        return f"{seconds} s"
    minutes = round(seconds / 60)
    if minutes < 100:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes:02} min"
    days, hours = divmod(round(seconds / 3600), 24)
    return f"{days} d {hours} h"
