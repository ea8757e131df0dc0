"""Stations and a MES that is played, on a real broker, over both versions of MQTT."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mes.embedded.broker import Broker
from stations.client import Station
from tests import parts
from tests.stations.played_mes import Opener, PlayedMes


@pytest.fixture(params=["3.1.1", "5"])
def open_station(request: pytest.FixtureRequest, broker: Broker, tmp_path: Path) -> Opener:
    """Opens a station of a name, with its spool in the test's folder."""
    if request.param == "5":
        parts.needs_mosquitto(broker)

    def opened(name: str = "s1", **how: Any) -> Station:
        return Station(broker.url, name, **{"spool": tmp_path / f"{name}.spool", "mqtt": request.param} | how)

    return opened


@pytest.fixture
def mes(broker: Broker) -> Iterator[PlayedMes]:
    played = PlayedMes(broker.url)
    yield played
    played.close()
