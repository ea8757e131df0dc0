"""What is not settled, as lists: nonconformances and holds. The board counts them; what is done about one is done on
its unit's page, but a hold is released here as well, since many are on no unit.
"""

from typing import Final

from fastapi import Request, Response

from mes.queries.troubles import open_holds, open_nonconformances
from mes.web.access import may, who_may
from mes.web.door import caller_of, database_of, pages, settings_of
from mes.web.pages import page

troubles = pages()

SHOWN: Final = 300
RELEASE: Final = "POST /holds/{id}/release"


@troubles.get("/nonconformances")
async def nonconformances_page(request: Request) -> Response:
    """Nonconformances that are not settled, the newest first."""
    async with database_of(request).reading() as connection:
        total, found = await open_nonconformances(connection, settings_of(request).site, SHOWN)
    return page(request, "nonconformances.html", total=total, found=found)


@troubles.get("/holds")
async def holds_page(request: Request) -> Response:
    """Holds that are in force, the newest first."""
    async with database_of(request).reading() as connection:
        total, found = await open_holds(connection, settings_of(request).site, SHOWN)
    may_release = may(caller_of(request), RELEASE)
    return page(request, "holds.html", total=total, found=found, may_release=may_release, who_may=who_may(RELEASE))
