"""Validators of OCP diagnostics: evaluated exactly, or not at all."""

import time
from typing import Any

import pytest

from mes.domain.facts import FAIL, PASS
from mes.formats.ocptv.validators import Limits, evaluate, limits, outcome


def validator(type: Any, value: Any) -> dict[str, Any]:
    return {"type": type, "value": value}


@pytest.mark.parametrize(
    ("kind", "wanted", "good", "bad"),
    [
        ("EQUAL", 3, 3.0, 4),
        ("EQUAL", True, True, 1),
        ("NOT_EQUAL", "a", "b", "a"),
        ("LESS_THAN", 3, 2, 3),
        ("LESS_THAN_OR_EQUAL", 3, 3, 4),
        ("GREATER_THAN", 3, 4, 3),
        ("GREATER_THAN_OR_EQUAL", 3, 3, 2),
        ("IN_SET", [1, "a"], "a", True),
        ("NOT_IN_SET", [1, "a"], 2, 1),
        ("REGEX_MATCH", "^v[0-9]+$", "v12", "12"),
        ("REGEX_MATCH", ["^a", "^b"], "b1", "c"),
        ("REGEX_NO_MATCH", "beta", "v1", "v1-beta"),
    ],
)
def test_validators_are_evaluated(kind: str, wanted: Any, good: Any, bad: Any) -> None:
    assert evaluate(kind, wanted, good) is True
    assert evaluate(kind, wanted, bad) is False


@pytest.mark.parametrize(
    ("kind", "wanted", "value"),
    [
        ("LESS_THAN", 3, "2"),
        ("LESS_THAN", True, 0),
        ("IN_SET", "abc", "a"),
        ("REGEX_MATCH", "(", "a"),
        ("REGEX_MATCH", "a", 7),
        ("NEARLY", 3, 3),
        ([], 3, 3),
        (None, None, None),
    ],
)
def test_what_can_not_be_evaluated_claims_nothing(kind: Any, wanted: Any, value: Any) -> None:
    assert evaluate(kind, wanted, value) is None


@pytest.mark.parametrize("pattern", ["(a+)+$", "(a|aa)*$", r"(a*)\1{9}$", "a*a*a*a*b", "a??" * 40 + "b", "(a|a)" * 20])
def test_patterns_that_could_take_long_are_not_tried(pattern: str) -> None:
    began = time.monotonic()
    assert evaluate("REGEX_MATCH", pattern, "a" * 60) is None
    assert time.monotonic() - began < 20


def test_all_validators_must_agree_on_all_values() -> None:
    below, above, odd = validator("LESS_THAN", 9), validator("GREATER_THAN", 1), validator("NEARLY", 5)
    assert outcome([below, above], [2, 8]) == PASS
    assert outcome([below, above], [2, 9]) == FAIL
    assert outcome([below, odd], [2]) is None
    assert outcome([odd, below], [10]) == FAIL
    assert outcome([], [2]) is None
    assert outcome("none", [2]) is None
    assert outcome([7], [2]) is None


def test_only_inclusive_limits_are_limits() -> None:
    low, high = validator("GREATER_THAN_OR_EQUAL", 1), validator("LESS_THAN_OR_EQUAL", 9)
    assert limits([low, high, validator("LESS_THAN_OR_EQUAL", 7)]) == Limits(1, 7)
    assert limits([validator("EQUAL", 3)]) == Limits(3, 3)
    assert limits([validator("LESS_THAN", 3), validator("EQUAL", "a"), validator("EQUAL", True)]) == Limits()


def test_too_much_to_evaluate_claims_nothing() -> None:
    other, pattern = validator("NOT_EQUAL", -1), validator("REGEX_MATCH", "a*b")
    assert outcome([other], range(100_000)) == PASS
    assert outcome([other], range(100_001)) is None
    texts = [f"{at}b" for at in range(101)]
    assert outcome([pattern], texts[:100]) == PASS
    assert outcome([pattern], texts) is None
    assert evaluate("REGEX_MATCH", "a*b", "a" * 65) is None


def test_a_comparison_is_told_of_every_value_however_many_there_are() -> None:
    below = validator("LESS_THAN", 9)
    assert outcome([below], [1] * 200_000) == PASS
    assert outcome([below], [*range(9), *[1] * 200_000, 9]) == FAIL
    assert outcome([below], [1] * 200_000 + ["hot"]) is None
    assert outcome([below], [1] * 200_000 + [True, 10]) == FAIL
    assert outcome([validator("EQUAL", 1)], [1] * 200_000 + [True]) == FAIL
