"""What a diagnostic measured, as the measurements of a run: named, placed, and as many as a run may hold."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, NamedTuple, TypeAlias

import msgspec

from mes.domain.facts import FAIL
from mes.domain.limits import Measurement
from mes.formats.foreign_run import MEASUREMENTS_MAX, NAME_MAX, SERIES_MAX, short, unit_of_measure
from mes.formats.ocptv.series import Series, offsets, share, telling
from mes.formats.ocptv.validators import limits, outcome

VALUES_MAX: Final = 300_000
"""Most values of all series of a run together: they are one row, and one answer when somebody asks for the run."""
OFFSET: Final = ".offset_s"
_UNITS: Final = {"F": "[degF]", "fahrenheit": "[degF]", "ghz": "GHz", "mhz": "MHz", "khz": "kHz", "hz": "Hz"}
"""Spellings that this format's diagnostics use. F is the degree Fahrenheit here, and not the farad."""
PositionOf: TypeAlias = Callable[[dict[str, Any]], str | None]
"""Where a measurement belongs, by its content."""


@dataclass(slots=True)
class Measured:
    """One measurement, or a series with a moment per value. `total` is how many values a series says it has."""

    name: str
    step: str
    content: dict[str, Any]
    at: datetime
    value: Any = None
    series: Series | None = None
    total: int | None = None


class Kept(NamedTuple):
    """The measurements of a run. `thinned` and `left_out` say in sentences what is not among them. `known_as` tells of
    those that were renamed, for another has their name, what the diagnostic calls them.

    What was thinned was looked at, value by value; what was left out was not.
    """

    measurements: tuple[Measurement, ...]
    thinned: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    known_as: dict[str, str] = {}  # noqa: RUF012 - never written to


def kept(measured: Sequence[Measured], position_of: PositionOf) -> Kept:
    """What a run holds of what was measured.

    Where there is more than it may hold, single values that repeat become a series, long series are thinned, and what
    is still too much is left out: offsets first, what its own validators failed last.
    """
    is_much = sum(1 if one.series is None else 2 for one in measured) > MEASUREMENTS_MAX
    some = _gathered(measured) if is_much else measured
    most = share((len(one.series) for one in some if one.series is not None), VALUES_MAX, SERIES_MAX)
    thinned: list[str] = []
    known_as: dict[str, str] = {}
    made = list(_measurements(some, position_of, most, thinned, known_as))
    if len(made) <= MEASUREMENTS_MAX:
        return Kept(tuple(made), tuple(thinned), known_as=known_as)
    ranked = sorted(range(len(made)), key=lambda at: (made[at].outcome != FAIL, made[at].name.endswith(OFFSET)))
    lost = [made[at].name for at in ranked[MEASUREMENTS_MAX:]]
    is_value_lost = not all(name.endswith(OFFSET) for name in lost)
    text = f"{len(lost)} of its {len(made)} measurements were left out: a run holds {MEASUREMENTS_MAX}."
    if not is_value_lost:
        thinned.append(text)
    chosen = tuple(made[at] for at in sorted(ranked[:MEASUREMENTS_MAX]))
    return Kept(chosen, tuple(thinned), (text,) if is_value_lost else (), known_as)


def _gathered(measured: Sequence[Measured]) -> list[Measured]:
    """Numbers that were measured again and again in one step, each as the series that it is."""
    groups: dict[Any, list[Measured]] = {}
    for at, one in enumerate(measured):
        is_number = one.series is None and type(one.value) in (int, float)
        groups.setdefault(_likeness(one) if is_number else at, []).append(one)
    return [group[0] if len(group) == 1 else _as_series(group) for group in groups.values()]


def _likeness(one: Measured) -> bytes:
    """The same for measurements that differ in their value only."""
    content = {name: content for name, content in one.content.items() if name != "value"}
    return msgspec.json.encode([one.step, content], order="deterministic")


def _as_series(group: Sequence[Measured]) -> Measured:
    series = Series()
    for index, one in enumerate(group):
        series.add(index, one.value, one.at)
    first = group[0]
    return Measured(first.name, first.step, first.content, first.at, series=series)


def _measurements(
    measured: Sequence[Measured],
    position_of: PositionOf,
    most: int,
    thinned: list[str],
    known_as: dict[str, str],
) -> Iterator[Measurement]:
    """Those of all steps under names of their own.

    A name at one position in several steps is `step.name` in each; the second one in a step is `name#2`. A series keeps
    at most `most` values; `thinned` gets a sentence for each that had more.
    """
    placed = [(position_of(one.content), one) for one in measured]
    steps_of: dict[tuple[str | None, str], set[str]] = {}
    for position, one in placed:
        steps_of.setdefault((position, one.name), set()).add(one.step)
    used = Counter[tuple[str | None, str]]()
    for position, one in placed:
        name = one.name if len(steps_of[position, one.name]) == 1 else f"{one.step}.{one.name}"
        name = short(name, NAME_MAX - 16) or "measurement"
        used[position, name] += 1
        count = used[position, name]
        unique = f"{name}#{count}" if count > 1 else name
        if unique != one.name:
            known_as[unique] = short(one.name, NAME_MAX)
        yield from (
            _single(one, unique, position)
            if one.series is None
            else _series(one, one.series, unique, position, most, thinned)
        )


def _single(one: Measured, name: str, position: str | None) -> Iterator[Measurement]:
    yield _measurement(one, name, position, one.value, [one.value])


def _series(
    one: Measured, series: Series, name: str, position: str | None, most: int, thinned: list[str]
) -> Iterator[Measurement]:
    """Its values, judged by its validators all of them, and their offsets from the first in seconds."""
    values, moments = series.in_order()
    places = telling(values, most)
    if len(places) < len(values):
        thinned.append(
            f"Of the {len(values)} values of {name[:60]}, {len(places)} are kept: the lowest and the highest of each "
            "stretch, so that any value beyond a limit shows."
        )
    yield _measurement(one, name, position, [values[at] for at in places], values)
    if places:
        yield Measurement(f"{name}{OFFSET}", offsets(moments, places), "s", position=position)


def _measurement(one: Measured, name: str, position: str | None, value: Any, values: Sequence[Any]) -> Measurement:
    """A measurement with a value; what its validators say, they say of `values`."""
    unit, validators = one.content.get("unit"), one.content.get("validators")
    unit = unit_of_measure((_UNITS.get(unit, unit),)) if isinstance(unit, str) else None
    given = limits(validators)
    return Measurement(name, value, unit, given.low, given.high, outcome(validators, values), position)
