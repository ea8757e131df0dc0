"""The parts that are killed, each in a process of its own: PostgreSQL, broker, ingest, station; and the network."""

import asyncio
import os
import random
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from mes.embedded import cluster
from mes.embedded.broker import Broker
from mes.embedded.child import Process, born
from mes.embedded.postgres import Postgres
from tests.faults.proxy import Proxy

ROOT: Final = Path(__file__).parents[2]
READY_S: Final = 60.0


@dataclass
class Program:
    """A program that is started, killed and started again; what it writes goes to a file."""

    name: str
    argv: list[str]
    folder: Path
    environment: dict[str, str] = field(default_factory=dict)
    running: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, or start it again."""
        with (self.folder / f"{self.name}.log").open("ab") as log:
            self.running = subprocess.Popen(
                [sys.executable, *self.argv], env=os.environ | self.environment, cwd=ROOT, stdout=log, stderr=log
            )

    def kill(self) -> None:
        """End it without a word."""
        if self.running:
            self.running.kill()
            self.running.wait()

    @property
    def status(self) -> int | None:
        """How it ended; None while it runs."""
        return self.running.poll() if self.running else None

    def log(self) -> str:
        return (self.folder / f"{self.name}.log").read_text()[-2000:]


@dataclass
class Rig:
    """One case's parts. `to_station` and `to_ingest` are the network to the broker, where a case meddles with it."""

    folder: Path
    postgres: Postgres
    database_url: str
    broker: Broker
    ingest: Program
    sender: Program
    to_station: Proxy | None
    to_ingest: Proxy | None
    chance: random.Random = field(default_factory=lambda: random.Random(7))
    kills: int = 0

    @property
    def has_receipts(self) -> bool:
        """Whether the station waits for receipts before it ends."""
        return "sdk" in self.sender.argv

    async def pause(self, least_s: float, most_s: float) -> None:
        """Let them work for a while."""
        await asyncio.sleep(self.chance.uniform(least_s, most_s))

    async def start_ingest(self) -> None:
        """Start ingest and wait until the broker keeps messages for it."""
        ready = self.folder / "ingest.ready"
        ready.unlink(missing_ok=True)
        self.ingest.start()
        async with asyncio.timeout(READY_S):
            while not ready.exists():
                assert self.ingest.status is None, self.ingest.log()
                await asyncio.sleep(0.02)

    def kill_ingest(self) -> None:
        self.ingest.kill()
        self.kills += 1

    def workers(self) -> list[Process]:
        """The processes that settle for ingest."""
        assert self.ingest.running
        argv = ["pgrep", "-P", str(self.ingest.running.pid), "-f", "mes.ingesting"]
        found = [int(pid) for pid in subprocess.run(argv, capture_output=True, check=True).stdout.split()]
        return [Process(pid, born(pid) or "") for pid in found]

    def kill_one(self, crew: Sequence[Process]) -> None:
        """Kill one of them."""
        self.chance.choice(crew).send(signal.SIGKILL)
        self.kills += 1

    async def ended(self, crew: Sequence[Process]) -> None:
        """Wait until ingest and all that settled for it have ended."""
        async with asyncio.timeout(READY_S):
            while self.ingest.status is None:  # noqa: ASYNC110 - a process tells nobody of its end
                await asyncio.sleep(0.02)
        for one in crew:
            assert await one.ended(READY_S)

    async def kill_postgres(self) -> None:
        """Kill the server; its backends end by themselves. Then have it back."""
        main = cluster.postmaster(self.postgres.cluster)
        assert main
        main.send(signal.SIGKILL)
        self.kills += 1
        assert await main.ended(READY_S)
        assert not self.postgres.alive
        await asyncio.sleep(self.chance.uniform(0, 0.3))
        await self.postgres.start()

    async def kill_broker(self) -> None:
        """Kill the broker and have it back."""
        process = Process.read(self.broker.data_dir / "broker.process")
        assert process
        process.send(signal.SIGKILL)
        self.kills += 1
        assert await process.ended(READY_S)
        assert not self.broker.alive
        await asyncio.sleep(self.chance.uniform(0, 0.3))
        await self.broker.start()

    def cut(self) -> None:
        """Cut the network of one of the two, or of both."""
        for proxy in self.chance.sample([one for one in (self.to_station, self.to_ingest) if one], k=1):
            proxy.cut()
            self.kills += 1


@dataclass(frozen=True)
class Network:
    """How the network of a case is: see `Proxy`. Without any of it there is none between the parts."""

    between: bool = False
    double: float = 0.0
    delay_s: float = 0.0
    cut_after: int | None = None


@dataclass(frozen=True)
class Setting:
    """What is put together for a case: its network, the module that is its ingest, how many settle for that."""

    network: Network = Network()
    ingest: str = "mes"
    workers: int = 0


@asynccontextmanager
async def set_up(
    folder: Path, postgres: Postgres, database_url: str, port: int, station: list[str], setting: Setting
) -> AsyncIterator[Rig]:
    """A rig whose broker knows ingest; everything that it started is ended with the block."""
    async with AsyncExitStack() as parts:
        broker = Broker(folder / "broker", port, exact=False)
        url = await parts.enter_async_context(broker.running())
        to_station = to_ingest = None
        network = setting.network
        if network.between:
            target = urlsplit(url).port
            assert target
            to_station = Proxy(target, double=network.double, delay_s=network.delay_s)
            to_ingest = Proxy(target, double=network.double, delay_s=network.delay_s, cut_after=network.cut_after)
            await parts.enter_async_context(to_station)
            await parts.enter_async_context(to_ingest)
        ready = str(folder / "ingest.ready")
        argv = (
            ["-m", "mes", "ingest", "--ready-file", ready] if setting.ingest == "mes" else ["-m", setting.ingest, ready]
        )
        environment = {"MES_DATABASE_URL": database_url, "MES_LOG_LEVEL": "WARNING"}
        environment |= {"MES_MQTT_URL": _at(to_ingest, url), "MES_DATA_DIR": str(folder), "MES_PENDING_RETRY_S": "0.5"}
        environment["MES_INGEST_WORKERS"] = str(setting.workers)
        kind, *about = station
        told = [kind, _at(to_station, url), str(folder), *about]
        rig = Rig(
            folder,
            postgres,
            database_url,
            broker,
            Program("ingest", argv, folder, environment),
            Program("sender", ["-m", "tests.faults.sender", *told], folder),
            to_station,
            to_ingest,
        )
        try:
            yield rig
        finally:
            rig.ingest.kill()
            rig.sender.kill()


def _at(proxy: Proxy | None, url: str) -> str:
    return f"mqtt://127.0.0.1:{proxy.port}" if proxy else url
