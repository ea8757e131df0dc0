"""What testers read: values around the middle of what the definition allows, or beyond it."""

import math
from collections.abc import Sequence
from random import Random
from typing import Final

from mes.formats.messages import ReportedConnection, ReportedMeasurement
from stations.floor.products import Characteristic, Wire

DIGITS: Final = 5
"""Significant digits that testers report."""


def good(one: Characteristic, die: Random, bias: float = 0.0) -> ReportedMeasurement:
    """A value as it should be. `bias` (-1 to 1) moves it towards a limit, as a worn fixture does."""
    if one.equals is not None:
        return _measured(one, one.equals)
    return _measured(one, _inside(one.low, one.high, die, bias))


def lasted(one: Characteristic, hours: float) -> ReportedMeasurement:
    """How long something was on, never more than it was."""
    return _measured(one, math.floor(hours * 1000) / 1000)


def bad(one: Characteristic, die: Random) -> ReportedMeasurement:
    """A value that breaks a limit."""
    if isinstance(one.equals, bool):
        return _measured(one, not one.equals)
    if isinstance(one.equals, str):
        return _measured(one, "?")
    if one.equals is not None:
        return _measured(one, one.equals - 1 if one.equals >= 1 else one.equals + die.randint(1, 4))
    return _measured(one, _outside(one.low, one.high, die))


def _measured(one: Characteristic, value: str | float | bool) -> ReportedMeasurement:
    shown = float(f"{value:.{DIGITS}g}") if type(value) is float else value
    return ReportedMeasurement(one.name, shown, one.unit, one.low, one.high, position=one.position)


def _inside(low: float | None, high: float | None, die: Random, bias: float) -> float:
    if low is not None and high is not None:
        if low == 0:  # a leakage, a loss: the smaller the better
            return high * min(0.9, max(0.02, die.gauss(0.35 + 0.2 * bias, 0.09)))
        half = (high - low) / 2
        return (low + high) / 2 + half * min(0.92, max(-0.92, die.gauss(bias, 0.2)))
    if high is not None:
        return high - abs(high) * min(0.6, max(0.02, die.gauss(0.14 - 0.08 * bias, 0.03)))
    if low is not None:
        return low + abs(low) * min(0.9, max(0.005, die.gauss(0.06 - 0.03 * bias, 0.015)))
    return die.gauss(0, 1)


def _outside(low: float | None, high: float | None, die: Random) -> float:
    if low is not None and high is not None:
        beyond = (high - low) * die.uniform(0.08, 0.6)
        return high + beyond if low == 0 or die.random() < 0.4 else low - beyond
    limit = high if high is not None else low or 0.0
    beyond = (abs(limit) or 1.0) * die.uniform(0.03, 0.2)
    return limit + beyond if high is not None else limit - beyond


def probed(netlist: Sequence[Wire], die: Random, swapped: int | None = None) -> list[ReportedConnection]:
    """Every wire of a netlist as a tester finds it; the wire `swapped` and the next have changed places."""
    seen = [wire.end_b for wire in netlist]
    if swapped is not None:
        seen[swapped], seen[swapped + 1] = seen[swapped + 1], seen[swapped]
    return [
        ReportedConnection(wire.end_a, wire.end_b, (end,), _ohms(wire, die))
        for wire, end in zip(netlist, seen, strict=True)
    ]


def _ohms(wire: Wire, die: Random) -> float | None:
    if wire.ohms_max is None:
        return None
    return float(f"{wire.ohms_max * min(0.95, max(0.6, die.gauss(0.81, 0.03))):.3g}")
