"""Evaluating the validators of a measurement: what the diagnostic asked of its own values.

Patterns come from outside and are matched without a time limit, so only those are tried that can't take long: no
repeated groups, few repetitions and alternatives, short values, and not very many of them.
"""

import re
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from mes.domain.facts import FAIL, PASS

PATTERN_MAX: Final = 256
MATCHED_MAX: Final = 64
CHOICES_MAX: Final = 3
VALIDATORS_MAX: Final = 100
MATCHES_MAX: Final = 100
EVALUATIONS_MAX: Final = 100_000
_REPEATED_GROUP = re.compile(r"\)[*+?{]")
_CHOICE = re.compile(r"[*+?{|]")
_BACK_REFERENCE = re.compile(r"\\[1-9]|\(\?P=")


class Limits(NamedTuple):
    """Inclusive limits, as far as validators give such."""

    low: float | None = None
    high: float | None = None


def evaluate(kind: Any, wanted: Any, value: Any) -> bool | None:
    """Whether a value meets a validator; None where that can't be said."""
    if not isinstance(kind, str):
        return None
    if kind in _COMPARISONS:
        if not (_is_number(value) and _is_number(wanted)):
            return None
        return bool(_COMPARISONS[kind](value, wanted))
    if kind in ("EQUAL", "NOT_EQUAL"):
        return _same(value, wanted) is (kind == "EQUAL")
    if kind in ("IN_SET", "NOT_IN_SET"):
        if not isinstance(wanted, list):
            return None
        return any(_same(value, one) for one in wanted) is (kind == "IN_SET")
    if kind in ("REGEX_MATCH", "REGEX_NO_MATCH"):
        found = _matches(wanted, value)
        return None if found is None else found is (kind == "REGEX_MATCH")
    return None


def outcome(validators: Any, values: Sequence[Any]) -> str | None:
    """What all validators together say of all values: pass, fail, or None where one can't be evaluated."""
    said = [_says(one, values) for one in _listed(validators)]
    if False in said:
        return FAIL
    return PASS if said and values and None not in said else None


def _says(validator: Any, values: Sequence[Any]) -> bool | None:
    """Whether all values meet a validator; None where that can't be said of one of them, or they are too many."""
    if not isinstance(validator, dict):
        return None
    kind, wanted = validator.get("type"), validator.get("value")
    is_comparison = isinstance(kind, str) and kind in _COMPARISONS
    tried = _extremes(values) if is_comparison else _distinct(values)
    if len(tried) > (MATCHES_MAX if str(kind).startswith("REGEX") else EVALUATIONS_MAX):
        return None
    said = {evaluate(kind, wanted, value) for value in tried}
    return False if False in said else None if None in said else True


def _extremes(values: Sequence[Any]) -> list[Any]:
    """What comparisons say of these, they say of all values: the least and greatest number, and one that is none."""
    numbers = [value for value in values if _is_number(value)]
    others = [value for value in values if not _is_number(value)][:1] if len(numbers) < len(values) else []
    return [min(numbers), max(numbers), *others] if numbers else others


def _distinct(values: Sequence[Any]) -> list[Any]:
    """Each value once, where true is not 1."""
    return list({(isinstance(value, bool), value): value for value in values}.values())


def limits(validators: Any) -> Limits:
    """The narrowest inclusive limits among validators. LESS_THAN and GREATER_THAN give none: they exclude theirs."""
    given = [one for one in _listed(validators) if isinstance(one, dict) and _is_number(one.get("value"))]
    lows = [float(one["value"]) for one in given if one.get("type") in ("GREATER_THAN_OR_EQUAL", "EQUAL")]
    highs = [float(one["value"]) for one in given if one.get("type") in ("LESS_THAN_OR_EQUAL", "EQUAL")]
    return Limits(max(lows, default=None), min(highs, default=None))


_COMPARISONS: Final = {
    "LESS_THAN": lambda value, wanted: value < wanted,
    "LESS_THAN_OR_EQUAL": lambda value, wanted: value <= wanted,
    "GREATER_THAN": lambda value, wanted: value > wanted,
    "GREATER_THAN_OR_EQUAL": lambda value, wanted: value >= wanted,
}


def _listed(validators: Any) -> list[Any]:
    return validators[:VALIDATORS_MAX] if isinstance(validators, list) else []


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 2**63


def _same(value: Any, wanted: Any) -> bool:
    """Equal, where true is not 1."""
    return isinstance(value, bool) == isinstance(wanted, bool) and bool(value == wanted)


def _matches(pattern: Any, value: Any) -> bool | None:
    if isinstance(pattern, list):
        found = [_matches(one, value) for one in pattern[:VALIDATORS_MAX] if isinstance(one, str)]
        return None if None in found or not found else True in found
    if not isinstance(pattern, str) or not isinstance(value, str) or not _is_quick(pattern, value):
        return None
    try:
        return re.search(pattern, value) is not None
    except (re.error, OverflowError, RecursionError):
        return None


def _is_quick(pattern: str, value: str) -> bool:
    return (
        len(pattern) <= PATTERN_MAX
        and len(value) <= MATCHED_MAX
        and len(_CHOICE.findall(pattern)) <= CHOICES_MAX
        and not _REPEATED_GROUP.search(pattern)
        and not _BACK_REFERENCE.search(pattern)
    )
