"""The door of every `/api/v1` route: who are you, may you, do I know what you ask, can I read what you send.

In this order, so that a stranger learns nothing from how a body is refused.
"""

from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Request, Response
from fastapi.routing import APIRoute

from mes.commands.access import Caller
from mes.commands.act import Act
from mes.db.session import Database
from mes.formats.messages.mending import lenient, unstorable
from mes.rest.access import admit
from mes.rest.errors import Problem
from mes.settings import Settings

PREFIX = "/api/v1"
HAPPENED_AT = "MES-Happened-At"
"""Header of a request that says when it really was done; read only while history is loaded."""
_Moment = Annotated[datetime, msgspec.Meta(tz=True)]
_INTEGERS = range(-(2**63), 2**63)


class StrictRequest(Request):
    """A request whose JSON is JSON: UTF-8, no NaN, and nothing that a database can't hold.

    Read at the door, before FastAPI does: it would answer whatever reading raises in its own words.
    """

    _value: Any

    async def json(self) -> Any:
        """The body's value, as read at the door."""
        return self._value

    async def read(self) -> None:
        """Read the body. Raises `Problem` naming the field that can't be."""
        _check_kind(self)
        if body := await self.body():
            self._value = _parsed(body)


def _parsed(body: bytes) -> Any:
    try:
        value = msgspec.json.decode(body)
    except (msgspec.MsgspecError, UnicodeError, RecursionError, ValueError) as error:
        raise _malformed(error, body) from None
    wrong = [{"field": one.field, "code": "invalid", "text": one.text} for one in unstorable(value)]
    wrong += [{"field": path, "code": "invalid", "text": "the number is too large"} for path in _huge(value)]
    if wrong:
        raise Problem("invalid", fields=wrong[:100])
    return value


class Door(APIRoute):
    """A route behind the door. Its roles stand in `mes.rest.access.ROLES` under `operation`."""

    @property
    def operation(self) -> str:
        """Method and path, as in the table of roles."""
        (method,) = self.methods or {"GET"}
        return f"{method} {self.path.removeprefix(PREFIX)}"

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()
        known = {one.alias for one in self.dependant.query_params}
        operation = self.operation

        async def enter(request: Request) -> Response:
            request.state.caller = await admit(request, operation)
            _check_query(request, known)
            if self.body_field is None:
                return await handle(request)
            strict = StrictRequest(request.scope, request.receive)
            await strict.read()
            return await handle(strict)

        return enter


def router(noun: str, tag: str) -> APIRouter:
    """A router for one noun."""
    return APIRouter(prefix=f"{PREFIX}{noun}", tags=[tag], route_class=Door)


def act_of(request: Request, by: str | None = None) -> Act:
    """Who asks for something to be done: the token's name unless the request names a person; now.

    An MES that is being loaded with history lets a request say by `MES-Happened-At` when it really was done.
    """
    caller: Caller = request.state.caller
    at = now()
    return Act(settings_of(request).site, by or caller.name, at, _happened_at(request, at))


def _happened_at(request: Request, at: datetime) -> datetime | None:
    given = request.headers.get(HAPPENED_AT)
    if given is None:
        return None
    if not settings_of(request).history:
        raise Problem("history_closed")
    try:
        moment = msgspec.convert(given, _Moment)
    except msgspec.ValidationError:
        raise Problem("invalid", f"{HAPPENED_AT} must be a time as in RFC 3339, with a zone.") from None
    if moment > at:
        raise Problem("invalid", f"{HAPPENED_AT} must not lie ahead of now.")
    return moment.astimezone(UTC)


def now() -> datetime:
    """This moment, in UTC."""
    return datetime.now(UTC)


def database_of(request: Request) -> Database:
    """The database that this application works on."""
    database: Database = request.app.state.database
    return database


def settings_of(request: Request) -> Settings:
    """The settings that this application was made with."""
    settings: Settings = request.app.state.settings
    return settings


def _check_query(request: Request, known: set[str]) -> None:
    given = [name for name, _ in request.query_params.multi_items()]
    wrong = [(name, "there is no such parameter") for name in given if name not in known]
    wrong += [(name, "it is given more than once") for name in known if given.count(name) > 1]
    wrong += [(name, "a text can't hold NUL") for name, text in request.query_params.items() if "\0" in text]
    if wrong:
        fields = [{"field": name[:64], "in": "query", "code": "invalid", "text": text} for name, text in wrong[:100]]
        raise Problem("invalid", f"{wrong[0][0][:64]}: {wrong[0][1]}", fields=fields)


def _check_kind(request: Request) -> None:
    kind = request.headers.get("content-type", "application/json").partition(";")[0].strip().lower()
    if kind != "application/json" and not (kind.startswith("application/") and kind.endswith("+json")):
        raise Problem("unsupported_media_type")


def _malformed(error: Exception, body: bytes) -> Problem:
    """Where the body breaks, if a more patient reader finds it."""
    if isinstance(error, RecursionError):
        return Problem("malformed_json", "The body is nested too deeply.")
    value = lenient(body)
    wrong = [{"field": one.field, "code": "invalid", "text": one.text} for one in unstorable(value)][:100]
    text = str(error).partition("\n")[0][:200]
    return Problem("malformed_json", f"The body can't be read as JSON: {text}.", fields=wrong)


def _huge(value: Any) -> list[str]:
    """Fields that hold whole numbers beyond 64 bits."""
    found = []
    rest = [("", value)]
    while rest:
        path, one = rest.pop()
        if isinstance(one, dict):
            rest += [(f"{path}.{key}" if path else key, inner) for key, inner in one.items()]
        elif isinstance(one, list):
            rest += [(f"{path}[{index}]", inner) for index, inner in enumerate(one)]
        elif isinstance(one, int) and one not in _INTEGERS:
            found.append(path)
    return found
