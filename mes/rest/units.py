"""Units over REST: what they are, what happened to them, what is in them and what they are in."""

import json
from typing import Annotated, Any

import uuid_utils
from fastapi import Body as BodyOf
from fastapi import Query, Request, Response
from pydantic import Field, ValidationInfo, field_validator

from mes.commands.identities import identify
from mes.commands.shipments import ship
from mes.db.lookup import find_unit
from mes.domain.identity import check_name, is_placeholder
from mes.domain.refusals import refuse
from mes.formats.messages import UnitRef
from mes.queries.genealogy import Genealogy, genealogy
from mes.queries.inventories import InventoryView, inventory_of
from mes.queries.journal import entries_of_subject
from mes.queries.pages import Page
from mes.queries.runs import RunSummary, RunView, list_runs, run_view
from mes.queries.samples import POINTS_DEFAULT, POINTS_MAX, Asked, Series, series
from mes.queries.traces import TraceView, trace_of
from mes.queries.units import UnitSummary, UnitView, list_units, unit_view
from mes.queries.where_used import Sought, Use, When, where_used
from mes.rest.door import act_of, database_of, now, router, settings_of
from mes.rest.journal import entries_answer
from mes.rest.values import LIMIT, Body, Cursor, Id, Label, Limit, Moment, Name, ShortText

units = router("/units", "units")
runs = router("/runs", "units")

Part = Annotated[Name | None, Query(description="Settles a serial that several parts share.")]
AsOf = Annotated[Moment | None, Query(description="When it was so; absent: now, or `known_at`.")]
KnownAt = Annotated[Moment | None, Query(description="What was believed then; absent: what is believed now.")]
Ever = Annotated[bool, Query(description="At any time, not at one moment.")]


@units.get("")
async def get_list(
    request: Request,
    part: Name | None = None,
    state: Name | None = None,
    order: Annotated[Name | None, Query(description="Number of the work order.")] = None,
    serial: Annotated[Name | None, Query(description="Beginning of the serial.")] = None,
    limit: Limit = LIMIT,
    cursor: Cursor = None,
) -> Page[UnitSummary]:
    """Units in the order of their making."""
    asked: dict[str, Any] = {"part": part, "state": state, "order": order, "serial": serial}
    async with database_of(request).reading() as connection:
        return await list_units(connection, settings_of(request).site, **asked, limit=limit, cursor=cursor)


@units.get("/{serial}")
async def get(request: Request, serial: Name, part: Part = None) -> UnitView:
    """One unit with the progress of its route."""
    async with database_of(request).reading() as connection:
        unit = await find_unit(connection, serial, part)
        return await unit_view(connection, unit.id)


@units.get("/{serial}/history", response_model=dict[str, Any])
async def get_history(
    request: Request, serial: Name, part: Part = None, limit: Limit = LIMIT, cursor: Cursor = None
) -> Response:
    """The journal's entries that name the unit, as stored, in the order in which they were recorded."""
    async with database_of(request).reading() as connection:
        unit = await find_unit(connection, serial, part)
        entries, next_cursor = await entries_of_subject(connection, unit.id, limit, cursor)
    return entries_answer(entries, f'"next_cursor":{json.dumps(next_cursor)}')


@units.get("/{serial}/runs")
async def get_runs(
    request: Request,
    serial: Name,
    part: Part = None,
    step: Annotated[str | None, Query(min_length=1, max_length=64)] = None,
    limit: Limit = LIMIT,
    cursor: Cursor = None,
) -> Page[RunSummary]:
    """The unit's runs in the order in which they arrived."""
    async with database_of(request).reading() as connection:
        unit = await find_unit(connection, serial, part)
        return await list_runs(connection, unit.id, step=step, limit=limit, cursor=cursor)


Points = Annotated[int, Query(ge=0, le=POINTS_MAX, description="Most points of each series; 0: none, just the list.")]


@units.get("/{serial}/samples")
async def get_samples(
    request: Request,
    serial: Name,
    part: Part = None,
    channel: Annotated[str | None, Query(min_length=1, max_length=255)] = None,
    step: Annotated[str | None, Query(min_length=1, max_length=64)] = None,
    run: Annotated[str | None, Query(min_length=1, max_length=255)] = None,
    since: Annotated[Moment | None, Query(alias="from", description="First moment; absent: from the start.")] = None,
    until: Annotated[Moment | None, Query(alias="to", description="Last moment; absent: to the end.")] = None,
    points: Points = POINTS_DEFAULT,
    limit: Limit = LIMIT,
    cursor: Cursor = None,
) -> Page[Series]:
    """Telemetry by channel and run: each point is the low, mean and high of an equal stretch of the time asked for."""
    if since and until and since > until:
        raise refuse("invalid", "to is before from.", field="to")
    asked = Asked(channel, step, run, since, until, points)
    async with database_of(request).reading() as connection:
        unit = await find_unit(connection, serial, part)
        return await series(connection, unit.id, asked, limit=limit, cursor=cursor)


@units.get("/{serial}/inventory")
async def get_inventory(
    request: Request,
    serial: Name,
    part: Part = None,
    as_of: Annotated[Moment | None, Query(description="The newest one by then; absent: the newest.")] = None,
) -> InventoryView:
    """What the unit's electronics last said is in it, slot by slot beside the record, and firmware off the baseline."""
    async with database_of(request).reading() as connection:
        unit = await find_unit(connection, serial, part)
        return await inventory_of(connection, unit.id, as_of=as_of)


@units.get("/{serial}/trace")
async def get_trace(request: Request, serial: Name, part: Part = None) -> TraceView:
    """The unit's trace, worked out anew from the journal: the spans that a tracing system is sent, and what is open."""
    async with database_of(request).reading() as connection:
        unit = await find_unit(connection, serial, part)
        return await trace_of(connection, unit.id)


@units.get("/{serial}/genealogy")
async def get_genealogy(
    request: Request, serial: Name, part: Part = None, as_of: AsOf = None, known_at: KnownAt = None
) -> Genealogy:
    """All that is in the unit, as one nested tree."""
    async with database_of(request).reading() as connection:
        unit = await find_unit(connection, serial, part)
        return await genealogy(connection, unit.id, as_of=as_of, known_at=known_at)


@units.get("/{serial}/where-used")
async def get_where_used(
    request: Request,
    serial: Name,
    part: Part = None,
    as_of: AsOf = None,
    known_at: KnownAt = None,
    ever: Ever = False,
    limit: Limit = LIMIT,
    cursor: Cursor = None,
) -> Page[Use]:
    """The top units that hold, or held, the unit."""
    when = When(now(), as_of, known_at, ever)
    async with database_of(request).reading() as connection:
        unit = await find_unit(connection, serial, part)
        return await where_used(connection, Sought(unit_id=unit.id), when, limit=limit, cursor=cursor)


class IdentifierBody(Body):
    """Something printed on the unit; kind: serial, maker_serial, mac, uuid, …"""

    kind: ShortText
    value: Label

    @field_validator("value")
    @classmethod
    def _identifies(cls, value: str, info: ValidationInfo) -> str:
        if is_placeholder(value):
            raise ValueError("this is what unprogrammed hardware reports, and identifies nothing")
        if info.data.get("kind") == "serial" and (problem := check_name(value)):
            raise ValueError(f"a serial {problem}")
        return value


class IdentityBody(Body):
    """Identifiers of a unit. A new serial takes the place of the old one. `id` makes a repetition harmless."""

    identifiers: Annotated[list[IdentifierBody], Field(min_length=1, max_length=1000)]
    part: Name | None = None
    id: Label | None = None


_EXAMPLE = {"identifiers": [{"kind": "mac", "value": "02:00:5e:10:00:01"}]}
IdentityIn = Annotated[IdentityBody, BodyOf(openapi_examples={"mac": {"value": _EXAMPLE}})]


@units.post("/{serial}/identify")
async def post_identifiers(request: Request, serial: Name, body: IdentityIn) -> UnitView:
    """Note what is printed on the unit."""
    database = database_of(request)
    told = [(one.kind, one.value) for one in body.identifiers]
    report_id = body.id or str(uuid_utils.uuid7())
    _, unit_id = await identify(database, UnitRef(serial, body.part), told, report_id, now())
    async with database.reading() as connection:
        return await unit_view(connection, unit_id)


class ShipmentBody(Body):
    """Where it goes: the customer's order and the destination."""

    order: Label | None = None
    to: Label | None = None
    part: Name | None = None
    by: Name | None = None


_SHIPMENT = {"order": "C-2611", "to": "Hall 4"}
ShipmentIn = Annotated[ShipmentBody, BodyOf(openapi_examples={"hall": {"value": _SHIPMENT}})]


@units.post("/{serial}/ship")
async def post_shipment(request: Request, serial: Name, body: ShipmentIn | None = None) -> UnitView:
    """Let the unit leave the floor. Refused with every reason while anything speaks against it."""
    told = body or ShipmentBody()
    async with database_of(request).transaction() as connection:
        unit = await find_unit(connection, serial, told.part)
        await ship(connection, unit.id, act_of(request, told.by), told.order, told.to)
        return await unit_view(connection, unit.id)


@runs.get("/{id}")
async def get_run(request: Request, id: Id) -> RunView:
    """A run: the station's claim, our verdict, each value with the limits in force."""
    async with database_of(request).reading() as connection:
        return await run_view(connection, id)
