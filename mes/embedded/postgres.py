"""The embedded PostgreSQL: one server on the data folder, started when needed and never twice.

One that was started for a short while, and that others use by now, is left to them: then the last one out ends it.
Nothing here ever touches another PostgreSQL of this machine: the folder, the port and the password are our own.
"""

import asyncio
import re
import signal
import time
from functools import partial
from pathlib import Path
from urllib.parse import quote

import asyncpg

from mes.embedded import binaries, cluster, folder, ports
from mes.embedded.binaries import Binaries
from mes.embedded.child import Child, Process, Steps
from mes.embedded.identity import choose
from mes.embedded.problems import PartError
from mes.embedded.shared_server import SharedServer

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


class Postgres(SharedServer):
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
        super().__init__(
            data_dir,
            "postgres",
            "PostgreSQL",
            start_s=START_S,
            turn_s=START_S + RETRY_S,
            stop=FAST,
            at_once=AT_ONCE,
            for_a_while=for_a_while,
        )
        self.cluster = self.data_dir / "postgres"
        self._durable = durable
        self._programs = programs
        self._namespaces = namespaces
        self._password_file = self.data_dir / "postgres.password"

    @property
    def url(self) -> str:
        """The address of the database `mes`."""
        return self.url_of(DATABASE)

    def url_of(self, database: str) -> str:
        """The address of a database of this server; only while it runs."""
        return self._url(self.port, database)

    def _url(self, port: int, database: str) -> str:
        password = quote(folder.secret(self._password_file))
        return f"postgresql://{cluster.SUPERUSER}:{password}@{ports.HOST}:{port}/{database}"

    def _found(self) -> Process | None:
        return cluster.postmaster(self.cluster)

    async def _port_of_found(self) -> int | None:
        found = cluster.Pidfile.read(self.cluster)
        return found.port if found and found.ready and await self._accepts(found.port) else None

    async def _launch(self) -> None:
        if not (self.cluster / "PG_VERSION").exists():
            await self._make()
        await self._start_server()
        await self._ensure_database()

    async def _make(self) -> None:
        programs = self._programs or binaries.for_new_folder()
        await cluster.make(self.cluster, programs, self._password_file, self.log, namespaces=self._namespaces)

    async def _start_server(self) -> None:
        """Start, and again while the remains of a crash go away or a port is snatched."""
        programs = self._programs_of_folder()
        identity = choose(programs, self.cluster, namespaces=self._namespaces)
        retry_until = time.monotonic() + RETRY_S
        while True:
            cluster.disown_pidfile(self.cluster)
            port = self._port or ports.next_free(self._remembered_port(FIRST_PORT))
            argv = self._argv(programs, port)
            death_signal = None if self.for_a_while else signal.SIGINT
            child = Child("postgres", argv, self.log, identity=identity, death_signal=death_signal)
            if await self._comes_up(child, port, partial(self._is_at, child, port)):
                return
            if not LEFT_BEHIND.search(child.said()) or time.monotonic() > retry_until:
                raise PartError(
                    f"PostgreSQL did not start on {self.cluster} (status {child.status}):\n{child.last_lines()}"
                )
            await asyncio.sleep(0.2)

    async def _is_at(self, child: Child, port: int) -> bool:
        """Whether it is our child that lets us in."""
        found = cluster.Pidfile.read(self.cluster)
        return bool(found and found.ready and found.pid == child.process.pid) and await self._accepts(port)

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

    async def _accepts(self, port: int) -> bool:
        """Whether the server there takes our password and works in our folder."""
        try:
            connection = await asyncpg.connect(self._url(port, "postgres"), timeout=CONNECT_S, ssl=False)
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
