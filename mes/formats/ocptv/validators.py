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
    listed = _listed(validators)
    if len(listed) * len(values) > EVALUATIONS_MAX:
        return None
    has_patterns = any(isinstance(one, dict) and str(one.get("type")).startswith("REGEX") for one in listed)
    if has_patterns and len(listed) * len(values) > MATCHES_MAX:
        return None
    said = [
        evaluate(one.get("type"), one.get("value"), value) if isinstance(one, dict) else None
        for one in listed
        for value in values
    ]
    if False in said:
        return FAIL
    return PASS if said and None not in said else None


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
