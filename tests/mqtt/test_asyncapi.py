"""The AsyncAPI document: valid, whole, changed on purpose only, and every example in it is understood."""

import copy
import json
import warnings
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft7Validator, FormatChecker

from mes.commands.ingest import settle
from mes.db.session import Database
from mes.formats.messages import ANSWERS, FOREIGN, MESSAGE_MAX_BYTES, TYPES, Message, decode, decode_answer
from mes.formats.messages.cloudevents import BATCH_MAX_MESSAGES
from mes.formats.messages.examples import DATA, UNIT, Example, examples
from mes.mqtt import topics
from mes.mqtt.asyncapi import STATION, asyncapi
from mes.rest.envelope import API_VERSION
from tests.stage import Stage

SNAPSHOT = Path(__file__).parent / "asyncapi.json"
RENEW = "python -m tests.mqtt.test_asyncapi"


def document() -> str:
    """The document as it is now."""
    return json.dumps(asyncapi(str(API_VERSION)), indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def read(one: Example) -> Message:
    """The example as its reader understands it."""
    body = json.dumps(one.event(STATION)).encode()
    reader = decode_answer if one.kind in ANSWERS else decode
    (found,) = reader(STATION, one.kind, body)
    assert isinstance(found, Message), found
    return found


def test_it_is_what_it_was() -> None:
    assert SNAPSHOT.read_text() == document(), f"If this is meant, raise API_VERSION and renew it: {RENEW}"


def test_it_is_asyncapi_3() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its models have a field named `schema`
        from asyncapi3.models.asyncapi import AsyncAPI3
    AsyncAPI3.model_validate(json.loads(document()))


def test_every_reference_leads_somewhere() -> None:
    whole = json.loads(document())
    for reference in references(whole):
        found = whole
        for step in reference.removeprefix("#/").split("/"):
            assert step in found, reference
            found = found[step]


def references(part: Any) -> Iterator[str]:
    """Every `$ref` below."""
    if isinstance(part, dict):
        if "$ref" in part:
            yield part["$ref"]
        for below in part.values():
            yield from references(below)
    elif isinstance(part, list):
        for below in part:
            yield from references(below)


def test_every_topic_that_is_read_or_written_is_in_it() -> None:
    whole = json.loads(document())
    addresses = {one["address"] for one in whole["channels"].values()}
    assert addresses == {f"mes/v1/{{station}}/{kind}" for kind in {**TYPES, **FOREIGN, **ANSWERS}}
    assert {one.removeprefix("mes/v1/{station}/") for one in addresses} <= topics.KINDS
    directions = {one["channel"]["$ref"].rpartition("/")[2]: one["action"] for one in whole["operations"].values()}
    assert {kind for kind, action in directions.items() if action == "send"} == set(ANSWERS)
    assert directions.keys() == whole["channels"].keys()


def test_every_type_has_an_example_and_no_other() -> None:
    types = {name for kinds in (TYPES, FOREIGN, ANSWERS) for named in kinds.values() for name in named}
    assert types == DATA.keys(), "Give it an example in mes/formats/messages/examples.py"


@pytest.mark.parametrize("one", list(examples()), ids=lambda one: one.type)
def test_an_example_fits_its_schema_and_is_read(one: Example) -> None:
    assert read(one).type == one.type
    assert [error.message for error in published(one.type).iter_errors(one.event(STATION))] == []


@pytest.mark.parametrize("kind", [*TYPES, *FOREIGN])
def test_a_batch_is_published_on_every_topic_that_takes_one(kind: str) -> None:
    whole = json.loads(document())
    (channel,) = [one for one in whole["channels"].values() if one["address"].endswith(f"}}/{kind}")]
    (name,) = [name for name in channel["messages"] if name.endswith("Batch")]
    (example,) = whole["components"]["messages"][name]["examples"]
    assert published(name).is_valid(example["payload"])
    assert not published(name).is_valid(example["payload"][0])
    assert whole["components"]["messages"][name]["payload"]["maxItems"] == BATCH_MAX_MESSAGES
    arrived = decode(STATION, kind, json.dumps(example["payload"]).encode())
    assert [one.type for one in arrived if isinstance(one, Message)] == list({**TYPES, **FOREIGN}[kind])


def test_limits_of_a_message_and_a_batch_are_told() -> None:
    told = json.loads(document())["info"]
    assert (told["x-message-max-bytes"], told["x-batch-max-messages"]) == (MESSAGE_MAX_BYTES, BATCH_MAX_MESSAGES)
    assert "1,048,576 bytes" in told["description"]
    assert "10,000 messages" in told["description"]


SAID_IN_WORDS = {
    ("mes.samples.taken", "period_s"): "all samples together span at most 366 days",
    ("mes.cable.report", "text"): "it is a cable tester's report",
    ("mes.cable.report", "unit"): "the report may name its unit instead",
    ("org.opencompute.ocptv", "lines"): "some are lines of OCP Test & Validation, version 2",
    ("com.google.openhtf.record", "start_time_millis"): "it is not after the end",
    ("com.google.openhtf.record", "end_time_millis"): "it is not before the start",
}
"""Fields with rules that a schema can't say."""


@pytest.mark.parametrize("one", [one for one in examples() if one.kind not in ANSWERS], ids=lambda one: one.type)
def test_what_the_schema_allows_is_read(one: Example) -> None:
    """Whatever is put in the place of whichever value: on a limit of the document, or just beyond it."""
    validator, broken = published(one.type), []
    for path in places(dict(one.data)):
        if (one.type, path[0]) in SAID_IN_WORDS:
            continue
        for value in VALUES:
            event = changed(one, path, value)
            if not is_read(one, event) and validator.is_valid(event):
                broken.append((path, str(value)[:80]))
    assert broken == []


def test_the_schema_allows_what_is_on_its_limits() -> None:
    """Else a schema that allows nothing would do."""
    for type, changes in ON_LIMITS:
        one = shown(type)
        event = one.event(STATION)
        event["data"] |= changes
        assert is_read(one, event), (type, changes)
        assert [error.message for error in published(type).iter_errors(event)] == [], (type, changes)


def test_the_schema_forbids_what_is_rejected() -> None:
    for type, changes in BEYOND:
        one = shown(type)
        event = one.event(STATION)
        event["data"] |= changes
        event["data"] = {name: value for name, value in event["data"].items() if value != "missing"}
        assert not is_read(one, event), (type, changes)
        assert not published(type).is_valid(event), (type, changes)


def measured(value: Any) -> dict[str, Any]:
    return {"measurements": [{"name": "counter", "value": value}]}


def part(**changes: Any) -> dict[str, Any]:
    return {"child": {"part": "P-1", **changes}}


ON_LIMITS: list[tuple[str, dict[str, Any]]] = [
    *(("mes.run.reported", measured(value)) for value in (2**63 - 1, -(2**63), [2**63 - 1], 1e18, -1.5, "", None)),
    *(("mes.part.received", {"quantity": value}) for value in (0.000001, 10**12, 4.35, "0.000001", "1000000000000")),
    *(("mes.part.received", {"quantity": value}) for value in ("0.5", "007", "999999999999.999999", None)),
    ("mes.part.received", {"serial": None, "lot": "L-1"}),
    ("mes.part.installed", part(serial="S-1")),
    ("mes.part.installed", part(serial="S-1", lot=None, quantity=1)),
    ("mes.part.installed", part(lot="L-1", quantity=2)),
    ("mes.part.installed", part(quantity=2, serial=None)),
    ("mes.samples.taken", {"period_s": 366 * 24 * 900}),
    ("mes.samples.taken", {"period_s": None, "offsets_s": [0, 1, 1, 366 * 24 * 3600]}),
    ("mes.inventory.read", {"items": [], "redfish": {"/redfish/v1": {}}}),
    ("mes.inventory.read", {"redfish": {}}),
    ("mes.unit.packed", {"at": "1970-01-01T00:00:00Z"}),
    ("mes.unit.packed", {"at": "2200-12-31T23:59:59.999999-12:00"}),
    ("com.google.openhtf.record", {"start_time_millis": 946_684_800_000, "end_time_millis": 7_258_118_399_999}),
    ("com.google.openhtf.record", {"dut_id": None, "unit": UNIT}),
    ("com.google.openhtf.record", {"phases": [{}], "outcome_details": [{"code": "E1"}]}),
]
BEYOND: list[tuple[str, dict[str, Any]]] = [
    *(("mes.run.reported", measured(value)) for value in (2**63, 2**64, -(2**63) - 1, [2**64])),
    *(("mes.part.received", {"quantity": value}) for value in (0, -1, 1e-7, 10**12 + 1, 1e308, True, "abc", "NaN")),
    *(("mes.part.received", {"quantity": value}) for value in ("0", "0.000", "-1", "0.0000001", "1000000000001", "")),
    ("mes.part.received", {"serial": None}),
    ("mes.part.received", {"serial": "missing"}),
    ("mes.part.received", {"lot": "L-1"}),
    ("mes.part.installed", part()),
    ("mes.part.installed", part(serial=None, quantity=None)),
    ("mes.part.installed", part(serial="S-1", lot="L-1")),
    ("mes.step.asked", {"parts": [{"part": "P-1"}]}),
    ("mes.samples.taken", {"period_s": "missing"}),
    ("mes.samples.taken", {"offsets_s": [0, 1, 2, 3]}),
    ("mes.samples.taken", {"period_s": None, "offsets_s": []}),
    ("mes.samples.taken", {"period_s": None, "offsets_s": [-1, 0, 1, 2]}),
    ("mes.samples.taken", {"period_s": None, "offsets_s": [0, 1, 2, 366 * 24 * 3600 + 1]}),
    *(("mes.samples.taken", {"period_s": value}) for value in (0, -1, 366 * 24 * 3600 + 1)),
    ("mes.inventory.read", {"items": []}),
    ("mes.inventory.read", {"items": "missing"}),
    ("mes.inventory.read", {"redfish": {"/redfish/v1": {}}}),
    ("mes.unit.packed", {"at": "2026-01-01T00:00:00"}),
    *(
        ("com.google.openhtf.record", {name: "missing"})
        for name in ("start_time_millis", "end_time_millis", "outcome", "dut_id", "step")
    ),
    ("com.google.openhtf.record", {"start_time_millis": 946_684_799_999}),
    ("com.google.openhtf.record", {"end_time_millis": 7_258_118_400_000}),
    ("com.google.openhtf.record", {"outcome": "pass"}),
    ("com.google.openhtf.record", {"phases": [{}] * 5001}),
    ("com.google.openhtf.record", {"dut_id": "two words"}),
]


def published(name: str) -> Draft7Validator:
    """What the document says of the payload of a message."""
    components = json.loads(document())["components"]
    (message,) = [told for told in components["messages"].values() if told["name"] == name]
    return Draft7Validator({**message["payload"], "components": components}, format_checker=FORMATS)


def is_date_time(text: object) -> bool:
    """Near enough to RFC 3339: with a date, a time and a zone."""
    return not isinstance(text, str) or ("T" in text and datetime.fromisoformat(text).tzinfo is not None)


FORMATS = FormatChecker([])
FORMATS.checks("date-time", raises=ValueError)(is_date_time)


def limits(part: Any) -> Iterator[tuple[str, Any]]:
    """Every limit in the document and its value."""
    if isinstance(part, dict):
        for name, below in part.items():
            if name in {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "minLength", "maxLength"}:
                yield name, below
            else:
                yield from limits(below)
    elif isinstance(part, list):
        for below in part:
            yield from limits(below)


def values() -> Iterator[Any]:
    """Every limit and what is just beyond it, as numbers and texts; and what fits hardly anywhere."""
    for name, limit in sorted(set(limits(json.loads(document())["components"]))):
        near = (limit - 1, limit, limit + 1)
        yield from ("A" * one for one in near) if name.endswith("Length") else near
    yield from (0, -1, 1e-7, 0.5, 1.5, 1e300, 2**64, True, None, [], {}, [None], [0], ["A"], {"A": "A"}, {"A": 1})
    yield from ("abc", "two words", "a/b", "a//b", "/", "A\n", "é", " A", "0.5", "1.25e3", "NaN", "2026-01-01", "pass")
    yield from ("2026-01-01T00:00:00", "2026-01-01T24:00:00Z", "2026-02-30T00:00:00Z", "2016-12-31T23:59:60Z")


VALUES = list(values())


def places(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to every value within."""
    if at:
        yield at
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, below in inner:
        yield from places(below, (*at, key))


def changed(one: Example, path: tuple[Any, ...], value: Any) -> dict[str, Any]:
    """The example with another value in one place of its data."""
    event = copy.deepcopy(one.event(STATION))
    *way, last = path
    holder = event["data"]
    for step in way:
        holder = holder[step]
    holder[last] = value
    return event


def shown(type: str) -> Example:
    (one,) = [one for one in examples() if one.type == type]
    return one


def is_read(one: Example, event: dict[str, Any]) -> bool:
    (found,) = decode(STATION, one.kind, json.dumps(event).encode())
    return isinstance(found, Message)


async def test_the_examples_tell_of_one_tray_and_all_of_it_counts(database_url: str) -> None:
    database = Database(database_url)
    stage = Stage(database)
    await stage.set_up()
    await stage.release(UNIT)
    told = sorted((one for one in examples() if one.kind not in {*ANSWERS, topics.ASK}), key=lambda one: one.time)
    arrived = [read(one) for one in told]
    settled = await settle(database, arrived, datetime(2026, 11, 2, 20, tzinfo=UTC))
    await database.close()
    fates = {one.type: (fate.fate, fate.reasons) for one, fate in zip(told, settled, strict=True)}
    assert {fate for fate, _ in fates.values()} == {"applied"}, fates


if __name__ == "__main__":
    SNAPSHOT.write_text(document())
