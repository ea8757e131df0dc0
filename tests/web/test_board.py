"""The board: what it says of a floor, live in a browser, stale when nobody speaks, and of an empty floor."""

import contextlib
import time
from datetime import UTC, datetime, timedelta

import pytest
from playwright.async_api import expect

from mes.app import create_app
from mes.commands.ingest import settle
from mes.commands.lines import LineCalendar, StationOfLine, put_line
from mes.commands.logins import close_login
from mes.db import sequencer
from mes.formats.messages import decode
from mes.queries.board import Floor
from mes.queries.queues import Queue, by_line
from mes.settings import Settings
from mes.web.board import shared_prefix
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


def test_a_unit_waits_on_the_line_it_was_worked_at() -> None:
    loopback, soak = Queue("SWT", "port-loopback", "port-tester"), Queue("SWT", "soak", "soak-bay")
    kinds = {"cabling": {"port-tester"}, "networking": {"port-tester"}, "racks": {"soak-bay"}}
    line_of = {"nt-1": "networking", "rk-1": "racks"}
    waiting = {
        (loopback, "nt-1"): 40,
        (loopback, "rk-1"): 2,
        (loopback, None): 1,
        (loopback, "gone"): 3,
        (soak, "nt-1"): 5,
    }
    assert by_line(waiting, kinds, line_of) == {
        "networking": {loopback: 46},
        "cabling": {loopback: 6},
        "racks": {soak: 5},
    }


async def test_units_not_begun_wait_where_their_order_began(visitor: Visitor, floor: BusyFloor) -> None:
    async with visitor.database.transaction() as connection:
        twin = [StationOfLine("twin-01", "assembly")]
        await put_line(connection, "compute-2", LineCalendar("UTC", ()), twin, floor.act)
    queries = Floor("main")

    async def assemblies() -> dict[str, int]:
        async with visitor.database.reading() as connection:
            now = await queries.look(connection, datetime.now(UTC))
        queues = {line.name: line.queues for line in now.lines}
        return {
            line: units
            for line in ("compute", "compute-2")
            for queue, units in queues[line]
            if queue.step == "assembly"
        }

    assert await assemblies() == {"compute": 12, "compute-2": 12}, "nothing is begun: either may begin it"
    at = floor.now - timedelta(minutes=30)
    await floor.send([floor.ended("twin-01", "TRAY-L10-00001", "assembly", at, at, "pass", False)])
    assert await assemblies() == {"compute-2": 11}
    queries = Floor("main")
    assert await assemblies() == {"compute-2": 11}, "and a process that starts now says the same"


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


async def test_a_rejected_message_leads_to_its_station_s_and_widens_nothing(visitor: Visitor, floor: BusyFloor) -> None:
    await settle(visitor.database, decode("assembly-01", "run", b"{"), floor.now)
    while await sequencer.number(visitor.database):
        pass
    async with served(visitor.app) as address, opened(address, visitor.logins["viewer"]) as page:
        await page.goto(f"{address}/")
        await expect(page.locator("#events a", has_text="assembly-01")).to_be_visible()
        beyond = await page.evaluate("document.documentElement.scrollWidth - innerWidth")
        assert beyond <= 0, "no long name may push the page to the side"
        await page.locator("#events a", has_text="assembly-01").click()
        await expect(page.locator(".stuck tbody tr")).to_have_count(1)


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
        assert time.monotonic() - stopping < 20, "open streams hold no stop up"
        await expect(page.locator("#stale")).to_contain_text("This is how it was at")
        await burn_in(floor, "TRAY-L10-00003", minutes_ago=1, failed=False)
        async with served(create_app(visitor.database, Settings()), port):
            await expect(page.locator("#stale")).to_be_hidden()
            await expect(page.locator("#numbers")).to_contain_text("1 of 2")
            async with visitor.database.transaction() as connection:
                await close_login(connection, visitor.logins["viewer"], at=datetime.now(UTC))
            await page.wait_for_url("**/login**")


def test_station_names_leave_out_what_only_says_the_line() -> None:
    assert shared_prefix("cabling", ["cabling-crimp-press-1", "cabling-hipot-tester-2"]) == "cabling-"
    assert shared_prefix("cabling", ["cab-crimp-1", "cab-hipot-2"]) == "cab-"
    assert shared_prefix("cabling", ["cabling-crimp-1", "spare-1"]) == ""
    assert shared_prefix("ct-line", ["ct-01", "ct-02"]) == ""
    assert shared_prefix("compute", ["burn-in-01", "burn-in-02"]) == ""
    assert shared_prefix("", ["a-b", "-"]) == ""
    assert shared_prefix("compute", []) == ""
