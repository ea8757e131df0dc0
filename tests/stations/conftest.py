"""Stations and a MES that is played, on a real broker, over both versions of MQTT."""

import asyncio
import functools
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from mes.commands.ingest import settle
from mes.db.session import Database
from mes.embedded.broker import Broker
from mes.mqtt import consumer, topics
from mes.mqtt.bridge import Bridge
from stations.client import Station
from tests import parts
from tests.mqtt.floor import V311
from tests.stage import Stage
from tests.stations.played_mes import Opener, PlayedMes


@pytest.fixture(params=["3.1.1", "5"])
def mqtt(request: pytest.FixtureRequest, broker: Broker) -> str:
    """Each version of MQTT that the broker speaks."""
    if request.param == "5":
        parts.needs_mosquitto(broker)
    return str(request.param)


@pytest.fixture
def open_station(mqtt: str, broker: Broker, tmp_path: Path) -> Opener:
    """Opens a station of a name, with its spool in the test's folder."""

    def opened(name: str = "s1", **how: Any) -> Station:
        return Station(broker.url, name, **{"spool": tmp_path / f"{name}.spool", "mqtt": mqtt} | how)

    return opened


@pytest.fixture
def mes(broker: Broker) -> Iterator[PlayedMes]:
    played = PlayedMes(broker.url)
    yield played
    played.close()


@pytest.fixture
async def floor(database_url: str, broker: Broker) -> AsyncIterator[Stage]:
    """A floor whose ingest runs; T1 is built and waits for its test."""
    database = Database(database_url)
    stage = Stage(database, now=datetime.now(UTC))
    await stage.set_up()
    await stage.release("T1")
    await stage.send(stage.build("T1", 0, "G1", "G2"))
    bridge = Bridge(broker.url, "mes-ingest-test-0", topics.ingest_subscriptions(), protocols=V311)
    async with bridge:
        await bridge.connected()
        ingest = asyncio.create_task(
            consumer.run(bridge, consumer.here(functools.partial(settle, database), source="mes/main"))
        )
        yield stage
        ingest.cancel()
        await asyncio.wait([ingest])
    await database.close()
