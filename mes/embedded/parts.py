"""The database and the broker that a command needs: those of the settings, else the ones of the data folder."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from mes.embedded.broker import Broker
from mes.embedded.postgres import Postgres
from mes.embedded.problems import PartError
from mes.embedded.processes import Backoff
from mes.embedded.shared_server import SharedServer
from mes.settings import Settings

LOOK_S = 0.25

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Parts:
    """Where database and broker are."""

    database_url: str
    mqtt_url: str

    def environment(self) -> dict[str, str]:
        """The settings that make a child process use the same."""
        return {"MES_DATABASE_URL": self.database_url, "MES_MQTT_URL": self.mqtt_url}


@asynccontextmanager
async def embedded(settings: Settings, *, any_port: bool = False) -> AsyncIterator[Parts]:
    """Database and broker for as long as the block lasts, each restarted at its address should it die meanwhile.

    With `any_port` the broker takes the next free port where its own is taken. Raises PartError.
    """
    broker = Broker(
        settings.data_dir,
        settings.mqtt_port,
        exact=not any_port,
        message_max_bytes=settings.message_max_bytes,
    )
    async with (
        _kept(Postgres(settings.data_dir), settings.database_url) as database_url,
        _kept(broker, settings.mqtt_url) as mqtt_url,
    ):
        yield Parts(database_url, mqtt_url)


@asynccontextmanager
async def database(settings: Settings) -> AsyncIterator[str]:
    """The database's address, for a command that ends soon: one that runs is used, else started for the while."""
    if settings.database_url:
        yield settings.database_url
        return
    async with Postgres(settings.data_dir, for_a_while=True).running() as url:
        yield url


@asynccontextmanager
async def _kept(part: SharedServer, url_elsewhere: str | None) -> AsyncIterator[str]:
    """A part that is ours to keep alive, unless the settings name one elsewhere."""
    if url_elsewhere:
        yield url_elsewhere
        return
    async with part.running() as url:
        keeper = asyncio.create_task(_keep(part))
        try:
            yield url
        finally:
            keeper.cancel()
            await asyncio.gather(keeper, return_exceptions=True)


async def _keep(part: SharedServer) -> None:
    """Start a part again when it has died, with growing patience."""
    backoff = Backoff()
    while True:
        await asyncio.sleep(LOOK_S)
        if part.alive:
            continue
        wait_s = backoff.next_s()
        log.warning("%s died; starting it again in %.1f s. Its log: %s", part.title, wait_s, part.log)
        await asyncio.sleep(wait_s)
        backoff.begin()
        try:
            await part.start()
        except PartError as error:
            log.error("%s does not start again: %s", part.title, error)
