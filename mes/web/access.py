"""Who may open which page: one table from routes to roles. A route that is not here lets nobody in; a test finds it."""

from collections.abc import Mapping
from typing import Final

from mes.commands.access import PEOPLE, Caller

_HOLDERS: Final = frozenset({"supervisor", "quality", "admin"})
_MENDERS: Final = frozenset({"operator", "supervisor", "quality", "admin"})
_QUALITY: Final = frozenset({"quality", "admin"})

ROLES: Final[Mapping[str, frozenset[str]]] = {
    "GET /": PEOPLE,
    "GET /live/board": PEOPLE,
    "GET /units": PEOPLE,
    "GET /units/{serial}": PEOPLE,
    "GET /live/units/{serial}": PEOPLE,
    "POST /units/{serial}/hold": _HOLDERS,
    "POST /holds/{id}/release": _HOLDERS,
    "POST /nonconformances/{id}/diagnose": _MENDERS,
    "POST /nonconformances/{id}/repair": _MENDERS,
    "POST /nonconformances/{id}/disposition": _QUALITY,
    "GET /units/{serial}/history": PEOPLE,
    "GET /units/{serial}/runs": PEOPLE,
    "GET /units/{serial}/samples": PEOPLE,
    "GET /units/{serial}/series": PEOPLE,
    "GET /runs/{id}": PEOPLE,
    "GET /nonconformances": PEOPLE,
    "GET /holds": PEOPLE,
    "GET /messages": PEOPLE,
    "GET /live/messages": PEOPLE,
    "GET /messages/{key}": PEOPLE,
    "POST /messages/dismiss": _QUALITY,
    "POST /messages/{key}/retry": _QUALITY,
    "POST /messages/{key}/dismiss": _QUALITY,
    "GET /scan": PEOPLE,
    "GET /scan/{station}": PEOPLE,
    "POST /scan/{station}": frozenset({"operator", "supervisor", "admin"}),
}
OPEN: Final = frozenset(
    {"GET /login", "POST /login", "POST /logout", "POST /preferences", "GET /static/{digest}/{name}"}
)
"""What works for somebody who has not logged in."""


def may(caller: Caller, operation: str) -> bool:
    """Whether somebody may do something: what they may not is not offered, and refused when it is sent all the same."""
    return bool(caller.roles & ROLES[operation])


def who_may(operation: str) -> str:
    """The roles that may do something, for reading."""
    return ", ".join(sorted(ROLES[operation]))
