"""Units as people look at them: find one, list them, read their history and their runs."""

from datetime import UTC, datetime
from typing import Any, Final, NamedTuple
from urllib.parse import quote, urlencode

from fastapi import Request, Response

from mes.db.lookup import find_unit
from mes.queries.journal import newest_entries_of_subject, people_in
from mes.queries.operators import operator_names
from mes.queries.pages import LIMIT_DEFAULT
from mes.queries.runs import MeasurementView, RunView, list_runs, run_view
from mes.queries.search import near_units
from mes.queries.units import list_units
from mes.web.door import database_of, pages, settings_of
from mes.web.drawing import TONES, bar, lasting
from mes.web.entries import told
from mes.web.errors import PageError
from mes.web.pages import page

units = pages()

VALUES_MAX: Final = 40
"""Values of a run that the unit's page shows; the run's own page shows all."""
HISTORY_MAX: Final = 100


class Then(NamedTuple):
    """The other time that a page of a unit is asked about, and as it was asked; nothing of it: now."""

    as_of: datetime | None = None
    known_at: datetime | None = None
    as_of_asked: str = ""
    known_at_asked: str = ""


class RunShown(NamedTuple):
    """A run as it is shown: broken values first, connections that differ, and how many there are of each."""

    run: RunView
    operator: str
    values: list[MeasurementView]
    values_left_out: int
    broken: int
    differing: list[dict[str, Any]]
    connections: int
    is_open: bool


@units.get("/units")
async def find(
    request: Request,
    q: str = "",
    part: str = "",
    state: str = "",
    order: str = "",
    cursor: str | None = None,
) -> Response:
    """Units by what is typed or scanned, or a list of them. What names exactly one leads to it."""
    site = settings_of(request).site
    async with database_of(request).reading() as connection:
        matches = await near_units(connection, site, q) if q.strip() else []
        exact = [one for one in matches if one.value == q.strip()]
        if len(exact) == 1:
            return _to_unit(exact[0].serial, exact[0].part)
        found = await list_units(
            connection,
            site,
            part=part or None,
            state=state or None,
            order=order or None,
            serial=None,
            limit=LIMIT_DEFAULT,
            cursor=cursor,
            newest_first=True,
        )
    return page(
        request, "units.html", q=q, matches=matches, found=found, part=part, state=state, order=order, tones=TONES
    )


@units.get("/units/{serial}/history")
async def history(request: Request, serial: str, part: str = "", cursor: str | None = None) -> Response:
    """Everything the journal has about a unit, the newest first."""
    async with database_of(request).reading() as connection:
        found = await find_unit(connection, serial, part or None)
        entries = await newest_entries_of_subject(connection, found.id, HISTORY_MAX, cursor)
        names = await operator_names(connection, people_in(entries.items))
    told_entries = told(entries.items, found.id, names)
    return page(request, "unit_history.html", unit=found, entries=told_entries, next_cursor=entries.next_cursor)


@units.get("/units/{serial}/runs")
async def runs(request: Request, serial: str, part: str = "", step: str = "", cursor: str | None = None) -> Response:
    """A unit's runs in the order in which they arrived."""
    async with database_of(request).reading() as connection:
        found = await find_unit(connection, serial, part or None)
        shown = await list_runs(connection, found.id, step=step or None, limit=LIMIT_DEFAULT, cursor=cursor)
    return page(request, "unit_runs.html", unit=found, runs=shown, step=step, tones=TONES, lasting=lasting)


@units.get("/runs/{id}")
async def run(request: Request, id: str) -> Response:
    """One run with all its values and connections."""
    if len(id) != 36 or not id.replace("-", "").isalnum():
        raise PageError(404, "Nothing of that name", "No run has this id.")
    async with database_of(request).reading() as connection:
        one = await run_view(connection, id)
    shown = run_shown(one, {}, values_max=None)
    return page(request, "run.html", shown=shown, tones=TONES, bar=bar, lasting=lasting)


def run_shown(one: RunView, operators: dict[int, str], values_max: int | None = VALUES_MAX) -> RunShown:
    """A run as it is shown, with at most so many of its values."""
    values = sorted(one.measurements, key=lambda value: value.verdict in (None, "pass", "unset"))
    broken = sum(value.verdict not in (None, "pass", "unset") for value in values)
    differing = [wire for wire in one.connections if wire.get("kind") != "ok"]
    kept = values[: max(values_max, 0)] if values_max is not None else values
    operator = operators.get(one.operator, f"no. {one.operator}") if one.operator is not None else ""
    is_open = one.verdict != "pass" or one.claim != one.verdict
    return RunShown(one, operator, kept, len(values) - len(kept), broken, differing, len(one.connections), is_open)


def moment_of(text: str, field: str) -> datetime | None:
    """A moment as an address or a form gives it; without a zone it is UTC. Raises PageError for what is none."""
    if not text.strip():
        return None
    try:
        at = datetime.fromisoformat(text.strip())
    except ValueError:
        raise PageError(422, "That is no moment", f"Write {field} as 2026-11-22T10:00, in UTC.") from None
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at


def _to_unit(serial: str, part: str) -> Response:
    return Response(status_code=303, headers={"Location": f"/units/{quote(serial)}?{urlencode({'part': part})}"})
