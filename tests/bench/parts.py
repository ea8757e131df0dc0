"""The real parts of a bench: a durable PostgreSQL, a broker, and the processes of the MES, as on a floor."""

import asyncio
import os
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import asyncpg

from mes.db.migrate import upgrade
from mes.db.session import Database
from mes.embedded.broker import Broker
from mes.embedded.postgres import Postgres
from mes.embedded.processes import Supervisor
from tests import parts
from tests.bench import floor

TEMPLATE = "bench_floor"


@dataclass
class Parts:
    """What runs, and the folder it runs in."""

    folder: Path
    postgres: Postgres
    broker: Broker
    rivals_broker: Broker
    databases: int = field(default=0)

    async def floor(self, units: int) -> None:
        """Prepare a database with the floor and its units, to be copied for each measurement."""
        await self.execute(f"CREATE DATABASE {TEMPLATE}")
        url = self.postgres.url_of(TEMPLATE)
        await asyncio.to_thread(upgrade, url)
        database = Database(url)
        await floor.set_up(database, units)
        await database.close()

    async def fresh_database(self) -> str:
        """A database of its own with the floor in it, all of it on disk."""
        self.databases += 1
        name = f"bench_{self.databases}"
        await self.execute(f"CREATE DATABASE {name} TEMPLATE {TEMPLATE}", "VACUUM", "CHECKPOINT")
        return self.postgres.url_of(name)

    async def drop(self, url: str) -> None:
        """A database that was measured with is not needed any more."""
        await self.execute(f"DROP DATABASE {url.rpartition('/')[2]} WITH (FORCE)")

    async def delay_commits(self, delay_us: int) -> None:
        """Let every commit of every client take that much longer, as on a disk that takes longer to write."""
        await self.execute(
            f"ALTER SYSTEM SET commit_delay = {delay_us}",
            "ALTER SYSTEM SET commit_siblings = 0",
            "SELECT pg_reload_conf()",
        )

    async def execute(self, *statements: str) -> None:
        """Run statements in the server's maintenance database."""
        for statement in statements:
            await query(self.postgres.url_of("postgres"), statement)

    @asynccontextmanager
    async def process(self, name: str, database_url: str, **environment: str) -> AsyncIterator["Running"]:
        """One of the MES's processes on a database, ready; ended with the block."""
        ready = self.folder / f"{name}.ready"
        ready.unlink(missing_ok=True)
        variables = {"MES_DATABASE_URL": database_url, "MES_MQTT_URL": self.broker.url, "MES_LOG_LEVEL": "WARNING"}
        argv = [sys.executable, "-m", "mes", name, "--ready-file", str(ready)]
        async with Supervisor(self.folder / name, {**variables, **environment}) as services:
            child = await services.start(name, argv, ready=_exists(ready))
            started = Running(child.process.pid, ready.stat().st_mtime)
            yield replace(started, began_cpu_s=started.cpu_s)


@dataclass(frozen=True)
class Running:
    """A running process with those that it started: its number, when it was connected (Unix time), the processor time
    that all of them had used by then."""

    pid: int
    up_at: float
    began_cpu_s: float = 0.0

    @property
    def pids(self) -> list[int]:
        """Its number and those of its children."""
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text()
        return [self.pid, *map(int, children.split())]

    @property
    def cpu_s(self) -> float:
        """Processor time they have used since."""
        used = [Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split() for pid in self.pids]
        total = sum(int(one[11]) + int(one[12]) for one in used)
        return total / os.sysconf("SC_CLK_TCK") - self.began_cpu_s

    @property
    def peaks_mib(self) -> list[float]:
        """Most memory that each of them ever held."""
        told = [Path(f"/proc/{pid}/status").read_text() for pid in self.pids]
        return [int(one.split("VmHWM:")[1].split()[0]) / 1024 for one in told]

    @property
    def peak_mib(self) -> float:
        """Most memory that they ever held, together at most."""
        return sum(self.peaks_mib)


def database_cpu_s(server: Postgres) -> float:
    """Processor time of the server's processes, those included that ended."""
    postmaster = int((server.cluster / "postmaster.pid").read_text().split()[0])
    total = 0.0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            used = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(used[1]) == postmaster:
            total += int(used[11]) + int(used[12])
        elif stat.parent.name == str(postmaster):
            total += int(used[13]) + int(used[14])
    return total / os.sysconf("SC_CLK_TCK")


async def query(url: str, statement: str) -> Any:
    """One value from a database, or nothing."""
    connection = await asyncpg.connect(url, ssl=False)
    try:
        return await connection.fetchval(statement)
    finally:
        await connection.close()


@asynccontextmanager
async def running() -> AsyncIterator[Parts]:
    """PostgreSQL with its durable settings, and a broker, in a folder that goes away with the block."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        postgres = Postgres(folder / "database", durable=True)
        broker, rivals_broker = (Broker(folder / name, parts.any_port(), exact=False) for name in ("broker", "rivals"))
        async with postgres.running(), broker.running(), rivals_broker.running():
            yield Parts(folder, postgres, broker, rivals_broker)


async def conditions(parts: Parts) -> Mapping[str, str]:
    """The settings without which a rate means nothing."""
    url = parts.postgres.url_of("postgres")
    return {name: await query(url, f"SHOW {name}") for name in ("fsync", "synchronous_commit", "commit_delay")}


def _exists(path: Path) -> Any:
    async def ready() -> bool:
        return await asyncio.to_thread(path.exists)

    return ready
