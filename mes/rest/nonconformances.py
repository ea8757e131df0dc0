"""Nonconformances over REST."""

from typing import Annotated, Any, Literal

from fastapi import Body as BodyOf
from fastapi import Request

from mes.commands import nonconformances as commands
from mes.queries.nonconformances import NonconformanceView, list_nonconformances, nonconformance_view
from mes.queries.pages import Page
from mes.rest.door import act_of, database_of, router, settings_of
from mes.rest.values import LIMIT, Body, Cursor, Id, Limit, Name, Words

nonconformances = router("/nonconformances", "quality")


class DiagnosisBody(Body):
    """What was found; `by` names a person where that is not the token's name."""

    diagnosis: Words
    by: Name | None = None


class RepairBody(Body):
    """What was done; `by` names a person where that is not the token's name."""

    repair: Words
    by: Name | None = None


class DispositionBody(Body):
    """What becomes of the unit. A use as is is signed by someone other than who diagnosed it."""

    ruling: Literal["rework", "scrap", "use_as_is"]
    decided_by: Name | None = None
    reason: Words | None = None


DispositionIn = Annotated[
    DispositionBody,
    BodyOf(
        openapi_examples={"rework": {"value": {"ruling": "rework", "decided_by": "q.lead", "reason": "Crimp anew."}}}
    ),
]
DiagnosisIn = Annotated[
    DiagnosisBody, BodyOf(openapi_examples={"open": {"value": {"diagnosis": "Pin 4 not crimped.", "by": "j.doe"}}})
]
RepairIn = Annotated[
    RepairBody, BodyOf(openapi_examples={"crimped": {"value": {"repair": "Pin 4 crimped again.", "by": "j.doe"}}})
]


@nonconformances.get("")
async def get_list(
    request: Request,
    state: Name | None = None,
    unit: Name | None = None,
    part: Name | None = None,
    step: Name | None = None,
    limit: Limit = LIMIT,
    cursor: Cursor = None,
) -> Page[NonconformanceView]:
    """Nonconformances by id."""
    asked: dict[str, Any] = {"state": state, "unit": unit, "part": part, "step": step}
    async with database_of(request).reading() as connection:
        return await list_nonconformances(connection, settings_of(request).site, **asked, limit=limit, cursor=cursor)


@nonconformances.get("/{id}")
async def get(request: Request, id: Id) -> NonconformanceView:
    """One nonconformance."""
    async with database_of(request).reading() as connection:
        return await nonconformance_view(connection, id)


@nonconformances.post("/{id}/diagnose")
async def diagnose(request: Request, id: Id, body: DiagnosisIn) -> NonconformanceView:
    """Say what was found."""
    async with database_of(request).transaction() as connection:
        await commands.diagnose(connection, id, body.diagnosis, act_of(request, body.by))
        return await nonconformance_view(connection, id)


@nonconformances.post("/{id}/repair")
async def repair(request: Request, id: Id, body: RepairIn) -> NonconformanceView:
    """Say what was done about it."""
    async with database_of(request).transaction() as connection:
        await commands.repair(connection, id, body.repair, act_of(request, body.by))
        return await nonconformance_view(connection, id)


@nonconformances.post("/{id}/disposition")
async def dispose(request: Request, id: Id, body: DispositionIn) -> NonconformanceView:
    """Decide what becomes of the unit: rework, scrap, or use as is."""
    async with database_of(request).transaction() as connection:
        await commands.dispose(connection, id, body.ruling, body.reason, act_of(request, body.decided_by))
        return await nonconformance_view(connection, id)
