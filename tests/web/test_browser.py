"""The scan page and the unit's page in a real browser: what a person with a scanner does, and sees."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Page, Route, expect

from tests.stage import START, Stage
from tests.web.browser import opened, served
from tests.web.rack import racks_and_trays
from tests.web.visitor import Visitor


@pytest.fixture
async def page(visitor: Visitor) -> AsyncIterator[Page]:
    """A tablet at station as-1, with an operator logged in."""
    await racks_and_trays(visitor.database)
    async with served(visitor.app) as address, opened(address, visitor.logins["operator"]) as page:
        await page.goto(f"{address}/scan/as-1")
        yield page


async def scan(page: Page, text: str) -> None:
    """As a scanner does it: keys and Enter, wherever the focus is."""
    await page.keyboard.type(text)
    await page.keyboard.press("Enter")


async def told(page: Page, text: str) -> None:
    await expect(page.locator(".told-title")).to_contain_text(text)


async def test_a_tray_is_installed_and_a_wrong_slot_corrected(page: Page) -> None:
    await scan(page, "R-1")
    await expect(page.locator(".prompt-where")).to_have_text("U1")
    await scan(page, "T-1")
    await told(page, "In U1")
    await expect(page.locator("#scan")).to_have_value("")
    await scan(page, "U2")
    await scan(page, "T-1")
    await told(page, "Moved to U2")
    await scan(page, "T-1")
    await told(page, "Already in U2")
    await scan(page, "T-2")
    await told(page, "In U1")
    await page.get_by_role("button", name="Undo U1").click()
    await told(page, "Taken out of U1")
    await expect(page.locator("#scan")).to_be_focused()
    await page.get_by_role("link", name="R-1").click()
    await expect(page.locator(".rack-box.good")).to_have_count(1)
    await expect(page.locator(".rack-box.good .rack-serial")).to_have_text("T-1")
    await expect(page.locator(".tree")).to_contain_text("U2")
    await expect(page.locator(".entries")).to_contain_text("undone at the scan page")
    await page.locator(".tree a", has_text="T-1").click()
    await expect(page.locator(".unit-head")).to_contain_text("Installed in")


async def test_scans_without_a_line_are_kept_and_done_once(page: Page) -> None:
    await scan(page, "R-1")
    await expect(page.locator(".prompt-where")).to_have_text("U1")
    lost = 0

    async def lose(route: Route) -> None:
        """The request arrives, the answer does not: the worst that a line can do."""
        nonlocal lost
        lost += 1
        if lost == 1:
            await route.fetch()
        await route.abort()

    await page.route("**/scan/as-1", lose)
    await scan(page, "T-1")
    await scan(page, "T-2")
    await expect(page.locator("#offline")).to_contain_text("2 scans are kept")
    await page.unroute("**/scan/as-1")
    await expect(page.locator(".slot.is-filled")).to_have_count(2)
    await expect(page.locator("#offline")).to_be_hidden()
    await expect(page.locator(".slot.is-filled .slot-what")).to_have_text(["T-1", "T-2"])


async def test_after_an_objection_later_scans_wait(page: Page) -> None:
    await scan(page, "R-1")
    await expect(page.locator(".prompt-where")).to_have_text("U1")
    both = asyncio.Event()

    async def late(route: Route) -> None:
        """The first scan's answer comes when the second is scanned: whoever reads the objection first is not asked."""
        await both.wait()
        await route.continue_()

    await page.route("**/scan/as-1", late)
    for text in ("T-3", "T-1"):  # the first is not finished
        await scan(page, text)
    both.set()
    await expect(page.locator("#offline")).to_contain_text("1 later scan waits")
    await page.get_by_role("button", name="Go on with them").click()
    await told(page, "In U1")


async def test_it_works_without_its_script(page: Page) -> None:
    await page.route("**/scan.js", lambda route: route.abort())
    await page.reload()
    for text, answer in (("R-1", "R-1"), ("T-1", "In U1"), ("U2", "Next goes into U2"), ("T-1", "Moved to U2")):
        await page.locator("#scan").fill(text)
        await page.locator("#scan").press("Enter")
        await told(page, answer)
    await page.reload()  # sends the form again
    await told(page, "Said before")


async def test_a_channel_is_drawn_under_our_policy_and_finer_when_zoomed(page: Page, visitor: Visitor) -> None:
    stage = Stage(visitor.database)
    told_by = {"start": START.isoformat(), "period_s": 1, "channels": {"temp": [20.0 + n % 60 for n in range(20_000)]}}
    await stage.send([stage.message("samples", "ft-1", id="telemetry", unit="T-1", step="test", **told_by)])
    refused: list[str] = []
    page.on("console", lambda one: refused.append(one.text) if "script" in one.text and "refused" in one.text else None)
    await page.goto(page.url.replace("/scan/as-1", "/units/T-1/samples?channel=temp"))
    await expect(page.locator("#chart .main-svg").first).to_be_visible()
    await expect(page.locator("#drawn")).to_be_hidden()
    area = await page.locator("#chart .nsewdrag").bounding_box()
    assert area
    async with page.expect_response(lambda answer: "from=" in answer.url) as finer:
        await page.mouse.move(area["x"] + 100, area["y"] + 60)
        await page.mouse.down()
        await page.mouse.move(area["x"] + 160, area["y"] + 62, steps=4)
        await page.mouse.up()
    (series,) = await (await finer.value).json()
    assert series["bucket_s"] < 5
    assert refused == []
