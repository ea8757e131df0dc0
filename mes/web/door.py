"""The door of every page: who are you, may you, did our own form send this; and what goes wrong is told as a page.

People have a login in a cookie, which opens nothing under `/api`; a bearer token opens nothing here.
"""

from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from hmac import compare_digest
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse
from fastapi.routing import APIRoute

from mes.commands.access import Caller
from mes.commands.act import Act
from mes.commands.logins import Login, find_login, note_seen
from mes.db.session import Database
from mes.settings import Settings
from mes.web.access import OPEN, ROLES
from mes.web.errors import PageError, answer
from mes.web.hub import Hub
from mes.web.pages import came_from, local_path

COOKIE: Final = "mes_login"
TOKEN_FIELD: Final = "form_token"
TOKEN_HEADER: Final = "x-form-token"
"""Where our own script says it, when what it sends is no form."""
_READING: Final = ("GET", "HEAD")


class Page(APIRoute):
    """A page behind the door. Its roles stand in `mes.web.access.ROLES` under `operation`."""

    @property
    def operation(self) -> str:
        """Method and path, as in the table of roles."""
        (method,) = (self.methods or {"GET"}) - {"HEAD"}
        return f"{method} {self.path}"

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()
        operation = self.operation

        async def enter(request: Request) -> Response:
            request.state.login = None
            try:
                await admit(request, operation)
                return await handle(request)
            except Exception as error:
                return answer(request, error)

        return enter


def pages() -> APIRouter:
    """A router for the pages of one noun."""
    return APIRouter(route_class=Page, include_in_schema=False)


async def admit(request: Request, operation: str) -> None:
    """Let the request in, with `request.state.login` set if there is one. Raises PageError, or sends to the login."""
    _check_text(request)
    login = request.state.login = await login_of(request)
    if request.method not in _READING:
        _check_origin(request)
    if operation in OPEN:
        return
    if login is None:
        raise PageError(401, "Please log in", "Your login has ended, or there was none.", headers=to_login(request))
    if not login.caller.roles & ROLES.get(operation, frozenset()):
        may = ", ".join(sorted(ROLES.get(operation, ()))) or "nobody"
        raise PageError(403, "Not for you", f"This is for {may}; you are {', '.join(sorted(login.caller.roles))}.")
    if request.method not in _READING:
        await _check_token(request, login)


async def login_of(request: Request) -> Login | None:
    """The valid login that the request's cookie stands for; notes now and then that it is in use."""
    if not (secret := request.cookies.get(COOKIE)):
        return None
    database, at = database_of(request), now()
    idle_max = timedelta(hours=settings_of(request).login_idle_hours)
    async with database.reading() as connection:
        login = await find_login(connection, secret, idle_max=idle_max, at=at)
    if login and login.stale:
        async with database.transaction() as connection:
            await note_seen(connection, secret, at=at)
    return login


def caller_of(request: Request) -> Caller:
    """Who is here, on a page that is not open to all."""
    login: Login = request.state.login
    return login.caller


def act_of(request: Request) -> Act:
    """Who does something, for commands: the person who is logged in; now."""
    return Act(settings_of(request).site, caller_of(request).name, now())


def database_of(request: Request) -> Database:
    """The database that this application works on."""
    database: Database = request.app.state.database
    return database


def settings_of(request: Request) -> Settings:
    """The settings that this application was made with."""
    settings: Settings = request.app.state.settings
    return settings


def hub_of(request: Request) -> Hub:
    """The hub that makes this application's pages live."""
    hub: Hub = request.app.state.hub
    return hub


def now() -> datetime:
    """This moment, in UTC."""
    return datetime.now(UTC)


def see_other(path: str) -> RedirectResponse:
    """After a form was done: go on there, so that reloading does not do it again."""
    return RedirectResponse(path, 303)


def to_login(request: Request) -> dict[str, str]:
    """Where to log in, and to come back from: this page, or the one that held the form."""
    here = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    back = local_path(here if request.method in _READING else came_from(request))
    return {"Location": "/login" if back == "/" else f"/login?{urlencode({'next': back})}"}


def _check_text(request: Request) -> None:
    """No text that a database can't hold."""
    if "\0" in request.url.path or any("\0" in text for text in request.query_params.values()):
        raise PageError(422, "That can't be read", "The address holds a character that no name has.")


def _check_origin(request: Request) -> None:
    """No other site's page may make this browser send us anything, not even a login."""
    origin = request.headers.get("origin")
    if origin is not None and urlsplit(origin).netloc != request.headers.get("host"):
        raise PageError(403, "Not from here", "This was sent by a page of another site; nothing was done.")


async def _check_token(request: Request, login: Login) -> None:
    given = request.headers.get(TOKEN_HEADER) or (await request.form()).get(TOKEN_FIELD)
    if not isinstance(given, str) or not compare_digest(given.encode(), login.form_token.encode()):
        raise PageError(
            403, "This form is too old", "Open the page again and send the form once more; nothing was done."
        )
