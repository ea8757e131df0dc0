"""The way in to the floor: batches may overlap in time and are still settled in the order in which they came."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TypeAlias

from sqlalchemy.ext.asyncio import AsyncConnection

from mes.db.units import locking_units

Locking: TypeAlias = Callable[[AsyncConnection, bool], AbstractAsyncContextManager[None]]
"""The block in which a transaction locks its units. True: it may find that it needs more than those it names."""


@asynccontextmanager
async def at_any_time(_connection: AsyncConnection, _may_need_more: bool) -> AsyncIterator[None]:
    """For a single command: it waits for locks where others have them, and is tried again if it loses."""
    yield


class Passage:
    """One batch on its way in."""

    def __init__(self, let_next_in: Callable[[], None], *, among_processes: bool) -> None:
        self._let_next_in = let_next_in
        self._among_processes = among_processes

    @asynccontextmanager
    async def locking(self, connection: AsyncConnection, may_need_more: bool) -> AsyncIterator[None]:
        """The block in which the batch locks its units; with its end the next one may follow."""
        async with self.staying(connection, may_need_more):
            yield
        self._let_next_in()

    @asynccontextmanager
    async def staying(self, connection: AsyncConnection, may_need_more: bool) -> AsyncIterator[None]:
        """The same where the next one has to see what the batch writes: it follows when all is done."""
        if self._among_processes:
            async with locking_units(connection, alone=may_need_more):
                yield
        else:
            yield


class Entrance:
    """Where batches come in: one at a time is on its way, from its first statement until all its units are locked.

    The next one then waits for those locks where it needs the same units, and works beside it where it does not.
    With `among_processes` there are others of its kind: they would wait for each other's units in a circle.
    """

    def __init__(self, *, among_processes: bool = False) -> None:
        self._lock = asyncio.Lock()
        self._among_processes = among_processes

    @asynccontextmanager
    async def passing(self) -> AsyncIterator[Passage]:
        """A batch's passage, one at a time."""
        await self._lock.acquire()
        is_in = False

        def let_next_in() -> None:
            nonlocal is_in
            if not is_in:
                is_in = True
                self._lock.release()

        try:
            yield Passage(let_next_in, among_processes=self._among_processes)
        finally:
            let_next_in()
