"""Holds over REST."""

from typing import Annotated, Literal

from fastapi import Body as BodyOf
from fastapi import Query, Request

from mes.commands import holds as commands
from mes.queries.holds import HoldView, hold_view, list_holds
from mes.queries.pages import Page
from mes.rest.door import act_of, database_of, router, settings_of
from mes.rest.values import LIMIT, Body, Cursor, Id, Limit, Name, Words

holds = router("/holds", "holds")

Scope = Literal["unit", "lot", "part", "station", "work_order"]


class HoldBody(Body):
    """What to hold and why. `part` settles a serial or lot number that several parts share; `by` names a person."""

    scope: Scope
    key: Name
    reason: Words
    part: Name | None = None
    by: Name | None = None


class ReleaseBody(Body):
    """Who lets the work go on, where that is not the token's name."""

    by: Name | None = None


_EXAMPLE = {"scope": "lot", "key": "L-2611", "part": "PSU-33", "reason": "Maker reports weak solder joints."}
HoldIn = Annotated[HoldBody, BodyOf(openapi_examples={"lot": {"value": _EXAMPLE}})]


@holds.post("", status_code=201)
async def place(request: Request, body: HoldIn) -> HoldView:
    """Stop work on a unit, lot, part, station or work order, and on whatever contains it."""
    act = act_of(request, body.by)
    async with database_of(request).transaction() as connection:
        hold_id = await commands.place(connection, body.scope, body.key, body.reason, act, body.part)
        return await hold_view(connection, hold_id, act.site)


@holds.get("")
async def get_list(
    request: Request,
    scope: Scope | None = None,
    key: Name | None = None,
    in_force: Annotated[bool | None, Query(description="true: not released; false: released.")] = None,
    limit: Limit = LIMIT,
    cursor: Cursor = None,
) -> Page[HoldView]:
    """Holds, oldest first."""
    site = settings_of(request).site
    async with database_of(request).reading() as connection:
        return await list_holds(connection, site, scope=scope, key=key, in_force=in_force, limit=limit, cursor=cursor)


@holds.get("/{id}")
async def get(request: Request, id: Id) -> HoldView:
    """One hold."""
    async with database_of(request).reading() as connection:
        return await hold_view(connection, id, settings_of(request).site)


@holds.post("/{id}/release")
async def release(request: Request, id: Id, body: ReleaseBody | None = None) -> HoldView:
    """Let the work go on."""
    act = act_of(request, body.by if body else None)
    async with database_of(request).transaction() as connection:
        await commands.release(connection, id, act)
        return await hold_view(connection, id, act.site)
