"""The OpenAPI document: what FastAPI derives, with the security scheme, errors and roles of every route."""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from mes.rest.access import ROLES
from mes.rest.door import PREFIX
from mes.rest.envelope import API_VERSION
from mes.rest.errors import MEDIA_TYPE

_PROBLEM: dict[str, Any] = {
    "type": "object",
    "description": "RFC 9457. `code` is stable; `errors` says what is wrong where; `reasons` is why not, with facts.",
    "required": ["type", "title", "status", "code", "detail", "errors", "reasons", "request_id"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "code": {"type": "string"},
        "detail": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["field", "text"],
                "properties": {"field": {"type": "string"}, "code": {"type": "string"}, "text": {"type": "string"}},
            },
        },
        "reasons": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["code", "text", "facts"],
                "properties": {
                    "code": {"type": "string"},
                    "text": {"type": "string"},
                    "facts": {"type": "object", "additionalProperties": True},
                },
            },
        },
        "request_id": {"type": ["string", "null"]},
    },
}
_ANSWERS = {
    "400": "The body can't be read.",
    "401": "No valid token.",
    "403": "The token's role may not do this.",
    "404": "What is named is not known.",
    "409": "It conflicts with the state of things; see `reasons`.",
    "413": "The body is too large.",
    "415": "The body is not JSON.",
    "422": "Something in the request is wrong; see `errors`.",
    "503": "The database is away or too busy; try again.",
}
_BODY_ANSWERS = {"400", "413", "415"}


def openapi(app: FastAPI) -> dict[str, Any]:
    """The document, made once per application."""
    if app.openapi_schema is None:
        document = get_openapi(
            title="MES",
            version=str(API_VERSION),
            summary="Manufacturing execution for floors that assemble AI data-center hardware.",
            routes=app.routes,
        )
        document["components"]["schemas"].pop("HTTPValidationError", None)
        document["components"]["schemas"].pop("ValidationError", None)
        document["components"]["schemas"]["Problem"] = _PROBLEM
        document["components"]["securitySchemes"] = {
            "token": {"type": "http", "scheme": "bearer", "description": "`mes tokens add --role R` makes one."}
        }
        for path, methods in document["paths"].items():
            for method, operation in methods.items():
                if path.startswith(PREFIX):
                    _complete(operation, f"{method.upper()} {path.removeprefix(PREFIX)}")
        app.openapi_schema = document
    return app.openapi_schema


def _complete(operation: dict[str, Any], route: str) -> None:
    operation["security"] = [{"token": []}]
    operation["x-roles"] = sorted(ROLES.get(route, ()))
    if route.startswith("PATCH"):
        _answer(operation, "412", "It was changed since it was read.")
        _answer(operation, "428", "The header If-Match is missing.")
    for status, told in _ANSWERS.items():
        if status not in _BODY_ANSWERS or "requestBody" in operation:
            _answer(operation, status, told)


def _answer(operation: dict[str, Any], status: str, told: str) -> None:
    schema = {"$ref": "#/components/schemas/Problem"}
    operation["responses"][status] = {"description": told, "content": {MEDIA_TYPE: {"schema": schema}}}
