"""Schemathesis over the whole application, as a server of its own: nothing that can be sent is a failure of ours."""

import asyncio
import os
import threading
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
import schemathesis
import uvicorn
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from mes.app import create_app
from mes.commands.access import add_token
from mes.db.session import Database
from mes.settings import Settings
from tests.rest.floor import cable, order

EXAMPLES = int(os.environ.get("MES_TESTS_FUZZ", "10"))
CHECKS = (not_a_server_error, content_type_conformance, response_schema_conformance, status_code_conformance)
KNOWN = {"serial": "CB-1-000001", "number": "WO-1", "part": "CB-1", "revision": "A", "line": "L1", "station": "st-01"}


class Server:
    """The application on a port of its own, in a thread and event loop of its own."""

    def __init__(self, database_url: str) -> None:
        self._database_url = database_url
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()))
        self.url = ""
        self.token = ""

    async def _serve(self) -> None:
        database = Database(self._database_url)
        async with database.transaction() as connection:
            self.token = await add_token(connection, "fuzz", "admin", at=datetime.now(UTC))
        config = uvicorn.Config(create_app(database, Settings()), host="127.0.0.1", port=0, log_level="error")
        self._server = uvicorn.Server(config)
        serving = asyncio.create_task(self._server.serve())
        while not self._server.started:  # noqa: ASYNC110 - uvicorn tells it in no other way
            await asyncio.sleep(0.01)
        self.url = f"http://127.0.0.1:{self._server.servers[0].sockets[0].getsockname()[1]}"
        self._ready.set()
        await serving
        await database.close()

    def __enter__(self) -> "Server":
        self._thread.start()
        assert self._ready.wait(20)
        return self

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = True
        self._thread.join(20)

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}


@pytest.fixture
def server(database_url: str) -> Iterator[Server]:
    """A server with one released order, so that some of what is asked for is there."""
    with Server(database_url) as server:
        with httpx.Client(base_url=f"{server.url}/api/v1", headers=server.headers, timeout=60) as client:
            for path, body in (
                ("/lines/L1", {"stations": [{"name": "st-01", "kind": "bench"}]}),
                ("/products/CB-1/revisions/A", cable()),
                ("/work-orders/WO-1", order()),
            ):
                assert client.put(path, json=body).is_success
            assert client.post("/work-orders/WO-1/release").is_success
        yield server


def cases(operation: Any, mode: GenerationMode) -> Any:
    """Cases of an operation; every other address is of something that is there."""

    def mapped(case: Any) -> Any:
        named = case.path_parameters or {}
        if len(repr(named)) % 2:
            case.path_parameters = {**named, **{name: KNOWN[name] for name in named.keys() & KNOWN.keys()}}
        return case

    return operation.as_strategy(generation_mode=mode).map(mapped)


@pytest.mark.parametrize("mode", list(GenerationMode))
def test_nothing_that_can_be_sent_is_a_failure_of_ours(server: Server, mode: GenerationMode) -> None:
    api = schemathesis.openapi.from_url(f"{server.url}/api/v1/openapi.json")
    tried = 0
    for found in api.get_all_operations():

        @given(case=cases(found.ok(), mode))
        @settings(
            max_examples=EXAMPLES,
            deadline=None,
            derandomize=True,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        def try_it(case: Any) -> None:
            nonlocal tried
            tried += 1
            case.validate_response(case.call(headers=server.headers), checks=CHECKS)

        with suppress(Unsatisfiable):  # an operation without parameters can't be called wrongly
            try_it()
    assert tried > 200
