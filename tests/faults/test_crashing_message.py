"""A message that ends the process that reads it costs only itself."""

import asyncio
import json
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from mes.db.session import Database, driver
from mes.embedded.broker import Broker
from tests import parts
from tests.journeys.plant import Plant
from tests.mqtt.floor import send
from tests.stage import Stage

MESSAGES = 300
INGEST = (sys.executable, "-m", "tests.faults.crashing_ingest")
DEATHS = 6
"""As it came, with all that came again, in a portion of it, and alone as often as it takes."""


@pytest.fixture
def plant(broker: Broker, database_url: str, tmp_path: Path) -> Iterator[Plant]:
    parts.needs_mosquitto(broker)
    with Plant(database_url, broker.url, tmp_path, MES_BATCH_MAX_MESSAGES="100") as plant:
        plant.listen()
        yield plant


def received(number: int, id: str) -> tuple[str, bytes, None]:
    """A message of the station as-1."""
    now = datetime.now(UTC).isoformat()
    event = {"specversion": "1.0", "id": id, "source": "stations/as-1", "type": "mes.part.received", "time": now}
    body = json.dumps(event | {"data": {"part": "GPU-1", "serial": f"G-{number}", "at": now}}).encode()
    return "mes/v1/as-1/unit", body, None


async def outlive(plant: Plant, database: Database, messages: int) -> int:
    """Start ingest again whenever it ends, until so many messages have a fate; how often it ended."""
    deaths = 0
    plant.run("ingest", *INGEST)
    async with asyncio.timeout(200):
        while await settled(database) < messages:
            if (code := plant.processes["ingest"].poll()) is not None:
                assert code == 139
                deaths += 1
                plant.run("ingest", *INGEST)
            await asyncio.sleep(0.1)
    return deaths


async def until_told(plant: Plant, database: Database) -> None:
    """Wait until the station is told of the poison, and nothing is in hand any more."""
    async with asyncio.timeout(30):
        while "poison-1" not in plant.receipts or await in_hand(database):  # noqa: ASYNC110 - a log tells nobody
            await asyncio.sleep(0.1)


async def in_hand(database: Database) -> int:
    async with database.reading() as connection:
        return int(await (await driver(connection)).fetchval("SELECT count(*) FROM in_hand"))


async def settled(database: Database) -> int:
    """How many of the messages have a fate."""
    async with database.reading() as connection:
        counted = "SELECT count(*) FROM inbox WHERE id ~ '^m[0-9]'"
        return int(await (await driver(connection)).fetchval(counted))


@pytest.mark.timeout(400)
@pytest.mark.parametrize("is_batched", [False, True], ids=["alone", "last of a batch"])
async def test_it_is_found_and_rejected_and_all_others_are_applied(
    plant: Plant, database: Database, broker_url: str, is_batched: bool
) -> None:
    await Stage(database).set_up()
    plant.mes("ingest")  # once before the first station speaks, so that the broker keeps messages for it
    await asyncio.to_thread(plant.await_ingest, "as-1")
    plant.kill("ingest")
    messages = [received(number, f"m{number}") for number in range(MESSAGES)]
    poison = received(-1, "poison-1")
    if is_batched:
        (topic, first, _), (_, second, _) = messages[149:151]
        messages[149:151] = [(topic, b"[" + b", ".join((first, second, poison[1])) + b"]", None)]
    else:
        messages.insert(150, poison)
    await asyncio.to_thread(send, broker_url, messages)
    assert await outlive(plant, database, MESSAGES) == DEATHS
    await until_told(plant, database)
    async with database.reading() as connection:
        raw = await driver(connection)
        fates = dict(await raw.fetch("SELECT fate, count(*) FROM inbox WHERE id ~ '^(m|poison-)' GROUP BY 1"))
        kept = await raw.fetch("SELECT id, body, fate, reasons FROM message")
    assert fates == {"applied": MESSAGES}
    ((id, body, fate, reasons),) = kept
    assert (id, body, fate) == ("poison-1", poison[1], "rejected")
    assert json.loads(reasons)[0]["code"] == "crashed_repeatedly"
    assert plant.receipts["poison-1"] == ["rejected"]
    if is_batched:  # said again, it ends nothing any more, and is rejected again
        await asyncio.to_thread(send, broker_url, [messages[149]])
        async with asyncio.timeout(10):
            while len(plant.receipts["poison-1"]) < 2:  # noqa: ASYNC110 - another thread hears them
                await asyncio.sleep(0.1)
        assert plant.receipts["m149"][-1] == "duplicate"
        assert plant.processes["ingest"].poll() is None
