"""What was acknowledged and never answered: the station says it again, and people hear nothing of it."""

import asyncio
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from mes.embedded.broker import Broker
from stations.alarms import Alarm
from stations.client import Station
from stations.facts import serialized
from tests import parts
from tests.faults.silent_ingest import DIED
from tests.journeys.plant import Plant, until
from tests.stage import Stage

SILENT = (sys.executable, "-m", "tests.faults.silent_ingest")
PARTS = 50


@pytest.fixture
def plant(broker: Broker, database_url: str, tmp_path: Path) -> Iterator[Plant]:
    parts.needs_mosquitto(broker)
    with Plant(database_url, broker.url, tmp_path) as plant:
        yield plant


async def test_a_process_killed_between_acknowledgement_and_receipt_is_nobodys_trouble(
    plant: Plant, stage: Stage, broker_url: str, tmp_path: Path
) -> None:
    alarms: list[Alarm] = []

    def work() -> list[str]:
        ready = tmp_path / "ready"
        plant.run("ingest", *SILENT, str(ready))
        until(ready.exists, "ingest listens")
        spool = tmp_path / "as-1.spool"
        with Station(broker_url, "as-1", spool=spool, receipt_s=10.0, on_alarm=alarms.append) as station:
            assert station.connected()
            ids = [station.receive(serialized("GPU-1", f"G-{number}")) for number in range(PARTS)]
            until(lambda: plant.processes["ingest"].poll() == DIED, "ingest dies")
            assert station.unsettled()  # what it took before it died got no receipt
            plant.mes("ingest")
            fates = station.await_receipts(ids, timeout_s=60)
        return sorted(fates[id].fate for id in ids)

    fates = await asyncio.to_thread(work)
    assert len(fates) == PARTS
    assert set(fates) <= {"applied", "duplicate"}
    assert "duplicate" in fates
    assert alarms == []
    async with stage.database.reading() as connection:
        counted = "SELECT (SELECT count(*) FROM unit WHERE part = 'GPU-1' AND serial ~ '^G-'), "
        counted += "(SELECT count(*) FROM journal WHERE type = 'mes.part.received')"
        assert (await connection.exec_driver_sql(counted)).one() == (PARTS, PARTS)
