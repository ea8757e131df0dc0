"""What the ERP and the engineers do in the demo, over REST."""

from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import httpx

import mes
from mes.formats.product_document import load, to_document
from mes.local import Local
from stations.first_cables import CONNECTOR, POWER_WIRE, SIDEBAND_WIRE, STATIONS, Cable

CABLE: Final = "CBL-PSB8-0600"
REVISION: Final = "A"
LINE: Final = "cabling-1"
REEL_M: Final = 500
TIMEOUT_S: Final = 30.0


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

    async def call(self, method: str, path: str, body: Any = None, **query: Any) -> Any:
        """The JSON answer of a request. Raises `OfficeRefused` with what was wrong."""
        answer = await self._client.request(method, self.root + path, json=body, params=query)
        if answer.is_success:
            return answer.json()
        problem = answer.json() if answer.headers.get("content-type", "").endswith("json") else {}
        raise OfficeRefused(f"{method} {path}: {problem.get('detail') or answer.text}")

    async def metrics(self) -> dict[str, float]:
        """The plain counters and gauges of /metrics."""
        text = (await self._client.get(f"{self.root.removesuffix('/api/v1')}/metrics")).text
        lines = [line.split() for line in text.splitlines() if line and not line.startswith("#") and "{" not in line]
        return {name: float(value) for name, value in lines}

    async def release_products(self) -> list[str]:
        """The cable and what it is made of; returns their part numbers."""
        definitions = [load(path) for path in sorted(products_dir().glob("cabling*.yaml"))]
        for one in sorted(definitions, key=lambda one: one.source):  # bought parts first
            await self.call("PUT", f"/products/{one.part}/revisions/{one.revision}", to_document(one))
        return [one.part for one in definitions]

    async def put_line(self) -> None:
        """A line with the stations of the cable's route."""
        named = [{"name": name, "kind": kind} for name, kind in STATIONS.items()]
        await self.call("PUT", f"/lines/{LINE}", {"stations": named, "time_zone": "UTC"})

    async def order(self, quantity: int) -> tuple[str, list[str]]:
        """An order of cables, released to the floor; returns its number and the cables' serials."""
        number = await self._next_number()
        told = {"part": CABLE, "revision": REVISION, "quantity": quantity}
        await self.call("PUT", f"/work-orders/{number}", told)
        released = await self.call("POST", f"/work-orders/{number}/release")
        return number, released["serials"]

    async def _next_number(self) -> str:
        """The number after the last of the demo's orders."""
        used = 0
        query: dict[str, Any] = {"part": CABLE, "limit": 1000}
        while True:
            page = await self.call("GET", "/work-orders", **query)
            numbers = [one["number"].removeprefix("DEMO-") for one in page["items"]]
            used = max([used, *(int(number) for number in numbers if number.isdigit())])
            if not page["next_cursor"]:
                return f"DEMO-{used + 1:04}"
            query["cursor"] = page["next_cursor"]

    async def receive(self, number: str, cables: list[Cable], spare: str) -> None:
        """The material of an order arrives: two reels of wire and a connector for each end."""
        for lot, part in ((cables[0].power_lot, POWER_WIRE), (cables[0].sideband_lot, SIDEBAND_WIRE)):
            await self._receipt(number, part=part, lot=lot, quantity=REEL_M)
        for serial in (*(serial for cable in cables for serial in cable.connectors.values()), spare):
            await self._receipt(number, part=CONNECTOR, serial=serial)

    async def _receipt(self, number: str, **told: Any) -> None:
        told["id"] = f"{number}/{told['part']}/{told.get('serial') or told.get('lot')}"
        await self.call("POST", "/goods-receipts", told)

    async def nonconformance(self, serial: str) -> Mapping[str, Any]:
        """The open nonconformance of a unit."""
        page = await self.call("GET", "/nonconformances", unit=serial)
        found: Mapping[str, Any] = next(one for one in page["items"] if one["closed_at"] is None)
        return found

    async def diagnose(self, id: str, found: str, by: str) -> None:
        """An engineer says what was found."""
        await self.call("POST", f"/nonconformances/{id}/diagnose", {"diagnosis": found, "by": by})

    async def repaired(self, id: str, done: str, by: str) -> None:
        """An engineer says what was done."""
        await self.call("POST", f"/nonconformances/{id}/repair", {"repair": done, "by": by})
