"""The README's pictures, taken of this code: `python -m tests.web.pictures` starts the demo and photographs its pages.

It needs Chromium, takes some two minutes, and writes `deploy/pictures`. The demo runs at the clock's own pace: only
then has the shift that the board shows, which is today's, a past. Taken soon after a shift began there is little in it.
"""

import asyncio
import json
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple

import httpx
from playwright.async_api import Browser, Page, async_playwright

from tests.house.sources import ROOT
from tests.parts import any_port
from tests.web.browser import ARGUMENTS, CHROMIUM

FOLDER: Final = ROOT / "deploy" / "pictures"
BYTES_MAX: Final = 350_000
LOADS_WITHIN_S: Final = 300
MOVES_FOR_S: Final = 45
"""The board is left alone for so long: it tells a rate, and things happen on it."""
ORDER, TRAY, STATION_KIND = "WO-260418", "TRY-C4G-L10", "assembly-bench"
SCANNED: Final = (
    ("CPU-A144-500", "CPUA144500-200417"),
    ("CPU-A144-500", "CPUA144500-200418"),
    ("GPU-X4-288", "GPUX4288-200871"),
    ("GPU-X4-288", "GPUX4288-200874"),
)
"""Parts that arrive and are put into the tray before its picture is taken; half of the step's are left."""


class Demo(NamedTuple):
    """A demo that runs: its address, the passwords by name, what it built, and REST with all rights."""

    address: str
    passwords: dict[str, str]
    racks: list[str]
    rest: httpx.AsyncClient

    async def get(self, path: str, **query: Any) -> Any:
        """An answer of REST."""
        return (await self.rest.get(path, params=query)).raise_for_status().json()


@asynccontextmanager
async def running(folder: Path) -> AsyncIterator[Demo]:
    """The demo as a process of its own, from when its past is loaded."""
    port = any_port()
    command = ("demo", "--data-dir", str(folder), "--port", str(port), "--mqtt-port", str(any_port()), "--json")
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "mes", *command, stdout=asyncio.subprocess.PIPE, cwd=ROOT
    )
    assert process.stdout is not None
    reading: asyncio.Task[None] | None = None
    try:
        async with asyncio.timeout(LOADS_WITHIN_S):
            summary = await _summary(process.stdout)
        reading = asyncio.create_task(_drain(process.stdout))
        address = f"http://127.0.0.1:{port}"
        headers = {"Authorization": f"Bearer {(folder / 'admin.token').read_text().strip()}"}
        passwords = json.loads((folder / "demo-logins.json").read_text())
        async with httpx.AsyncClient(base_url=f"{address}/api/v1", headers=headers, timeout=30) as rest:
            yield Demo(address, passwords, summary["rack_serials"], rest)
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()
        if reading:
            await reading


async def _summary(told: asyncio.StreamReader) -> dict[str, Any]:
    async for line in told:
        if line.startswith(b"{"):
            summary: dict[str, Any] = json.loads(line)
            if summary.get("stopped"):
                raise SystemExit(f"the demo's line stopped: {summary['stopped']}")
            return summary
    raise SystemExit("the demo ended before it was loaded")


async def _drain(told: asyncio.StreamReader) -> None:
    async for _ in told:
        pass


@asynccontextmanager
async def visiting(
    browser: Browser, demo: Demo, who: str, width: int, height: int, theme: Literal["light", "dark"]
) -> AsyncIterator[Page]:
    """A page of somebody who is logged in."""
    context = await browser.new_context(viewport={"width": width, "height": height}, color_scheme=theme)
    page = await context.new_page()
    await page.goto(f"{demo.address}/login")
    await page.fill("input[name=name]", who)
    await page.fill("input[name=password]", demo.passwords[who])
    await page.keyboard.press("Enter")
    await page.wait_for_url(f"{demo.address}/")
    yield page
    await context.close()


async def keep(page: Page, name: str) -> None:
    """Write a picture of what can be seen."""
    path = FOLDER / f"{name}.png"
    await page.screenshot(path=path, animations="disabled", caret="hide")
    size = path.stat().st_size
    print(f"{path.relative_to(ROOT)}: {size / 1000:.0f} kB")
    assert size <= BYTES_MAX, "too large for a README"


async def board(browser: Browser, demo: Demo) -> None:
    """The board at a desk, and on a wall."""
    async with (
        visiting(browser, demo, "supervisor", 1440, 1160, "light") as desk,
        visiting(browser, demo, "supervisor", 1920, 1080, "dark") as wall,
    ):
        await wall.goto(f"{demo.address}/?size=wall&theme=dark")
        await asyncio.sleep(MOVES_FOR_S)
        await keep(desk, "board")
        await keep(wall, "board-wall")


async def rack(browser: Browser, demo: Demo) -> None:
    """The page of the rack that was done last."""
    async with visiting(browser, demo, "quality", 1440, 990, "light") as page:
        await page.goto(f"{demo.address}/units/{demo.racks[-1]}")
        await page.wait_for_load_state("networkidle")
        await keep(page, "rack")


async def scan(browser: Browser, demo: Demo) -> None:
    """A tray of an order of our own, half of its parts in it."""
    await demo.rest.put(f"/work-orders/{ORDER}", json={"part": TRAY, "revision": "A", "quantity": 1})
    (await demo.rest.post(f"/work-orders/{ORDER}/release")).raise_for_status()
    (unit,) = (await demo.get("/units", order=ORDER))["items"]
    stations = (await demo.get("/stations", line="compute", kind=STATION_KIND, limit=100))["items"]
    for part, serial in SCANNED:
        (await demo.rest.post("/goods-receipts", json={"part": part, "serial": serial})).raise_for_status()
    async with visiting(browser, demo, "operator", 1440, 760, "light") as page:
        await page.goto(f"{demo.address}/scan/{stations[-1]['name']}")
        for serial in (unit["serial"], *(serial for _, serial in SCANNED)):
            async with page.expect_response(lambda answer: answer.request.method == "POST"):
                await page.keyboard.type(serial)
                await page.keyboard.press("Enter")
            await page.wait_for_timeout(500)
        await keep(page, "scan")


async def take() -> None:
    """All of them."""
    FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        async with running(Path(folder) / "demo") as demo, async_playwright() as playwright:
            browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
            for picture in (rack, scan, board):
                await picture(browser, demo)
            await browser.close()


if __name__ == "__main__":
    asyncio.run(take())
