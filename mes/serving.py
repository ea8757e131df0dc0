"""The process for REST and pages.

In a module of its own, loaded by `mes serve` alone: the web framework takes longer to load than all else together.
"""

import asyncio
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import uvicorn

from mes.app import create_app
from mes.services import open_database
from mes.settings import Settings
from mes.web.hub import Hub

STOP_S: Final = 3
"""How long a stopping server waits for open answers, in seconds."""


class Server(uvicorn.Server):
    """A server that ends the streams of live pages when it is to stop: it would wait for them to end by themselves."""

    def __init__(self, config: uvicorn.Config, hub: Hub) -> None:
        super().__init__(config)
        self._hub = hub

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals are the command's, which cancels `serve`; said twice, one would break off what is being closed."""
        yield

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._hub.stop()
        await super().shutdown(sockets)


async def serve(settings: Settings) -> None:
    """REST and pages, on the address of the settings."""
    database = await open_database(settings)
    app = create_app(database, settings)
    config = uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        log_config=None,
        lifespan="off",
        timeout_graceful_shutdown=STOP_S,
    )
    server = Server(config, app.state.hub)
    serving = asyncio.create_task(server.serve())
    try:
        await asyncio.shield(serving)
    except asyncio.CancelledError:
        # What is being answered is answered; only then may the database be closed.
        server.should_exit = True
        await serving
        raise
    finally:
        await database.close()
