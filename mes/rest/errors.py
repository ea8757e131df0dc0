"""Errors as RFC 9457 problems: the one table from codes to HTTP statuses, and the handlers that answer with it."""

import logging
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

import asyncpg
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.exceptions import HTTPException

from mes.domain.refusals import SENTENCES, Reason, Refusal

log = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"
REFUSED = 409
STATUSES: Mapping[str, int] = {
    "unknown_unit": 404,
    "unknown_part": 404,
    "unknown_station": 404,
    "unknown_order": 404,
    "unknown_product": 404,
    "unknown_hold": 404,
    "unknown_line": 404,
    "unknown_message": 404,
    "unknown_run": 404,
    "unknown_nonconformance": 404,
    "not_found": 404,
    "invalid": 422,
    "placeholder_serial": 422,
    "serials_mismatch": 422,
    "version_mismatch": 412,
    "precondition_required": 428,
    "too_large": 413,
    "unreadable": 422,
    "malformed_json": 400,
    "unsupported_media_type": 415,
    "unauthenticated": 401,
    "forbidden": 403,
    "method_not_allowed": 405,
    "unavailable": 503,
    "internal_error": 500,
}
"""HTTP's status of each code; any other code is a conflict with the state of things, 409."""


class Problem(Exception):  # noqa: N818 - named as RFC 9457 does
    """An answer that is a problem of the request itself, before any command was asked."""

    def __init__(
        self,
        code: str,
        detail: str | None = None,
        *,
        fields: Sequence[Mapping[str, Any]] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(code)
        self.code = code
        self.detail = detail or SENTENCES[code]
        self.fields = fields
        self.headers = headers


def status_of(code: str) -> int:
    """The HTTP status of a code."""
    return STATUSES.get(code, REFUSED)


def problem_body(
    status: int,
    code: str,
    detail: str,
    fields: Sequence[Mapping[str, Any]] = (),
    reasons: Sequence[Reason] = (),
    request_id: str | None = None,
) -> dict[str, Any]:
    """A problem's members. `errors` says what is wrong where, `reasons` every reason of a refusal with its facts."""
    return {
        "type": f"urn:mes:problem:{code}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "code": code,
        "detail": detail,
        "errors": list(fields),
        "reasons": [one._asdict() for one in reasons],
        "request_id": request_id,
    }


def _answer(
    request: Request,
    status: int,
    code: str,
    detail: str,
    fields: Sequence[Mapping[str, Any]] = (),
    reasons: Sequence[Reason] = (),
    headers: Mapping[str, str] | None = None,
) -> JSONResponse:
    body = problem_body(status, code, detail, fields, reasons, request.scope.get("request_id"))
    return JSONResponse(body, status, dict(headers or {}), media_type=MEDIA_TYPE)


async def answer_problem(request: Request, error: Exception) -> JSONResponse:
    """A `Problem` as its answer."""
    assert isinstance(error, Problem)
    return _answer(request, status_of(error.code), error.code, error.detail, error.fields, headers=error.headers)


async def answer_refusal(request: Request, error: Exception) -> JSONResponse:
    """A refusal: the first reason gives code and status, all reasons are told."""
    assert isinstance(error, Refusal)
    first = error.reasons[0]
    fields = [
        {"field": one.facts["field"], "code": one.code, "text": one.text}
        for one in error.reasons
        if "field" in one.facts
    ]
    return _answer(request, status_of(first.code), first.code, first.text, fields, error.reasons)


async def answer_invalid(request: Request, error: Exception) -> JSONResponse:
    """What FastAPI found wrong with parameters and body, each at its field."""
    assert isinstance(error, RequestValidationError)
    fields = [_field(one) for one in error.errors()]
    detail = "; ".join(f"{one['field'] or 'body'}: {one['text']}" for one in fields[:3])
    return _answer(request, 422, "invalid", detail, fields)


async def answer_http(request: Request, error: Exception) -> JSONResponse:
    """What the router refuses: no such address, no such method there."""
    assert isinstance(error, HTTPException)
    codes = {404: "not_found", 405: "method_not_allowed", 413: "too_large", 415: "unsupported_media_type"}
    code = codes.get(error.status_code, "invalid")
    headers = {"Allow": ", ".join(_allowed(request))} if code == "method_not_allowed" else error.headers
    return _answer(request, error.status_code, code, SENTENCES[code], headers=headers)


def _allowed(request: Request) -> list[str]:
    """The methods of every route at this address; the router tells those of one of them only."""
    path = request.scope["path"]
    return sorted(
        {method for pattern, methods in request.app.state.addresses if pattern.match(path) for method in methods}
    )


async def answer_database(request: Request, error: Exception) -> JSONResponse:
    """The database away or too busy is no fault of the request; anything else of it is ours."""
    if not _is_passing(error):
        raise error
    log.warning("database unavailable: %s", error, extra={"request_id": request.scope.get("request_id")})
    return _answer(request, 503, "unavailable", SENTENCES["unavailable"], headers={"Retry-After": "2"})


_PASSING = (
    asyncpg.LockNotAvailableError,
    asyncpg.DeadlockDetectedError,
    asyncpg.SerializationError,
    asyncpg.QueryCanceledError,
    asyncpg.AdminShutdownError,
    asyncpg.CannotConnectNowError,
    asyncpg.TooManyConnectionsError,
    asyncpg.PostgresConnectionError,
    OSError,
    PoolTimeout,
)


def _is_passing(error: Exception) -> bool:
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, _PASSING) or (isinstance(seen, DBAPIError) and seen.connection_invalidated):
            return True
        seen = seen.__cause__ or getattr(seen, "orig", None)
    return False


def _field(error: Mapping[str, Any]) -> dict[str, Any]:
    where, *path = error["loc"]
    text = str(error["msg"]).removeprefix("Value error, ")
    return {"field": _path(path), "in": str(where), "code": "invalid", "text": text}


def _path(parts: Sequence[str | int]) -> str:
    """A field's path as the contract writes it: `stations[0].name`."""
    path = ""
    for part in parts:
        path += f"[{part}]" if isinstance(part, int) else f".{part}" if path else str(part)
    return path


def add_handlers(app: FastAPI) -> None:
    """Answer every kind of error as a problem. What is not caught here ends in `mes.rest.envelope`."""
    app.add_exception_handler(Problem, answer_problem)
    app.add_exception_handler(Refusal, answer_refusal)
    app.add_exception_handler(RequestValidationError, answer_invalid)
    app.add_exception_handler(HTTPException, answer_http)
    for kind in (DBAPIError, PoolTimeout, asyncpg.PostgresError, OSError):
        app.add_exception_handler(kind, answer_database)
