"""What open boards cost: many pages live at once on one `mes serve`, on a floor at work, a usual one and a huge one.

Facts are applied all the while, as ingest would. `serve_core_pct` is the processor time of the serving process, of one
core; `database_core_pct` that of PostgreSQL beyond what the same facts cost it while nobody looks. `update_ms` runs
from a fact's commit to the message that shows it, at each page.
"""

import asyncio
import os
import re
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, NamedTuple

import httpx

from mes.commands.access import add_account
from mes.commands.logins import open_login
from mes.db.migrate import upgrade
from mes.db.session import Database
from mes.embedded.postgres import Postgres
from tests.bench.parts import Running, database_cpu_s, query
from tests.parts import any_port
from tests.web.busy_floor import BusyFloor

UPDATES_PER_S: Final = 2.0
MARK: Final = re.compile(r"bench-\d{5}")


class Size(NamedTuple):
    """A floor, and for how long boards are open on it, in seconds."""

    name: str
    stations_per_kind: int
    units_per_line: int
    for_s: float


FULL: Final = (Size("usual", 2, 60, 20), Size("huge", 20, 1300, 20))
SHORT: Final = (Size("usual", 1, 8, 3),)
"""There are 15 kinds of station: 30 and 300 stations; of 5,200 units most are on their way."""


@dataclass
class Board:
    """One open page: how much it was told, and when it was first told of each mark."""

    told_bytes: int = 0
    seen: dict[str, float] = field(default_factory=dict)

    async def watch(self, url: str, secret: str, opened: asyncio.Event) -> None:
        """Read the stream for ever."""
        headers = {"Cookie": f"mes_login={secret}"}
        async with httpx.AsyncClient(timeout=None) as client, client.stream("GET", url, headers=headers) as answer:
            answer.raise_for_status()
            async for line in answer.aiter_lines():
                if opened.is_set():
                    self.told_bytes += len(line) + 1
                if '"whole"' in line[:120]:
                    opened.set()
                for mark in MARK.findall(line):
                    self.seen.setdefault(mark, time.monotonic())


async def run(*, short: bool = False) -> dict[str, Any]:
    """Measure floors of each size."""
    boards = 5 if short else 50
    figures: dict[str, Any] = {"boards": boards, "updates_per_s": UPDATES_PER_S}
    with tempfile.TemporaryDirectory() as folder:
        server = Postgres(Path(folder) / "database", durable=True)
        async with server.running():
            for size in SHORT if short else FULL:
                measured = await _measure(server, size, boards)
                figures |= {f"{size.name}_{name}": value for name, value in measured.items()}
    return figures


async def _measure(server: Postgres, size: Size, boards: int) -> dict[str, Any]:
    await query(server.url_of("postgres"), f"CREATE DATABASE {size.name}")
    url = server.url_of(size.name)
    await asyncio.to_thread(upgrade, url)
    database = Database(url)
    floor = BusyFloor(database)
    await floor.set_up(size.stations_per_kind)
    await floor.release(size.units_per_line)
    await floor.work(size.units_per_line)
    await floor.speak()
    try:
        async with _serving(url) as (address, service):
            alone, _ = await _facts(server, floor, size.for_s)
            async with _open(database, f"{address}/live/board", boards) as pages:
                began_cpu_s, told_bytes = service.cpu_s, sum(page.told_bytes for page in pages)
                watched, said = await _facts(server, floor, size.for_s)
                serve_cpu_s = service.cpu_s - began_cpu_s
                await asyncio.sleep(2)
            late = sorted(page.seen[mark] - at for mark, at in said.items() for page in pages if mark in page.seen)
            return {
                "stations": sum(map(len, floor.stations.values())),
                "in_process": await query(url, "SELECT count(*) FROM unit WHERE state = 'in_process'"),
                "serve_core_pct": 100 * serve_cpu_s / size.for_s,
                "database_core_pct": 100 * (watched - alone) / size.for_s,
                "kb_per_page_per_min": (sum(page.told_bytes for page in pages) - told_bytes)
                / boards
                / size.for_s
                * 0.06,
                "updates_seen": len(late) / (len(said) * boards),
                "update_p50_ms": 1000 * late[len(late) // 2],
                "update_p95_ms": 1000 * late[int(len(late) * 0.95)],
                "update_max_ms": 1000 * late[-1],
                "serve_peak_mib": service.peak_mib,
            }
    finally:
        await database.close()


async def _facts(server: Postgres, floor: BusyFloor, for_s: float) -> tuple[float, dict[str, float]]:
    """Let stations report for a while: PostgreSQL's processor time, and the moment of each mark's commit."""
    began_s, said = database_cpu_s(server), {}
    names = [name for names in floor.stations.values() for name in names]
    for number in range(int(for_s * UPDATES_PER_S)):
        floor.marks += 1
        mark = f"bench-{floor.marks:05}"
        floor.now = datetime.now(UTC)
        due = time.monotonic() + 1 / UPDATES_PER_S
        await floor.send([floor.status(names[number % len(names)], "down", floor.now, mark)])
        said[mark] = time.monotonic()
        await asyncio.sleep(due - time.monotonic())
    return database_cpu_s(server) - began_s, said


@asynccontextmanager
async def _open(database: Database, url: str, boards: int) -> AsyncIterator[list[Board]]:
    """Pages that somebody has open."""
    at = datetime.now(UTC)
    async with database.transaction() as connection:
        await add_account(connection, "watcher", "no matter", ["viewer"], at=at)
        secret = await open_login(connection, "watcher", at=at)
    pages, opened = [Board() for _ in range(boards)], [asyncio.Event() for _ in range(boards)]
    watching = [asyncio.create_task(one.watch(url, secret, event)) for one, event in zip(pages, opened, strict=True)]
    async with asyncio.timeout(60):
        await asyncio.gather(*(event.wait() for event in opened))
    try:
        yield pages
    finally:
        for task in watching:
            task.cancel()
        await asyncio.gather(*watching, return_exceptions=True)


@asynccontextmanager
async def _serving(url: str) -> AsyncIterator[tuple[str, Running]]:
    """`mes serve` as a process of its own."""
    port = any_port()
    environment = {**os.environ, "MES_DATABASE_URL": url, "MES_PORT": str(port), "MES_LOG_LEVEL": "WARNING"}
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", "mes", "serve", env=environment)
    address = f"http://127.0.0.1:{port}"
    try:
        async with httpx.AsyncClient() as client, asyncio.timeout(60):
            while not await _answers(client, address):  # noqa: ASYNC110 - it has no other way to say so
                await asyncio.sleep(0.1)
        yield address, Running(process.pid, time.time())
    finally:
        process.terminate()
        await process.wait()


async def _answers(client: httpx.AsyncClient, address: str) -> bool:
    try:
        return (await client.get(f"{address}/healthz")).is_success
    except httpx.TransportError:
        return False
