"""Stuck messages: the list says which, why and since when; who may tries again or dismisses, and others are told."""

import re
from collections.abc import Sequence

import pytest
from playwright.async_api import expect

from mes.commands.logins import form_token
from mes.formats.messages import decode
from mes.rest import access as rest
from mes.web import access as web
from tests.stage import Stage
from tests.web.browser import opened, served
from tests.web.rack import racks_and_trays
from tests.web.visitor import Visitor


@pytest.fixture
async def stage(visitor: Visitor) -> Stage:
    """One message that can't be read, one of an unknown station, one about an unknown unit."""
    stage = await racks_and_trays(visitor.database)
    await stage.send(decode("as-1", "run", b'{"unit": "T-1 <b>"'))
    await stage.send([stage.message("started", "nowhere-9", 9000, unit="T-3", step="build")])
    await stage.send([stage.message("started", "as-1", 9000, unit="T-404", step="build")])
    return stage


async def keys(visitor: Visitor, query: str = "") -> Sequence[str]:
    page = await visitor.get(f"/messages{query}", role="viewer")
    assert page.status_code == 200, page.text
    return re.findall(r'<th scope="row"><a href="/messages/([^"]+)"', page.text)


async def test_nothing_stuck_is_said(visitor: Visitor) -> None:
    assert "nothing is stuck" in (await visitor.get("/messages")).text


async def test_the_list_says_which_and_why_and_can_be_narrowed(visitor: Visitor, stage: Stage) -> None:
    page = (await visitor.get("/messages", role="supervisor")).text
    for words in (
        "waits for station nowhere-9",
        "waits for unit T-404",
        "No unit has the serial T-404 yet.",
        "unreadable",
    ):
        assert words in page, words
    assert len(await keys(visitor)) == 3
    narrowed = ("?fate=rejected", "?station=nowhere-9", "?why=unknown_unit", "?waits_for=serial:T-404", "?text=T-404")
    for query in narrowed:
        assert len(await keys(visitor, query)) == 1, query
    assert "None like this is stuck" in (await visitor.get("/messages?text=zzz")).text
    for wrong in ("?fate=applied", "?cursor=x", "?text=a%00"):
        assert (await visitor.get(f"/messages{wrong}")).status_code == 422, wrong
    board = (await visitor.get("/")).text
    assert 'href="/messages"><b>3</b>' in board


async def test_a_long_list_comes_in_pages(visitor: Visitor, stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mes.web.messages.SHOWN", 2)
    page = (await visitor.get("/messages?station=")).text
    later = re.search(r'href="(/messages\?[^"]+cursor=[^"]+)"', page)
    assert later
    assert len(await keys(visitor, later[1].removeprefix("/messages").replace("&amp;", "&"))) == 1


async def test_a_message_is_shown_as_it_came(visitor: Visitor, stage: Stage) -> None:
    (key,) = await keys(visitor, "?fate=rejected")
    page = (await visitor.get(f"/messages/{key}", role="viewer")).text
    assert "T-1 &lt;b&gt;" in page
    assert "is for admin, quality" in page
    assert "/dismiss" not in page, "what somebody may not do is not offered"
    (waits,) = await keys(visitor, "?station=nowhere-9")
    page = (await visitor.get(f"/messages/{waits}")).text
    assert "&#34;unit&#34;: &#34;T-3&#34;" in page, "indented"
    for wrong, status in (("00000000-0000-7000-8000-000000000000", 404), ("x", 422)):
        assert (await visitor.get(f"/messages/{wrong}")).status_code == status


async def test_it_is_tried_again_and_told_what_came_of_it(visitor: Visitor, stage: Stage) -> None:
    (key,) = await keys(visitor, "?waits_for=serial:T-404")
    again = await visitor.post(f"/messages/{key}/retry", role="quality")
    assert (again.status_code, again.headers["location"]) == (303, f"/messages/{key}?done=retry")
    assert "is still pending" in (await visitor.get(again.headers["location"])).text
    await stage.release("T-404", number="WO-9")
    await visitor.post(f"/messages/{key}/retry", role="quality")
    assert "It was tried again: applied." in (await visitor.get(f"/messages/{key}?done=retry")).text
    late = await visitor.post(f"/messages/{key}/retry", role="quality")
    assert (late.status_code, "Only a pending message can be tried again" in late.text) == (409, True)


async def test_it_is_dismissed_once_for_a_reason(visitor: Visitor, stage: Stage) -> None:
    (key,) = await keys(visitor, "?fate=rejected")
    silent = await visitor.post(f"/messages/{key}/dismiss", {"reason": "  "}, role="quality")
    assert (silent.status_code, "Say in a few words why" in silent.text) == (409, True)
    done = await visitor.post(f"/messages/{key}/dismiss", {"reason": "typed by hand"}, role="quality")
    assert done.status_code == 303
    page = (await visitor.get(done.headers["location"])).text
    assert ", by quality" in page
    again = await visitor.post(f"/messages/{key}/dismiss", {"reason": "typed by hand"}, role="quality")
    assert (again.status_code, "A message that is dismissed can" in again.text) == (409, True)
    assert key not in await keys(visitor)


async def test_those_of_one_kind_are_dismissed_together_and_none_that_came_since(
    visitor: Visitor, stage: Stage
) -> None:
    def lost(number: int) -> object:
        return stage.message("started", "nowhere-7", 9000.0 + number, unit="T-3", step="build")

    await stage.send([lost(number) for number in range(3)])
    query = "?waits_for=station:nowhere-7"
    assert "Dismiss these" not in (await visitor.get(f"/messages{query}", role="supervisor")).text
    assert "Dismiss these" not in (await visitor.get("/messages", role="quality")).text, "not all that is stuck"
    page = (await visitor.get(f"/messages{query}", role="quality")).text
    assert "Dismiss these 3" in page
    form = page.split('action="/messages/dismiss"')[1].split("</form>")[0]
    hidden = dict(re.findall(r'type="hidden" name="([^"]+)" value="([^"]*)"', form))
    await stage.send([lost(9)])
    asked = {**hidden, "form_token": form_token(visitor.logins["quality"]), "reason": "a wrong name"}
    done = await visitor.post("/messages/dismiss", asked, role="quality")
    assert (done.status_code, done.headers["location"]) == (303, "/messages?waits_for=station%3Anowhere-7")
    assert len(await keys(visitor, query)) == 1, "the one that nobody had seen"
    assert len(await keys(visitor)) == 4
    again = await visitor.post("/messages/dismiss", asked, role="quality")
    assert (again.status_code, len(await keys(visitor, query))) == (303, 1)
    for wrong in ({"waits_for": ""}, {"reason": " "}, {"text": "\0"}):
        assert (await visitor.post("/messages/dismiss", asked | wrong, role="quality")).status_code == 422, wrong
    assert (await visitor.post("/messages/dismiss", asked, role="admin")).status_code == 403, "another's form"
    assert (await visitor.post("/messages/dismiss", hidden, role="supervisor")).status_code == 403


async def test_who_may_not_is_refused_and_so_is_another_page(visitor: Visitor, stage: Stage) -> None:
    (key,) = await keys(visitor, "?fate=rejected")
    refused = await visitor.post(f"/messages/{key}/dismiss", {"reason": "x"}, role="supervisor")
    assert (refused.status_code, "This is for admin, quality" in refused.text) == (403, True)
    forged = await visitor.post(f"/messages/{key}/dismiss", {"reason": "x", "form_token": "guessed"}, role="quality")
    assert (forged.status_code, "This form is too old" in forged.text) == (403, True)
    assert key in await keys(visitor)


def test_pages_and_rest_let_the_same_people_do_it() -> None:
    same = {route: roles for route, roles in web.ROLES.items() if route in rest.ROLES and route.startswith("POST ")}
    assert {"POST /messages/{key}/retry", "POST /messages/{key}/dismiss"} <= set(same)
    for route, roles in same.items():
        assert roles == rest.ROLES[route], route


async def test_a_person_of_quality_clears_the_list_while_it_lives(visitor: Visitor, stage: Stage) -> None:
    async with served(visitor.app) as address, opened(address, visitor.logins["quality"]) as page:
        await page.goto(f"{address}/messages")
        await expect(page.locator(".stuck tbody tr")).to_have_count(3)
        await expect(page.locator("#live-text")).to_contain_text("live")
        await page.locator("#text").fill("half typed")
        await stage.send([stage.message("started", "nowhere-8", 9100, unit="T-3", step="build")])
        await expect(page.locator(".stuck tbody tr")).to_have_count(4)
        await expect(page.locator("#text")).to_have_value("half typed")
        await page.locator(".stuck-groups a", has_text="nowhere-8").click()

        await page.locator(".stuck tbody a").click()
        await expect(page.locator(".body")).to_contain_text('"step": "build"')
        await page.get_by_role("button", name="Dismiss").click()
        await expect(page.get_by_role("status")).to_have_count(0)  # nothing is sent without a reason
        await page.get_by_label("Why it will never be applied").fill("no such station")
        await page.get_by_role("button", name="Dismiss").click()
        await expect(page.get_by_role("status")).to_contain_text("It was dismissed")
        await page.get_by_role("link", name="All stuck messages").click()
        await expect(page.locator(".stuck tbody tr")).to_have_count(3)
