"""OpenHTF records: the run they tell of, their limits and units as a claim, and mistakes by field."""

import base64
import copy
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mes.domain.limits import Measurement
from mes.formats.messages import ForeignRunReported, Message, UnitRef, Unreadable, decode
from mes.formats.openhtf import read
from tests.formats.examples import event

SAMPLE = Path(__file__).parents[3] / "shared" / "samples" / "openhtf" / "record_2017_golden_FAIL.json"
TYPE = "com.google.openhtf.record"
START = 1_800_000_000_000


def measured(outcome: str = "PASS", **more: Any) -> dict[str, Any]:
    return {"name": "as the key", "outcome": outcome} | more


def phase(name: str = "power", outcome: str = "PASS", **measurements: Any) -> dict[str, Any]:
    return {"name": name, "outcome": outcome, "measurements": measurements, "attachments": {}}


def record(*phases: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "dut_id": "T1",
        "station_id": "bench-4",
        "start_time_millis": START,
        "end_time_millis": START + 61_500,
        "outcome": "PASS",
        "outcome_details": [],
        "metadata": {"test_name": "tray power", "test_version": "1.4"},
        "phases": list(phases),
        "log_records": [{"message": "hello"}],
    } | more


def run_of(*phases: dict[str, Any], **more: Any) -> Any:
    reading = read(record(*phases, **more))
    assert reading.run, reading.reasons
    return reading.run


def only(**measurement: Any) -> Measurement:
    (one,) = run_of(phase(x=measured(**measurement))).measurements
    assert isinstance(one, Measurement)
    return one


def test_a_record_is_one_run() -> None:
    run = run_of()
    assert run.started_at == datetime.fromtimestamp(START / 1000, UTC)
    assert (run.ended_at - run.started_at).total_seconds() == 61.5
    assert (run.outcome, run.unit, run.run, run.program) == ("pass", "T1", f"T1:{START}", ("tray power", "1.4"))


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [("PASS", "pass"), ("FAIL", "fail"), ("ERROR", "error"), ("TIMEOUT", "error"), ("ABORTED", "aborted")],
)
def test_outcomes_are_claims_on_our_scale(theirs: str, ours: str) -> None:
    assert run_of(outcome=theirs).outcome == ours


@pytest.mark.parametrize(
    ("sentences", "low", "high"),
    [
        (["1 <= x <= 4"], 1, 4),
        (["-1.5e-3 <= x"], -0.0015, None),
        (["x <= 4"], None, 4),
        (["x >= .5"], 0.5, None),
        (["x == 3"], 3, 3),
        (["'x' is equal to '3.0'"], 3, 3),
        (["1 <= x <= 4", "x <= 3"], 1, 3),
        (["'x' matches /.*Widget$/", "1 < x"], None, None),
        ([None, {"low": 1}], None, None),
        ("x <= 4", None, None),
    ],
)
def test_limits_are_understood_from_sentences_where_they_can_be(sentences: Any, low: Any, high: Any) -> None:
    one = only(measured_value=3, validators=sentences)
    assert (one.value, one.low, one.high) == (3, low, high)


@pytest.mark.parametrize(
    ("units", "ours"),
    [
        ({"name": "volt", "code": "VLT", "suffix": "V"}, "V"),
        ({"name": "second [unit of time]", "code": "SEC", "suffix": None}, "s"),
        ({"name": "millisecond", "code": "C26", "suffix": ""}, "ms"),
        ({"name": "None", "code": None, "suffix": None}, None),
        ({"name": "furlong", "code": "M50", "suffix": "fur"}, "fur"),
        ("mA", "mA"),
        (7, None),
    ],
)
def test_units_are_spelled_so_that_values_convert(units: Any, ours: str | None) -> None:
    assert only(measured_value=3, units=units).unit == ours


def test_what_was_not_measured_is_no_zero() -> None:
    assert only(outcome="UNSET") == Measurement("x", None, outcome="unset")


def test_dimensions_are_kept_beside_the_values() -> None:
    dimensions = [{"name": "hertz", "code": "HTZ", "suffix": "Hz"}, {"name": "hertz", "suffix": "Hz"}]
    rows = [[1, 21, 0.5], [2, 22, None]]
    gain = measured(measured_value=rows, dimensions=dimensions, units={"suffix": "dB"}, validators=["x <= 9"])
    assert run_of(phase(gain=gain)).measurements == (
        Measurement("gain", [0.5, None], "dB", None, 9, "pass"),
        Measurement("gain.hertz", [1, 2], "Hz"),
        Measurement("gain.hertz#2", [21, 22], "Hz"),
    )


def test_what_has_no_place_in_a_measurement_is_kept_as_text() -> None:
    assert only(measured_value={"a": [1, None]}).value == '{"a": [1, null]}'
    assert only(measured_value=[1, "b", None]).value == [1, "b", None]


def test_a_name_in_several_phases_is_told_apart() -> None:
    run = run_of(phase("cold", x=measured(measured_value=1)), phase("hot", x=measured(measured_value=2), y=measured()))
    assert [(one.name, one.value) for one in run.measurements] == [("cold.x", 1), ("hot.x", 2), ("y", None)]


def test_a_repeated_phase_counts_as_it_ended() -> None:
    bad, good = measured("FAIL", measured_value=9), measured(measured_value=3)
    run = run_of(phase(outcome="SKIP", x=bad), phase(x=good))
    assert [(one.name, one.value, one.outcome) for one in run.measurements] == [
        ("x (try 1)", 9, "skipped"),
        ("x", 3, "pass"),
    ]


def test_attachments_are_named_and_not_kept() -> None:
    content = base64.b64encode(b"a photo").decode()
    one = phase() | {"attachments": {"photo": {"data": content, "mimetype": "image/png"}, "odd": {"data": 7}}}
    notes = run_of(one, outcome_details=[{"code": "Leak", "description": "at the manifold"}]).notes
    assert notes["attachments"] == [
        {
            "name": "photo",
            "mimetype": "image/png",
            "sha1": "f3cd736ccd6fe2ed3ae72e7546678919ab519b8d",
            "size": 7,
        },
        {"name": "odd", "mimetype": None, "sha1": None, "size": None},
    ]
    assert content not in json.dumps(notes)


def test_details_of_the_outcome_are_defects() -> None:
    run = run_of(outcome="FAIL", outcome_details=[{"code": "Leak", "description": "at the manifold"}, {}])
    assert [(one.code, one.text) for one in run.defects] == [("Leak", "at the manifold"), ("unknown", None)]


def test_notes_that_are_too_large_say_so() -> None:
    notes = run_of(metadata={"test_name": "t", "config": "x" * 20_000}).notes
    assert notes["metadata"].startswith("not kept: it has 20")
    assert run_of(metadata={"n": 2**60}).notes["metadata"].startswith("not kept")


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"start_time_millis": None}, "data.start_time_millis"),
        ({"start_time_millis": 7.5}, "data.start_time_millis"),
        ({"end_time_millis": 1e300}, "data.end_time_millis"),
        ({"end_time_millis": START - 1}, "data.end_time_millis"),
        ({"outcome": "pass"}, "data.outcome"),
        ({"outcome": []}, "data.outcome"),
        ({"dut_id": 7}, "data.dut_id"),
        ({"phases": {}}, "data.phases"),
        ({"phases": [7]}, "data.phases[0]"),
        ({"phases": [{"measurements": []}]}, "data.phases[0].measurements"),
        ({"phases": [phase(x=7)]}, "data.phases[0].measurements.x"),
        ({"phases": [phase(x={})]}, "data.phases[0].measurements.x.outcome"),
        ({"phases": [phase(x=measured(measured_value={"a": "b" * 4000}))]}, "data.phases[0].measurements.x."),
        ({"phases": [phase(x=measured(measured_value=[[1]], dimensions=[{}]))]}, "data.phases[0].measurements.x."),
        ({"outcome_details": "broken"}, "data.outcome_details"),
    ],
)
def test_mistakes_are_told_by_field(changes: dict[str, Any], field: str) -> None:
    reading = read(record(**changes))
    assert reading.run is None
    assert any(one.facts["field"].startswith(field) for one in reading.reasons), reading.reasons


def test_every_mistake_is_told_at_once() -> None:
    reading = read(record(outcome="GOOD", phases=[phase(x={}), 7], start_time_millis="yesterday"))
    assert len(reading.reasons) == 4


def wire(data: Any) -> Message | Unreadable:
    (one,) = decode("st-1", "run/openhtf", json.dumps(event(TYPE, data)).encode())
    return one


def test_on_the_wire_it_is_a_run_like_any_other() -> None:
    data = record(phase(x=measured(measured_value=3)), step="test", unit={"part": "TRAY-1", "serial": "T9"})
    one = wire(data | {"run": "r7", "purpose": "golden", "operator": "Ann"})
    assert isinstance(one, Message), one
    assert isinstance(one.data, ForeignRunReported)
    assert (one.type, json.loads(one.body)["data"]["phases"]) == (TYPE, data["phases"])
    assert (one.data.unit, one.data.step, one.data.run) == (UnitRef("T9", "TRAY-1"), "test", "r7")
    assert (one.data.purpose, one.data.operator, one.data.measurements[0].value) == ("golden", "Ann", 3)
    assert one.data.notes["station_id"] == "bench-4"


@pytest.mark.parametrize(
    ("changes", "field", "code"),
    [
        ({}, "data.step", "unreadable"),
        ({"step": "test", "dut_id": None}, "data.unit", "unreadable"),
        ({"step": "test", "dut_id": "N/A"}, "data.unit", "placeholder_serial"),
        ({"step": "test", "dut_id": "a b"}, "data.unit", "unreadable"),
        ({"step": "test", "outcome": "GOOD"}, "data.outcome", "unreadable"),
        ({"step": "test", "purpose": "fun"}, "data.purpose", "unreadable"),
    ],
)
def test_on_the_wire_a_mistake_is_unreadable(changes: dict[str, Any], field: str, code: str) -> None:
    one = wire(record(**changes))
    assert isinstance(one, Unreadable)
    assert (one.reasons[0].code, one.reasons[0].facts["field"], one.id) == (code, field, "m1")


FULL = record(
    phase(x=measured(measured_value=[[1, 2]], dimensions=[{"name": "s"}], units={"name": "V"}, validators=["x <= 4"])),
    phase("b", x=measured(measured_value=1)) | {"attachments": {"a": {"data": "AA==", "mimetype": "m"}}},
    outcome_details=[{"code": "c", "description": "d"}],
    step="test",
)


def places(value: Any, at: tuple[Any, ...] = ()) -> Any:
    yield at
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield from places(inner, (*at, key))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=300, deadline=None)
@given(place=st.sampled_from(list(places(FULL))[1:]), value=json_values)
def test_any_value_anywhere_is_an_answer(place: tuple[Any, ...], value: Any) -> None:
    data = copy.deepcopy(FULL)
    inner: Any = data
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = value
    one = wire(data)
    assert isinstance(one, Message) or all(why.facts["field"].startswith("data") for why in one.reasons)


def test_a_real_record_is_read() -> None:
    if not SAMPLE.exists():
        pytest.skip("the sample records are not beside this checkout")
    reading = read(json.loads(SAMPLE.read_text()))
    assert reading.run, reading.reasons
    found = {one.name: one for one in reading.run.measurements}
    assert (reading.run.outcome, reading.run.run) == ("fail", "TestDUT:1493685173044")
    assert found["unset_meas"] == Measurement("unset_meas", None, outcome="unset")
    assert found["widget_size"] == Measurement("widget_size", 3, None, 1, 4, "pass")
    assert found["lots_of_dims"].value == [123, 126, 129, 132]
    assert found["lots_of_dims.second"] == Measurement("lots_of_dims.second", [21, 22, 23, 24], "s")
    assert found["unset_dims"].value is None
    assert len(reading.run.notes["phases"]) == 6
    assert [one["size"] for one in reading.run.notes["attachments"]] == [32, 29]
