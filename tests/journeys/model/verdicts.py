"""The verdict on a run: what was not finished stays so, then what failed, then what was not measured, else pass."""

from fractions import Fraction
from typing import Any

UNITS = {
    "V": ("voltage", Fraction(1)),
    "mV": ("voltage", Fraction(1, 1000)),
    "W": ("power", Fraction(1)),
    "kW": ("power", Fraction(1000)),
    "Ohm": ("resistance", Fraction(1)),
    "mOhm": ("resistance", Fraction(1, 1000)),
}


def verdict(product: dict[str, Any], run: dict[str, Any]) -> str:
    """Ours, whatever the station claims, once the test was finished."""
    if run["outcome"] not in ("pass", "fail"):
        return str(run["outcome"])
    limits = {one["name"]: one for one in product["characteristics"]}
    missing = {need for step in product["route"] if step["step"] == run["step"] for need in step.get("needs", [])}
    failed = run["outcome"] == "fail"
    for one in run.get("measurements", []):
        failed |= one.get("outcome") == "fail"
        limit = limits.get(one["name"])
        value = converted(one["value"], one.get("unit"), limit["unit"]) if limit else None
        if limit and value is not None:
            missing.discard(one["name"])
            failed |= not limit.get("low", value) <= value <= limit.get("high", value)
    return "fail" if failed else "error" if missing else "pass"


def converted(value: Any, unit: str | None, wanted: str) -> float | None:
    """A value in the wanted unit; None if it can't be."""
    (kind, factor), (wanted_kind, wanted_factor) = UNITS[unit or wanted], UNITS[wanted]
    if isinstance(value, bool) or not isinstance(value, int | float) or kind != wanted_kind:
        return None
    return float(Fraction(value) * factor / wanted_factor)
