"""Waiting for messages to be settled: an answer has to include some that may still be on their way.

One look at the inbox serves all who wait, however many: at the start of a shift a whole line asks at once, and ingest
has more to do than to be asked by each of them.
"""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from mes.db.asks import unsettled
from mes.db.session import Database

LOOK_S: Final = 0.01
"""How long after a look at the inbox the next one is taken."""

Name = tuple[str, str]
"""A message's source and id."""


@dataclass(slots=True, eq=False)
class _Wait:
    """One who waits, for what is missing, until a time of the event loop's clock."""

    missing: set[Name]
    until: float
    over: asyncio.Future[None]


class Arrivals:
    """Who waits for which messages. Belongs to one event loop."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._waits: set[_Wait] = set()
        self._looking: asyncio.Task[None] | None = None

    async def missing(self, source: str, ids: Iterable[str], wait_s: float) -> list[str]:
        """Of a source's messages, those that have no fate yet, or still have none after so many seconds.

        Raises what the driver raises where the database can't be asked.
        """
        wanted = [(source, id) for id in ids]
        missing = await self._unsettled(wanted) if wanted else set()
        if missing:
            missing = await self._wait(missing, wait_s)
        return [id for source, id in wanted if (source, id) in missing]

    async def _unsettled(self, names: Iterable[Name]) -> set[Name]:
        async with self._database.direct() as connection:
            return await unsettled(connection, names)

    async def _wait(self, missing: set[Name], wait_s: float) -> set[Name]:
        loop = asyncio.get_running_loop()
        wait = _Wait(missing, loop.time() + wait_s, loop.create_future())
        self._waits.add(wait)
        if self._looking is None:
            self._looking = asyncio.create_task(self._look())
        try:
            await wait.over
        finally:
            self._waits.discard(wait)
        return wait.missing

    async def _look(self) -> None:
        """Look as long as somebody waits; if that fails, it fails for all of them."""
        try:
            while self._waits:
                await asyncio.sleep(LOOK_S)
                wanted = set().union(*(wait.missing for wait in self._waits))
                self._tell(wanted - await self._unsettled(wanted))
        except Exception as error:
            for wait in self._waits:
                if not wait.over.done():
                    wait.over.set_exception(error)
        finally:
            self._looking = None

    def _tell(self, settled: set[Name]) -> None:
        """Who began to wait during the look goes on waiting for what it did not ask for."""
        now = asyncio.get_running_loop().time()
        for wait in self._waits:
            wait.missing -= settled
            if not wait.over.done() and (not wait.missing or now >= wait.until):
                wait.over.set_result(None)
