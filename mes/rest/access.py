"""Who may do what over REST: one table from routes to roles, and the check that every route passes."""

from collections.abc import Mapping

from starlette.requests import Request

from mes.commands.access import Caller, find_token
from mes.db.session import Database
from mes.rest.errors import Problem

READERS = frozenset({"viewer", "operator", "supervisor", "quality", "erp", "auditor", "admin"})
_ADMIN = frozenset({"admin"})
_ERP = frozenset({"erp", "admin"})
_PLANNERS = frozenset({"erp", "supervisor", "admin"})
_SUPERVISORS = frozenset({"supervisor", "admin"})
_FLOOR = frozenset({"operator", "supervisor", "admin"})
_HOLDERS = frozenset({"supervisor", "quality", "admin"})
_QUALITY = frozenset({"quality", "admin"})
_AUDITORS = frozenset({"auditor", "admin"})
_STATIONS = frozenset({"station", "operator", "admin"})

ROLES: Mapping[str, frozenset[str]] = {
    "PUT /products/{part}/revisions/{revision}": _ERP,
    "GET /products/{part}/revisions/{revision}": READERS,
    "GET /products": READERS,
    "PUT /work-orders/{number}": _ERP,
    "GET /work-orders/{number}": READERS,
    "GET /work-orders": READERS,
    "PATCH /work-orders/{number}": _ERP,
    "POST /work-orders/{number}/release": _PLANNERS,
    "POST /work-orders/{number}/hold": _PLANNERS,
    "POST /work-orders/{number}/resume": _PLANNERS,
    "POST /work-orders/{number}/close": _PLANNERS,
    "POST /work-orders/{number}/cancel": _PLANNERS,
    "PUT /lines/{line}": _SUPERVISORS,
    "GET /lines/{line}": READERS,
    "GET /lines": READERS,
    "GET /stations": READERS,
    "PUT /stations/{station}/calibration": _QUALITY,
    "GET /stations/{station}": READERS,
    "POST /stations/{station}/messages": _STATIONS,
    "POST /goods-receipts": frozenset({"erp", "operator", "supervisor", "admin"}),
    "GET /material": READERS,
    "GET /units": READERS,
    "GET /units/{serial}": READERS,
    "GET /units/{serial}/history": READERS,
    "GET /units/{serial}/runs": READERS,
    "GET /units/{serial}/samples": READERS,
    "GET /units/{serial}/inventory": READERS,
    "GET /units/{serial}/trace": READERS,
    "GET /units/{serial}/genealogy": READERS,
    "GET /units/{serial}/where-used": READERS,
    "POST /units/{serial}/identify": _FLOOR,
    "POST /units/{serial}/ship": _PLANNERS,
    "GET /where-used": READERS,
    "GET /runs/{id}": READERS,
    "POST /holds": _HOLDERS,
    "GET /holds": READERS,
    "GET /holds/{id}": READERS,
    "POST /holds/{id}/release": _HOLDERS,
    "GET /nonconformances": READERS,
    "GET /nonconformances/{id}": READERS,
    "POST /nonconformances/{id}/diagnose": frozenset({"operator", "supervisor", "quality", "admin"}),
    "POST /nonconformances/{id}/repair": frozenset({"operator", "supervisor", "quality", "admin"}),
    "POST /nonconformances/{id}/disposition": _QUALITY,
    "GET /messages": READERS,
    "GET /messages/{key}": READERS,
    "POST /messages/{key}/retry": _QUALITY,
    "POST /messages/{key}/dismiss": _QUALITY,
    "GET /journal": frozenset({"auditor", "erp", "quality", "admin"}),
}
"""The roles that may use each route. A route that is not here lets nobody in; a test finds it."""


async def admit(request: Request, operation: str) -> Caller:
    """The caller, if its roles allow the operation. Raises `Problem` unauthenticated (401) or forbidden (403)."""
    caller = await _caller(request)
    if caller is None:
        raise Problem("unauthenticated", headers={"WWW-Authenticate": 'Bearer realm="mes"'})
    allowed = ROLES.get(operation, frozenset())
    if not caller.roles & allowed:
        may, has = ", ".join(sorted(allowed)) or "nobody", ", ".join(sorted(caller.roles))
        raise Problem("forbidden", f"This is for {may}; the token's role is {has}.")
    if caller.station is not None and caller.station != request.path_params.get("station"):
        raise Problem("forbidden", f"This token speaks for station {caller.station} only.")
    return caller


async def _caller(request: Request) -> Caller | None:
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not given:
        return None
    database: Database = request.app.state.database
    async with database.reading() as connection:
        return await find_token(connection, given.strip())
