"""The kill matrix: what is killed, how often, and what has become of every message afterwards."""

import asyncio
import os
import random
import sqlite3
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import asyncpg

from mes.db.migrate import upgrade
from mes.db.session import Database
from mes.embedded import ports
from mes.embedded.postgres import Postgres
from tests.faults import counting, plan
from tests.faults.rig import Network, Rig, Setting, set_up
from tests.faults.sender import OFFLINE, numbers_sent

CLIENTS: Final = ("sdk", "plain")
PER_S: Final = 120.0
DAY_MESSAGES: Final = 86_400
"""What a station says in a day that says something every second."""
QUIET_S: Final = 4.0
"""So long without progress all is done that will be; longer than the pauses between a station's tries."""
END_S: Final = 240.0
SURVIVED_S: Final = 15.0
"""A process that lives so long, its start included, has nothing in hand that ends it."""
DEATHS_SHARED: Final = 2
"""Fewest deaths before messages are given out singly; several poisonous ones may share them."""
DEATHS_ALONE: Final = 3
"""Deaths that each poisonous message costs by itself before it is rejected."""
Kill = Callable[[Rig, int], Awaitable[None]]


@dataclass(frozen=True)
class Case:
    """One row of the matrix; `kill` does it so many times while the station speaks.

    `kills` and `messages` are set where the case says how many there are, and not the bench.
    """

    kill: Kill
    setting: Setting = field(default_factory=Setting)
    clients: tuple[str, ...] = CLIENTS
    is_poisoned: bool = False
    kills: int | None = None
    messages: int | None = None
    per_s: float = PER_S


async def ingest(rig: Rig, times: int) -> None:
    """Ingest is killed while it works."""
    for _ in range(times):
        await rig.pause(0.2, 0.9)
        rig.kill_ingest()
        await rig.start_ingest()


async def worker(rig: Rig, times: int) -> None:
    """One of the processes that settle for ingest is killed, or ingest itself: all of them end."""
    for number in range(times):
        await rig.pause(0.2, 0.9)
        crew = rig.workers()
        if number % 3:
            rig.kill_one(crew)
        else:
            rig.kill_ingest()
        await rig.ended(crew)
        await rig.start_ingest()


async def postgres(rig: Rig, times: int) -> None:
    """PostgreSQL is killed, and recovers."""
    for _ in range(times):
        await rig.pause(0.3, 1.0)
        await rig.kill_postgres()


async def broker(rig: Rig, times: int) -> None:
    """The broker is killed while stations and ingest are connected."""
    for _ in range(times):
        await rig.pause(0.4, 1.2)
        await rig.kill_broker()


async def broker_ingest_down(rig: Rig, times: int) -> None:
    """The broker is killed with messages in it that nobody takes."""
    for _ in range(times):
        await rig.pause(0.2, 0.5)
        rig.ingest.kill()
        await rig.pause(0.3, 0.6)
        await rig.kill_broker()
        await rig.start_ingest()


async def client(rig: Rig, times: int) -> None:
    """The station's program is killed, and started again on its spool."""
    for _ in range(times):
        await rig.pause(0.7, 1.3)
        rig.sender.kill()
        rig.kills += 1
        rig.sender.start()


async def backlog(rig: Rig, times: int) -> None:
    """The station was offline for a day; its program is killed while it catches up, and each time has some left."""
    while len(numbers_sent(rig.folder)) < DAY_MESSAGES:
        await rig.pause(0.05, 0.1)
    while rig.kills < times:
        settled = await counting.progress(rig.database_url)
        while await counting.progress(rig.database_url) == settled:
            await rig.pause(0.02, 0.05)
        await rig.pause(0.0, 0.5)
        rig.sender.kill()
        rig.kills += 1
        assert _waiting(rig.folder), f"the backlog was gone after {rig.kills} kills"
        rig.sender.start()


async def cut(rig: Rig, times: int) -> None:
    """The network is cut, between station and broker or between broker and ingest."""
    while rig.kills < times:
        await rig.pause(0.1, 0.7)
        rig.cut()


async def stale_ack(rig: Rig, times: int) -> None:
    """The network is cut while ingest has messages in hand: what it acknowledges then is of another connection."""
    assert rig.to_ingest
    while rig.to_ingest.cuts < times:
        await rig.pause(0.05, 0.1)
    rig.to_ingest.cut_after = None
    rig.kills = rig.to_ingest.cuts


async def poison(rig: Rig, times: int) -> None:
    """Some messages end every process that reads them; ingest is started again until none of them is left."""
    clock = asyncio.get_running_loop().time
    began = clock()
    while rig.kills < times or clock() - began < SURVIVED_S:
        if rig.ingest.status is not None:
            rig.kills += 1
            rig.ingest.start()
            began = clock()
        await rig.pause(0.05, 0.1)


CASES: Final[Mapping[str, Case]] = {
    "ingest": Case(ingest),
    "worker": Case(worker, Setting(workers=2)),
    "postgres": Case(postgres),
    "broker": Case(broker),
    "broker_ingest_down": Case(broker_ingest_down),
    "client": Case(client, clients=("sdk",)),
    "client_backlog": Case(backlog, clients=("sdk",), kills=20, messages=DAY_MESSAGES, per_s=OFFLINE),
    "network_cut": Case(cut, Setting(Network(between=True))),
    "network_duplicate": Case(cut, Setting(Network(between=True, double=0.2, delay_s=0.05))),
    "stale_ack": Case(stale_ack, Setting(Network(between=True, cut_after=25))),
    "crashing_message": Case(poison, Setting(ingest="tests.faults.crashing_ingest"), is_poisoned=True),
}


@dataclass
class Matrix:
    """A durable PostgreSQL with a database for each case."""

    folder: Path
    postgres: Postgres
    databases: int = 0

    async def try_out(self, name: str, client: str, kills: int, messages: int) -> dict[str, Any]:
        """One case with one kind of station, and what it came to."""
        case, poisonous = CASES[name], 0
        kills, messages = case.kills or kills, case.messages or messages
        if case.is_poisoned:
            poisonous = max(1, -(-(kills - DEATHS_SHARED) // DEATHS_ALONE))
            messages = max(messages, plan.POISON_EVERY * poisonous)
        url = await self._database(messages)
        folder = self.folder / f"{name}-{client}"
        folder.mkdir()
        station = [client, str(messages), str(case.per_s), str(poisonous)]
        port = _own_port()
        async with set_up(folder, self.postgres, url, port, station, case.setting) as rig:
            await rig.start_ingest()
            rig.sender.start()
            await asyncio.wait_for(case.kill(rig, kills), END_S)
            await self._until_done(rig, url)
            rig.sender.kill()
        record = await counting.read(url)
        told = {"case": name, "client": client, "kills": rig.kills}
        return told | counting.tally(record, folder, poisonous, _waiting(folder))

    async def _database(self, messages: int) -> str:
        self.databases += 1
        name = f"faults_{self.databases}"
        connection = await asyncpg.connect(self.postgres.url_of("postgres"), ssl=False)
        await connection.execute(f"CREATE DATABASE {name}")
        await connection.close()
        url = self.postgres.url_of(name)
        await asyncio.to_thread(upgrade, url)
        database = Database(url)
        await plan.set_up(database, messages)
        await database.close()
        return url

    async def _until_done(self, rig: Rig, url: str) -> None:
        """Wait until the station has all receipts; one that gets none: until nothing moves any more."""
        clock = asyncio.get_running_loop().time
        seen, since, end = -1, clock(), clock() + END_S
        while clock() < end:
            is_over = rig.sender.status is not None
            if is_over and rig.has_receipts:
                return
            now = await counting.progress(url)
            if now != seen:
                seen, since = now, clock()
            elif is_over and clock() - since > QUIET_S:
                return
            await asyncio.sleep(0.1)


def _own_port() -> int:
    """A port that is not taken while its server is dead: not one that connections are given, nor that others prefer."""
    return ports.next_free(random.randint(20_000, 31_000))


def _waiting(folder: Path) -> set[int]:
    """The numbers of the messages that wait in a station's spool."""
    spool = folder / "station.spool"
    if not spool.exists():
        return set()
    with closing(sqlite3.connect(spool)) as file:
        return {int(id[1:]) for (id,) in file.execute("SELECT id FROM message WHERE waiting")}


@asynccontextmanager
async def matrix() -> AsyncIterator[Matrix]:
    """A folder and a server that go away with the block."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        postgres = Postgres(folder / "database", durable=True)
        (postgres.data_dir / "postgres.port").write_text(str(_own_port()))
        async with postgres.running():
            yield Matrix(folder, postgres)


async def figures(names: Iterable[str], clients: Iterable[str], kills: int, messages: int) -> dict[str, Any]:
    """The matrix: a row for each case and kind of station."""
    async with matrix() as tried:
        rows = [
            await tried.try_out(name, client, kills, messages)
            for name in names
            for client in CASES[name].clients
            if client in clients
        ]
        connection = await asyncpg.connect(tried.postgres.url_of("postgres"), ssl=False)
        durable = {name: await connection.fetchval(f"SHOW {name}") for name in ("fsync", "synchronous_commit")}
        await connection.close()
    return {
        "cases": rows,
        **durable,
        "messages": sum(row["sent"] for row in rows),
        "distinct_units": sum(row["distinct_units"] for row in rows),
        "journal_entries": sum(row["journal_entries"] for row in rows),
        "cores": os.cpu_count(),
    }
