"""How many units wait for each step and on which line, without reading every unit at every look.

A unit's progress changes only with its running journal number, so what it waits for is worked out once per number.
Units that were only created all wait at the beginning of their route and are counted by the database, by order.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping
from typing import NamedTuple

import asyncpg
import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from mes.db.products import products
from mes.db.session import driver
from mes.domain.progress import PASSED, Progress, State
from mes.domain.route import Route, route_of

_CREATED = """
    SELECT product_id::text, work_order_id::text AS work_order, count(*) AS units FROM unit
    WHERE state = 'created' AND site = $1 AND product_id IS NOT NULL GROUP BY product_id, work_order_id
"""
_BEGUN_AT = """
    SELECT work_order.id::text, begun.station FROM unnest($1::uuid[]) AS work_order (id) CROSS JOIN LATERAL (
        SELECT a.station FROM unit u JOIN attempt a ON a.unit_id = u.id
        WHERE u.work_order_id = work_order.id AND u.state = ANY($2) ORDER BY a.started_at LIMIT 1
    ) begun
"""
_IN_PROCESS = """
    SELECT id, journal_number FROM unit WHERE state = 'in_process' AND site = $1 AND product_id IS NOT NULL
"""
_SIGN = """
    SELECT count(*), bit_xor(uuid_hash_extended(id, journal_number)) FROM unit
    WHERE state = 'in_process' AND site = $1 AND product_id IS NOT NULL
"""
"""One row that is another when any unit came, went or changed: cheaper than to look at thousands of them."""
_PART_BEGUN_AT = """
    SELECT part.number, begun.station FROM unnest($1::text[]) AS part (number) CROSS JOIN LATERAL (
        SELECT a.station FROM unit u JOIN attempt a ON a.unit_id = u.id
        WHERE u.part = part.number AND u.state = ANY($2) ORDER BY u.id DESC, a.started_at LIMIT 1
    ) begun
"""
_CHANGED = """
    SELECT u.id, u.product_id::text, u.journal_number, u.progress, (
        SELECT a.station FROM attempt a WHERE a.unit_id = u.id
        ORDER BY coalesce(a.ended_at, a.started_at) DESC, a.started_at DESC LIMIT 1
    ) AS station
    FROM unit u WHERE u.id = ANY($1)
"""
_BEGUN = [one.value for one in State if one not in (State.CREATED, State.RECEIVED)]


class Queue(NamedTuple):
    """Where units wait: the step of a part, done at stations of a kind."""

    part: str
    step: str
    kind: str


Waiting = Mapping[tuple[Queue, str | None], int]
"""Units by where they wait and the station that worked at them last: for those not begun, at their order or part."""


class _Known(NamedTuple):
    number: int
    station: str | None
    waits_at: tuple[Queue, ...]


class Queues:
    """What units in process wait for, as last looked at."""

    def __init__(self) -> None:
        self._known: dict[object, _Known] = {}
        self._sign: object = None
        self._in_process: Waiting = {}
        self._begun_at: dict[str, str] = {}
        self._part_begun_at: dict[str, str] = {}

    async def read(self, connection: AsyncConnection, site: str) -> Waiting:
        """Units that wait, by where. A unit that may start several steps waits at each; one at work waits for none."""
        raw = await driver(connection)
        sign = tuple(await raw.fetchrow(_SIGN, site))
        if sign != self._sign:
            await self._read_in_process(connection, raw, site)
            self._sign = sign
        created = await raw.fetch(_CREATED, site)
        known = await products(connection, {row["product_id"] for row in created})
        await self._find_beginnings(raw, {row["work_order"] for row in created if row["work_order"]})
        await self._find_part_beginnings(raw, {known[row["product_id"]].definition.part for row in created})
        waiting = Counter(self._in_process)
        for row in created:
            route = route_of(known[row["product_id"]].definition)
            part = known[row["product_id"]].definition.part
            station = self._begun_at.get(row["work_order"]) or self._part_begun_at.get(part)
            waiting.update({(queue, station): row["units"] for queue in _queues(route, route.next(()))})
        return waiting

    async def _read_in_process(self, connection: AsyncConnection, raw: asyncpg.Connection, site: str) -> None:
        """Work out anew what those units wait for that changed, and count."""
        numbers = dict(await raw.fetch(_IN_PROCESS, site))
        self._known = {one: kept for one, kept in self._known.items() if numbers.get(one) == kept.number}
        stale = [one for one in numbers if one not in self._known]
        rows = await raw.fetch(_CHANGED, stale) if stale else []
        known = await products(connection, {row["product_id"] for row in rows})
        for row in rows:
            progress = Progress.from_plain(msgspec.json.decode(row["progress"]))
            route = route_of(known[row["product_id"]].definition)
            self._known[row["id"]] = _Known(row["journal_number"], row["station"], waits_at(route, progress))
        self._in_process = Counter((queue, one.station) for one in self._known.values() for queue in one.waits_at)

    async def _find_beginnings(self, raw: asyncpg.Connection, orders: Collection[str]) -> None:
        """Where orders with units not begun began; asked until it is known, and then kept while they have such."""
        self._begun_at = {order: station for order, station in self._begun_at.items() if order in orders}
        if unknown := [order for order in orders if order not in self._begun_at]:
            self._begun_at |= dict(await raw.fetch(_BEGUN_AT, unknown, _BEGUN))

    async def _find_part_beginnings(self, raw: asyncpg.Connection, parts: Collection[str]) -> None:
        """Where the newest unit of each part began: orders of which nothing is begun will likely begin there too."""
        if unknown := [part for part in parts if part not in self._part_begun_at]:
            self._part_begun_at |= dict(await raw.fetch(_PART_BEGUN_AT, unknown, _BEGUN))


def by_line(
    waiting: Waiting, kinds: Mapping[str | None, Collection[str]], line_of: Mapping[str, str | None]
) -> Mapping[str | None, Counter[Queue]]:
    """Units that wait, line by line, from the kinds of each line's stations and the line of each station.

    A unit goes on where it was worked at, as long as that line has the kind; else it may go on at every line that has.
    """
    queues: Mapping[str | None, Counter[Queue]] = defaultdict(Counter)
    for (queue, station), units in waiting.items():
        able = [line for line, its_kinds in kinds.items() if queue.kind in its_kinds]
        home = line_of.get(station) if station else None
        for line in [home] if station in line_of and home in able else able:
            queues[line][queue] += units
    return queues


def waits_at(route: Route, progress: Progress) -> tuple[Queue, ...]:
    """Where a unit in process waits: at each step that may start, unless one is in progress."""
    if any(not one.interrupted for one in progress.open):
        return ()
    return _queues(route, route.next({step for step in route.steps if progress.result(step) == PASSED}))


def _queues(route: Route, steps: Iterable[str]) -> tuple[Queue, ...]:
    assert route.definition is not None
    return tuple(Queue(route.definition.part, step, route.steps[step].station_kind) for step in steps)
