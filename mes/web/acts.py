"""What people do about a unit on its page: hold it, let it go on, diagnose, repair and dispose of what went wrong.

Each form says what it has seen, so that pressing twice, or deciding on what somebody else went on with, does no harm.
"""

from typing import Annotated, Literal
from urllib.parse import quote, urlencode

from fastapi import Form, Request, Response

from mes.commands import holds, nonconformances
from mes.domain.hold import UNIT
from mes.web.door import act_of, database_of, pages, see_other
from mes.web.forms import Id, Words, stated

acts = pages()

Serial = Annotated[str, Form(max_length=64)]
Seen = Annotated[int, Form(ge=0, le=2**31 - 1)]


@acts.post("/units/{serial}/hold")
async def hold(request: Request, serial: str, words: Words = "", part: Serial = "") -> Response:
    """Put a unit on hold. The same person saying the same again has said it once."""
    async with database_of(request).transaction() as connection:
        await holds.place_once(connection, UNIT, serial, stated(words), act_of(request), part or None)
    return _back(serial, part)


@acts.post("/holds/{id}/release")
async def release(request: Request, id: Id, unit: Serial = "", part: Serial = "") -> Response:
    """Let the work go on."""
    async with database_of(request).transaction() as connection:
        await holds.release(connection, id, act_of(request))
    return _back(unit, part)


@acts.post("/nonconformances/{id}/diagnose")
async def diagnose(
    request: Request, id: Id, seen: Seen, words: Words = "", unit: Serial = "", part: Serial = ""
) -> Response:
    """Say what is wrong."""
    async with database_of(request).transaction() as connection:
        await nonconformances.diagnose(connection, id, stated(words), act_of(request), seen)
    return _back(unit, part)


@acts.post("/nonconformances/{id}/repair")
async def repair(
    request: Request, id: Id, seen: Seen, words: Words = "", unit: Serial = "", part: Serial = ""
) -> Response:
    """Say what was done about it."""
    async with database_of(request).transaction() as connection:
        await nonconformances.repair(connection, id, stated(words), act_of(request), seen)
    return _back(unit, part)


@acts.post("/nonconformances/{id}/disposition")
async def dispose(
    request: Request,
    id: Id,
    seen: Seen,
    ruling: Annotated[Literal["rework", "scrap", "use_as_is"], Form()],
    words: Words = "",
    unit: Serial = "",
    part: Serial = "",
) -> Response:
    """Decide what becomes of the unit."""
    async with database_of(request).transaction() as connection:
        await nonconformances.dispose(connection, id, ruling, stated(words), act_of(request), seen)
    return _back(unit, part)


def _back(serial: str, part: str) -> Response:
    """To the unit's page, where it is seen what was done; or to the holds, which are on units or on anything else."""
    if not serial:
        return see_other("/holds")
    return see_other(f"/units/{quote(serial, safe='')}?{urlencode({'part': part})}#impediments")
