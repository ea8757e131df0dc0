"""Odd bytes and values are called by their name, with the way to mend them."""

import json
from typing import Any

import pytest

from mes.formats.messages import Message, Unreadable, decode
from tests.formats.examples import DATA, event, example

PROPERTIES = {name: str(value) for name, value in event("mes.unit.packed", None).items() if name != "data"}


def read(payload: bytes, kind: str = "run", properties: dict[str, str] | None = None) -> Any:
    (one,) = decode("st-1", kind, payload, properties=properties)
    return one


def field_of(unreadable: Any) -> str:
    assert isinstance(unreadable, Unreadable), unreadable
    return str(unreadable.reasons[0].facts["field"])


@pytest.mark.parametrize("payload", [b"", b" \r\n"])
def test_an_empty_message_is_told_so(payload: bytes) -> None:
    found = read(payload)
    assert (field_of(found), found.reasons[0].text) == ("", "the message: it is empty.")
    found = read(payload, "unit", PROPERTIES)
    assert (field_of(found), found.reasons[0].text) == ("data", "data: it is empty.")


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
@pytest.mark.parametrize("form", ["{}", "[{}]"])
def test_a_byte_order_mark_is_called_so(encoding: str, form: str) -> None:
    payload = form.replace("{}", example("mes.unit.packed").decode()).encode(encoding)
    assert read(payload, "unit").reasons[0].text == (
        "the message: it begins with a byte order mark; send UTF-8 without one."
    )


@pytest.mark.parametrize("time", ["2016-12-31T23:59:60Z", "2016-12-31t23:59:60.5z", "2017-01-01 00:59:60+01:00"])
def test_a_leap_second_is_called_so(time: str) -> None:
    found = read(example("mes.unit.packed", at=time), "unit")
    assert field_of(found) == "data.at"
    assert "leap second can't be read; write it as the end of second 59" in found.reasons[0].text
    payload = json.dumps(event("mes.unit.packed", DATA["mes.unit.packed"][1], time=time)).encode()
    assert "leap second" in read(payload, "unit").reasons[0].text
    assert isinstance(read(example("mes.unit.packed", at="2016-12-31T23:59:59.999999Z"), "unit"), Message)


@pytest.mark.parametrize("whole", ["9223372036854775808", "18446744073709551615", "-9223372036854775809", "9" * 400])
def test_a_whole_number_beyond_64_bits_is_told_how_to_be_written(whole: str) -> None:
    def measured(value: str) -> bytes:
        said = example("mes.run.reported", measurements=[{"name": "a", "value": [1, "here"]}])
        return said.replace(b'"here"', value.encode())

    found = read(measured(whole))
    assert field_of(found) == "data.measurements[0].value[1]"
    assert "must fit 64 bits with its sign; write a greater one with an exponent" in found.reasons[0].text
    assert read(measured(whole[:19] + "e1")).data.measurements[0].value == (1, float(whole[:19] + "e1"))
    assert read(measured('"' + whole + '"')).data.measurements[0].value == (1, whole)
