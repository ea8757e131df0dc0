"""A station that was offline for a day, and is killed while it catches up: everything arrives, and counts once."""

import asyncio
import os
import random
import signal
import sys
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from mes.embedded.broker import Broker
from stations.client import Station
from stations.facts import serialized
from stations.spool import Spool
from tests.stage import Stage

MESSAGES: Final = int(os.environ.get("BACKLOG_MESSAGES", "3000"))
"""A station that says something every second says 86,400 things in a day; so many take a minute."""
KILLS: Final = 20


def offline(url: str, path: Path) -> list[str]:
    """A day on which the broker could not be reached, one part received at a time."""
    began = datetime.now(UTC) - timedelta(days=1)
    apart = timedelta(days=1) / MESSAGES
    serials = [f"OLD-{number:06}" for number in range(MESSAGES)]
    station = Station(url, "as-1", spool=Spool(path, "as-1", durable=False))
    for number, serial in enumerate(serials):
        at = began + number * apart
        station.receive(serialized("GPU-1", serial), at=at)
    assert station.waiting[0] == MESSAGES
    station.close(linger_s=0)
    return serials


async def received(stage: Stage) -> list[str]:
    """Serials of the parts that are on the record, and a fate for each message: nothing of them is doubled."""
    async with stage.database.reading() as connection:
        units = await connection.exec_driver_sql("SELECT serial FROM unit WHERE serial ~ '^(OLD|NEW)' ORDER BY 1")
        journal = await connection.exec_driver_sql("SELECT count(*) FROM journal WHERE type = 'mes.part.received'")
        fates = await connection.exec_driver_sql("SELECT DISTINCT fate FROM inbox WHERE fate <> 'applied'")
        found = [serial for (serial,) in units]
        assert (journal.scalar_one(), fates.all()) == (len(found), [])
        return found


async def live(*arguments: str) -> asyncio.subprocess.Process:
    """A life of the station, from the moment on when it is connected."""
    argv = [sys.executable, "-m", "tests.stations.killable_client", *arguments]
    process = await asyncio.create_subprocess_exec(*argv, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    assert await process.stdout.readline() == b"up\n"
    return process


async def test_a_station_killed_again_and_again_says_everything_once(
    floor: Stage, broker: Broker, tmp_path: Path
) -> None:
    spool, posted = tmp_path / "as-1.spool", tmp_path / "posted"
    old = await asyncio.to_thread(offline, broker.url, spool)
    chance = random.Random(1)
    sent_before = 0
    for number in range(KILLS):
        process = await live(broker.url, str(spool), str(posted), str(number))
        await asyncio.sleep(chance.uniform(0.0, 0.15))
        process.send_signal(signal.SIGKILL)
        assert await process.wait() == -signal.SIGKILL
        with closing(Spool(spool, "as-1")) as left:
            sent_before += left.waiting_messages < MESSAGES
    assert sent_before, "no kill hit a station that had begun to catch up"
    last = await live(broker.url, str(spool), str(posted), "last", "170")
    assert await last.wait() == 0
    found = await received(floor)
    missing = {*old, *posted.read_text().split()} - set(found)
    assert not missing, sorted(missing)[:10]
