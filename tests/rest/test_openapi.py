"""The OpenAPI document: complete, and changed on purpose only."""

import json
from pathlib import Path

from fastapi import FastAPI

from mes.app import create_app
from mes.db.session import Database
from mes.rest.openapi import openapi
from mes.settings import Settings
from tests.rest.routes import routes

SNAPSHOT = Path(__file__).parent / "openapi.json"
RENEW = "python -m tests.rest.test_openapi"


def document() -> str:
    """The document as it is now."""
    return json.dumps(openapi(_app()), indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def _app() -> FastAPI:
    return create_app(Database("postgresql://nobody@127.0.0.1/none"), Settings())


def test_the_api_is_what_it_was() -> None:
    assert SNAPSHOT.read_text() == document(), f"If this is meant, raise API_VERSION and renew it: {RENEW}"


def test_every_operation_is_described() -> None:
    for path, methods in json.loads(document())["paths"].items():
        for method, operation in methods.items():
            where = f"{method} {path}"
            assert operation["description"].endswith("."), where
            if path.startswith("/api/"):
                assert operation["security"] == [{"token": []}], where
                assert {"401", "403", "422"} <= operation["responses"].keys(), where


def test_every_body_that_must_be_there_has_an_example() -> None:
    app = _app()
    for case in routes(app):
        if case.schema and case.schema.get("required"):
            assert case.body is not None, case.name


if __name__ == "__main__":
    SNAPSHOT.write_text(document())
