"""One unit's page: its state and why, its route, what is in it, its runs, telemetry, trace and history, all of it live.

What somebody may do about it stands in it, too; so those of the same rights watch the same picture. A page of what was
in it at another time stays as it is.
"""

from collections.abc import Collection, Iterable, Sequence
from functools import partial
from typing import Any, Final

from fastapi import Request, Response

from mes.db.lookup import FoundUnit, find_unit
from mes.domain.nonconformance import VERBS, State
from mes.domain.refusals import SENTENCES, Refusal
from mes.queries.attempts import AttemptView
from mes.queries.impediments import OpenNonconformance
from mes.queries.search import near_units
from mes.queries.unit_page import UnitPage, signs_of_unit, unit_page
from mes.web.access import may
from mes.web.door import caller_of, database_of, hub_of, pages, settings_of
from mes.web.drawing import TONES, bar, elevation, lasting, sparkline, troubles
from mes.web.entries import told
from mes.web.live import live_page, live_stream
from mes.web.pages import fragment, page, with_query
from mes.web.streams import Look, Picture, Seldom
from mes.web.timeline import timeline
from mes.web.units import Then, moment_of, run_shown

unit = pages()

ACTS: Final = {
    "hold": "POST /units/{serial}/hold",
    "release": "POST /holds/{id}/release",
    "diagnose": "POST /nonconformances/{id}/diagnose",
    "repair": "POST /nonconformances/{id}/repair",
    "dispose": "POST /nonconformances/{id}/disposition",
}
"""What can be done on the page, and the route that does it."""


@unit.get("/units/{serial}")
async def unit_as_it_is(request: Request, serial: str, part: str = "", as_of: str = "", known_at: str = "") -> Response:
    """All about a unit."""
    then = Then(moment_of(as_of, "as_of"), moment_of(known_at, "known_at"), as_of, known_at)
    async with database_of(request).reading() as connection:
        try:
            found = await find_unit(connection, serial, part or None)
        except Refusal as refusal:
            near = await near_units(connection, settings_of(request).site, serial)
            return _not_found(request, serial, refusal, near)
    view = partial(picture, found.id, _acts(request), then)
    stream = "" if any(then) else with_query(request, path=f"/live{request.url.path}", theme=None, size=None)
    return await live_page(request, "unit.html", view, stream, serial=found.serial)


@unit.get("/live/units/{serial}")
async def unit_stream(request: Request, serial: str, part: str = "") -> Response:
    """What keeps pages of a unit as it is."""
    async with database_of(request).reading() as connection:
        found = await find_unit(connection, serial, part or None)
    acts = _acts(request)
    view = Seldom(partial(_signs, found), partial(picture, found.id, acts, Then()), hub_of(request).wake)
    return live_stream(request, ("unit", found.id, acts), view)


def _acts(request: Request) -> frozenset[str]:
    caller = caller_of(request)
    return frozenset(act for act, route in ACTS.items() if may(caller, route))


async def _signs(found: FoundUnit, look: Look) -> object:
    return await signs_of_unit(look.connection, found.id)


async def picture(unit_id: str, acts: frozenset[str], then: Then, look: Look) -> Picture:
    """The page as parts, each a card; those without anything in them are left out."""
    one = await unit_page(look.connection, unit_id, now=look.at, as_of=then.as_of, known_at=then.known_at)
    shown = _shown(one, look)
    has = {
        "way": acts or one.impediments.holds or one.impediments.nonconformances or one.impediments.pending,
        "route": shown["route"],
        "runs": shown["runs"],
        "samples": shown["sparklines"],
        "rack": shown["elevation"],
    }
    names = ("head", "way", "route", "runs", "samples", "trace", "history", "rack", "contents")
    is_there = [name for name in names if has.get(name, True)]
    parts = {f"unit-{name}": fragment(f"unit/{name}.html", **shown, may=acts, then=then) for name in is_there}
    return Picture(parts, partial(fragment, "unit/whole.html", parts=parts))


def _shown(one: UnitPage, look: Look) -> dict[str, Any]:
    """What the templates of the parts are told."""
    return {
        "one": one,
        "unit": one.unit,
        "route": _route(one),
        "runs": [run_shown(run, one.operators) for run in one.runs],
        "elevation": elevation(one.definition, one.tree, one.parts) if one.definition else None,
        "timeline": timeline(one.trace, look.at),
        "entries": told(one.entries.items, one.unit.id, one.operators),
        "sparklines": [(series, sparkline(series)) for series in one.series.items],
        "why": _why(one),
        "tones": TONES,
        "sentences": SENTENCES,
        "possible": possible,
        "bar": bar,
        "lasting": lasting,
    }


def possible(one: OpenNonconformance, acts: Collection[str]) -> list[str]:
    """What somebody who may do these acts can do about a nonconformance as it is."""
    return [verb for verb in ("diagnose", "repair", "dispose") if verb in acts and verb in VERBS[State(one.state)]]


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
