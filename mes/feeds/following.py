"""How a feed follows the journal: entry after entry in the order of positions, and on from where it was after a stop.

A feed is a name and a `deliver`. Its cursor moves only after what it stands for was delivered, so a crash means that
the newest slice is delivered again: a feed must not mind. If delivering fails, nothing else waits for it; the feed
tries the same slice again, after longer and longer pauses, and says in the `feed` table what keeps it.
"""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import Final, TypeAlias

from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from mes.db import feeds
from mes.db.sequencer import NUMBERED
from mes.db.session import Database, driver
from mes.queries.journal import PositionedEntry, journal_slice

log = logging.getLogger(__name__)

SLICE_MAX: Final = 500
"""Most entries that are delivered at once."""
TIMER_S: Final = 5.0
"""Entries that were numbered without a notification wait at most this long; so does who waits for another process."""
PAUSE_MIN_S: Final = 1.0
PAUSE_MAX_S: Final = 60.0

Deliver: TypeAlias = Callable[[Sequence[PositionedEntry]], Awaitable[None]]
"""Passes a slice on, and returns when it has arrived. Raises `NotDelivered` where it should be tried again."""


class NotDelivered(Exception):  # noqa: N818 - the other side's state, not an error of ours
    """What comes next can't be delivered now; the text says why."""


async def follow(database: Database, name: str, deliver: Deliver, slice_max: int = SLICE_MAX) -> None:
    """Deliver for ever. Of several processes that follow under one name, one is at it and the others wait."""
    while True:
        try:
            await _follow_connected(database, name, deliver, slice_max)
        except (DBAPIError, OSError, TimeoutError) as error:
            log.warning("feed %s lost the database, again in %.0f s: %s", name, PAUSE_MIN_S, error)
        except Exception:
            log.exception("feed %s failed, again in %.0f s", name, PAUSE_MIN_S)
        await asyncio.sleep(PAUSE_MIN_S)


async def _follow_connected(database: Database, name: str, deliver: Deliver, slice_max: int) -> None:
    """Follow while one connection lives: it listens, and holds the lock that keeps other processes out."""
    async with database.engine.connect() as connection:
        woken = asyncio.Event()
        try:
            async with connection.begin():
                await (await driver(connection)).add_listener(NUMBERED, lambda *_: woken.set())
            while not await _is_alone(connection, name):  # noqa: ASYNC110 - a lock tells nobody when it is free
                await asyncio.sleep(TIMER_S)
            while True:
                woken.clear()
                await _catch_up(connection, name, deliver, slice_max)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(TIMER_S):
                        await woken.wait()
        finally:
            # It listens and holds a lock: it may not go back to the pool.
            await connection.invalidate()


async def _is_alone(connection: AsyncConnection, name: str) -> bool:
    async with connection.begin():
        return await feeds.lock(connection, name)


async def _catch_up(connection: AsyncConnection, name: str, deliver: Deliver, slice_max: int) -> None:
    """Deliver all that is there. After a failure the cursor is read again: someone may have set it elsewhere."""
    pause_s = PAUSE_MIN_S
    while True:
        try:
            if not await _step(connection, name, deliver, slice_max):
                return
            pause_s = PAUSE_MIN_S
        except NotDelivered as error:
            log.warning("feed %s can't deliver, again in %.0f s: %s", name, pause_s, error)
            async with connection.begin():
                await feeds.note_problem(connection, name, str(error), datetime.now(UTC))
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 2, PAUSE_MAX_S)


async def _step(connection: AsyncConnection, name: str, deliver: Deliver, slice_max: int) -> bool:
    """Deliver the next slice; False when there is none."""
    async with connection.begin():
        after = await feeds.position_of(connection, name)
        entries = await journal_slice(connection, after, slice_max)
    if not entries:
        return False
    await deliver(entries)
    async with connection.begin():
        if await feeds.position_of(connection, name) == after:  # else someone has set it elsewhere meanwhile
            await feeds.move(connection, name, entries[-1].position or 0, datetime.now(UTC))
    return True
