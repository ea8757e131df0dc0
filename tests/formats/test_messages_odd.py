"""JSON that hardly anybody writes on purpose, and that must not cost more than its own message."""

import json
from typing import Any

import pytest

from mes.formats import messages
from mes.formats.messages import Message, decode
from tests.formats.examples import AT, DATA, event


def read(payload: bytes, kind: str) -> Any:
    (one,) = decode("st-1", kind, payload)
    return one


@pytest.mark.parametrize(
    ("kind", "field", "value"),
    [
        ("ask", "parts", b'[{"part": "P", "serial": "S"}, {"part": 1}]'),
        ("run", "measurements", b'[{"name": "a", "value": 1}, {}]'),
    ],
)
def test_a_key_that_comes_twice_is_said_where_it_is_wrong(kind: str, field: str, value: bytes) -> None:
    """The decoder sees each of them, and Python's own the last."""
    type = next(iter(messages.TYPES[kind]))
    said = json.dumps(event(type, {**DATA[type][1], field: "here"})).encode()
    twice = said.replace(b'"here"', value + b', "' + field.encode() + b'": []')
    assert read(twice, kind).reasons[0].facts["field"].startswith(f"data.{field}[1]")


@pytest.mark.parametrize("opened", [b"[", b'{"a":'])
def test_what_is_nested_far_deeper_than_any_format_is_not_read(opened: bytes) -> None:
    closed = {b"[": b"]", b'{"a":': b"}"}[opened]

    def inventory(depth: int) -> Any:
        redfish = opened * depth + b"1" + closed * depth
        said = json.dumps(event("mes.inventory.read", {"unit": "RK-1", "at": AT, "redfish": {"/redfish/v1": "here"}}))
        return read(said.encode().replace(b'"here"', redfish), "inventory")

    assert isinstance(inventory(97), Message)
    refused = inventory(98)
    assert "nested more than 100 levels deep" in refused.reasons[0].text
    assert refused.id == "m1"
    assert "nested" in inventory(5000).reasons[0].text
