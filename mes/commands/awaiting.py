"""Waiting for messages to be settled: an answer has to include some that may still be on their way.

One look at the inbox serves all who wait, however many: at the start of a shift a whole line asks at once, and ingest
has more to do than to be asked by each of them.
"""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from mes.db.contents import Late, not_in_state
from mes.db.session import Database

LOOK_S: Final = 0.01
"""How long after a look at the inbox the next one is taken."""

Name = tuple[str, str]
"""A message's source and id."""


@dataclass(slots=True, eq=False)
class _Wait:
    """One who waits, for what is missing, until a time of the event loop's clock; `late` is that and what came to wait
    or was rejected."""

    missing: set[Name]
    late: dict[Name, Late]
    until: float
    over: asyncio.Future[None]


class Arrivals:
    """Who waits for which messages. Belongs to one event loop."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._waits: set[_Wait] = set()
        self._looking: asyncio.Task[None] | None = None

    async def missing(self, source: str, ids: Iterable[str], wait_s: float) -> list[Late]:
        """Of a source's messages, those whose facts are not in the state: one that has no fate yet is waited for, so
        many seconds; one that is pending or was rejected is not.

        Raises what the driver raises where the database can't be asked.
        """
        wanted = [(source, id) for id in ids]
        late = await self._late(wanted) if wanted else {}
        if _not_come(late):
            late = await self._wait(late, wait_s)
        return [late[name] for name in wanted if name in late]

    async def _late(self, names: Iterable[Name]) -> dict[Name, Late]:
        async with self._database.direct() as connection:
            return await not_in_state(connection, names)

    async def _wait(self, late: dict[Name, Late], wait_s: float) -> dict[Name, Late]:
        loop = asyncio.get_running_loop()
        wait = _Wait(_not_come(late), late, loop.time() + wait_s, loop.create_future())
        self._waits.add(wait)
        if self._looking is None:
            self._looking = asyncio.create_task(self._look())
        try:
            await wait.over
        finally:
            self._waits.discard(wait)
        return wait.late

    async def _look(self) -> None:
        """Look as long as somebody waits; if that fails, it fails for all of them."""
        try:
            while self._waits:
                await asyncio.sleep(LOOK_S)
                wanted = set().union(*(wait.missing for wait in self._waits))
                self._tell(wanted, await self._late(wanted))
        except Exception as error:
            for wait in self._waits:
                if not wait.over.done():
                    wait.over.set_exception(error)
        finally:
            self._looking = None

    def _tell(self, looked_for: set[Name], late: dict[Name, Late]) -> None:
        """Who began to wait during the look goes on waiting for what it did not ask for."""
        now, not_come = asyncio.get_running_loop().time(), _not_come(late)
        for wait in self._waits:
            for name in (wait.missing & looked_for) - not_come:
                wait.missing.discard(name)
                if name in late:
                    wait.late[name] = late[name]
                else:
                    del wait.late[name]
            if not wait.over.done() and (not wait.missing or now >= wait.until):
                wait.over.set_result(None)


def _not_come(late: dict[Name, Late]) -> set[Name]:
    return {name for name, one in late.items() if one.fate is None}
