"""What the ERP, engineers and quality do in the demo, over REST, each as of the moment at which the floor does it."""

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import quote

import httpx

import mes
from mes.formats.product_document import load, to_document
from mes.local import Local
from mes.rest.door import HAPPENED_AT
from stations.floor import crew
from stations.floor.deeds import Diagnosed, Ordered, Repaired, Ruled, Shipped
from stations.floor.plant import Plant

TIMEOUT_S: Final = 60.0


class OfficeRefused(Exception):  # noqa: N818 - an answer, not an error
    """REST said no."""


def products_dir() -> Path:
    """Where the product definitions are: inside an installed wheel, or in deploy/products of a checkout."""
    package = Path(mes.__file__).parent
    bundled = package / "_bundled" / "products"
    return bundled if bundled.is_dir() else package.parent / "deploy" / "products"


class Office:
    """A client of REST with all rights. Use it with `async with`."""

    def __init__(self, local: Local) -> None:
        headers = {"Authorization": f"Bearer {local.token}"}
        self.root = f"{local.api_url}/api/v1"
        self._client = httpx.AsyncClient(headers=headers, timeout=TIMEOUT_S, trust_env=False)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._client.aclose()

    async def call(self, method: str, path: str, body: Any = None, *, at: datetime | None = None, **query: Any) -> Any:
        """The JSON answer of a request, dated `at`. Raises `OfficeRefused` with what was wrong."""
        headers = {HAPPENED_AT: at.isoformat()} if at else {}
        answer = await self._client.request(method, self.root + path, json=body, params=query, headers=headers)
        if answer.is_success:
            return answer.json()
        problem = answer.json() if answer.headers.get("content-type", "").endswith("json") else {}
        raise OfficeRefused(f"{method} {path}: {problem.get('detail') or answer.text}")

    async def metrics(self) -> dict[str, float]:
        """The plain counters and gauges of /metrics."""
        text = (await self._client.get(f"{self.root.removesuffix('/api/v1')}/metrics")).text
        lines = [line.split() for line in text.splitlines() if line and not line.startswith("#") and "{" not in line]
        return {name: float(value) for name, value in lines}

    async def release_products(self) -> list[dict[str, Any]]:
        """All delivered products; returns their documents."""
        definitions = [load(path) for path in sorted(products_dir().glob("*.yaml"))]
        for one in sorted(definitions, key=lambda one: one.source):  # bought parts first
            await self.call("PUT", f"/products/{quote(one.part)}/revisions/{one.revision}", to_document(one))
        return [to_document(one) for one in definitions]

    async def put_lines(self, plant: Plant, time_zone: str) -> None:
        """The plant's lines, their stations, and their shifts, told in a time zone."""
        shifts = [
            {"name": name, "days": list(crew.DAYS), "start": start, "end": end} for name, start, end in crew.SHIFTS
        ]
        for line, benches in plant.lines().items():
            stations = [{"name": one.name, "kind": one.kind} for one in benches]
            told = {"stations": stations, "time_zone": time_zone, "shifts": shifts}
            if not await self._stands(line, {one.name for one in benches}):
                await self.call("PUT", f"/lines/{line}", told)

    async def _stands(self, line: str, names: set[str]) -> bool:
        """Whether a line is there with these stations."""
        page = await self.call("GET", "/stations", line=line, limit=1000)
        return {one["name"] for one in page["items"]} == names

    async def do(self, what: Any, at: datetime) -> None:
        """Do what the floor's office does, as of a moment. Done before, it is not done again."""
        if isinstance(what, Ordered):
            await self._order(what, at)
        elif isinstance(what, Diagnosed):
            await self._say(what, "diagnose", {"diagnosis": what.found, "by": what.by}, at)
        elif isinstance(what, Repaired):
            await self._say(what, "repair", {"repair": what.done, "by": what.by}, at)
        elif isinstance(what, Ruled):
            told = {"ruling": what.ruling, "decided_by": what.by, "reason": what.why}
            await self._say(what, "disposition", told, at)
        elif isinstance(what, Shipped):
            await self._ship(what, at)

    async def _order(self, what: Ordered, at: datetime) -> None:
        told = {"part": what.part, "revision": what.revision, "quantity": len(what.serials)}
        told |= {"serials": list(what.serials), "customer_order": what.customer_order}
        order = await self.call("PUT", f"/work-orders/{what.number}", told, at=at)
        if order["state"] == "created":
            await self.call("POST", f"/work-orders/{what.number}/release", at=at)

    async def _say(self, what: Diagnosed | Repaired | Ruled, verb: str, told: Mapping[str, str], at: datetime) -> None:
        page = await self.call("GET", "/nonconformances", unit=what.unit, step=what.step, limit=1000)
        found = sorted(page["items"], key=lambda one: str(one["opened_at"]))
        if len(found) < what.nth:
            raise OfficeRefused(f"{what.unit} has {len(found)} nonconformances of {what.step}, not {what.nth}.")
        one = found[what.nth - 1]
        if one[next(iter(told))] is None:
            await self.call("POST", f"/nonconformances/{one['id']}/{verb}", dict(told), at=at)

    async def _ship(self, what: Shipped, at: datetime) -> None:
        path = f"/units/{quote(what.unit)}"
        if (await self.call("GET", path))["state"] != "shipped":
            await self.call("POST", f"{path}/ship", {"order": what.order, "to": what.to, "by": what.by}, at=at)
