"""Who may open which page: one table from routes to roles. A route that is not here lets nobody in; a test finds it."""

from collections.abc import Mapping
from typing import Final

from mes.commands.access import PEOPLE

ROLES: Final[Mapping[str, frozenset[str]]] = {
    "GET /": PEOPLE,
    "GET /live/board": PEOPLE,
    "GET /units": PEOPLE,
    "GET /units/{serial}": PEOPLE,
    "GET /units/{serial}/history": PEOPLE,
    "GET /units/{serial}/runs": PEOPLE,
    "GET /units/{serial}/samples": PEOPLE,
    "GET /units/{serial}/series": PEOPLE,
    "GET /runs/{id}": PEOPLE,
    "GET /scan": PEOPLE,
    "GET /scan/{station}": PEOPLE,
    "POST /scan/{station}": frozenset({"operator", "supervisor", "admin"}),
}
OPEN: Final = frozenset(
    {"GET /login", "POST /login", "POST /logout", "POST /preferences", "GET /static/{digest}/{name}"}
)
"""What works for somebody who has not logged in."""
