"""Product definitions over REST."""

from typing import Annotated, Any

from fastapi import Body as BodyOf
from fastapi import Request, Response

from mes.commands.products import put_product
from mes.domain.product import Definition
from mes.formats.product_document import InvalidDefinition, from_document
from mes.queries.pages import Page
from mes.queries.products import ProductSummary, list_products, product_document
from mes.rest.door import act_of, database_of, router
from mes.rest.errors import Problem
from mes.rest.values import LIMIT, Cursor, Limit, Name

products = router("/products", "products")

_EXAMPLE = {
    "part": "CB-0001",
    "revision": "A",
    "name": "Patch cable",
    "family": "cabling",
    "serial_pattern": "CB-{n:06}",
    "bom": [{"position": "P1", "part": "PLUG-1"}],
    "route": [
        {"step": "crimp", "station_kind": "bench", "installs": ["P1"]},
        {"step": "cable-test", "station_kind": "cable-tester", "after": ["crimp"], "needs": ["resistance"]},
    ],
    "characteristics": [{"name": "resistance", "unit": "Ohm", "low": 0, "high": 0.2}],
}
Document = Annotated[dict[str, Any], BodyOf(openapi_examples={"cable": {"value": _EXAMPLE}})]


@products.put("/{part}/revisions/{revision}", status_code=201, responses={200: {"description": "Already released."}})
async def put(request: Request, response: Response, part: Name, revision: Name, document: Document) -> dict[str, Any]:
    """Release a definition. The same again is 200; another for the same part and revision is 409."""
    definition = _definition(part, revision, document)
    async with database_of(request).transaction() as connection:
        is_new = await put_product(connection, definition, act_of(request))
    response.status_code = 201 if is_new else 200
    return {"part": part, "revision": revision, "released": is_new}


@products.get("/{part}/revisions/{revision}", response_model=dict[str, Any])
async def get(request: Request, part: Name, revision: Name) -> Response:
    """A definition's document in its one stable form."""
    async with database_of(request).reading() as connection:
        document = await product_document(connection, part, revision)
    return Response(document, media_type="application/json")


@products.get("")
async def get_list(
    request: Request,
    part: Name | None = None,
    family: Name | None = None,
    limit: Limit = LIMIT,
    cursor: Cursor = None,
) -> Page[ProductSummary]:
    """Released definitions by part and revision."""
    async with database_of(request).reading() as connection:
        return await list_products(connection, part=part, family=family, limit=limit, cursor=cursor)


def _definition(part: str, revision: str, document: dict[str, Any]) -> Definition:
    """The body as a definition; its part and revision may be left to the address, but not contradict it."""
    told = {"part": part, "revision": revision}
    wrong = [name for name, value in told.items() if document.get(name, value) != value]
    if wrong:
        fields = [{"field": name, "code": "invalid", "text": f"the address says {told[name]}"} for name in wrong]
        raise Problem("invalid", fields=fields)
    try:
        return from_document({**told, **document})
    except InvalidDefinition as error:
        fields = [{"field": one.place, "code": "invalid", "text": one.text} for one in error.problems]
        raise Problem("invalid", str(error)[:1000], fields=fields) from None
