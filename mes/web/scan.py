"""The scan page: assembly without station software. One field for a scanner that types, and a few large buttons.

The unit on the bench and what is chosen for the next scan stand in the address and in the form, so that the page works
without its script; with it, scans are sent without leaving the page, and kept in the browser while there is no line.
"""

from collections.abc import Iterable
from typing import Annotated, Any, Final, NamedTuple

import uuid_utils
from fastapi import Form, Request, Response

from mes.db.lookup import find_unit
from mes.domain.facts import Station
from mes.domain.refusals import Refusal
from mes.domain.route import route_of
from mes.domain.workplace import Work, next_steps
from mes.queries.bench import Content, UnitOnBench, fate_of, unit_on_bench
from mes.queries.lines import list_stations, station_view
from mes.queries.material import LoadingView, list_loadings
from mes.queries.material import Where as At
from mes.queries.pages import LIMIT_MAX
from mes.web import finishing, scanning
from mes.web.access import ROLES
from mes.web.door import caller_of, database_of, now, pages, settings_of
from mes.web.errors import PageError
from mes.web.finishing import Wanted
from mes.web.pages import page
from mes.web.scanning import BAD, INFO, MENDS, Chosen, Done, Told, Where, work_of

scan = pages()

UNDONE: Final = "undone at the scan page"
LOADED_SHOWN_MAX: Final = 20
"""Most lots at the station that are looked at for the next position."""

Text = Annotated[str, Form(max_length=1000)]


class Scan(NamedTuple):
    """What the form says: what to do, and with what; what is on the bench, and what was chosen before."""

    action: str
    scan: str
    unit: str
    of: str
    position: str
    part: str
    step: str
    outcome: str
    confirmed: bool


class Slot(NamedTuple):
    """A position of the step: what it takes, what is in it, and whether it is the next to be filled."""

    position: str
    part: str
    name: str
    quantity: str
    contents: list[Content]
    filled: bool
    is_next: bool


class LoadedHere(NamedTuple):
    """A lot at the station that the next position may be filled of; `scan` is what a scanner would read off it."""

    lot: str
    place: str | None
    scan: str


class BenchView(NamedTuple):
    """What the page shows of the unit on the bench. `step` is the one in progress, or the only one that may start."""

    unit: UnitOnBench
    work: Work
    step: str | None
    slots: list[Slot]
    target: Slot | None
    wanted: list[Wanted]
    last: Content | None
    next_steps: tuple[tuple[str, str], ...]


@scan.get("/scan")
async def choose_station(request: Request) -> Response:
    """The stations to choose from, by line."""
    async with database_of(request).reading() as connection:
        found = await list_stations(
            connection, settings_of(request).site, line=None, kind=None, limit=LIMIT_MAX, cursor=None
        )
    lines: dict[str, list[Any]] = {}
    for one in found.items:
        lines.setdefault(one.line or "Without a line", []).append(one)
    return page(request, "scan_stations.html", lines=sorted(lines.items()))


@scan.get("/scan/{station}")
async def bench(
    request: Request, station: str, unit: str = "", of: str = "", position: str = "", part: str = ""
) -> Response:
    """A bench, with or without a unit on it."""
    where = await _where(request, station, "", 0)
    chosen = Chosen(position or None, part or None)
    if not unit:
        return await _page(request, where, Done(Told(INFO, ""), None, chosen))
    try:
        async with where.database.reading() as connection:
            found = await find_unit(connection, unit, of or None)
    except Refusal as refusal:
        told = Told(BAD, "Unknown unit", " ".join(one.text for one in refusal.reasons))
        return await _page(request, where, Done(told, None), status=404)
    return await _page(request, where, Done(Told(INFO, ""), found.id, chosen))


@scan.post("/scan/{station}")
async def do(
    request: Request,
    station: str,
    id: Annotated[str, Form(min_length=8, max_length=64, pattern="^[A-Za-z0-9-]+$")],
    action: Text = "scan",
    scan: Text = "",
    unit: Text = "",
    of: Text = "",
    position: Text = "",
    part: Text = "",
    step: Text = "",
    outcome: Text = "",
    confirmed: Text = "",
    waited_ms: Annotated[int, Form(ge=0, le=2**40)] = 0,
) -> Response:
    """Do what was scanned or pressed, and show the bench as it is then."""
    where = await _where(request, station, id, waited_ms)
    asked = Scan(action, scan, unit, of, position, part, step, outcome, bool(confirmed))
    if any("\0" in text for text in asked if isinstance(text, str)):
        raise PageError(422, "That can't be read", "What was scanned holds a character that no label has.")
    done = await _done(request, where, asked)
    return await _page(request, where, done)


async def _where(request: Request, station: str, scan_id: str, waited_ms: int) -> Where:
    database, at = database_of(request), now()
    async with database.reading() as connection:
        found = await station_view(connection, station, settings_of(request).site)
    here = Station(found.name, found.kind)
    return Where(database, here, caller_of(request).name, scan_id, scanning.scanned_at(at, waited_ms), at)


async def _done(request: Request, where: Where, asked: Scan) -> Done:
    chosen = Chosen(asked.position or None, asked.part or None, asked.confirmed)
    unit = await _unit_of(where, asked)
    if unit is None:
        if asked.action != "scan" or not asked.scan.strip():
            return Done(Told(INFO, ""), None)
        return await scanning.first_scan(where, settings_of(request).site, asked.scan, chosen.part)
    async with where.database.reading() as connection:
        fate = await fate_of(connection, f"stations/{where.station.name}", where.id)
    if fate is not None:  # it came before, and its answer was lost on the way
        return Done(Told(INFO, "Said before", f"It is {fate}; nothing was done twice."), unit.id)
    return await _done_to(where, unit, asked, chosen, await request.form())


async def _done_to(where: Where, unit: UnitOnBench, asked: Scan, chosen: Chosen, form: Any) -> Done:
    if asked.action == "scan":
        if not asked.scan.strip():
            return Done(Told(INFO, ""), unit.id, chosen)
        return await scanning.scan(where, unit, asked.scan, chosen)
    if asked.action == "start":
        return Done(await scanning.start(where, unit, asked.step), unit.id)
    if asked.action == "finish":
        given = {name: value for name, value in form.items() if isinstance(value, str)}
        return Done(await finishing.finish(where, unit, asked.outcome, given), unit.id)
    content = _to_take_out(unit, where, asked)
    if content is None:
        return Done(Told(INFO, "Nothing to take out"), unit.id)
    why = UNDONE if asked.action == "undo" else "taken out at the scan page"
    return Done(await scanning.remove(where, unit, content, why), unit.id, Chosen(content.position))


def _to_take_out(unit: UnitOnBench, where: Where, asked: Scan) -> Content | None:
    if asked.action == "undo":
        return scanning.last_installed(unit, where.station.name)
    return next((one for one in unit.contents if one.position == asked.position), None)


async def _unit_of(where: Where, asked: Scan) -> UnitOnBench | None:
    if not asked.unit:
        return None
    async with where.database.reading() as connection:
        found = await find_unit(connection, asked.unit, asked.of or None)
        return await unit_on_bench(connection, found.id)


async def _page(request: Request, where: Where, done: Done, status: int = 200) -> Response:
    view, loaded = None, []
    if done.unit_id:
        async with where.database.reading() as connection:
            view = bench_view(await unit_on_bench(connection, done.unit_id), where, done.chosen)
            if view.work.open and view.target and not view.target.filled:
                site, here = settings_of(request).site, At(where.station.name)
                found = await list_loadings(
                    connection, site, here, moment=where.now, limit=LOADED_SHOWN_MAX, cursor=None
                )
                loaded = loaded_here(view.unit, view.target, found.items)
    return page(
        request,
        "scan.html",
        status=status,
        station=where.station,
        told=done.told,
        chosen=done.chosen,
        bench=view,
        loaded=loaded,
        mends=MENDS,
        scan_id=str(uuid_utils.uuid7()),
        may_scan=bool(caller_of(request).roles & ROLES["POST /scan/{station}"]),
    )


def loaded_here(unit: UnitOnBench, target: Slot, loadings: Iterable[LoadingView]) -> list[LoadedHere]:
    """What is loaded at the station and approved for a position."""
    line = unit.definition.line_at(target.position) if unit.definition else None
    known = unit.parts.get(target.part)
    if line is None or known is None or known.tracking == "serial":
        return []
    return [
        LoadedHere(one.lot, one.place, f"1T{one.lot}" if one.part == line.part else f"(240){one.part}(10){one.lot}")
        for one in loadings
        if line.approves(one.part, one.maker or None)
    ]


def bench_view(unit: UnitOnBench, where: Where, chosen: Chosen) -> BenchView:
    """What is shown of a unit on a bench."""
    work = work_of(unit, where)
    only = work.startable[0] if len(work.startable) == 1 else None
    step = work.open.step if work.open else only
    routed = route_of(unit.definition).steps.get(step or "")
    seen = scanning.on_bench(unit, step, chosen)
    slots = [_slot(unit, one, seen.target if seen else None) for one in (routed.installs if routed else ())]
    target = next((one for one in slots if one.is_next), None)
    if target is None and chosen.position and unit.definition and unit.definition.line_at(chosen.position):
        target = _slot(unit, chosen.position, chosen.position)  # a position of another step was pointed at
    return BenchView(
        unit,
        work,
        step,
        slots,
        target,
        finishing.wanted(unit.definition, routed) if unit.definition and routed and work.open else [],
        scanning.last_installed(unit, where.station.name),
        next_steps(unit.progress, unit.definition),
    )


def _slot(unit: UnitOnBench, position: str, target: str | None) -> Slot:
    line = unit.definition.line_at(position) if unit.definition else None
    part = line.part if line else ""
    known = unit.parts.get(part)
    quantity = f"{line.quantity:f} × " if line and line.quantity != 1 else ""
    contents = [one for one in unit.contents if one.position == position]
    name = known.name if known else ""
    return Slot(position, part, name, quantity, contents, unit.progress.filled(position), position == target)
