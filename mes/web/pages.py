"""Pages out of templates: one environment, what every page is told, and the headers that every page has."""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.parse import urlencode, urlsplit
from zoneinfo import ZoneInfo

from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from mes.web.statics import STATICS

THEMES: Final = ("auto", "light", "dark")
THEME_COOKIE: Final = "mes_theme"
SIZES: Final = ("desk", "wall")
HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; font-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
}

ZONE: Final = Markup("<span data-zone>UTC</span>")
"""Says on which clock moments are: UTC as the server writes them, the viewer's when our script has."""
FORM_TOKEN: Final = "form-token-of-this-login"
"""Stands in the forms of live parts, which are the same for everybody; each page puts its own token there."""


class Place(NamedTuple):
    """A place in the navigation: what it is called, and its address."""

    name: str
    path: str


NAVIGATION: Final = (
    Place("Board", "/"),
    Place("Units", "/units"),
    Place("Messages", "/messages"),
    Place("Scan", "/scan"),
)


def moment(value: datetime | None, form: str = "%H:%M:%S") -> Markup:
    """A moment in UTC, as a `time` element: our script writes it anew on the clock of whoever looks."""
    if value is None:
        return Markup("–")
    at = value.astimezone(UTC)
    return Markup('<time datetime="{}" title="{}" data-form="{}">{}</time>').format(
        value.isoformat(), f"{at:%Y-%m-%d %H:%M:%S} UTC", form, at.strftime(form)
    )


def clock(value: datetime, zone: str) -> Markup:
    """A time of day on a line's own clock, whoever looks: its shifts are defined by it."""
    local = value.astimezone(ZoneInfo(zone))
    return Markup('<time datetime="{}" title="{}">{}</time>').format(
        value.isoformat(), f"{local:%Y-%m-%d %H:%M %Z}", f"{local:%H:%M}"
    )


def age(value: datetime | None) -> Markup:
    """How long ago a moment was: told by our script, which counts on; without it, when it was."""
    if value is None:
        return Markup("–")
    at = value.astimezone(UTC)
    return Markup('<time datetime="{}" title="since {}" data-age>since {}</time>').format(
        value.isoformat(), f"{at:%Y-%m-%d %H:%M:%S} UTC", f"{at:%H:%M}"
    )


def grouped(value: float | None) -> str:
    """A number for reading: thousands apart; – where there is none."""
    return "–" if value is None else f"{value:,.0f}".replace(",", "\u202f")


def _environment() -> Environment:
    made = Environment(
        loader=FileSystemLoader(Path(__file__).with_name("templates")),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.globals["static"] = STATICS.address
    made.globals["version"] = STATICS.version
    made.globals["navigation"] = NAVIGATION
    made.globals["zone"] = ZONE
    made.globals["form_token"] = FORM_TOKEN
    made.filters.update(age=age, clock=clock, moment=moment, grouped=grouped)
    return made


ENVIRONMENT: Final = _environment()


def page(
    request: Request, template: str, *, status: int = 200, headers: Mapping[str, str] | None = None, **told: Any
) -> HTMLResponse:
    """A page: the template with what it is told besides who is here, where they are, and how they like to see it."""
    login = getattr(request.state, "login", None)
    html = ENVIRONMENT.get_template(template).render(
        caller=login.caller if login else None,
        form_token=login.form_token if login else "",
        path=request.url.path,
        here=_here(request),
        theme=chosen(request.query_params.get("theme") or request.cookies.get(THEME_COOKIE), THEMES),
        size=chosen(request.query_params.get("size"), SIZES),
        with_query=lambda **changes: with_query(request, **changes),
        **told,
    )
    return HTMLResponse(html, status, {**HEADERS, **(headers or {})})


def fragment(template: str, **told: Any) -> str:
    """A part of a page that is sent by itself: a template that knows nothing of who asks."""
    return ENVIRONMENT.get_template(template).render(**told)


def chosen(given: str | None, choices: tuple[str, ...]) -> str:
    """One of the choices; the first where none of them was given."""
    return given if given in choices else choices[0]


def with_query(request: Request, path: str | None = None, **changes: Any) -> str:
    """This page's address, or another with its query, with some of it changed; None leaves a parameter out."""
    kept = [(name, value) for name, value in request.query_params.multi_items() if name not in changes]
    asked = kept + [(name, value) for name, value in changes.items() if value is not None]
    return (path or request.url.path) + (f"?{urlencode(asked)}" if asked else "")


def local_path(given: str | None) -> str:
    """An address of ours to go on to; the board where the given one is not ours."""
    path = given or "/"
    # Browsers read backslashes as slashes, and two of them as the beginning of a host.
    ours = path.startswith("/") and not path.startswith(("//", "/\\")) and path.isprintable() and path.isascii()
    return path if ours else "/"


def came_from(request: Request) -> str:
    """The address of ours that a form was sent from; empty where the browser does not say."""
    sent = urlsplit(request.headers.get("referer", ""))
    return local_path(sent.path + (f"?{sent.query}" if sent.query else "")) if sent.path else ""


def _here(request: Request) -> str:
    return request.url.path + (f"?{request.url.query}" if request.url.query else "")
