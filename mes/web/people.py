"""Logging in and out, and how somebody likes to see pages; and the files that pages are dressed in."""

import asyncio
import time
from collections import defaultdict, deque
from typing import Annotated, Final

from fastapi import Form, Request, Response

from mes.commands.access import check_password
from mes.commands.logins import close_login, open_login
from mes.web.door import COOKIE, database_of, hub_of, now, pages, see_other
from mes.web.errors import PageError
from mes.web.pages import HEADERS, THEME_COOKIE, THEMES, chosen, local_path, page
from mes.web.statics import FOR_EVER, STATICS

people = pages()

FAILURES_MAX: Final = 10
FAILURES_S: Final = 60.0
"""So many wrong passwords for one name in so many seconds, and further ones have to wait."""
CHECKS_AT_ONCE: Final = 2
"""A password's hash takes tens of megabytes to check."""
YEAR_S: Final = 365 * 24 * 3600

Text = Annotated[str, Form(max_length=200)]


class Failures:
    """Wrong passwords of late, by login name: a brake on guessing, in this process."""

    def __init__(self) -> None:
        self._of: defaultdict[str, deque[float]] = defaultdict(deque)
        self.checking = asyncio.Semaphore(CHECKS_AT_ONCE)

    def wait_s(self, name: str, at: float) -> float:
        """How long until this name may be tried again; 0: now. Forgets what is long ago."""
        for known in [one for one, moments in self._of.items() if moments[-1] < at - FAILURES_S]:
            del self._of[known]
        moments = self._of.get(name)
        return moments[0] + FAILURES_S - at if moments and len(moments) >= FAILURES_MAX else 0

    def note(self, name: str, at: float) -> None:
        """A wrong password was given."""
        moments = self._of[name]
        moments.append(at)
        if len(moments) > FAILURES_MAX:
            moments.popleft()


@people.get("/login")
async def login_form(request: Request, next: str = "/") -> Response:
    """The form, or straight on for who is logged in."""
    if request.state.login:
        return see_other(local_path(next))
    return page(request, "login.html", next=local_path(next), wrong=None, name="")


@people.post("/login")
async def log_in(request: Request, name: Text = "", password: Text = "", next: Text = "/") -> Response:
    """Check the password and go on to where one was. What is wrong is not told: name or password."""
    failures: Failures = request.app.state.failures
    if (wait_s := failures.wait_s(name, time.monotonic())) > 0:
        wrong = f"Too many wrong passwords for this name. Try again in {wait_s:.0f} s."
        headers = {"Retry-After": f"{wait_s:.0f}"}
        return page(request, "login.html", status=429, headers=headers, next=local_path(next), wrong=wrong, name=name)
    secret = await _opened(request, name, password)
    if secret is None:
        failures.note(name, time.monotonic())
        wrong = "Name or password is wrong."
        return page(request, "login.html", status=403, next=local_path(next), wrong=wrong, name=name)
    response = see_other(local_path(next))
    is_secure = request.url.scheme == "https"
    response.set_cookie(COOKIE, secret, httponly=True, samesite="lax", secure=is_secure, path="/", max_age=YEAR_S)
    return response


async def _opened(request: Request, name: str, password: str) -> str | None:
    failures: Failures = request.app.state.failures
    database = database_of(request)
    async with failures.checking, database.transaction() as connection:
        if "\0" in name or await check_password(connection, name, password) is None:
            return None
        return await open_login(connection, name, at=now())


@people.post("/logout")
async def log_out(request: Request) -> Response:
    """End the login; streams that it opened end here at once, and within seconds in other processes."""
    if secret := request.cookies.get(COOKIE):
        async with database_of(request).transaction() as connection:
            await close_login(connection, secret, at=now())
        hub_of(request).end(secret)
    response = see_other("/login")
    response.delete_cookie(COOKIE, path="/")
    return response


@people.post("/preferences")
async def prefer(request: Request, theme: Text = "auto", next: Text = "/") -> Response:
    """Light or dark, kept in the browser."""
    response = see_other(local_path(next))
    response.set_cookie(THEME_COOKIE, chosen(theme, THEMES), samesite="lax", path="/", max_age=YEAR_S)
    return response


@people.get("/static/{digest}/{name}")
async def static_file(request: Request, digest: str, name: str) -> Response:
    """A file of ours."""
    if (file := STATICS.get(name)) is None:
        raise PageError(404, "Nothing is here", "There is no such file.")
    headers = {**HEADERS, "Cache-Control": FOR_EVER if digest == file.digest else "no-cache", "Vary": "Accept-Encoding"}
    if file.packed is not None and "gzip" in request.headers.get("accept-encoding", ""):
        return Response(file.packed, media_type=file.media_type, headers={**headers, "Content-Encoding": "gzip"})
    return Response(file.content, media_type=file.media_type, headers=headers)
