"""The AsyncAPI document: valid, whole, changed on purpose only, and every example in it is understood."""

import json
import warnings
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft7Validator

from mes.commands.ingest import settle
from mes.db.session import Database
from mes.formats.messages import ANSWERS, FOREIGN, TYPES, Message, decode, decode_answer
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
    whole = json.loads(document())
    (message,) = [told for told in whole["components"]["messages"].values() if told["name"] == one.type]
    schema = {**message["payload"], "components": whole["components"]}
    assert [error.message for error in Draft7Validator(schema).iter_errors(one.event(STATION))] == []


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
