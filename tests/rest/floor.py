"""What REST tests do over and over: call with a role, put a product, release an order."""

from dataclasses import dataclass
from typing import Any

import httpx
from fastapi import FastAPI

from mes.db.session import Database

API = "/api/v1"


def cable(part: str = "CB-1", revision: str = "A", **fields: Any) -> dict[str, Any]:
    """A small made product."""
    return {
        "part": part,
        "revision": revision,
        "name": "Cable",
        "family": "cabling",
        "serial_pattern": part + "-{n:06}",
        "bom": [{"position": "P1", "part": "PLUG-1"}],
        "route": [
            {"step": "crimp", "station_kind": "bench", "installs": ["P1"]},
            {"step": "test", "station_kind": "tester", "after": ["crimp"], "needs": ["resistance"]},
        ],
        "characteristics": [{"name": "resistance", "unit": "Ohm", "low": 0, "high": 0.2}],
        **fields,
    }


def order(quantity: int = 3, **fields: Any) -> dict[str, Any]:
    """An order for that product."""
    return {"part": "CB-1", "revision": "A", "quantity": quantity, **fields}


@dataclass
class Floor:
    """The application and a client of it."""

    app: FastAPI
    database: Database
    client: httpx.AsyncClient
    tokens: dict[str, str]

    async def call(
        self, method: str, path: str, body: Any = None, *, role: str = "admin", **more: Any
    ) -> httpx.Response:
        """A request under /api/v1 with a role's token."""
        headers = {"Authorization": f"Bearer {self.tokens[role]}", **more.pop("headers", {})}
        if body is not None:
            more["json"] = body
        return await self.client.request(method, API + path, headers=headers, **more)

    async def done(self, method: str, path: str, body: Any = None, **more: Any) -> Any:
        """The JSON of a request that must succeed."""
        response = await self.call(method, path, body, **more)
        assert response.is_success, response.text
        return response.json()

    async def refused(self, status: int, method: str, path: str, body: Any = None, **more: Any) -> dict[str, Any]:
        """The problem of a request that must fail in exactly this way; checks the form that every problem has."""
        response = await self.call(method, path, body, **more)
        assert response.status_code == status, response.text
        assert response.headers["content-type"] == "application/problem+json"
        problem: dict[str, Any] = response.json()
        assert problem["status"] == status
        assert problem["request_id"] == response.headers["x-request-id"]
        assert problem.keys() == {"type", "title", "status", "code", "detail", "errors", "reasons", "request_id"}
        return problem

    async def product(self, **fields: Any) -> None:
        """Release the cable."""
        document = cable(**fields)
        await self.done("PUT", f"/products/{document['part']}/revisions/{document['revision']}", document)

    async def released(self, number: str = "WO-1", quantity: int = 3, **fields: Any) -> dict[str, Any]:
        """A released order of the cable."""
        await self.product()
        await self.done("PUT", f"/work-orders/{number}", order(quantity, **fields))
        view: dict[str, Any] = await self.done("POST", f"/work-orders/{number}/release")
        return view
