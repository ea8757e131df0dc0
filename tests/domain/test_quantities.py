"""Units: exact factors, one rounding, and no conversion between kinds."""

import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mes.domain.quantities import UNITS, convert, convertible, known, unit


@pytest.mark.parametrize(
    ("value", "source", "target", "expected"),
    [
        (3300.0, "mV", "V", 3.3),
        (0.1, "kOhm", "Ω", 100.0),
        (100.0, "mΩ", "Ohm", 0.1),
        (1.0, "GOhm", "MΩ", 1000.0),
        (1000.0, "µA", "mA", 1.0),
        (1000.0, "μA", "uA", 1000.0),
        (25.0, "Cel", "K", 298.15),
        (212.0, "°F", "°C", 100.0),
        (1.0, "bar", "kPa", 100.0),
        (1.0, "psi", "Pa", 6894.757293168361),
        (60.0, "L/min", "L/s", 1.0),
        (3.6, "m3/h", "L/s", 1.0),
        (90.0, "min", "h", 1.5),
        (96.5, "%", "1", 0.965),
        (1.0, "in", "mm", 25.4),
        (2.0, "{lanes}", "1", 2.0),
        (1.0, "kWh", "J", 3_600_000.0),
        (1.0, "Gb/s", "Mbps", 1000.0),
    ],
)
def test_known_conversions(value: float, source: str, target: str, expected: float):
    assert convert(value, source, target) == pytest.approx(expected, rel=1e-15)


@pytest.mark.parametrize(
    ("source", "target"),
    [("V", "A"), ("V", "Vac"), ("Cel", "1"), ("dBm", "dB"), ("V", "Vlot"), ("", "V"), ("Pa", "L/min"), ("h", "H")],
)
def test_kinds_do_not_mix(source: str, target: str):
    assert not convertible(source, target)
    assert convert(1.0, source, target) is None


def test_spellings_are_case_sensitive_where_si_is():
    assert convert(1.0, "MOhm", "mOhm") == 1e9
    assert known("Ohm")
    assert not known("oHm")
    assert not known("{unclosed")


def test_what_is_no_finite_double_does_not_convert():
    assert convert(math.nan, "mV", "V") is None
    assert convert(1e308, "GV", "pV") is None
    assert convert(1e308, "odd", "odd") == 1e308


@given(st.floats(allow_nan=False, allow_infinity=False), st.sampled_from(sorted(UNITS)), st.sampled_from(sorted(UNITS)))
def test_a_conversion_is_exact_and_rounded_once(value: float, source: str, target: str):
    here, there = UNITS[source], UNITS[target]
    if here.dimension != there.dimension:
        assert source == target or convert(value, source, target) is None
        return
    exact = (Fraction(value) * here.factor + here.offset - there.offset) / there.factor
    converted = convert(value, source, target)
    if converted is None:
        assert abs(exact) > Fraction(math.nextafter(math.inf, 0))
    else:
        below, above = math.nextafter(converted, -math.inf), math.nextafter(converted, math.inf)
        error = abs(Fraction(converted) - exact)
        for neighbour in (below, above):
            if math.isfinite(neighbour):
                assert error <= abs(Fraction(neighbour) - exact)


@given(st.sampled_from(sorted(UNITS)))
def test_every_factor_is_positive(name: str):
    found = unit(name)
    assert found is not None
    assert found.factor > 0
