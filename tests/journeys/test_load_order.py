"""Thousands of messages about hundreds of units, shuffled, settled by two processes, with ingest killed twice.

The same floor comes of it as in order.

MES_TESTS_LOAD_MESSAGES says how many; 10,000 take a few minutes where two slow cores do everything.
"""

import asyncio
import json
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest

from mes.commands.ingest import settle
from mes.db.session import Database, driver
from mes.embedded.postgres import Postgres
from mes.formats.messages import Message, decode
from tests import parts
from tests.journeys.plant import Plant, program
from tests.mqtt.floor import send
from tests.stage import TYPES, Stage
from tests.stored_floor import assert_folded_from_journal, picture

MESSAGES = int(os.environ.get("MES_TESTS_LOAD_MESSAGES", "10000"))
BATCH_MESSAGES = min(500, MESSAGES // 12)
PER_UNIT = 33
WAIT_S = 240.0


@pytest.mark.timeout(600)
async def test_load_in_random_order_ends_as_in_order(
    postgres: Postgres, migrated: str, broker_url: str, tmp_path: Path
) -> None:
    program("mosquitto_sub")
    rng = Random(MESSAGES)
    serials = [f"T{number}" for number in range(max(MESSAGES // PER_UNIT, 2))]
    messages = list(day(serials, MESSAGES, rng))
    async with floor(postgres, migrated, serials) as ordered, floor(postgres, migrated, serials) as shuffled:
        fates = await settle(ordered, messages, datetime.now(UTC))
        assert {one.fate for one in fates} == {"applied"}
        with Plant(
            shuffled.url, broker_url, tmp_path, MES_BATCH_MAX_MESSAGES=str(BATCH_MESSAGES), MES_INGEST_WORKERS="2"
        ) as plant:
            plant.listen()
            plant.mes("ingest", "feeds")
            await asyncio.to_thread(plant.await_ingest, "as-1")
            rng.shuffle(messages)
            await live_through(plant, shuffled, broker_url, messages)
        expected, found = await picture(ordered), await picture(shuffled)
        for what, rows in expected.items():
            assert found[what] == rows, what
        await assert_folded_from_journal(shuffled)


@asynccontextmanager
async def floor(postgres: Postgres, migrated: str, serials: list[str]) -> AsyncIterator[Database]:
    """A database of its own with the units released."""
    url = await asyncio.to_thread(parts.make_database, postgres, migrated)
    database = Database(url)
    try:
        stage = Stage(database)
        await stage.set_up()
        await stage.release(*serials)
        yield database
    finally:
        await database.close()
        await asyncio.to_thread(parts.drop_database, postgres, url)


async def live_through(plant: Plant, database: Database, broker_url: str, messages: list[Message]) -> None:
    """Publish it all while ingest is killed, with work in its hands, after a quarter and after half of it."""
    told = [(f"mes/v1/{one.station}/{kind_of(one)}", one.body, None) for one in messages]
    publishing = asyncio.create_task(asyncio.to_thread(send, broker_url, told))
    for part in (4, 2):
        await until_settled(database, len(messages) // part)
        plant.kill("ingest")
        assert await settled(database) < len(messages), "it was killed too late to show anything"
        plant.mes("ingest")
    await publishing
    await until_settled(database, len(messages))


async def until_settled(database: Database, count: int) -> None:
    async with asyncio.timeout(WAIT_S):
        while await settled(database) < count:  # noqa: ASYNC110 - another process writes it
            await asyncio.sleep(0.02)


async def settled(database: Database) -> int:
    """How many messages about units are in the record."""
    async with database.reading() as connection:
        counted = "SELECT count(*) FROM inbox WHERE id NOT LIKE 'probe-%'"
        return int(await (await driver(connection)).fetchval(counted))


def kind_of(message: Message) -> str:
    return next(kind for kind, type_ in TYPES.values() if type_ == message.type)


def day(serials: list[str], count: int, rng: Random) -> Iterator[Message]:
    """So many messages in the order in which they happened: builds, tests, failures, swaps and moves between units."""
    began = datetime.now(UTC).replace(microsecond=0) - timedelta(days=1)
    held: dict[tuple[str, str], str] = {}
    told = [one for serial in serials for one in build(serial, held)]
    while len(told) < count:
        told.append(anything(rng.choice(serials), serials, held, rng))
    for number, (kind, data) in enumerate(told[:count]):
        yield message(kind, data, number, began + timedelta(seconds=number * 2))


def build(serial: str, held: dict[tuple[str, str], str]) -> Iterator[tuple[str, dict[str, Any]]]:
    """How a tray is built and tested."""
    yield "started", {"unit": serial, "step": "build"}
    for place in ("GPU1", "GPU2"):
        held[serial, place] = f"{serial}-{place}"
        yield "installed", {"parent": serial, "position": place, "child": gpu(held[serial, place])}
    screws = {"part": "SCREW-1", "lot": f"L{len(held) // 40}", "quantity": 4}
    yield "installed", {"parent": serial, "position": "SCREWS", "child": screws}
    yield "completed", {"unit": serial, "step": "build", "outcome": "pass"}
    yield "run", run(serial, 150)


def anything(
    serial: str, serials: list[str], held: dict[tuple[str, str], str], rng: Random
) -> tuple[str, dict[str, Any]]:
    """What else happens to a tray, likely or not."""
    place = rng.choice(["GPU1", "GPU2"])
    odds = rng.random()
    if odds < 0.55:
        return "run", run(serial, rng.choice([150, 150, 99, 201, None]))
    if odds < 0.65:
        return "started", {"unit": serial, "step": rng.choice(["build", "test"])}
    if odds < 0.72:
        return "completed", {"unit": serial, "step": "build", "outcome": rng.choice(["pass", "fail"])}
    part = held.get((serial, place)) if odds < 0.82 else None
    if part:
        del held[serial, place]
        return "removed", {"parent": serial, "position": place, "child": gpu(part)}
    other = held.get((rng.choice(serials), place)) if rng.random() < 0.2 else None
    held[serial, place] = other or f"{serial}-{rng.randint(0, 10**9)}"
    return "installed", {"parent": serial, "position": place, "child": gpu(held[serial, place])}


def gpu(serial: str) -> dict[str, Any]:
    return {"part": "GPU-1", "serial": serial}


def run(unit: str, power: float | None) -> dict[str, Any]:
    measurements = [] if power is None else [{"name": "power", "value": power, "unit": "W"}]
    return {"unit": unit, "step": "test", "outcome": "pass", "measurements": measurements}


def message(kind: str, data: dict[str, Any], number: int, at: datetime) -> Message:
    """The message as its station sends it."""
    topic, type_ = TYPES[kind]
    station = "ft-1" if data.get("step") == "test" else "as-1"
    begun = (at - timedelta(seconds=60)).isoformat()
    told = data | ({"started_at": begun, "ended_at": at.isoformat()} if kind == "run" else {"at": at.isoformat()})
    head = {"specversion": "1.0", "id": f"m{number}", "source": f"stations/{station}", "type": type_}
    event = {**head, "time": at.isoformat(), "data": told}
    (read,) = decode(station, topic, json.dumps(event).encode())
    assert isinstance(read, Message), read
    return read
