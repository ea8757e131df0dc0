"""The pages as an application of their own, under the same roof as REST: everything that is not REST's."""

from typing import Final

from fastapi import FastAPI, Request, Response
from starlette.exceptions import HTTPException
from starlette.routing import Match, Mount
from starlette.types import Scope

from mes.db.session import Database
from mes.settings import Settings
from mes.web.acts import acts
from mes.web.board import board
from mes.web.errors import answer
from mes.web.hub import Hub
from mes.web.messages import messages
from mes.web.people import Failures, people
from mes.web.scan import scan
from mes.web.telemetry import telemetry
from mes.web.troubles import troubles
from mes.web.unit import unit
from mes.web.units import units

ROUTERS: Final = (people, board, units, unit, acts, troubles, telemetry, messages, scan)


class Pages(Mount):
    """The mount of the pages: at the root, but never where the other door is, also where that knows no such address."""

    def __init__(self, app: FastAPI, *, but: tuple[str, ...]) -> None:
        super().__init__("/", app)
        self._but = but

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        path = scope["path"]
        if any(path == one or path.startswith(f"{one}/") for one in self._but):
            return Match.NONE, {}
        return super().matches(scope)


def create_pages(database: Database, settings: Settings, hub: Hub) -> FastAPI:
    """All pages on a database, live by this hub."""
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False)
    app.state.database = database
    app.state.settings = settings
    app.state.failures = Failures()
    app.state.hub = hub
    app.add_exception_handler(HTTPException, _answer)
    for router in ROUTERS:
        app.include_router(router)
    return app


async def _answer(request: Request, error: Exception) -> Response:
    """No such page, or not that way: nobody came to a door."""
    return answer(request, error)
