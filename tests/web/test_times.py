"""Moments are on the clock of whoever looks, and every page says which that is; the address keeps them in UTC."""

from datetime import timedelta

from playwright.async_api import expect

from tests.stage import START
from tests.web.browser import opened, served
from tests.web.rack import racks_and_trays
from tests.web.visitor import Visitor

ZONE = "Asia/Bangkok"
"""Seven hours ahead, all year round."""


async def test_moments_are_on_the_viewers_clock(visitor: Visitor) -> None:
    stage = await racks_and_trays(visitor.database)
    async with served(visitor.app) as address, opened(address, visitor.logins["viewer"], ZONE) as page:
        await page.goto(f"{address}/units/T-1")
        began = page.locator("#route tbody time, table.route tbody time").first
        await expect(began).to_have_text("2026-11-02 15:00")
        await expect(began).to_have_attribute("title", "2026-11-02 08:00:00 UTC")
        await expect(page.locator("table.route thead")).to_contain_text(f"Began ({ZONE})")
        await expect(page.locator(".tick-text").first).to_have_text("07:00")
        await page.get_by_text("At another time").click()
        await page.locator("input[name=as_of]").fill("2026-11-02 15:00")
        await stage.send([stage.remove("T-1", "GPU1", "G-01", 9000)])
        await expect(page.locator("#unit-contents")).not_to_contain_text("G-01")  # it has come anew
        await expect(page.locator("input[name=as_of]")).to_have_value("2026-11-02 15:00")
        await page.get_by_role("button", name="Show").click()
        await page.wait_for_url("**as_of=2026-11-02T08%3A00Z**")
        await expect(page.locator("input[name=as_of]")).to_have_value("2026-11-02T15:00")
        await expect(page.locator(".tree")).to_have_count(0)  # nothing was in it at that moment
        await page.goto(f"{address}/?line=L1")
        await expect(page.locator("#live-text")).to_contain_text(ZONE)
        await expect(page.locator(".line-head")).to_contain_text("UTC")  # a line's shifts are on its own clock
        await stage.send(
            [stage.message("status", "as-1", state="running", since=(START + timedelta(hours=1)).isoformat())]
        )
        await expect(page.locator("[id='station-as-1'] time")).to_have_attribute(
            "title", "since 2026-11-02 09:00:00 UTC"
        )
