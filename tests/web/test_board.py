"""The board: what it says of a floor, live in a browser, stale when nobody speaks, and of an empty floor."""

import contextlib
import time
from datetime import UTC, datetime, timedelta

import pytest
from playwright.async_api import expect

from mes.app import create_app
from mes.commands.logins import close_login
from mes.db import sequencer
from mes.queries.board import Floor
from mes.settings import Settings
from tests.parts import any_port
from tests.web.browser import opened, served
from tests.web.busy_floor import BusyFloor
from tests.web.visitor import Visitor


@pytest.fixture
async def floor(visitor: Visitor) -> BusyFloor:
    """Four lines with two stations of each kind, and twelve units each that are not begun."""
    floor = BusyFloor(visitor.database)
    await floor.set_up(2)
    await floor.release(12)
    return floor


async def burn_in(floor: BusyFloor, unit: str, *, minutes_ago: float, failed: bool) -> None:
    """A run of the burn-in of a unit that came so far."""
    end = floor.now - timedelta(minutes=minutes_ago)
    start = end - timedelta(minutes=2)
    await floor.send([floor.ended("burn-in-01", unit, "burn-in", start, end, "pass", failed)])


async def test_an_empty_floor_tells_what_to_do_first(visitor: Visitor) -> None:
    html = (await visitor.get("/")).text
    assert "Nothing is on this floor yet" in html
    assert "mes products load" in html


async def test_what_the_board_says(visitor: Visitor, floor: BusyFloor) -> None:
    at = floor.now - timedelta(minutes=20)
    await floor.send(
        [
            floor.started("assembly-01", "TRAY-L10-00001", "assembly", at),
            floor.status("assembly-01", "running", at),
            floor.status("assembly-02", "down", at, "feeder empty"),
        ]
    )
    await burn_in(floor, "TRAY-L10-00002", minutes_ago=5, failed=True)
    await burn_in(floor, "TRAY-L10-00002", minutes_ago=2, failed=False)
    await burn_in(floor, "TRAY-L10-00003", minutes_ago=1, failed=False)
    await floor.hold("station", "burn-in-02", "gauge study")
    while await sequencer.number(visitor.database):
        pass
    html = (await visitor.get("/?line=compute")).text
    assert "1 of 2" in html, "first pass: the retest of the second unit changes nothing"
    assert "TRAY-L10-00001" in html
    assert "feeder empty" in html
    assert "gpu_temperature" in html
    assert "gauge study" in html
    assert "SHELF" not in html, "another line's queue"
    assert 'id="station-assembly-01"' in html
    trouble = (await visitor.get("/?line=compute&show=trouble")).text
    assert 'id="station-assembly-01"' not in trouble
    assert 'id="station-assembly-02"' in trouble


async def test_queues_count_what_may_start_next(visitor: Visitor, floor: BusyFloor) -> None:
    at = floor.now - timedelta(minutes=30)
    await floor.send(
        [
            floor.ended("assembly-01", "TRAY-L10-00001", "assembly", at, at, "pass", False),
            floor.started("assembly-01", "TRAY-L10-00002", "assembly", at),
        ]
    )
    queries = Floor("main")
    for _ in range(2):
        async with visitor.database.reading() as connection:
            now = await queries.look(connection, datetime.now(UTC))
        line = next(line for line in now.lines if line.name == "compute")
        assert {queue.step: units for queue, units in line.queues} == {"assembly": 10, "leak-test": 1}
    assert (now.units["created"], now.units["in_process"]) == (46, 2)


async def test_a_late_older_run_becomes_the_first(visitor: Visitor, floor: BusyFloor) -> None:
    queries = Floor("main")

    async def first_pass() -> tuple[int, int]:
        async with visitor.database.reading() as connection:
            now = await queries.look(connection, datetime.now(UTC))
        return tuple(next(line.first_pass for line in now.lines if line.name == "compute"))

    await burn_in(floor, "TRAY-L10-00001", minutes_ago=1, failed=False)
    assert await first_pass() == (1, 1)
    await burn_in(floor, "TRAY-L10-00001", minutes_ago=30, failed=True)
    assert await first_pass() == (0, 1)
    await burn_in(floor, "TRAY-L10-00002", minutes_ago=1, failed=False)
    await burn_in(floor, "TRAY-L10-00002", minutes_ago=600, failed=True)
    assert await first_pass() == (0, 1), "that one was first tested in another shift"
    queries = Floor("main")
    assert await first_pass() == (0, 1), "and a process that starts now says the same"


async def test_a_line_that_is_not_there(visitor: Visitor) -> None:
    answer = await visitor.get("/?line=nowhere")
    assert (answer.status_code, "No line has this name" in answer.text) == (404, True)
    assert (await visitor.get("/?show=nonsense")).status_code == 422


async def test_names_are_never_markup(visitor: Visitor, floor: BusyFloor) -> None:
    await floor.hold("station", "burn-in-02", "<script>alert(1)</script>")
    html = (await visitor.get("/")).text
    assert "<script>alert" not in html
    assert "&lt;script&gt;alert" in html


async def test_live_in_a_browser(visitor: Visitor, floor: BusyFloor) -> None:
    """A unit fails its burn-in while somebody looks; then the server goes away and comes back."""
    port = any_port()
    async with contextlib.AsyncExitStack() as browsing:
        async with served(create_app(visitor.database, Settings()), port) as address:
            page = await browsing.enter_async_context(opened(address, visitor.logins["viewer"]))
            await page.goto(f"{address}/?line=compute")
            station = page.locator("[id='station-burn-in-01']")
            await expect(page.locator("#live-text")).to_contain_text("live")
            await expect(station).not_to_contain_text("last run failed")
            await burn_in(floor, "TRAY-L10-00002", minutes_ago=1, failed=True)
            await expect(station).to_contain_text("last run failed")
            await expect(page.locator("#failing")).to_contain_text("gpu_temperature")
            await expect(page.locator("#numbers")).to_contain_text("0 of 1")
            await expect(page.locator("#stale")).to_be_hidden()
            stopping = time.monotonic()
        assert time.monotonic() - stopping < 5, "open streams hold no stop up"
        await expect(page.locator("#stale")).to_contain_text("This is how it was at")
        await burn_in(floor, "TRAY-L10-00003", minutes_ago=1, failed=False)
        async with served(create_app(visitor.database, Settings()), port):
            await expect(page.locator("#stale")).to_be_hidden()
            await expect(page.locator("#numbers")).to_contain_text("1 of 2")
            async with visitor.database.transaction() as connection:
                await close_login(connection, visitor.logins["viewer"], at=datetime.now(UTC))
            await page.wait_for_url("**/login**")
