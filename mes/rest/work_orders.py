"""Work orders over REST. An order's version is its ETag."""

import re
from collections.abc import Awaitable, Callable
from typing import Annotated, Any

from fastapi import Body as BodyOf
from fastapi import Header, Request, Response
from pydantic import Field, model_validator

from mes.commands import work_orders as commands
from mes.queries.pages import Page
from mes.queries.work_orders import WorkOrderSummary, WorkOrderView, list_work_orders, work_order_view
from mes.rest.door import act_of, database_of, router, settings_of
from mes.rest.errors import Problem
from mes.rest.values import LIMIT, Body, Cursor, Day, Label, Limit, Name, Serial, Words

work_orders = router("/work-orders", "work orders")

QUANTITY_MAX = 100_000
_ETAG = re.compile(r'(?:W/)?"([0-9]{1,9})"')
_Quantity = Annotated[int, Field(ge=1, le=QUANTITY_MAX)]
_Priority = Annotated[int, Field(ge=-1000, le=1000, description="Higher goes first.")]


class OrderBody(Body):
    """An order for units of a made product."""

    part: Name
    revision: Name
    quantity: _Quantity
    due: Day | None = None
    priority: _Priority = 0
    serials: Annotated[list[Serial], Field(min_length=1, max_length=QUANTITY_MAX)] | None = None
    customer_order: Label | None = None


class OrderChanges(Body):
    """What to change; what is absent stays."""

    quantity: _Quantity | None = None
    due: Day | None = None
    priority: _Priority | None = None

    @model_validator(mode="after")
    def _something(self) -> "OrderChanges":
        if not self.model_fields_set:
            raise ValueError("name something to change: quantity, due or priority")
        for name in ("quantity", "priority"):
            if name in self.model_fields_set and getattr(self, name) is None:
                raise ValueError(f"{name} can't be null")
        return self


class Because(Body):
    """Why something is done."""

    reason: Words | None = None


_ORDER_EXAMPLE = {"part": "CB-0001", "revision": "A", "quantity": 10, "due": "2026-12-24", "priority": 5}
OrderIn = Annotated[OrderBody, BodyOf(openapi_examples={"cables": {"value": _ORDER_EXAMPLE}})]
ChangesIn = Annotated[OrderChanges, BodyOf(openapi_examples={"more": {"value": {"quantity": 12}}})]
IfMatch = Annotated[str | None, Header(alias="If-Match", description='The ETag that was read, such as "3".')]


@work_orders.put("/{number}", status_code=201, responses={200: {"description": "The same was put before."}})
async def put(request: Request, response: Response, number: Name, body: OrderIn) -> WorkOrderView:
    """Create an order. The same again is 200; another under the same number is 409."""
    serials = tuple(body.serials) if body.serials is not None else None
    order = commands.Order(number, **{**body.model_dump(), "serials": serials})
    act = act_of(request)
    async with database_of(request).transaction() as connection:
        is_new = await commands.put_order(connection, order, act)
        view = await work_order_view(connection, number, act.site)
    response.status_code = 201 if is_new else 200
    return _tagged(response, view)


@work_orders.get("/{number}")
async def get(request: Request, response: Response, number: Name) -> WorkOrderView:
    """An order with counts of its units per state, and their serials."""
    async with database_of(request).reading() as connection:
        return _tagged(response, await work_order_view(connection, number, settings_of(request).site))


@work_orders.get("")
async def get_list(
    request: Request,
    state: Name | None = None,
    part: Name | None = None,
    customer_order: Name | None = None,
    limit: Limit = LIMIT,
    cursor: Cursor = None,
) -> Page[WorkOrderSummary]:
    """Orders, oldest first."""
    asked: dict[str, Any] = {"state": state, "part": part, "customer_order": customer_order}
    async with database_of(request).reading() as connection:
        return await list_work_orders(connection, settings_of(request).site, **asked, limit=limit, cursor=cursor)


@work_orders.patch("/{number}")
async def patch(
    request: Request, response: Response, number: Name, body: ChangesIn, if_match: IfMatch = None
) -> WorkOrderView:
    """Change quantity, due or priority of the version that was read."""
    changes = commands.Changes(_version(if_match), body.model_dump(exclude_unset=True))
    act = act_of(request)
    async with database_of(request).transaction() as connection:
        await commands.change_order(connection, number, changes, act)
        view = await work_order_view(connection, number, act.site)
    return _tagged(response, view)


_MOVES = {
    "release": "Create the order's units, so that work on them may start.",
    "hold": "Stop work on the order's units.",
    "resume": "Let work on the order's units go on.",
    "close": "Settle the order. What happens to its units from now on is a deviation.",
    "cancel": "Give the order up before it is done.",
}


def _moving(verb: str, told: str) -> Callable[..., Awaitable[WorkOrderView]]:
    """The endpoint that makes one move; its name and docstring are what the API's description tells of it."""

    async def move(request: Request, response: Response, number: Name, body: Because | None = None) -> WorkOrderView:
        act = act_of(request)
        async with database_of(request).transaction() as connection:
            await commands.move_order(connection, number, verb, act, body.reason if body else None)
            view = await work_order_view(connection, number, act.site)
        return _tagged(response, view)

    move.__name__, move.__doc__ = verb, told
    return move


for _verb, _told in _MOVES.items():
    work_orders.post(f"/{{number}}/{_verb}")(_moving(_verb, _told))


def _tagged(response: Response, view: WorkOrderView) -> WorkOrderView:
    response.headers["ETag"] = f'"{view.version}"'
    return view


def _version(if_match: str | None) -> int | None:
    """The version that an If-Match header names; None for `*`."""
    if if_match is None:
        raise Problem("precondition_required")
    if if_match.strip() == "*":
        return None
    match = _ETAG.fullmatch(if_match.strip())
    return int(match[1]) if match else -1  # an ETag we never gave matches no version
