"""How many units wait for each step, without reading every unit at every look.

A unit's progress changes only with its running journal number, so what it waits for is worked out once per number.
Units that were only created all wait at the beginning of their route and are counted by the database.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from mes.db.products import products
from mes.db.session import driver
from mes.domain.progress import PASSED, Progress
from mes.domain.route import Route, route_of

_CREATED = """
    SELECT product_id::text, count(*) AS units FROM unit
    WHERE state = 'created' AND site = $1 AND product_id IS NOT NULL GROUP BY product_id
"""
_IN_PROCESS = "SELECT id, journal_number FROM unit WHERE state = 'in_process' AND site = $1"
_CHANGED = (
    "SELECT id, product_id::text, journal_number, progress FROM unit WHERE id = ANY($1) AND product_id IS NOT NULL"
)


class Queue(NamedTuple):
    """Where units wait: the step of a part, done at stations of a kind."""

    part: str
    step: str
    kind: str


class _Known(NamedTuple):
    number: int
    waits_at: tuple[Queue, ...]


class Queues:
    """What units in process wait for, as last looked at."""

    def __init__(self) -> None:
        self._known: dict[object, _Known] = {}

    async def read(self, connection: AsyncConnection, site: str) -> Mapping[Queue, int]:
        """Units that wait, by where. A unit that may start several steps waits at each; one at work waits for none."""
        raw = await driver(connection)
        numbers = dict(await raw.fetch(_IN_PROCESS, site))
        stale = [one for one, number in numbers.items() if one not in self._known or self._known[one].number != number]
        rows = await raw.fetch(_CHANGED, stale) if stale else []
        created = dict(await raw.fetch(_CREATED, site))
        known = await products(connection, {*created, *(row["product_id"] for row in rows)})
        self._known = {one: kept for one, kept in self._known.items() if one in numbers}
        for row in rows:
            progress = Progress.from_plain(msgspec.json.decode(row["progress"]))
            route = route_of(known[row["product_id"]].definition)
            self._known[row["id"]] = _Known(row["journal_number"], waits_at(route, progress))
        waiting = Counter(queue for one in self._known.values() for queue in one.waits_at)
        for product_id, units in created.items():
            route = route_of(known[product_id].definition)
            waiting.update(dict.fromkeys(_queues(route, route.next(())), units))
        return waiting


def waits_at(route: Route, progress: Progress) -> tuple[Queue, ...]:
    """Where a unit in process waits: at each step that may start, unless one is in progress."""
    if any(not one.interrupted for one in progress.open):
        return ()
    return _queues(route, route.next({step for step in route.steps if progress.result(step) == PASSED}))


def _queues(route: Route, steps: Iterable[str]) -> tuple[Queue, ...]:
    assert route.definition is not None
    return tuple(Queue(route.definition.part, step, route.steps[step].station_kind) for step in steps)
