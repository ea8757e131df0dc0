"""One measured value against what the product definition asks of it.

Limits are inclusive and compared as doubles, after the value was converted to the definition's unit with a single
rounding. A value without a unit is taken to be in the definition's; a definition without a unit means a plain number.
A value that can't be judged (not finite, of another type, in a unit that does not convert exactly) is the test
program's fault, never the product's.
"""

import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, Protocol, TypeAlias

from mes.domain import quantities
from mes.domain.facts import ERROR, FAIL, PASS, SKIPPED
from mes.domain.product import Characteristic
from mes.domain.refusals import Reason, reason

UNSET = "unset"
MEASUREMENT_OUTCOMES = (PASS, FAIL, UNSET, SKIPPED)
"""The scale of a measurement's claim, apart from that of runs; UNSET: nothing judged it."""

_DEPTH_MAX = 8  # dimensions of one measurement

Value: TypeAlias = Any
"""A measured value: number, truth, text, null (no value), or lists of those (a dimensioned measurement)."""


class Measurement(NamedTuple):
    """One value as a station reported it; `low`, `high` and `outcome` are its claim."""

    name: str
    value: Value
    unit: str | None = None
    low: float | None = None
    high: float | None = None
    outcome: str | None = None
    position: str | None = None


class Reported(Protocol):
    """A measurement as it came: ours, or a message's own, which has the same fields."""

    @property
    def name(self) -> str: ...
    @property
    def value(self) -> Value: ...
    @property
    def unit(self) -> str | None: ...
    @property
    def low(self) -> float | None: ...
    @property
    def high(self) -> float | None: ...
    @property
    def outcome(self) -> str | None: ...
    @property
    def position(self) -> str | None: ...


class JudgedMeasurement(NamedTuple):
    """A measurement with what it was judged by.

    `value` and `unit` are the definition's where the value converts to them, else the station's. `low`, `high` and
    `equals` are the definition's, in force when it was judged. `verdict`: pass, fail, error (it could not be judged)
    or unset (nothing judges it). `reported` is what the station said.
    """

    name: str
    position: str | None
    value: Value
    unit: str | None
    low: float | None
    high: float | None
    equals: str | float | bool | None
    verdict: str
    reported: Reported

    @property
    def called(self) -> str:
        """The measurement's name in a sentence."""
        return called(self.name, self.position)


class Finding(NamedTuple):
    """A judged measurement, the characteristic it was judged by, and why it could not be judged."""

    judged: JudgedMeasurement
    by: Characteristic | None
    fault: Reason | None = None


def called(name: str, position: str | None) -> str:
    """A characteristic's name in a sentence: `temperature at U12/GPU3`."""
    return f"{name} at {position}" if position else name


def judge_measurement(measurement: Reported, by: Characteristic | None) -> Finding:
    """What a characteristic (None: the definition has none of this name) makes of a measurement."""
    value = measurement.value
    if by is None or value is None:
        return Finding(_judged(measurement, value, measurement.unit, by, UNSET), by)
    if type(value) is float and measurement.unit in (None, by.unit) and by.equals is None and math.isfinite(value):
        return _judge_double(measurement, by, value)  # nearly every measurement there is
    if isinstance(by.equals, bool | str):
        return _judge_word(measurement, by, by.equals)
    if by.low is None and by.high is None and by.equals is None and isinstance(value, bool | str):
        return Finding(_judged(measurement, value, measurement.unit, by, PASS), by)
    return _judge_number(measurement, by)


def _judge_double(measurement: Reported, by: Characteristic, value: float) -> Finding:
    """A finite number already in the definition's unit."""
    low, high, unit = by.low, by.high, by.unit
    within = (low is None or low <= value) and (high is None or value <= high)
    verdict = PASS if within else FAIL
    name, position = measurement.name, measurement.position
    return Finding(JudgedMeasurement(name, position, value, unit, low, high, None, verdict, measurement), by)


def _judge_word(measurement: Reported, by: Characteristic, wanted: str | bool) -> Finding:
    """A value that must equal a text or a truth value."""
    value = measurement.value
    if type(value) is not type(wanted):
        kind = "true or false" if isinstance(wanted, bool) else "a text"
        return _fault(measurement, by, "wrong_type", f"must be {kind}")
    return Finding(_judged(measurement, value, measurement.unit, by, PASS if value == wanted else FAIL), by)


def _judge_number(measurement: Reported, by: Characteristic) -> Finding:
    """A number, or every number of a list, in the definition's unit."""
    numbers = list(_leaves(measurement.value, _DEPTH_MAX))
    if not numbers or not all(type(number) in (int, float) for number in numbers):
        return _fault(measurement, by, "wrong_type", "must be a number")
    source, target = measurement.unit, by.unit or "1"
    if source is not None and not quantities.convertible(source, target):
        return _fault(measurement, by, "unit_not_convertible", f"is in {source}, which does not convert to {target}")
    value = _converted(measurement.value, source or target, target)
    if not all(one is not None and math.isfinite(one) for one in _leaves(value, _DEPTH_MAX)):
        return _fault(measurement, by, "not_finite", "is not a finite number")
    low, high = _limits(by)
    within = all((low is None or low <= one) and (high is None or one <= high) for one in _leaves(value, _DEPTH_MAX))
    return Finding(_judged(measurement, value, by.unit or source, by, PASS if within else FAIL), by)


def _limits(by: Characteristic) -> tuple[float | None, float | None]:
    if isinstance(by.equals, int | float):
        return float(by.equals), float(by.equals)
    return by.low, by.high


def _leaves(value: Value, depth: int) -> Iterator[Any]:
    """Every single value of a dimensioned one; a list nested too deep is a leaf, and no number."""
    if isinstance(value, Sequence) and not isinstance(value, str) and depth:
        for one in value:
            yield from _leaves(one, depth - 1)
    else:
        yield value


def _converted(value: Value, source: str, target: str) -> Value:
    """A number, or lists of them, in another unit. None stands for what is no finite double there."""
    if isinstance(value, Sequence):
        return [_converted(one, source, target) for one in value]
    try:
        return quantities.convert(float(value), source, target)
    except OverflowError:  # a whole number beyond every double
        return None


def _fault(measurement: Reported, by: Characteristic, code: str, why: str) -> Finding:
    name = called(measurement.name, measurement.position)
    fault = reason(code, f"{name} {why}.", measurement=name, unit=measurement.unit)
    return Finding(_judged(measurement, measurement.value, measurement.unit, by, ERROR), by, fault)


def _judged(
    measurement: Reported, value: Value, unit: str | None, by: Characteristic | None, verdict: str
) -> JudgedMeasurement:
    low, high, equals = (by.low, by.high, by.equals) if by else (None, None, None)
    return JudgedMeasurement(
        measurement.name, measurement.position, value, unit, low, high, equals, verdict, measurement
    )


def broken(judged: JudgedMeasurement) -> Reason:
    """The reason that a limit was broken, with the value, the unit and the limits in force."""
    unit = f" {judged.unit}" if judged.unit else ""
    text = f"{judged.called} is {_shown(judged.value)}{unit}; it must be {_wanted(judged)}{unit}."
    limits = {"low": judged.low, "high": judged.high, "equals": judged.equals}
    in_force = {key: limit for key, limit in limits.items() if limit is not None}
    facts = {"measurement": judged.called, "value": _bounded(judged.value), "unit": judged.unit, **in_force}
    return reason("limit_broken", text, **facts)


def _wanted(judged: JudgedMeasurement) -> str:
    if judged.equals is not None:
        return _shown(judged.equals)
    if judged.low is None:
        return f"at most {_shown(judged.high)}"
    if judged.high is None:
        return f"at least {_shown(judged.low)}"
    return f"from {_shown(judged.low)} to {_shown(judged.high)}"


def _shown(value: Value) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return repr(value).removesuffix(".0")
    if isinstance(value, str):
        return repr(value[:80])
    return "a list of values" if isinstance(value, Sequence) else str(value)


def _bounded(value: Value) -> Value:
    """A value short enough for a reason: a dimensioned one stays with its run."""
    return _shown(value) if isinstance(value, Sequence) else value
