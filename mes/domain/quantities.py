"""Units of measure with exact rational factors, so that a value converts with one rounding or not at all.

Sources: the SI brochure (9th edition) for prefixes, coherent units and the litre, bar, minute and hour accepted with
it; NIST SP 811 appendix B for the exact definitions of inch (25.4 mm), pound (0.45359237 kg), pound-force (with
standard gravity 9.80665 m/s²) and gallon (231 in³); the degree Celsius is the kelvin offset by 273.15 exactly.
Spellings follow UCUM and common usage. Logarithmic units (dB, dBm) have no factor: each converts to itself only.
V and A of alternating current are kinds of their own: a withstand test at 1500 Vac is not one at 1500 Vdc. On this
floor `C` is the degree Celsius, never the coulomb.
"""

import math
import re
from collections.abc import Iterator
from fractions import Fraction
from functools import lru_cache
from typing import NamedTuple


class Unit(NamedTuple):
    """A unit: `value * factor + offset` is the value in the unit that stands for its dimension."""

    dimension: str
    factor: Fraction
    offset: Fraction = Fraction(0)


_PREFIXES = {
    "p": Fraction(1, 10**12),
    "n": Fraction(1, 10**9),
    "u": Fraction(1, 10**6),
    "µ": Fraction(1, 10**6),  # micro sign
    "μ": Fraction(1, 10**6),  # Greek mu: looks the same, is another character
    "m": Fraction(1, 1000),
    "": Fraction(1),
    "k": Fraction(1000),
    "M": Fraction(10**6),
    "G": Fraction(10**9),
    "T": Fraction(10**12),
}

_SI = {
    "V": "voltage",
    "A": "current",
    "W": "power",
    "VA": "apparent power",
    "var": "reactive power",
    "F": "capacitance",
    "H": "inductance",
    **dict.fromkeys(("Vdc", "VDC"), "voltage"),
    **dict.fromkeys(("Adc", "ADC"), "current"),
    **dict.fromkeys(("Vac", "VAC", "Vrms"), "alternating voltage"),
    **dict.fromkeys(("Aac", "AAC", "Arms"), "alternating current"),
    "Hz": "frequency",
    "s": "time",
    "m": "length",
    "J": "energy",
    "N": "force",
    "Pa": "pressure",
    "bar": "pressure",
    "T": "flux density",
    "K": "temperature",
    "S": "conductance",
    "bit/s": "data rate",
    "bps": "data rate",
    "b/s": "data rate",
}
_OHM_SPELLINGS = ("Ohm", "ohm", "Ω", "Ω", "ohms", "Ohms")  # both the Greek omega and the ohm sign
_COUNTS = (
    *("ratio", "BER", "count", "counts", "cnt", "ea", "each", "pcs", "pieces", "items", "units"),
    *("errors", "failures", "retries", "events", "cycles", "lanes", "links", "ports", "pulses", "packets", "frames"),
)
_WORDS = {
    "volt": "V",
    "volts": "V",
    "amp": "A",
    "amps": "A",
    "ampere": "A",
    "amperes": "A",
    "watt": "W",
    "watts": "W",
    "hertz": "Hz",
    "second": "s",
    "seconds": "s",
    "sec": "s",
    "minute": "min",
    "minutes": "min",
    "hour": "h",
    "hours": "h",
    "hr": "h",
    "hrs": "h",
    "day": "d",
    "days": "d",
    "meter": "m",
    "metre": "m",
    "celsius": "Cel",
    "degC": "Cel",
    "C": "Cel",
    "°C": "Cel",
    "℃": "Cel",
    "ºC": "Cel",
    "deg C": "Cel",
    "Celsius": "Cel",
    "degree_celsius": "Cel",
    "kelvin": "K",
    "degF": "[degF]",
    "°F": "[degF]",
    "percent": "%",
    "pct": "%",
    "RPM": "rpm",
    "1/min": "rpm",
    "lpm": "L/min",
    "LPM": "L/min",
    "l/min": "L/min",
    "l/s": "L/s",
    "l/h": "L/h",
    "l": "L",
    "ml": "mL",
    "ml/min": "mL/min",
    "m³/h": "m3/h",
    "m3/hr": "m3/h",
    "m³/s": "m3/s",
    "cfm": "ft3/min",
    "CFM": "ft3/min",
    "gal/min": "[gal_us]/min",
    "gpm": "[gal_us]/min",
    "GPM": "[gal_us]/min",
    "inch": "in",
    "[in_i]": "in",
    "PSI": "psi",
    "[psi]": "psi",
    "N.m": "Nm",
    "N·m": "Nm",
    "N*m": "Nm",
    "deg": "°",
    "bits": "bit",
    "": "1",
    **dict.fromkeys(_COUNTS, "1"),
    "bytes": "byte",
}

_INCH_M = Fraction(254, 10_000)
_POUND_KG = Fraction(45_359_237, 10**8)
_PSI_PA = _POUND_KG * Fraction(980_665, 10**5) / _INCH_M**2
_GALLON_L = 231 * _INCH_M**3 * 1000
_LITRE_PER_MINUTE = Fraction(1, 60)
_DECIBELS = ("dB", "dBm", "dBA", "dB(A)", "dBc", "dBi", "dBV")


def _si_units() -> Iterator[tuple[str, Unit]]:
    for prefix, factor in _PREFIXES.items():
        for symbol, dimension in _SI.items():
            coherent = factor * 100_000 if symbol == "bar" else factor
            yield prefix + symbol, Unit(dimension, coherent)
        for symbol in _OHM_SPELLINGS:
            yield prefix + symbol, Unit("resistance", factor)
        yield prefix + "g", Unit("mass", factor / 1000)
        yield prefix + "L", Unit("volume", factor)
        yield prefix + "Wh", Unit("energy", factor * 3600)
        yield prefix + "Ah", Unit("charge", factor * 3600)
    for prefix, power in (("Ki", 10), ("Mi", 20), ("Gi", 30), ("Ti", 40)):
        yield prefix + "B", Unit("data", Fraction(2**power))
    for prefix, power in (("", 0), ("k", 3), ("M", 6), ("G", 9), ("T", 12)):
        yield prefix + "B", Unit("data", Fraction(10**power))


def _other_units() -> Iterator[tuple[str, Unit]]:
    yield "byte", Unit("data", Fraction(1))
    yield from (("min", Unit("time", Fraction(60))), ("h", Unit("time", Fraction(3600))))
    yield "d", Unit("time", Fraction(86_400))
    yield "Cel", Unit("temperature", Fraction(1), Fraction(27_315, 100))
    yield "[degF]", Unit("temperature", Fraction(5, 9), Fraction(45_967, 100) * Fraction(5, 9))
    yield "psi", Unit("pressure", _PSI_PA)
    yield from (("atm", Unit("pressure", Fraction(101_325))), ("Torr", Unit("pressure", Fraction(101_325, 760))))
    for name, pascals in (("barg", 100_000), ("kPag", 1000), ("mbarg", 100), ("psig", _PSI_PA)):
        yield name, Unit("gauge pressure", Fraction(pascals))  # zero is the day's air pressure: no fixed offset
    for name, pascals in (("Pa", 1), ("kPa", 1000), ("mbar", 100), ("bar", 100_000), ("psi", _PSI_PA)):
        yield f"{name}/s", Unit("pressure change", Fraction(pascals))
        yield f"{name}/min", Unit("pressure change", Fraction(pascals) / 60)
    yield from (("cm", Unit("length", Fraction(1, 100))), ("in", Unit("length", _INCH_M)))
    yield "ft", Unit("length", 12 * _INCH_M)
    yield "lb", Unit("mass", _POUND_KG)
    yield "t", Unit("mass", Fraction(1000))
    yield "L/s", Unit("volume flow", Fraction(1))
    yield "L/min", Unit("volume flow", _LITRE_PER_MINUTE)
    yield "mL/min", Unit("volume flow", _LITRE_PER_MINUTE / 1000)
    yield "L/h", Unit("volume flow", Fraction(1, 3600))
    yield "m3/h", Unit("volume flow", Fraction(1000, 3600))
    yield "m3/s", Unit("volume flow", Fraction(1000))
    yield "[gal_us]/min", Unit("volume flow", _GALLON_L * _LITRE_PER_MINUTE)
    yield "ft3/min", Unit("volume flow", (12 * _INCH_M) ** 3 * 1000 * _LITRE_PER_MINUTE)
    yield "kg/s", Unit("mass flow", Fraction(1))
    yield from (("m3", Unit("volume", Fraction(1000))), ("cm3", Unit("volume", Fraction(1, 1000))))
    yield "m/s", Unit("speed", Fraction(1))
    yield "rpm", Unit("rotation", Fraction(1))
    yield "Nm", Unit("torque", Fraction(1))
    yield "cNm", Unit("torque", Fraction(1, 100))
    yield "%RH", Unit("relative humidity", Fraction(1))
    yield "°", Unit("angle", Fraction(1))
    yield from (("bit", Unit("bits", Fraction(1))), ("Bd", Unit("symbol rate", Fraction(1))))
    yield "GT/s", Unit("transfer rate", Fraction(1))
    yield "1", Unit("ratio", Fraction(1))
    yield "%", Unit("ratio", Fraction(1, 100))
    yield "‰", Unit("ratio", Fraction(1, 1000))
    yield "ppm", Unit("ratio", Fraction(1, 10**6))
    yield "ppb", Unit("ratio", Fraction(1, 10**9))
    yield "Pa.m3/s", Unit("leak rate", Fraction(1))
    yield "mbar.L/s", Unit("leak rate", Fraction(1, 10))
    yield from ((name, Unit(name, Fraction(1))) for name in _DECIBELS)


UNITS: dict[str, Unit] = {**dict(_si_units()), **dict(_other_units())}
_COUNTED = re.compile(r"\{[!-z|~ ]{1,32}\}")


def unit(name: str) -> Unit | None:
    """The unit of a spelling; UCUM annotations such as `{lanes}` are counts. None when it is not known."""
    found = UNITS.get(_WORDS.get(name, name))
    if found is None and _COUNTED.fullmatch(name):
        return UNITS["1"]
    return found


def known(name: str) -> bool:
    """Whether a unit's spelling is known."""
    return unit(name) is not None


class _Ratio(NamedTuple):
    """A conversion in whole numbers: (value * times + plus) / by."""

    times: int
    plus: int
    by: int


@lru_cache(maxsize=4096)
def _ratio(source: str, target: str) -> _Ratio | None:
    here, there = unit(source), unit(target)
    if here is None or there is None or here.dimension != there.dimension:
        return None
    factor = here.factor / there.factor
    shift = (here.offset - there.offset) / there.factor
    by = math.lcm(factor.denominator, shift.denominator)
    return _Ratio(int(factor * by), int(shift * by), by)


def convertible(source: str, target: str) -> bool:
    """Whether values of one unit convert exactly to another; every spelling converts to itself."""
    return source == target or _ratio(source, target) is not None


def convert(value: float, source: str, target: str) -> float | None:
    """A finite value in another unit, computed exactly and rounded once to a double.

    None when the units differ in dimension or are not known, or when the result is no finite double.
    """
    if source == target:
        return value
    ratio = _ratio(source, target)
    if ratio is None or not math.isfinite(value):
        return None
    over, under = value.as_integer_ratio()
    try:
        return (over * ratio.times + ratio.plus * under) / (under * ratio.by)  # int / int rounds correctly, once
    except OverflowError:
        return None
