"""Who may open which page: one table from routes to roles. A route that is not here lets nobody in; a test finds it."""

from collections.abc import Mapping
from typing import Final

from mes.commands.access import PEOPLE

ROLES: Final[Mapping[str, frozenset[str]]] = {
    "GET /": PEOPLE,
    "GET /live/board": PEOPLE,
}
OPEN: Final = frozenset(
    {"GET /login", "POST /login", "POST /logout", "POST /preferences", "GET /static/{digest}/{name}"}
)
"""What works for somebody who has not logged in."""
