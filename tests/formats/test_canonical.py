"""Canonical JSON against the `rfc8785` package as oracle."""

import math
from typing import Any

import msgspec
import pytest
import rfc8785
from hypothesis import given, settings
from hypothesis import strategies as st

from mes.formats.canonical import canonical, digest, sha256

WHOLE = st.integers(-(2**53) + 1, 2**53 - 1)
FLOATS = st.floats(allow_nan=False, allow_infinity=False)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
VALUES = st.recursive(
    st.none() | st.booleans() | WHOLE | FLOATS | TEXTS,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(TEXTS, inner, max_size=5),
    max_leaves=20,
)


@settings(max_examples=300)
@given(VALUES)
def test_any_payload_is_as_the_rfc_says(value: Any):
    assert canonical(value) == rfc8785.dumps(value)


@settings(max_examples=500)
@given(FLOATS)
def test_any_float_is_as_the_rfc_says(value: float):
    assert canonical([value]) == rfc8785.dumps([value])


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (0.0, b"0"),
        (-0.0, b"0"),
        (1.0, b"1"),
        (1e-6, b"0.000001"),
        (1e-7, b"1e-7"),
        (-1.5e-7, b"-1.5e-7"),
        (1e20, b"100000000000000000000"),
        (1e21, b"1e+21"),
        (123456789012345680000.0, b"123456789012345680000"),
        (5e-324, b"5e-324"),
        (1.7976931348623157e308, b"1.7976931348623157e+308"),
        (2**53 - 1, b"9007199254740991"),
        ({"b": 1, "a": [True, None, "x"]}, b'{"a":[true,null,"x"],"b":1}'),
        ("10:00:00.5,1.5]", b'"10:00:00.5,1.5]"'),
        ({"ﬀ": 1, "😀": 2}, '{"😀":2,"ﬀ":1}'.encode()),
    ],
)
def test_known_forms(value: Any, written: bytes):
    assert canonical(value) == written == rfc8785.dumps(value)


class Wire(msgspec.Struct):
    b: float
    a: str | None = None


def test_structs_are_written_as_their_fields():
    assert canonical(Wire(1.0)) == b'{"a":null,"b":1}'
    assert canonical({"wires": (Wire(0.5, "x"),)}) == b'{"wires":[{"a":"x","b":0.5}]}'


@pytest.mark.parametrize(
    "value",
    [
        math.nan,
        math.inf,
        [-math.inf],
        {"a": [None, math.nan]},
        2**53,
        {"a": -(2**53)},
        [2**70],
        "\ud800",
        object(),
        {1j: 1},
    ],
)
def test_what_has_no_canonical_form_is_refused(value: Any):
    with pytest.raises(ValueError):  # noqa: PT011 - any message: the kinds differ
        canonical(value)


def test_nesting_too_deep_is_refused():
    deep: Any = 1.5
    for _ in range(10_000):
        deep = [deep]
    with pytest.raises(ValueError, match="no canonical JSON"):
        canonical(deep)


def test_a_digest_is_the_sha_256_of_the_canonical_bytes():
    assert digest({"b": 1, "a": 2}) == sha256(b'{"a":2,"b":1}')
    assert sha256(b"") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
