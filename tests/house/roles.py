"""Who may do what, in words: the README's table, drawn from the tables that the doors of REST and pages go by."""

from collections.abc import Mapping
from typing import Final

from mes.commands.access import ROLES
from mes.rest import access as rest
from mes.web import access as web

WORDS: Final[Mapping[str, tuple[str, ...]]] = {
    "release product definitions; make and change work orders": (
        "PUT /products/{part}/revisions/{revision}",
        "PUT /work-orders/{number}",
        "PATCH /work-orders/{number}",
    ),
    "release, hold, close and cancel work orders; ship": (
        "POST /work-orders/{number}/release",
        "POST /work-orders/{number}/hold",
        "POST /work-orders/{number}/resume",
        "POST /work-orders/{number}/close",
        "POST /work-orders/{number}/cancel",
        "POST /units/{serial}/ship",
    ),
    "say which stations a line has, and its shifts": ("PUT /lines/{line}",),
    "receive goods": ("POST /goods-receipts",),
    "assemble by scanning; label units": ("POST /scan/{station}", "POST /units/{serial}/identify"),
    "put on hold, and let go on": ("POST /holds", "POST /units/{serial}/hold", "POST /holds/{id}/release"),
    "say what was wrong with a unit, and what was done about it": (
        "POST /nonconformances/{id}/diagnose",
        "POST /nonconformances/{id}/repair",
    ),
    "decide what becomes of it: rework, scrap, use as is": ("POST /nonconformances/{id}/disposition",),
    "try stuck messages again, or dismiss them": (
        "POST /messages/{key}/retry",
        "POST /messages/{key}/dismiss",
        "POST /messages/dismiss",
    ),
    "say until when a station is calibrated": ("PUT /stations/{station}/calibration",),
    "read the whole journal": ("GET /journal",),
    "speak as a station over HTTP (`station`: as its own only)": ("POST /stations/{station}/messages",),
}
"""What can be done, and by which routes; reading is for everybody but stations."""
READING: Final = "look at every page; read everything but the journal over REST"
DOORS: Final = {**{route: set(roles) for route, roles in web.ROLES.items()}, **rest.ROLES}


def roles_of(routes: tuple[str, ...]) -> frozenset[str]:
    """The roles that may use some routes, which must be the same for all of them."""
    (roles,) = {frozenset(door.ROLES[route]) for route in routes for door in (rest, web) if route in door.ROLES}
    return roles


def without_words() -> list[str]:
    """Routes that not everybody may use and that the table does not tell of, and those of which it tells in vain."""
    told = {route for routes in WORDS.values() for route in routes}
    special = {route for route, roles in DOORS.items() if frozenset(roles) != rest.READERS}
    return sorted(told ^ special)


def table() -> str:
    """The table of roles."""
    lines = [f"| | {' | '.join(ROLES)} |", f"|---|{':-:|' * len(ROLES)}"]
    told = {READING: rest.READERS, **{words: roles_of(routes) for words, routes in WORDS.items()}}
    lines += [
        f"| {words} | {' | '.join('✔' if role in roles else '' for role in ROLES)} |" for words, roles in told.items()
    ]
    return "\n".join(lines)
