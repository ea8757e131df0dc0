"""Limits laid out for all runs of one shape: the same step, and the same names, units and positions in the same order.

Nearly every run reports finite numbers in the definition's units, within their limits. A sheet tells in one go
whether a run is one of those; if it is not, its measurements are judged one by one.
"""

import sys
from collections.abc import Callable, Collection, Sequence
from operator import le
from typing import NamedTuple, TypeAlias

from mes.domain.facts import FAIL, PASS
from mes.domain.limits import Reported
from mes.domain.measured import Layout, Measured
from mes.domain.product import Characteristic

_LARGEST = sys.float_info.max
_DOUBLES = {float}

Shape: TypeAlias = tuple[tuple[str, ...], tuple[str | None, ...], tuple[str | None, ...]]


def shape_of(measurements: Sequence[Reported]) -> Shape:
    """What a run measured, whatever the values: names, units, positions."""
    return (
        tuple([one.name for one in measurements]),
        tuple([one.unit for one in measurements]),
        tuple([one.position for one in measurements]),
    )


class LimitSheet(NamedTuple):
    """The limits of one shape; `lows` and `highs` are finite, so that nothing infinite lies within them."""

    layout: Layout
    lows: tuple[float, ...]
    highs: tuple[float, ...]
    passed: tuple[str, ...]

    def passes(self, reported: Sequence[Reported]) -> Measured | None:
        """The measurements, if each is a finite number within its limits and none is claimed to have failed."""
        values = [one.value for one in reported]
        if (
            set(map(type, values)) != _DOUBLES
            or not all(map(le, self.lows, values))  # not true of NaN either
            or not all(map(le, values, self.highs))
            or FAIL in [one.outcome for one in reported]
        ):
            return None
        return Measured(self.layout, values, self.passed, reported)


def lay_out(
    measurements: Sequence[Reported],
    characteristic: Callable[[Reported], Characteristic | None],
    required: Collection[tuple[str, str | None]],
) -> LimitSheet | None:
    """The sheet for runs shaped like these measurements; None where they have to be judged one by one."""
    found = [characteristic(one) for one in measurements]
    by = [one for one in found if one is not None]
    alike = all(
        one.unit in (None, kind.unit) and kind.equals is None for one, kind in zip(measurements, by, strict=False)
    )
    if len(by) < len(found) or not alike or not {(one.name, one.position) for one in by}.issuperset(required):
        return None
    lows, highs = tuple(one.low for one in by), tuple(one.high for one in by)
    names, positions = tuple(one.name for one in measurements), tuple(one.position for one in measurements)
    return LimitSheet(
        Layout(names, tuple(one.unit for one in by), lows, highs, positions),
        tuple(-_LARGEST if low is None else low for low in lows),
        tuple(_LARGEST if high is None else high for high in highs),
        (PASS,) * len(by),
    )
