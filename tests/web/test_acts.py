"""What people do on a unit's page, who may, and that pressing twice or deciding on what has changed does no harm."""

import asyncio
import json
import re
from datetime import timedelta

import pytest
from playwright.async_api import expect
from sqlalchemy import text

from mes.commands.logins import form_token
from mes.formats.messages import decode
from mes.web.streams import Look, Picture, Seldom
from tests.stage import START, Stage
from tests.web.browser import opened, served
from tests.web.rack import racks_and_trays
from tests.web.visitor import Visitor


@pytest.fixture
async def stage(visitor: Visitor) -> Stage:
    """T-3 has failed its test."""
    stage = await racks_and_trays(visitor.database)
    await stage.send([*stage.build("T-3", 5000, "G-31", "G-32"), stage.run("T-3", "test", 6000, power=250, run="r1")])
    return stage


async def page_of(visitor: Visitor, role: str, unit: str = "T-3") -> str:
    page = await visitor.get(f"/units/{unit}", role=role)
    assert page.status_code == 200, page.text
    return page.text.split('id="unit-way"')[1].split("</section>")[0] if 'id="unit-way"' in page.text else ""


def form_of(page: str, act: str) -> tuple[str, dict[str, str]]:
    """The address and hidden fields of the form that does it."""
    form = next(one for one in page.split("<form")[1:] if re.search(rf'action="[^"]*/{act}"', one)).split("</form>")[0]
    address = re.search(r'action="([^"]+)"', form)
    assert address
    hidden = dict(re.findall(r'type="hidden" name="([^"]+)" value="([^"]*)"', form))
    return address[1], {name: value for name, value in hidden.items() if name != "form_token"}


async def held(visitor: Visitor) -> int:
    async with visitor.database.reading() as connection:
        found = await connection.execute(text("SELECT count(*) FROM hold WHERE upper_inf(during)"))
        return int(found.scalar_one())


async def test_everybody_is_offered_what_they_may_do_and_no_more(visitor: Visitor, stage: Stage) -> None:
    offered = {
        role: set(
            re.findall(r'action="[^"]*/(hold|release|diagnose|repair|disposition)"', await page_of(visitor, role))
        )
        for role in ("viewer", "operator", "supervisor", "quality", "admin")
    }
    assert offered["viewer"] == set()
    assert offered["operator"] == {"diagnose", "repair"}
    assert offered["supervisor"] == {"hold", "diagnose", "repair"}
    assert offered["quality"] == offered["admin"] == {"hold", "diagnose", "repair", "disposition"}
    address, hidden = form_of(await page_of(visitor, "quality"), "disposition")
    refused = await visitor.post(address, {**hidden, "ruling": "scrap", "words": "x"}, role="supervisor")
    assert (refused.status_code, "This is for admin, quality" in refused.text) == (403, True)
    assert await page_of(visitor, "viewer", "T-1") == "", "nothing stands in its way, and a viewer may do nothing"


async def test_without_its_script_every_form_has_the_login_s_own_token(visitor: Visitor, stage: Stage) -> None:
    page = await page_of(visitor, "quality")
    tokens = re.findall(r'name="form_token" value="([^"]*)"', page)
    assert len(tokens) == 4
    assert set(tokens) == {form_token(visitor.logins["quality"])}


async def test_a_unit_is_held_once_and_released_once(visitor: Visitor, stage: Stage) -> None:
    address, hidden = form_of(await page_of(visitor, "supervisor"), "hold")
    reason = {**hidden, "words": " dent in the lid "}
    twice = await asyncio.gather(*(visitor.post(address, reason, role="supervisor") for _ in range(2)))
    assert [one.status_code for one in twice] == [303, 303]
    assert twice[0].headers["location"] == "/units/T-3?part=TRAY-1#impediments"
    assert await held(visitor) == 1
    assert "dent in the lid" in await page_of(visitor, "supervisor")
    await visitor.post(address, reason, role="quality")
    assert await held(visitor) == 2, "another person's hold is another"
    silent = await visitor.post(address, {**hidden, "words": " "}, role="supervisor")
    assert (silent.status_code, "Say in a few words why" in silent.text) == (422, True)
    address, hidden = form_of(await page_of(visitor, "supervisor"), "release")
    assert (await visitor.post(address, hidden, role="supervisor")).status_code == 303
    again = await visitor.post(address, hidden, role="supervisor", headers={"Referer": "http://mes/units/T-3"})
    assert (again.status_code, "The hold was released before." in again.text) == (409, True)
    assert 'href="/units/T-3"' in again.text, "the way back"
    assert await held(visitor) == 1


async def test_a_nonconformance_is_diagnosed_repaired_and_ruled_on(visitor: Visitor, stage: Stage) -> None:
    for act, words in (("diagnose", "pin 4 not crimped"), ("repair", "crimped again")):
        address, hidden = form_of(await page_of(visitor, "operator"), act)
        assert (await visitor.post(address, {**hidden, "words": words}, role="operator")).status_code == 303
        assert words in await page_of(visitor, "viewer")
    address, hidden = form_of(await page_of(visitor, "quality"), "disposition")
    rework = {**hidden, "ruling": "rework", "words": "crimp anew"}
    assert (await visitor.post(address, rework, role="quality")).status_code == 303
    twice = await visitor.post(address, rework, role="quality")
    assert (twice.status_code, "Somebody went on with it since: it is disposed now." in twice.text) == (409, True)
    assert "disposed (rework)" in await page_of(visitor, "viewer")
    history = (await visitor.get("/units/T-3/history")).text
    assert history.count("Decided on test: rework – crimp anew") == 1
    for wrong in ({**rework, "ruling": "hide"}, {**rework, "seen": "many"}, {**rework, "seen": ""}):
        assert (await visitor.post(address, wrong, role="quality")).status_code == 422
    address, hidden = form_of(await page_of(visitor, "quality"), "disposition")
    scrap = {**hidden, "ruling": "scrap", "words": "cracked"}
    assert (await visitor.post(address, scrap, role="quality")).status_code == 303
    late = await visitor.post(address, scrap, role="quality")
    assert (late.status_code, "it is closed now" in late.text) == (409, True)
    assert "scrapped" in (await visitor.get("/units/T-3")).text


async def test_use_as_is_needs_a_second_person(visitor: Visitor, stage: Stage) -> None:
    address, hidden = form_of(await page_of(visitor, "quality"), "disposition")
    as_is = {"ruling": "use_as_is", "words": "within what the customer accepts"}
    first = await visitor.post(address, {**hidden, **as_is}, role="quality")
    assert (first.status_code, "Use as is needs a diagnosis first" in first.text) == (409, True)
    diagnosis, seen = form_of(await page_of(visitor, "quality"), "diagnose")
    await visitor.post(diagnosis, {**seen, "words": "limit set too low"}, role="quality")
    address, hidden = form_of(await page_of(visitor, "quality"), "disposition")
    same = await visitor.post(address, {**hidden, **as_is}, role="quality")
    assert (same.status_code, "someone other than who diagnosed it" in same.text) == (409, True)
    assert (await visitor.post(address, {**hidden, **as_is}, role="admin")).status_code == 303
    assert "completed" in (await visitor.get("/units/T-3")).text


async def test_a_run_that_is_still_on_is_shown(visitor: Visitor, stage: Stage) -> None:
    at = (START + timedelta(seconds=7000)).isoformat()
    line = {
        "testRunArtifact": {
            "testRunStart": {
                "name": "soak",
                "version": "1",
                "commandLine": "",
                "parameters": {},
                "dutInfo": {"dutInfoId": "d"},
            }
        },
        "sequenceNumber": 1,
        "timestamp": at,
    }
    schema = {"schemaVersion": {"major": 2, "minor": 0}, "sequenceNumber": 0, "timestamp": at}
    event = {
        "specversion": "1.0",
        "id": "o1",
        "source": "stations/ft-1",
        "type": "org.opencompute.ocptv",
        "time": at,
        "data": {"unit": "T-3", "step": "test", "run": "o1", "lines": [schema, line]},
    }
    (done,) = await stage.send(decode("ft-1", "run/ocptv", json.dumps(event).encode()))
    assert done.fate == "applied", done
    page = (await visitor.get("/units/T-3")).text
    assert "still on" in page
    run = re.search(r'href="(/runs/[^"]+)">this run alone', page)
    assert run
    for path in (run[1], "/units/T-3/runs"):
        assert "still on" in (await visitor.get(path)).text


async def test_the_page_lives_and_keeps_what_is_typed(visitor: Visitor, stage: Stage) -> None:
    async with served(visitor.app) as address, opened(address, visitor.logins["quality"]) as page:
        await page.goto(f"{address}/units/T-3")
        await expect(page.locator("#live-text")).to_contain_text("live")
        await page.get_by_text("Put it on hold").click()
        await page.get_by_label("Why nothing more may be done with it").fill("half ty")
        await expect(page.locator("#unit-head h1")).to_contain_text("nonconforming")
        await stage.send([stage.run("T-3", "test", 8000, power=150, run="r2")])
        await expect(page.locator("#unit-head h1")).to_contain_text("completed")
        await expect(page.locator("#unit-way")).not_to_contain_text("nonconformance")
        await page.keyboard.type("ped")
        await expect(page.get_by_label("Why nothing more may be done with it")).to_have_value("half typed")
        await page.get_by_role("button", name="Hold", exact=True).dblclick()
        await expect(page.locator("#unit-head h1")).to_contain_text("on hold")
        assert await held(visitor) == 1
        await page.get_by_role("button", name="Release hold").click()
        await expect(page.locator("#unit-head h1")).not_to_contain_text("on hold")
        await page.goto(f"{address}/units/T-3?as_of=2026-11-02T10:00Z")
        await expect(page.locator("#live-text")).to_contain_text("as of")  # another time stays as it is
        assert await page.get_attribute("body", "data-stream") is None


async def test_a_dear_picture_is_made_seldom_and_never_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mes.web.streams.perf_counter", iter([0.0, 0.05, 0.0, 0.05]).__next__)
    made, signs, woken = 0, iter([1, 1, 2, 2]), asyncio.Event()

    async def sign(look: Look) -> object:
        return next(signs)

    async def view(look: Look) -> Picture:
        nonlocal made
        made += 1
        return Picture({"a": str(made)}, lambda: "")

    async def parts(after_s: float) -> object:
        return (await seldom(Look(None, START + timedelta(seconds=after_s), {}))).parts["a"]  # type: ignore[arg-type]

    seldom = Seldom(sign, view, woken.set)
    assert [await parts(0), await parts(0.1), await parts(0.2)] == ["1", "1", "1"]
    async with asyncio.timeout(20):
        await woken.wait()
    assert await parts(1) == "2"
