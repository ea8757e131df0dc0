"""The embedded PostgreSQL: one server on the data folder, started when needed and never twice.

Whoever finds a server running in the folder uses it. Who started it ends it, unless it was started for a short while
and others use it by now: then the last one out ends it. Nothing here ever touches another PostgreSQL of this machine:
the folder, the port and the password are our own.
"""

import asyncio
import re
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import asyncpg

from mes.embedded import binaries, cluster, folder, ports
from mes.embedded.binaries import Binaries
from mes.embedded.child import POLL_S, Child, Process, Steps
from mes.embedded.identity import choose
from mes.embedded.problems import PartError

DATABASE = "mes"
FIRST_PORT = 15432
START_S = 120.0
"""How long a start may take; recovery after a crash replays at most MAX_WAL_SIZE of journal."""
RETRY_S = 20.0
"""How long a start is tried again while what a crash left behind goes away."""
CONNECT_S = 5.0
FAST: Steps = ((signal.SIGINT, 20.0), (signal.SIGQUIT, 10.0), (signal.SIGKILL, 5.0))
"""Fast shutdown, then immediate. SIGKILL only for one that hangs: its orphans may live on for a moment."""
AT_ONCE: Steps = FAST[1:]

SETTINGS = {
    "listen_addresses": ports.HOST,
    "unix_socket_directories": "",
    "password_encryption": "scram-sha-256",
    "max_connections": "100",
    "shared_buffers": "256MB",
    "max_wal_size": "1GB",
    "wal_compression": "on",
    "idle_in_transaction_session_timeout": "60s",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] ",
    "lc_messages": "C",
}
DURABLE = {"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on"}
NOT_DURABLE = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
LEFT_BEHIND = re.compile(
    r"lock file .* already exists|pre-existing shared memory block|could not bind|could not create any TCP"
)


@dataclass(frozen=True)
class Access:
    """How to reach the server."""

    port: int
    password: str

    def url(self, database: str = DATABASE) -> str:
        return f"postgresql://{cluster.SUPERUSER}:{quote(self.password)}@{ports.HOST}:{self.port}/{database}"


class Postgres:
    """The server of one data folder."""

    def __init__(
        self,
        data_dir: Path,
        *,
        durable: bool = True,
        for_a_while: bool = False,
        programs: Binaries | None = None,
        namespaces: bool = True,
    ) -> None:
        """`durable=False` is for tests: a power cut loses data. `for_a_while` leaves the server to others who joined.

        `programs` and `namespaces` overrule what is found on the machine.
        """
        self.data_dir = folder.prepare(data_dir)
        self.cluster = self.data_dir / "postgres"
        self.log = self.data_dir / "postgres.log"
        self._durable = durable
        self._for_a_while = for_a_while
        self._programs = programs
        self._namespaces = namespaces
        self._port_record = self.data_dir / "postgres.port"
        self._owner_record = self.data_dir / "postgres.owner"
        self._password_file = self.data_dir / "postgres.password"
        self._lock = self.data_dir / "postgres.lock"
        self._use = folder.SharedUse(self.data_dir / "postgres.users")
        self._access: Access | None = None
        self._child: Child | None = None

    @property
    def url(self) -> str:
        """The address of the database `mes`."""
        return self.url_of(DATABASE)

    def url_of(self, database: str) -> str:
        """The address of a database of this server; only while it runs."""
        if self._access is None:
            raise PartError("The embedded PostgreSQL was not started.")
        return self._access.url(database)

    @property
    def started_here(self) -> bool:
        """Whether the server is our child, and not somebody else's that we joined."""
        return self._child is not None

    @property
    def alive(self) -> bool:
        """Whether the server's main process lives."""
        return self._child.alive if self._child else cluster.postmaster(self.cluster) is not None

    async def start(self) -> str:
        """Have a server that accepts connections, and give its address; again after a crash, at the same port.

        Raises PartError with the log's last lines.
        """
        async with folder.turn(self._lock, START_S + RETRY_S):
            if not await self._join_running():
                if not (self.cluster / "PG_VERSION").exists():
                    await self._make()
                await self._start_server()
                await self._ensure_database()
            self._use.join()
        return self.url

    async def stop(self) -> None:
        """End the server if that is ours to do; otherwise leave it to whoever uses it."""
        async with folder.turn(self._lock, START_S + RETRY_S):
            last = self._use.leave()
            child, self._child, self._access = self._child, None, None
            if child is not None and self._for_a_while and not last:
                child.disown()
            elif child is not None:
                await child.stop(FAST)
            elif last and Process.read(self._owner_record) is None:
                await self._stop_orphan()

    async def _stop_orphan(self) -> None:
        """End a server that nobody uses and whose owner is gone."""
        if process := cluster.postmaster(self.cluster):
            await process.stop(FAST)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[str]:
        """The server's address, for as long as the block lasts."""
        try:
            yield await self.start()
        finally:
            await self.stop()

    async def _make(self) -> None:
        programs = self._programs or binaries.for_new_folder()
        await cluster.make(self.cluster, programs, self._password_file, self.log, namespaces=self._namespaces)

    async def _join_running(self) -> bool:
        """Join the server that runs in the folder. One that comes up or goes down meanwhile is waited for."""
        deadline = time.monotonic() + START_S
        while process := cluster.postmaster(self.cluster):
            found = cluster.Pidfile.read(self.cluster)
            if found and found.ready and await self._accepts(Access(found.port, self._password())):
                self._access, self._child = Access(found.port, self._password()), None
                return True
            if time.monotonic() > deadline:
                raise PartError(
                    f"PostgreSQL (process {process.pid}) runs in {self.cluster} but lets nobody in. See {self.log}."
                )
            await asyncio.sleep(POLL_S)
        return False

    async def _start_server(self) -> None:
        """Start, and again while the remains of a crash go away or a port is snatched."""
        programs = self._programs_of_folder()
        identity = choose(programs, self.cluster, namespaces=self._namespaces)
        retry_until = time.monotonic() + RETRY_S
        while True:
            cluster.disown_pidfile(self.cluster)
            port = self._access.port if self._access else ports.next_free(self._first_port())
            log_start = self.log.stat().st_size if self.log.exists() else 0
            argv = self._argv(programs, port)
            death_signal = None if self._for_a_while else signal.SIGINT
            child = Child("postgres", argv, self.log, identity=identity, death_signal=death_signal)
            if await self._came_up(child, port):
                return
            said = _said_since(self.log, log_start)
            if not LEFT_BEHIND.search(said) or time.monotonic() > retry_until:
                raise PartError(
                    f"PostgreSQL did not start on {self.cluster} (status {child.status}):\n{child.last_lines()}"
                )
            await asyncio.sleep(0.2)

    async def _came_up(self, child: Child, port: int) -> bool:
        """Wait until the child accepts connections; False if it ended instead."""
        access = Access(port, self._password())
        deadline = time.monotonic() + START_S
        try:
            while child.alive and time.monotonic() < deadline:
                found = cluster.Pidfile.read(self.cluster)
                if found and found.ready and found.pid == child.process.pid and await self._accepts(access):
                    self._access, self._child = access, child
                    Process.current().write(self._owner_record)
                    self._port_record.write_text(str(port))
                    return True
                await asyncio.sleep(POLL_S)
            if child.alive:
                raise PartError(f"PostgreSQL did not become ready within {START_S:.0f} s:\n{child.last_lines()}")
            return False
        except BaseException:
            await child.stop(AT_ONCE)
            raise

    def _first_port(self) -> int:
        return ports.remembered(self._port_record, FIRST_PORT)

    def _programs_of_folder(self) -> Binaries:
        wanted = int((self.cluster / "PG_VERSION").read_text())
        if self._programs is not None and self._programs.major == wanted:
            return self._programs
        return binaries.for_folder(self.cluster)

    def _argv(self, programs: Binaries, port: int) -> list[str]:
        argv = [programs.postgres, "-D", str(self.cluster), "-p", str(port)]
        for name, value in (SETTINGS | (DURABLE if self._durable else NOT_DURABLE)).items():
            argv += ["-c", f"{name}={value}"]
        return argv

    def _password(self) -> str:
        return folder.secret(self._password_file)

    async def _accepts(self, access: Access) -> bool:
        """Whether the server there takes our password and works in our folder."""
        try:
            connection = await asyncpg.connect(access.url("postgres"), timeout=CONNECT_S, ssl=False)
        except (OSError, TimeoutError, asyncpg.PostgresError):
            return False
        await connection.close(timeout=CONNECT_S)
        return True

    async def _ensure_database(self) -> None:
        connection = await asyncpg.connect(self.url_of("postgres"), timeout=CONNECT_S, ssl=False)
        try:
            if not await connection.fetchval("SELECT true FROM pg_database WHERE datname = $1", DATABASE):
                await connection.execute(f"CREATE DATABASE {DATABASE}")
        finally:
            await connection.close(timeout=CONNECT_S)


def _said_since(log: Path, start: int) -> str:
    with log.open("rb") as file:
        file.seek(start)
        return file.read(64 * 1024).decode(errors="replace")
