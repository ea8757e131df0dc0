"""Units as people look at them: find one, see all about it, read its history, its runs and its telemetry."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple
from urllib.parse import quote, urlencode

from fastapi import Request, Response

from mes.db.lookup import find_unit
from mes.domain.refusals import SENTENCES, Refusal
from mes.queries.attempts import AttemptView
from mes.queries.journal import newest_entries_of_subject, people_in
from mes.queries.operators import operator_names
from mes.queries.pages import LIMIT_DEFAULT
from mes.queries.runs import MeasurementView, RunView, list_runs, run_view
from mes.queries.search import near_units
from mes.queries.unit_page import UnitPage, unit_page
from mes.queries.units import list_units
from mes.web.door import database_of, now, pages, settings_of
from mes.web.drawing import TONES, bar, elevation, lasting, sparkline, troubles
from mes.web.entries import told
from mes.web.errors import PageError
from mes.web.pages import page
from mes.web.timeline import timeline

units = pages()

VALUES_MAX: Final = 40
"""Values of a run that the unit's page shows; the run's own page shows all."""
HISTORY_MAX: Final = 100


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
        )
    return page(
        request, "units.html", q=q, matches=matches, found=found, part=part, state=state, order=order, tones=TONES
    )


@units.get("/units/{serial}")
async def unit(request: Request, serial: str, part: str = "", as_of: str = "", known_at: str = "") -> Response:
    """All about a unit: its state and why, its route, what is in it, its runs, telemetry, trace and history."""
    asked_of, known = moment_of(as_of, "as_of"), moment_of(known_at, "known_at")
    async with database_of(request).reading() as connection:
        try:
            found = await find_unit(connection, serial, part or None)
        except Refusal as refusal:
            near = await near_units(connection, settings_of(request).site, serial)
            return _not_found(request, serial, refusal, near)
        one = await unit_page(connection, found.id, now=now(), as_of=asked_of, known_at=known)
    return page(request, "unit.html", **_shown(one), as_of=as_of, known_at=known_at)


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


def _shown(one: UnitPage) -> dict[str, Any]:
    """What the unit's template is told."""
    reasons = {run.id: run.reasons for run in one.runs}
    return {
        "one": one,
        "unit": one.unit,
        "route": _route(one),
        "runs": [run_shown(run, one.operators) for run in one.runs],
        "run_reasons": reasons,
        "elevation": elevation(one.definition, one.tree, one.parts) if one.definition else None,
        "timeline": timeline(one.trace, now()),
        "entries": told(one.entries.items, one.unit.id, one.operators),
        "sparklines": [(series, sparkline(series)) for series in one.series.items],
        "why": _why(one),
        "tones": TONES,
        "sentences": SENTENCES,
        "bar": bar,
        "lasting": lasting,
    }


def _route(one: UnitPage) -> list[tuple[str, str, list[AttemptView]]]:
    """Each step with its status and attempts; steps that the route does not have come last."""
    by_step: dict[str, list[AttemptView]] = {}
    for attempt in one.attempts:
        by_step.setdefault(attempt.step, []).append(attempt)
    steps = [(step.step, step.status, by_step.pop(step.step, [])) for step in one.unit.steps]
    return steps + [(step, "not on the route", attempts) for step, attempts in by_step.items()]


def _why(one: UnitPage) -> list[str]:
    """Why the unit is in its state, in a few sentences."""
    found = [f"On hold: {hold.reason} ({hold.scope.replace('_', ' ')} {hold.key})." for hold in one.impediments.holds]
    for nonconformance in one.impediments.nonconformances:
        first = nonconformance.reasons[0]["text"] if nonconformance.reasons else "It failed."
        found.append(f"{nonconformance.step or 'A decision'} – {nonconformance.state}: {first}")
    if bad := troubles(one.tree):
        found.append(f"Nonconforming or scrapped inside it: {bad} {'unit' if bad == 1 else 'units'}.")
    found += [f"A fact is pending: {_texts(pending.reasons)}" for pending in one.impediments.pending[:3]]
    opened = [step.step for step in one.unit.steps if step.status == "open"]
    waiting = [step.step for step in one.unit.steps if step.may_start and step.status != "open"]
    if opened:
        found.append(f"In progress: {', '.join(opened)}.")
    elif waiting and one.unit.state in ("created", "in_process"):
        found.append(f"Next: {' or '.join(waiting)}.")
    return found


def _texts(reasons: Iterable[dict[str, Any]]) -> str:
    return " ".join(reason["text"] for reason in reasons)


def _to_unit(serial: str, part: str) -> Response:
    return Response(status_code=303, headers={"Location": f"/units/{quote(serial)}?{urlencode({'part': part})}"})


def _not_found(request: Request, serial: str, refusal: Refusal, near: Sequence[Any]) -> Response:
    """No unit of that serial, or several: those that it may be."""
    is_ambiguous = refusal.reasons[0].code == "ambiguous_serial"
    if is_ambiguous:
        near = [one for one in near if one.value == serial]
    return page(
        request,
        "unit_unknown.html",
        status=409 if is_ambiguous else 404,
        serial=serial,
        text=refusal.reasons[0].text,
        near=near,
        is_ambiguous=is_ambiguous,
        tones=TONES,
    )
