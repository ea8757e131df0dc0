"""What goes wrong, told as a page a person can act on; to our own script, which asks for JSON, as that."""

import logging
from collections.abc import Mapping
from typing import Final, NamedTuple

import asyncpg
from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, RedirectResponse
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.exceptions import HTTPException

from mes.commands.ingest import is_infrastructure
from mes.domain.refusals import Refusal
from mes.web.pages import came_from, page

log = logging.getLogger(__name__)

_OF_DATABASE: Final = (DBAPIError, PoolTimeout, asyncpg.PostgresError, OSError)


class Told(NamedTuple):
    """What a person is told: an HTTP status, a headline, a text, and the answer's headers."""

    status: int
    title: str
    text: str
    headers: Mapping[str, str] = {}


class PageError(Exception):
    """A page can't be shown or a form not be done, for a reason that a person understands."""

    def __init__(self, status: int, title: str, text: str, *, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(title)
        self.told = Told(status, title, text, headers or {})


def answer(request: Request, error: Exception) -> Response:
    """The answer to whatever went wrong. A page that needs a login leads there."""
    told = _told(request, error)
    if request.headers.get("accept", "").startswith("application/json"):
        reasons = [one._asdict() for one in error.reasons] if isinstance(error, Refusal) else []
        return JSONResponse({"title": told.title, "text": told.text, "reasons": reasons}, told.status)
    if told.status == 401 and not request.headers.get("accept", "").startswith("text/event-stream"):
        return RedirectResponse(told.headers["Location"], 303)
    headers = {name: value for name, value in told.headers.items() if name != "Location"}
    request_id = request.scope.get("request_id") if told.status >= 500 else None
    back = came_from(request) if request.method == "POST" else ""
    return page(request, "error.html", status=told.status, headers=headers, told=told, request_id=request_id, back=back)


def _told(request: Request, error: Exception) -> Told:
    if isinstance(error, PageError):
        return error.told
    if isinstance(error, Refusal):
        return _refused(error)
    if isinstance(error, RequestValidationError):
        wrong = "; ".join(f"{one['loc'][-1]}: {one['msg']}" for one in error.errors()[:3])
        return Told(422, "That can't be read", f"{wrong}.")
    if isinstance(error, HTTPException):
        return _of_router(error)
    if isinstance(error, _OF_DATABASE) and is_infrastructure(error):
        log.warning("database unavailable: %s", error, extra={"request_id": request.scope.get("request_id")})
        return Told(503, "Not now", "The database can't be reached or is too busy. Try again in a moment.")
    log.error("a page failed: request %s", request.scope.get("request_id"), exc_info=error)
    return Told(500, "This is our fault", "The MES failed to make this page. The request id finds why in its log.")


def _refused(refusal: Refusal) -> Told:
    code = refusal.reasons[0].code
    text = " ".join(one.text for one in refusal.reasons)
    if code.startswith("unknown_"):
        return Told(404, "Nothing of that name", text)
    return Told(422 if code == "invalid" else 409, "That can't be done", text)


def _of_router(error: HTTPException) -> Told:
    if error.status_code == 404:
        return Told(404, "Nothing is here", "There is no page at this address.")
    headers = error.headers or {}
    return Told(error.status_code, "That can't be done", "This address does not take that.", headers)
