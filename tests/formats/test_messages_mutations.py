"""Whatever goes wrong in whichever field, decoding answers: a message, or the field that must be mended."""

import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mes.formats.messages import Message, Unreadable, cloudevents, decode
from tests.formats.examples import DATA, event

Path = tuple[str | int, ...]

NUL = '"a\\u0000b"'
LONE = '"\\ud800x"'
UNREADABLE_ANYWHERE = {
    "NaN": "NaN",
    "minus infinity": "-Infinity",
    "beyond a double": "1e999",
    "NUL": NUL,
    "half a pair": LONE,
}
"""Texts of JSON values that no known field may have, whatever its type."""
WRONG_FOR_MOST = {
    "null": "null",
    "bool": "true",
    "number": "-3.5",
    "huge integer": "9" * 30,
    "longer integer": "9" * 5000,
    "object": '{"x": 1}',
    "list": "[[]]",
    "deep": "[" * 10_000 + "]" * 10_000,
    "empty": '""',
    "long": json.dumps("x" * 5000),
    "year 0001": '"0001-01-01T00:00:00+10:00"',
    "year 9999": '"9999-12-31T23:59:59-10:00"',
    "no zone": '"2026-01-01T00:00:00"',
}
MARK = "@@mark@@"


def paths(value: Any, at: Path = ()) -> Iterator[Path]:
    """Every place in an example."""
    if at:
        yield at
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from paths(inner, (*at, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from paths(inner, (*at, index))


PLACES = [(type, path) for type, (_, data) in sorted(DATA.items()) for path in paths(event(type, data))]


def mutated(type: str, path: Path, text: str | None) -> bytes:
    """The example with the value at a path replaced by a text of JSON, or left out."""
    whole = event(type, copy.deepcopy(DATA[type][1]))
    *way, last = path
    inner: Any = whole
    for step in way:
        inner = inner[step]
    if text is None:
        del inner[last]
    else:
        inner[last] = MARK
    return json.dumps(whole).replace(json.dumps(MARK), text or "").encode()


def named(path: Path) -> str:
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)[1:]


def plain(field: str) -> str:
    """A field's path without the names of channels, which the decoder often doesn't tell."""
    return field.replace(".U1/temp", "[...]").replace(".U2/temp", "[...]")


def read(type: str, payload: bytes) -> Message | Unreadable:
    (one,) = decode("st-1", DATA[type][0], payload)
    return one


@pytest.mark.parametrize("wrong", UNREADABLE_ANYWHERE)
@pytest.mark.parametrize(("type", "path"), PLACES, ids=lambda value: value if isinstance(value, str) else named(value))
def test_what_can_not_be_stored_is_found_by_field(type: str, path: Path, wrong: str) -> None:
    found = read(type, mutated(type, path, UNREADABLE_ANYWHERE[wrong]))
    assert isinstance(found, Unreadable)
    assert plain(found.reasons[0].facts["field"]) == plain(named(path))


@pytest.mark.parametrize(("type", "path"), PLACES, ids=lambda value: value if isinstance(value, str) else named(value))
def test_a_wrong_value_is_an_answer_about_its_neighbourhood(type: str, path: Path) -> None:
    for wrong, text in [*WRONG_FOR_MOST.items(), ("missing", None)]:
        found = read(type, mutated(type, path, text))
        if isinstance(found, Unreadable) and wrong != "deep":
            field, parent = plain(found.reasons[0].facts["field"]), plain(named(path[:-1]))
            assert field.startswith(parent) or parent.startswith(field), wrong


@pytest.mark.parametrize(("type", "path"), PLACES, ids=lambda value: value if isinstance(value, str) else named(value))
def test_a_message_read_at_once_says_what_it_says_in_two_steps(type: str, path: Path) -> None:
    kind = DATA[type][0]
    for text in (*WRONG_FOR_MOST.values(), '"pass"', '"A-1"', None):
        payload = mutated(type, path, text)
        (found,) = decode("st-1", kind, payload)
        assert found == cloudevents._in_two_steps("st-1", cloudevents._FROM_STATIONS[kind], "stations/st-1", payload)


REQUIRED = [
    (type, ("data", field))
    for type, fields in {
        "mes.step.started": ("unit", "step", "at"),
        "mes.step.completed": ("unit", "step", "at", "outcome"),
        "mes.part.installed": ("parent", "position", "child", "at"),
        "mes.part.removed": ("parent", "position", "child", "at"),
        "mes.run.reported": ("unit", "step", "started_at", "ended_at", "outcome"),
        "mes.inventory.read": ("unit", "at"),
        "mes.samples.taken": ("unit", "step", "start", "channels"),
        "mes.part.received": ("part", "at"),
        "mes.material.loaded": ("part", "lot", "at"),
        "mes.material.unloaded": ("part", "lot", "at"),
        "mes.unit.identified": ("unit", "identifiers"),
        "mes.unit.packed": ("unit", "at"),
        "mes.unit.shipped": ("unit", "at"),
        "mes.station.status": ("state", "since"),
        "mes.step.asked": ("unit", "step"),
    }.items()
    for field in fields
] + [(type, (field,)) for type in DATA for field in ("specversion", "id", "source", "type", "time", "data")]


@pytest.mark.parametrize(("type", "path"), REQUIRED)
def test_what_is_required_is_asked_for(type: str, path: Path) -> None:
    for text in (None, "null", "[7]"):
        found = read(type, mutated(type, path, text))
        assert isinstance(found, Unreadable)
        assert found.reasons[0].facts["field"].startswith(named(path))


@pytest.mark.parametrize("type", DATA)
def test_what_the_contract_calls_optional_may_be_missing(type: str) -> None:
    required = {path[1] for name, path in REQUIRED if name == type and len(path) == 2}
    bare = {key: value for key, value in DATA[type][1].items() if key in required | {"lot", "period_s", "items"}}
    assert isinstance(read(type, json.dumps(event(type, bare)).encode()), Message)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.sampled_from(["N/A", "pass"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)


@settings(max_examples=300, deadline=None)
@given(place=st.sampled_from(PLACES), value=json_values)
def test_any_value_anywhere(place: tuple[str, Path], value: Any) -> None:
    type, path = place
    found = read(type, mutated(type, path, json.dumps(value)))
    assert isinstance(found, Message | Unreadable)
    if isinstance(found, Message):
        assert b"\\u0000" not in found.body


@settings(max_examples=200, deadline=None)
@given(type=st.sampled_from(sorted(DATA)), cut=st.integers(0, 400), junk=st.binary(max_size=12))
def test_any_bytes_in_between(type: str, cut: int, junk: bytes) -> None:
    whole = json.dumps(event(type, DATA[type][1])).encode()
    for found in decode("st-1", DATA[type][0], whole[:cut] + junk + whole[cut + len(junk) :]):
        assert isinstance(found, Message | Unreadable)
