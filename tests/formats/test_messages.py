"""What stations send is read as the contract says; what can't be read says which field to mend."""

import hashlib
import json
import math
import struct
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest

from mes.domain.refusals import reason
from mes.formats import messages
from mes.formats.messages import Message, RunReported, SamplesTaken, UnitRef, Unreadable, decode, encode_event
from tests.formats.examples import AT, DATA, event, example

TYPES = sorted(DATA)


def read(payload: bytes, kind: str | None = "run", **more: Any) -> Any:
    (one,) = decode("st-1", kind, payload, **more)
    return one


def field_of(unreadable: Any) -> str:
    assert isinstance(unreadable, Unreadable), unreadable
    return str(unreadable.reasons[0].facts["field"])


def test_every_type_of_the_contract_has_an_example() -> None:
    assert {name for kind in messages.TYPES.values() for name in kind} == set(DATA)


@pytest.mark.parametrize("type", TYPES)
def test_every_example_is_read_and_written_back_the_same(type: str) -> None:
    kind, _ = DATA[type]
    first = read(example(type), kind)
    assert isinstance(first, Message), first
    assert (first.source, first.id, first.type, first.station) == ("stations/st-1", "m1", type, "st-1")
    assert first.time == datetime(2026, 11, 22, 10, tzinfo=UTC)
    again = read(encode_event(type, first.source, first.id, first.time, first.data), kind)
    assert again.data == first.data


@pytest.mark.parametrize("type", TYPES)
def test_every_field_of_the_wire_is_in_an_example(type: str) -> None:
    kind, data = DATA[type]
    alternatives = {"serial", "offsets_s", "location", "reason", "operator", "will", "redfish"}
    fields = set(messages.TYPES[kind][type].__struct_encode_fields__)
    assert fields - set(data) <= alternatives
    assert set(data) <= fields


def test_a_run_is_read_field_by_field() -> None:
    run = read(example("mes.run.reported")).data
    assert isinstance(run, RunReported)
    assert (run.unit, run.run, run.purpose, run.outcome) == (UnitRef("RK-1"), "r2", "production", "fail")
    assert run.program is not None
    assert run.program.version == "1.4"
    assert [one.value for one in run.measurements] == [71.5, (True, None, "red", 3)]
    assert run.measurements[0].position == "U12"
    assert (run.connections[0].end_a, run.connections[0].end_b, run.connections[0].seen) == ("A1", "B1", ("B1", "B2"))
    assert run.defects[0].code == "SHORT"


def test_a_unit_may_name_its_part() -> None:
    assert read(example("mes.part.installed"), "assembly").data.parent == UnitRef("TR-1", "TRAY")


def test_quantities_are_exact() -> None:
    assert read(example("mes.part.removed", child={"part": "P", "lot": "L", "quantity": 0.1}), "assembly").data.child
    child = read(example("mes.part.removed"), "assembly").data.child
    assert (child.quantity, child.serial, child.lot) == (Decimal("4.5"), None, "L-1")
    assert read(example("mes.part.received"), "unit").data.quantity == Decimal(100)


def test_material_that_is_loaded_goes_in_without_a_lot() -> None:
    child = read(example("mes.part.installed", child={"part": "M3", "quantity": 4}), "assembly").data.child
    assert (child.serial, child.lot, child.quantity) == (None, None, Decimal(4))


def test_times_of_any_zone_become_utc() -> None:
    data = read(example("mes.unit.packed", at="2026-11-22T15:30:00.25+05:30"), "unit").data
    assert data.at == datetime(2026, 11, 22, 10, 0, 0, 250_000, tzinfo=UTC)
    assert data.at.tzinfo is UTC


def test_fields_that_nobody_knows_are_ignored() -> None:
    payload = json.dumps(event("mes.unit.packed", DATA["mes.unit.packed"][1] | {"colour": "red"}, dataschema="x"))
    assert isinstance(read(payload.encode(), "unit"), Message)


def test_the_last_of_doubled_keys_counts() -> None:
    doubled = example("mes.unit.packed").replace(b'"id":', b'"id": "old", "id":')
    assert read(doubled, "unit").id == "m1"


def test_the_body_is_the_event_itself() -> None:
    payload = b"  " + example("mes.unit.packed")
    assert read(payload, "unit").body == payload


@pytest.mark.parametrize(
    ("given", "kept"),
    [("00-" + "a" * 32 + "-" + "b" * 16 + "-01", True), ("nonsense", False), (7, False), (None, False)],
)
def test_a_broken_trace_context_loses_only_the_trace(given: Any, kept: bool) -> None:
    payload = json.dumps(event("mes.unit.packed", DATA["mes.unit.packed"][1], traceparent=given)).encode()
    assert read(payload, "unit").traceparent == (given if kept else None)


class TestBatches:
    def test_each_element_stands_alone(self) -> None:
        good = example("mes.unit.packed")
        bad = json.dumps(event("mes.unit.packed", {"unit": "RK-1"}, id="m2")).encode()
        arrived = decode("st-1", "unit", b" [" + good + b", 7, [" + good + b"] ," + bad + b", " + good + b"]")
        assert [type(one) for one in arrived] == [Message, Unreadable, Unreadable, Unreadable, Message]
        assert arrived[0].body == arrived[4].body == good
        assert (arrived[3].id, arrived[3].type, arrived[3].body) == ("m2", "mes.unit.packed", bad)
        assert field_of(arrived[3]) == "data.at"

    def test_an_empty_one_holds_nothing(self) -> None:
        assert decode("st-1", "unit", b"[]") == []

    def test_it_has_a_limit(self) -> None:
        assert read(b"[" + b"1," * 10_000 + b"1]").reasons[0].code == "too_large"

    def test_a_broken_one_is_kept_whole(self) -> None:
        payload = b"[" + example("mes.unit.packed") + b",{]"
        assert read(payload, "unit").body == payload


PROPERTIES = {name: str(value) for name, value in event("mes.unit.packed", None).items() if name != "data"}


class TestBinaryMode:
    def test_attributes_come_as_user_properties(self) -> None:
        payload = json.dumps(DATA["mes.unit.packed"][1]).encode()
        found = read(payload, "unit", properties=PROPERTIES, content_type="application/json")
        assert isinstance(found, Message), found
        assert found[:3] == ("stations/st-1", "m1", "mes.unit.packed")
        assert read(found.body, "unit").data == found.data

    def test_structured_mode_stays_so_whatever_properties_come_with_it(self) -> None:
        payload = example("mes.unit.packed")
        content_type = "application/cloudevents+json; charset=utf-8"
        assert read(payload, "unit", properties={"specversion": "1.0"}, content_type=content_type).id == "m1"
        assert read(payload, "unit", properties={"shift": "late"}).id == "m1"

    def test_data_can_not_smuggle_attributes_in(self) -> None:
        found = read(b'{}, "id": "other"', "unit", properties=PROPERTIES)
        assert (field_of(found), found.id) == ("data", "m1")


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"null",
        b"7",
        b"{",
        b"{}",
        b"\xff\xfe",
        b"\xef\xbb\xbf{}",
        b'{"a": ' * 20_000,
        b"[" * 50_000 + b"]" * 50_000,
        b'{"data":' + b"[" * 900 + b"]" * 900 + b"}",
        b'{"data":' + b"9" * 5000 + b"}",
    ],
    ids=lambda payload: repr(payload[:12]),
)
@pytest.mark.parametrize("kind", ["run", "ask", "run/ocptv", "nonsense", None])
def test_whatever_comes_is_an_answer(payload: bytes, kind: str | None) -> None:
    found = read(payload, kind)
    assert isinstance(found, Unreadable)
    assert found.body == payload
    assert found.sha256 == hashlib.sha256(payload).hexdigest()
    assert found.reasons[0].code == "unreadable"


def test_too_much_is_cut_off_and_named_by_all_of_it() -> None:
    payload = example("mes.unit.packed")
    found = read(payload, "unit", max_bytes=100)
    assert (found.body, found.sha256) == (payload[:100], hashlib.sha256(payload).hexdigest())
    assert found.reasons[0].code == "too_large"


def test_a_station_speaks_under_its_own_name_only() -> None:
    payload = json.dumps(event("mes.unit.packed", DATA["mes.unit.packed"][1], station="other")).encode()
    found = read(payload, "unit")
    assert (found.reasons[0].code, found.source, found.id) == ("wrong_source", "stations/other", "m1")


def test_a_type_belongs_to_its_topic() -> None:
    found = read(example("mes.unit.packed"), "step")
    assert field_of(found) == "type"
    assert "mes.step.started, mes.step.completed" in found.reasons[0].text
    assert isinstance(read(example("mes.unit.packed"), None), Message)


@pytest.mark.parametrize("text", ["N/A", "", "$CHASSIS_SERIAL_NUMBER", "0x0000000000000000", "999WWYY123456"])
def test_what_unprogrammed_hardware_reports_is_no_serial(text: str) -> None:
    for type, changes, field in [
        ("mes.unit.packed", {"unit": text}, "data.unit"),
        ("mes.unit.packed", {"unit": {"part": "P", "serial": text}}, "data.unit.serial"),
        ("mes.part.installed", {"child": {"part": "P", "serial": text}}, "data.child.serial"),
        ("mes.part.received", {"serial": text, "lot": None}, "data.serial"),
        ("mes.unit.identified", {"identifiers": [{"kind": "uuid", "value": text}]}, "data.identifiers[0].value"),
    ]:
        found = read(example(type, **changes), DATA[type][0])
        if text == "" and field.endswith("value"):
            continue  # refused as empty
        assert (field_of(found), found.reasons[0].code) == (field, "placeholder_serial"), type


@pytest.mark.parametrize(
    ("type", "changes", "field", "says"),
    [
        ("mes.run.reported", {"ended_at": "2026-11-22T09:00:00Z"}, "data.ended_at", "before it started"),
        ("mes.run.reported", {"outcome": "PASS"}, "data.outcome", "pass, fail, error, aborted, skipped"),
        ("mes.run.reported", {"purpose": "test"}, "data.purpose", "production, golden, gauge, engineering"),
        ("mes.step.completed", {"outcome": "skipped"}, "data.outcome", "pass, fail, error, aborted"),
        ("mes.station.status", {"state": "up"}, "data.state", "idle, running, down, offline"),
        (
            "mes.run.reported",
            {"measurements": [{"name": "a", "value": 1, "outcome": "ok"}]},
            "data.measurements[0].outcome",
            "pass, fail, unset, skipped",
        ),
        ("mes.unit.packed", {"at": "2026-11-22T10:00:00"}, "data.at", "zone"),
        ("mes.unit.packed", {"at": "0001-01-01T00:00:00+14:00"}, "data.at", "1970–2200"),
        ("mes.unit.packed", {"at": "9999-12-31T23:59:59-14:00"}, "data.at", "1970–2200"),
        ("mes.part.installed", {"position": "U1//G"}, "data.position", "empty"),
        ("mes.part.installed", {"position": "U1\n"}, "data.position", "contains"),
        ("mes.part.installed", {"child": {"part": "P"}}, "data.child.serial", "or a quantity"),
        ("mes.part.installed", {"child": {"part": "P", "serial": "S", "lot": "L"}}, "data.child.serial", "either"),
        ("mes.part.installed", {"child": {"part": "P Q", "serial": "S"}}, "data.child.part", "blank"),
        ("mes.material.loaded", {"quantity": 0}, "data.quantity", "more than 0"),
        ("mes.material.loaded", {"lot": "L 7"}, "data.lot", "blank"),
        ("mes.material.unloaded", {"at": "2026-11-22T10:00:00"}, "data.at", "zone"),
        ("mes.part.received", {"quantity": 0}, "data.quantity", "more than 0"),
        ("mes.part.received", {"quantity": "NaN"}, "data.quantity", "more than 0"),
        ("mes.part.received", {"quantity": "sNaN"}, "data.quantity", "more than 0"),
        ("mes.part.received", {"quantity": "1e999999"}, "data.quantity", "at most"),
        ("mes.part.received", {"quantity": "0.0000001"}, "data.quantity", "6 decimals"),
        ("mes.samples.taken", {"period_s": None}, "data.period_s", "either"),
        ("mes.samples.taken", {"offsets_s": [0, 1, 2]}, "data.period_s", "either"),
        ("mes.samples.taken", {"period_s": 0}, "data.period_s", "more than 0"),
        ("mes.samples.taken", {"period_s": 1e9}, "data.period_s", "366 days"),
        ("mes.samples.taken", {"period_s": None, "offsets_s": [0, 1]}, "data.offsets_s", "2 entries for 3"),
        ("mes.samples.taken", {"period_s": None, "offsets_s": [0, 2, 1]}, "data.offsets_s", "ascend"),
        ("mes.samples.taken", {"period_s": None, "offsets_s": [-1, 2, 3]}, "data.offsets_s", "ascend"),
        ("mes.samples.taken", {"channels": {"a": [1], "b": [1, 2]}}, "data.channels.b", "2 samples"),
        ("mes.samples.taken", {"channels": {}}, "data.channels", "length"),
        ("mes.samples.taken", {"channels": {"a": []}}, "data.channels[...]", "length"),
        ("mes.samples.taken", {"channels": {"a": [True]}}, "data.channels[...][0]", "bool"),
    ],
)
def test_rules_between_fields(type: str, changes: dict[str, Any], field: str, says: str) -> None:
    found = read(example(type, **changes), DATA[type][0])
    assert field_of(found) == field
    assert says in found.reasons[0].text


def test_samples_may_be_at_offsets() -> None:
    samples = read(example("mes.samples.taken", period_s=None, offsets_s=[0, 0.5, 7]), "samples").data
    assert messages.sample_times(samples) == (0, 0.5, 7)
    assert messages.sample_times(read(example("mes.samples.taken"), "samples").data) == (0, 5, 10)


class TestWriting:
    NOW = datetime(2026, 11, 22, 12, tzinfo=timezone(timedelta(hours=2)))

    def test_an_event_is_written_in_utc_with_its_context(self) -> None:
        trace = "00-" + "a" * 32 + "-" + "b" * 16 + "-01"
        answer = messages.StepAnswered("ask-1", granted=True, grant="g1", valid_s=60.0)
        written = json.loads(encode_event("mes.step.answered", "mes/main", "a1", self.NOW, answer, trace))
        assert written == {
            "specversion": "1.0",
            "id": "a1",
            "source": "mes/main",
            "type": "mes.step.answered",
            "time": "2026-11-22T10:00:00Z",
            "traceparent": trace,
            "data": {"asked": "ask-1", "granted": True, "grant": "g1", "valid_s": 60.0},
        }

    def test_a_time_without_a_zone_is_refused(self) -> None:
        with pytest.raises(messages.Wrong, match="zone"):
            messages.UnitPacked(UnitRef("RK-1"), datetime(2026, 1, 1))

    def test_a_station_reads_what_the_mes_wrote(self) -> None:
        settled = (
            messages.SettledMessage("applied", id="m1"),
            messages.SettledMessage(
                "rejected", sha256="ab", reasons=messages.wire_reasons((reason("unreadable", field="data.at"),))
            ),
        )
        payload = messages.encode_settled("mes/main", "r1", self.NOW, settled)
        (found,) = messages.decode_answer("st-1", "receipts", payload)
        assert isinstance(found, Message)
        assert found.data == messages.MessagesSettled(settled)
        for type, kind, data in [
            ("mes.step.answered", "answers", messages.StepAnswered("ask-1", granted=False)),
            ("mes.run.stop", "answers", messages.RunStop(UnitRef("RK-1"), "burn-in", "r1")),
            ("mes.messages.wanted", "wanted", messages.MessagesWanted(datetime(2026, 1, 1, tzinfo=UTC))),
        ]:
            (found,) = messages.decode_answer("st-1", kind, encode_event(type, "mes/main", "x", self.NOW, data))
            assert isinstance(found, Message), found
            assert found.data == data

    def test_a_station_can_not_be_answered_by_a_station(self) -> None:
        assert isinstance(messages.decode_answer("st-1", "answers", example("mes.unit.packed"))[0], Unreadable)


def test_telemetry_is_typed() -> None:
    assert isinstance(read(example("mes.samples.taken", start=AT), "samples").data, SamplesTaken)


def test_the_digest_of_telemetry_can_be_worked_out_from_its_values() -> None:
    """By whoever has the record: from doubles, in whatever order the channels came and however numbers were written."""
    channels = {"b": [1, 2.5], "a": [0.1, None]}
    told = read(example("mes.samples.taken", channels=channels, start=AT), "samples").data
    said = [
        told.unit.serial,
        told.unit.part,
        told.step,
        told.run,
        "2026-11-22T10:00:00Z",
        told.period_s,
        None,
        ["a", "b"],
    ]
    head = json.dumps(said, separators=(",", ":")).encode()
    assert told.digest == hashlib.sha256(head + struct.pack(">4d", 0.1, math.nan, 1, 2.5)).digest()
    other = example("mes.samples.taken", channels={"a": [1e-1, None], "b": [1.0, 25e-1]}, start=AT)
    assert read(other, "samples").data.digest == told.digest
