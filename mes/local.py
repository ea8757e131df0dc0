"""The whole MES on one machine: database, broker and the processes, from nothing, ended together."""

import asyncio
import http.client
import logging
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from mes.commands.access import add_token, find_token
from mes.db.migrate import upgrade
from mes.db.session import Database
from mes.embedded import folder, ports
from mes.embedded.parts import Parts, embedded
from mes.embedded.problems import PortTakenError
from mes.embedded.processes import Supervisor
from mes.settings import Settings

log = logging.getLogger(__name__)

SERVICES = ("serve", "ingest", "answer", "feeds")
LISTENING = ("ingest", "answer")
"""Those that must be known to the broker before anyone may publish."""
TOKEN_FILE = "admin.token"
PORT_RECORD = "rest.port"


@dataclass(frozen=True)
class Local:
    """The running MES: where it is, and a token with all rights."""

    parts: Parts
    api_url: str
    token: str
    token_file: Path


def api_url(settings: Settings) -> str:
    """Where REST is."""
    return f"http://{settings.host}:{settings.port}"


def remembered_api_url(settings: Settings) -> str:
    """Where the REST of a data folder is, or was last, for a program that knows no more than the folder."""
    port = ports.remembered(settings.data_dir / PORT_RECORD, settings.port)
    return api_url(settings.model_copy(update={"port": port}))


@asynccontextmanager
async def running(
    settings: Settings, *, any_port: bool = False, any_mqtt_port: bool = False
) -> AsyncIterator[tuple[Local, Supervisor]]:
    """Everything, ready to be used, for as long as the block lasts. One at a time per data folder.

    With `any_port` and `any_mqtt_port` the next free port is taken where ours is in use. Raises PartError saying what
    is in the way.
    """
    with folder.sole_use(settings.data_dir):
        port = _port(settings, any_port)
        settings = settings.model_copy(update={"port": port})
        async with embedded(settings, any_port=any_mqtt_port) as parts:
            await asyncio.to_thread(upgrade, parts.database_url)
            token = await _admin_token(parts.database_url, settings)
            environment = {**parts.environment(), "MES_PORT": str(port), "MES_HOST": settings.host}
            environment["MES_HISTORY"] = str(settings.history)
            async with Supervisor(settings.data_dir, environment) as services:
                await asyncio.gather(*(_start(services, name, settings) for name in SERVICES))
                (settings.data_dir / PORT_RECORD).write_text(str(port))
                yield Local(parts, api_url(settings), token, settings.data_dir / TOKEN_FILE), services


async def _start(services: Supervisor, name: str, settings: Settings) -> None:
    """Start one service and wait until it can be relied on: what is sent before ingest listens would be lost."""
    argv = [sys.executable, "-m", "mes", name]
    if settings.metrics_port is not None and name != "serve":
        argv += ["--metrics-port", str(settings.metrics_port + SERVICES.index(name) - 1)]
    if name == "serve":
        await services.start(name, argv, ready=_is_serving(settings))
    elif name in LISTENING:
        ready_file = settings.data_dir.absolute() / f"{name}.ready"
        ready_file.unlink(missing_ok=True)
        await services.start(name, [*argv, "--ready-file", str(ready_file)], ready=_exists(ready_file))
    else:
        await services.start(name, argv)


def _exists(path: Path) -> Callable[[], Awaitable[bool]]:
    """A question: is the file there?"""

    async def ready() -> bool:
        return await asyncio.to_thread(path.exists)

    return ready


def _port(settings: Settings, any_port: bool) -> int:
    if any_port:
        return ports.next_free(settings.port, settings.host)
    if not ports.is_free(settings.port, settings.host):
        raise PortTakenError(
            f"Port {settings.port} on {settings.host}, for REST, is taken by another program. "
            "Stop it, or choose another with --port or MES_PORT."
        )
    return settings.port


def _is_serving(settings: Settings) -> Callable[[], Awaitable[bool]]:
    """A question: does the server answer that all is well?"""

    def ask() -> bool:
        connection = http.client.HTTPConnection(settings.host, settings.port, timeout=1)
        try:
            connection.request("GET", "/readyz")
            return connection.getresponse().status == 200
        except OSError:
            return False
        finally:
            connection.close()

    async def ready() -> bool:
        return await asyncio.to_thread(ask)

    return ready


async def _admin_token(database_url: str, settings: Settings) -> str:
    """The token of this folder's administrator, made at the first start and kept in a private file."""
    path = settings.data_dir / TOKEN_FILE
    database = Database(database_url, site=settings.site, pool_size=1)
    try:
        async with database.transaction() as connection:
            if path.exists():
                kept = path.read_text().strip()
                if await find_token(connection, kept):
                    return kept
            token = await add_token(connection, "local administrator", "admin", at=datetime.now(UTC))
        folder.write_private(path, token + "\n")
        return token
    finally:
        await database.close()
