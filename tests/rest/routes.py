"""Every route of the application, from its OpenAPI document, with a request that gets past the door."""

from collections.abc import Iterator
from typing import Any, NamedTuple

from fastapi import FastAPI

from mes.rest.door import PREFIX
from mes.rest.openapi import openapi

NO_ID = "00000000-0000-7000-8000-000000000000"
_PATH_VALUES = {"id": NO_ID, "key": NO_ID}


class RouteCase(NamedTuple):
    """A route, an address of it, the names of its query parameters and an example of its body."""

    method: str
    template: str
    path: str
    query: tuple[str, ...]
    body: Any
    schema: dict[str, Any] | None

    @property
    def name(self) -> str:
        return f"{self.method} {self.template}"


def routes(app: FastAPI) -> Iterator[RouteCase]:
    """All routes behind the door."""
    document = openapi(app)
    for path, methods in document["paths"].items():
        if not path.startswith(PREFIX):
            continue
        for method, operation in methods.items():
            yield _case(document, method.upper(), path.removeprefix(PREFIX), operation)


def _case(document: dict[str, Any], method: str, template: str, operation: dict[str, Any]) -> RouteCase:
    parameters = operation.get("parameters", [])
    path = template
    for one in parameters:
        if one["in"] == "path":
            path = path.replace(f"{{{one['name']}}}", _PATH_VALUES.get(one["name"], "X-1"))
    query = tuple(one["name"] for one in parameters if one["in"] == "query")
    content = operation.get("requestBody", {}).get("content", {}).get("application/json")
    if content is None:
        return RouteCase(method, template, path, query, None, None)
    examples = content.get("examples", {"none": {"value": None}})
    return RouteCase(
        method, template, path, query, next(iter(examples.values()))["value"], resolve(document, content["schema"])
    )


def resolve(document: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    """A schema with its references followed, and of `X or null` the X."""
    if "$ref" in schema:
        return resolve(document, document["components"]["schemas"][schema["$ref"].rpartition("/")[2]])
    options = [one for one in schema.get("anyOf", ()) if one.get("type") != "null"]
    if len(options) == 1:
        return resolve(document, options[0])
    resolved = dict(schema)
    if "properties" in schema:
        resolved["properties"] = {name: resolve(document, one) for name, one in schema["properties"].items()}
    if isinstance(schema.get("items"), dict):
        resolved["items"] = resolve(document, schema["items"])
    return resolved
