"""Who comes in, who does not, and what they are told."""

import pytest

from mes.commands.access import PEOPLE, add_account
from mes.web.access import OPEN, ROLES
from mes.web.application import ROUTERS
from mes.web.door import Page, now
from mes.web.people import FAILURES_MAX, Failures
from tests.web.visitor import Visitor

ROUTES = [route for router in ROUTERS for route in router.routes]


def test_every_page_has_its_roles_and_no_other() -> None:
    assert all(isinstance(route, Page) for route in ROUTES), "use mes.web.door.pages()"
    assert {route.operation for route in ROUTES if isinstance(route, Page)} == set(ROLES) | OPEN
    assert all("admin" in roles <= PEOPLE for roles in ROLES.values())


async def test_a_stranger_is_sent_to_the_login_and_back(visitor: Visitor) -> None:
    answer = await visitor.get("/?line=L1", role=None)
    assert (answer.status_code, answer.headers["location"]) == (303, "/login?next=%2F%3Fline%3DL1")
    form = await visitor.get(answer.headers["location"], role=None)
    assert form.status_code == 200
    assert 'value="/?line=L1"' in form.text


async def test_a_role_that_may_not_is_told_who_may(visitor: Visitor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ROLES, "GET /", frozenset({"quality"}))  # type: ignore[misc, arg-type]
    answer = await visitor.get("/", role="viewer")
    assert answer.status_code == 403
    assert "This is for quality; you are viewer." in answer.text


async def test_a_cookie_opens_no_rest_and_a_token_no_page(visitor: Visitor) -> None:
    assert (await visitor.get("/api/v1/products")).status_code == 401
    answer = await visitor.get("/", role=None, headers={"Authorization": "Bearer mes_x_y"})
    assert answer.status_code == 303


async def test_what_is_not_there(visitor: Visitor) -> None:
    page = await visitor.get("/no-such", headers={"Accept": "text/html"})
    assert (page.status_code, page.headers["content-type"]) == (404, "text/html; charset=utf-8")
    rest = await visitor.get("/api/v1/no-such")
    assert (rest.status_code, rest.headers["content-type"]) == (404, "application/problem+json")


async def test_every_page_may_run_our_own_script_only(visitor: Visitor) -> None:
    for answer in (await visitor.get("/"), await visitor.get("/no-such"), await visitor.get("/login", role=None)):
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'; script-src 'self';" in policy
        assert "unsafe" not in policy
        assert " style=" not in answer.text
        assert answer.headers["cache-control"] == "no-store"


async def test_logging_in_and_out(visitor: Visitor) -> None:
    async with visitor.database.transaction() as connection:
        await add_account(connection, "ann", "correct horse", ["quality"], at=now())
    wrong = await visitor.post("/login", {"name": "ann", "password": "incorrect"}, role=None)
    assert (wrong.status_code, "Name or password is wrong." in wrong.text) == (403, True)
    form = {"name": "ann", "password": "correct horse", "next": "/?line=L1"}
    right = await visitor.post("/login", form, role=None)
    assert (right.status_code, right.headers["location"]) == (303, "/?line=L1")
    assert "HttpOnly" in right.headers["set-cookie"]
    assert "SameSite=lax" in right.headers["set-cookie"]
    assert (await visitor.get("/", role=None)).status_code == 200, "the browser keeps the cookie"
    assert (await visitor.post("/logout", role=None)).headers["location"] == "/login"
    visitor.client.cookies.set("mes_login", right.cookies["mes_login"])
    assert (await visitor.get("/", role=None)).status_code == 303, "nor does the old cookie open anything"


async def test_a_new_password_ends_every_login(visitor: Visitor) -> None:
    assert (await visitor.get("/", role="viewer")).status_code == 200
    async with visitor.database.transaction() as connection:
        await add_account(connection, "viewer", "another", ["viewer"], at=now())
    assert (await visitor.get("/", role="viewer")).status_code == 303


@pytest.mark.parametrize(
    "next", ["https://evil.example/", "//evil.example", "/\\evil.example", "javascript:1", "/a\nb"]
)
async def test_a_login_leads_to_pages_of_ours_only(visitor: Visitor, next: str) -> None:
    answer = await visitor.get("/login", role="viewer", params={"next": next})
    assert (answer.status_code, answer.headers["location"]) == (303, "/")


async def test_nothing_is_done_for_a_page_of_another_site(visitor: Visitor) -> None:
    answer = await visitor.post("/logout", role="viewer", headers={"Origin": "https://evil.example"})
    assert answer.status_code == 403
    assert (await visitor.get("/", role="viewer")).status_code == 200
    ours = await visitor.post("/logout", role="viewer", headers={"Origin": "http://mes"})
    assert ours.status_code == 303


def test_guessing_is_braked_by_name() -> None:
    failures = Failures()
    for second in range(FAILURES_MAX):
        assert failures.wait_s("ann", second) == 0
        failures.note("ann", second)
    assert failures.wait_s("ann", 30.0) == 30.0
    assert failures.wait_s("ben", 30.0) == 0
    assert failures.wait_s("ann", 60.0) == 0
    assert failures.wait_s("ann", 200.0) == 0


async def test_colours_are_chosen_without_script(visitor: Visitor) -> None:
    answer = await visitor.post("/preferences", {"theme": "dark", "next": "/login"}, role=None)
    assert answer.headers["location"] == "/login"
    assert 'data-theme="dark"' in (await visitor.get("/login", role=None)).text
    assert 'data-size="wall"' in (await visitor.get("/login?size=wall", role=None)).text


async def test_files_are_kept_for_as_long_as_they_are_the_same(visitor: Visitor) -> None:
    html = (await visitor.get("/login", role=None)).text
    address = html.split('rel="stylesheet" href="')[1].split('"')[0]
    answer = await visitor.get(address, role=None)
    assert "immutable" in answer.headers["cache-control"]
    assert answer.headers["content-type"].startswith("text/css")
    older = await visitor.get("/static/0123456789abcdef/mes.css", role=None)
    assert older.text == answer.text
    assert older.headers["cache-control"] == "no-cache"
    assert (await visitor.get("/static/x/..%2fdoor.py", role=None)).status_code == 404
