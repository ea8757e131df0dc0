"""Brokers of both kinds, and a way to publish that is not ours."""

from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from mes.db.session import Database
from mes.embedded.broker import Broker, find_mosquitto
from tests import parts
from tests.mqtt.line import MADE_GPU, TRAY_OF_MADE, Answerer, Asker
from tests.stage import GPU, TRAY, Stage


@pytest.fixture(params=["mosquitto", "amqtt"])
def each_broker(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Broker]:
    """A fresh broker of each kind that we can run on."""
    if request.param == "mosquitto" and find_mosquitto() is None:
        pytest.skip("mosquitto is not installed")
    broker = Broker(tmp_path / "broker", exact=False, mosquitto=request.param == "mosquitto")
    parts.run(broker.start())
    yield broker
    parts.run(broker.stop())


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[Broker]:
    """A fresh Mosquitto, for what only it can do."""
    if find_mosquitto() is None:
        pytest.skip("mosquitto is not installed")
    broker = Broker(tmp_path / "broker", exact=False)
    parts.run(broker.start())
    yield broker
    parts.run(broker.stop())


@pytest.fixture
async def stage(database_url: str) -> AsyncIterator[Stage]:
    database = Database(database_url)
    stage = Stage(database, now=datetime.now(UTC))
    await stage.set_up(GPU, TRAY, MADE_GPU, TRAY_OF_MADE)
    yield stage
    await database.close()


@pytest.fixture
async def answerer(stage: Stage, broker: Broker, tmp_path: Path) -> AsyncIterator[Answerer]:
    answerer = Answerer(stage.database.url, broker.url, tmp_path / "ready")
    await answerer.start()
    yield answerer
    await answerer.kill()


@pytest.fixture
async def asker(answerer: Answerer, broker: Broker) -> AsyncIterator[Callable[[str], Any]]:
    """Makes stations that ask."""
    made: list[Asker] = []

    async def make(name: str) -> Asker:
        one = Asker(broker.url, name)
        await one.bridge.__aenter__()
        await one.bridge.connected()
        made.append(one)
        return one

    yield make
    for one in made:
        await one.bridge.__aexit__(None, None, None)
