"""Brokers of both kinds, and a way to publish that is not ours."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from mes.embedded.broker import Broker, find_mosquitto
from tests import parts


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
