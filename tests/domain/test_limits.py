"""One value against its characteristic: inclusive limits, exact conversion, and what can't be judged."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mes.domain.facts import ERROR, FAIL, PASS
from mes.domain.limits import UNSET, Measurement, broken, judge_measurement
from mes.domain.product import Characteristic

VOLTS = Characteristic("v", "V", 3.2, 3.4)


def verdict(value: Any, by: Characteristic | None = VOLTS, unit: str | None = None) -> str:
    return judge_measurement(Measurement("v", value, unit), by).judged.verdict


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (3.2, PASS),
        (3.4, PASS),
        (math.nextafter(3.2, 0), FAIL),
        (math.nextafter(3.4, 4), FAIL),
        (3, FAIL),
        (None, UNSET),
        (math.nan, ERROR),
        (math.inf, ERROR),
        (-math.inf, ERROR),
        (10**400, ERROR),
        (True, ERROR),
        ("3.3", ERROR),
        ([3.3, 3.4], PASS),
        ([[3.3], [3.5]], FAIL),
        ([3.3, None], ERROR),
        ([3.3, math.nan], ERROR),
        ([], ERROR),
        ([[], 3.3], PASS),
        ({"a": 1}, ERROR),
    ],
)
def test_limits_are_inclusive_and_take_finite_numbers_only(value: Any, expected: str):
    assert verdict(value) == expected


def test_a_value_is_judged_in_the_definition_s_unit():
    finding = judge_measurement(Measurement("v", 3300, "mV", 0.0, 9e9, "pass"), VOLTS)
    judged = finding.judged
    assert (judged.value, judged.unit, judged.low, judged.high, judged.verdict) == (3.3, "V", 3.2, 3.4, PASS)
    assert judged.reported == Measurement("v", 3300, "mV", 0.0, 9e9, "pass")
    assert verdict(3.3, unit="V") == PASS
    assert verdict(3.3, unit="mV") == FAIL


@pytest.mark.parametrize("unit", ["A", "Vac", "furlong", ""])
def test_a_unit_that_does_not_convert_is_the_program_s_fault(unit: str):
    finding = judge_measurement(Measurement("v", 3.3, unit), VOLTS)
    assert finding.judged.verdict == ERROR
    assert finding.fault is not None
    assert finding.fault.code == "unit_not_convertible"
    assert finding.judged.value == 3.3


def test_a_characteristic_without_unit_is_a_plain_number():
    errors = Characteristic("errors", high=0)
    assert verdict(0, errors, "1") == PASS
    assert verdict(0, errors, "{errors}") == PASS
    assert verdict(1, errors) == FAIL
    assert verdict(0, errors, "V") == ERROR


@pytest.mark.parametrize(
    ("equals", "value", "expected"),
    [
        (True, True, PASS),
        (True, False, FAIL),
        (True, 1, ERROR),
        (True, "true", ERROR),
        ("2.10", "2.10", PASS),
        ("2.10", "2.1", FAIL),
        ("2.10", 2.1, ERROR),
        (4.0, 4, PASS),
        (4.0, 4.5, FAIL),
        (4.0, True, ERROR),
        (4.0, "4", ERROR),
    ],
)
def test_equals_compares_like_with_like(equals: Any, value: Any, expected: str):
    assert verdict(value, Characteristic("v", equals=equals)) == expected


@pytest.mark.parametrize("value", [1.5, "x", False, [1, 2]])
def test_a_characteristic_without_limits_only_wants_a_value(value: Any):
    assert verdict(value, Characteristic("v")) == PASS
    assert verdict(math.nan, Characteristic("v")) == ERROR


def test_what_the_definition_does_not_name_is_not_judged():
    assert verdict(3.3, None) == UNSET


@given(
    st.floats(allow_nan=False, allow_infinity=False),
    st.floats(allow_nan=False, allow_infinity=False),
    st.floats(allow_nan=False, allow_infinity=False),
)
def test_any_number_is_judged_as_double(value: float, low: float, high: float):
    expected = PASS if low <= value <= high else FAIL
    assert verdict(value, Characteristic("v", "V", low, high)) == expected
    assert verdict(value, Characteristic("v", None, low, None)) == (PASS if low <= value else FAIL)
    assert verdict(value, Characteristic("v", None, None, high)) == (PASS if value <= high else FAIL)


def test_a_broken_limit_is_told_in_full():
    found = broken(judge_measurement(Measurement("v", 3500, "mV", position="U1/P2"), VOLTS).judged)
    assert found.text == "v at U1/P2 is 3.5 V; it must be from 3.2 to 3.4 V."
    assert found.facts == {"measurement": "v at U1/P2", "value": 3.5, "unit": "V", "low": 3.2, "high": 3.4}
    only_high = judge_measurement(Measurement("v", 5.0), Characteristic("v", None, None, 4.0)).judged
    assert broken(only_high).text == "v is 5; it must be at most 4."
    truth = judge_measurement(Measurement("v", False), Characteristic("v", equals=True)).judged
    assert broken(truth).text == "v is false; it must be true."
