"""The board: every line and station as it is now, what fails and why, and what needs somebody.

What is shown is chosen by the address: `line` one line, `show=trouble` only stations that need somebody.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import lru_cache, partial
from typing import Annotated, Final, Literal, NamedTuple

from fastapi import Query, Request, Response

from mes.domain.causes import Cause
from mes.domain.refusals import refuse
from mes.domain.yields import Yield
from mes.queries.board import Floor
from mes.queries.board_views import FloorNow, LineNow, StationNow
from mes.web.door import hub_of, pages, settings_of
from mes.web.live import live_page, live_stream
from mes.web.pages import fragment, with_query
from mes.web.streams import Look, Picture

board = pages()

DENSE_FROM, CROWDED_FROM = 48, 16
"""From so many stations on a page, each is shown in as little room as it can be read in: at a desk, on a wall."""
CAUSES_SHOWN: Final = 5
STATIONS_KEPT: Final = 2000

Show = Literal["all", "trouble"]


class Choice(NamedTuple):
    """What the address asks to see; `line` None: all of them."""

    line: str | None
    show: Show


class Numbers(NamedTuple):
    """What stands large above the lines that are shown. `is_partial`: not the whole floor."""

    states: Mapping[str, int]
    stations: int
    first_pass: Yield
    troubled: int


Line = Annotated[str | None, Query(max_length=64)]


@board.get("/")
async def board_page(request: Request, line: Line = None, show: Show = "all") -> Response:
    """The board."""
    choice = Choice(line or None, show)
    stream = with_query(request, path="/live/board", size=None, theme=None)
    return await live_page(request, "board.html", partial(picture, _floor(request), choice), stream, choice=choice)


@board.get("/live/board")
async def board_stream(request: Request, line: Line = None, show: Show = "all") -> Response:
    """What keeps boards of this choice as the floor is."""
    choice = Choice(line or None, show)
    return live_stream(request, ("board", choice), partial(picture, _floor(request), choice))


def _floor(request: Request) -> Floor:
    """The one floor of this process, whoever looks at it."""
    state = hub_of(request).shared
    if "floor" not in state:
        state["floor"] = Floor(settings_of(request).site)
    floor: Floor = state["floor"]
    return floor


async def picture(floor: Floor, choice: Choice, look: Look) -> Picture:
    """The board as parts: the numbers, each line's head, each station, and the lists beside them."""
    now = look.kept.get("floor")
    if now is None:
        now = look.kept["floor"] = await floor.look(look.connection, look.at)
    return pictured(now, choice)


def pictured(now: FloorNow, choice: Choice) -> Picture:
    """A floor as its choice shows it. Refuses `unknown_line`."""
    lines = [line for line in now.lines if choice.line in (None, line.name)]
    if choice.line and not lines:
        raise refuse("unknown_line", line=choice.line)
    parts = {"numbers": fragment("board/numbers.html", now=now, numbers=_numbers(lines), choice=choice)}
    shown = {line.name: [one for one in line.stations if choice.show == "all" or is_troubled(one)] for line in lines}
    for line in lines:
        parts[f"line-{line.name}"] = fragment("board/line.html", line=line, states=_states(line.stations))
        prefix = shared_prefix(line.name, [station.name for station in line.stations])
        for station in shown[line.name]:
            parts[f"station-{station.name}"] = _station(station, prefix)
    parts["failing"] = fragment("board/failing.html", failing=_most(lines, "failing"), erring=_most(lines, "erring"))
    parts["troubles"] = fragment("board/troubles.html", troubles=now.troubles)
    parts["events"] = fragment("board/events.html", events=now.events)
    count = sum(len(stations) for stations in shown.values())
    crowd = {"is_dense": count > DENSE_FROM, "is_crowded": count > CROWDED_FROM}
    told = {"now": now, "lines": lines, "shown": shown, "parts": parts, "choice": choice, **crowd}
    return Picture(parts, partial(fragment, "board/floor.html", **told))


@lru_cache(maxsize=STATIONS_KEPT)
def _station(station: StationNow, prefix: str) -> str:
    """A station's tile. Between two looks most stations are as they were, so what was rendered is kept."""
    told = {"prefix": prefix, "name": station.name.removeprefix(prefix), "is_quiet": is_quiet(station)}
    return fragment("board/station.html", one=station, is_troubled=is_troubled(station), **told)


def shared_prefix(line: str, stations: Sequence[str]) -> str:
    """What all stations of a line are called first, as far as it only says which line: its name or how that begins.

    What is left must still be a name: `ct-01` and `ct-02` keep theirs.
    """
    prefix = stations[0].partition("-")[0] + "-" if stations else ""
    if not line.lower().startswith(prefix[:-1].lower()) or not prefix[:-1]:
        return ""
    return prefix if all(one.startswith(prefix) and one[len(prefix) :][:1].isalpha() for one in stations) else ""


def is_troubled(station: StationNow) -> bool:
    """Whether somebody should go there."""
    return station.state in ("down", "offline") or station.is_held or station.last in ("fail", "error")


def is_quiet(station: StationNow) -> bool:
    """Whether there is nothing to tell of it but that it is there: on a wall it is only counted."""
    return station.state == "idle" and station.at_work is None and not is_troubled(station)


def _states(stations: Sequence[StationNow]) -> Mapping[str, int]:
    return Counter(one.state for one in stations)


def _numbers(lines: Sequence[LineNow]) -> Numbers:
    stations = [one for line in lines for one in line.stations]
    passed = Yield(sum(line.first_pass.passed for line in lines), sum(line.first_pass.judged for line in lines))
    return Numbers(_states(stations), len(stations), passed, sum(is_troubled(one) for one in stations))


def _most(lines: Sequence[LineNow], which: Literal["failing", "erring"]) -> list[Cause]:
    found = [cause for line in lines for cause in getattr(line, which)]
    return sorted(found, key=lambda cause: -cause.units)[:CAUSES_SHOWN]
