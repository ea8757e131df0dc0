"""Settling messages: every message that arrived gets its fate, in one transaction for the whole batch.

Facts are never refused. One that can't be applied yet waits (`pending`), one that can't be read is kept as it came
(`rejected`), one that says again what was said is a `duplicate`; all others are `applied`, with what was odd noted.
If something in a batch can't be stored, the batch is halved until that message alone is set aside.
"""

import asyncio
import logging
from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy.exc import DBAPIError

from mes.commands.batch import Batch, Settled
from mes.commands.entrance import Entrance
from mes.db import inbox
from mes.db.inbox import ready
from mes.db.session import Database
from mes.domain.refusals import reason
from mes.formats.messages import Arrived, Message, decode

log = logging.getLogger(__name__)

TRIES_MAX = 8
"""How often a transaction that lost to another one is tried again."""
PENDING_MAX = 500
"""Most pending messages that are tried again in one transaction."""

__all__ = ["Settled", "check", "settle", "settle_pending"]


class _RolledBack(Exception):  # noqa: N818 - the way out of a transaction that must leave no trace
    def __init__(self, settled: list[Settled]) -> None:
        super().__init__("checked")
        self.settled = settled


async def settle(
    database: Database, arrived: Sequence[Arrived], at: datetime, entrance: Entrance | None = None
) -> list[Settled]:
    """Make messages that arrived at `at` part of the record; returns their fates, in their order, after the commit.

    Batches that overlap have to share an `entrance`, or a unit's facts may be taken for late and folded again.
    Raises only if the database can't be reached or keeps failing for reasons that are not the messages'.
    """
    if not arrived:
        return []
    try:
        return await _in_one_transaction(database, arrived, at, entrance or Entrance())
    except Exception as error:
        if is_infrastructure(error):
            raise
        if len(arrived) == 1:
            log.exception("a message could not be applied and is set aside")
            return [await _set_aside(database, arrived[0], error, at)]
    middle = len(arrived) // 2
    first = await settle(database, arrived[:middle], at, entrance)
    return [*first, *await settle(database, arrived[middle:], at, entrance)]


async def _in_one_transaction(
    database: Database, arrived: Sequence[Arrived], at: datetime, entrance: Entrance
) -> list[Settled]:
    for attempt in range(TRIES_MAX):
        try:
            async with entrance.passing() as passage, database.transaction() as connection:
                return await Batch(connection, database.site, at, passage).settle(arrived)
        except Exception as error:
            if not lost_to_another(error) or attempt + 1 == TRIES_MAX:
                raise
            await asyncio.sleep(0.01 * 2**attempt)
    raise AssertionError("unreachable")


async def check(database: Database, arrived: Sequence[Arrived], at: datetime) -> list[Settled]:
    """What `settle` would answer; changes nothing."""
    try:
        async with database.transaction() as connection:
            raise _RolledBack(await Batch(connection, database.site, at).settle(arrived))
    except _RolledBack as done:
        return done.settled
    except Exception as error:
        if is_infrastructure(error):
            raise
        if len(arrived) == 1:
            return [set_aside_answer(arrived[0], error)]
    return [answer for one in arrived for answer in await check(database, [one], at)]


class Retried(NamedTuple):
    """Pending messages that were tried again: how many, and the fates of those that are settled now."""

    tried: int
    settled: list[Settled]


async def settle_pending(database: Database, at: datetime) -> Retried:
    """Apply pending messages whose reason has gone, as of when they arrived. Call again while `tried` is not 0."""
    for attempt in range(TRIES_MAX):
        try:
            async with database.transaction() as connection:
                kept = await ready(connection, PENDING_MAX)
                again = []
                for one in kept:
                    read = decode(one.station, one.kind, one.body)
                    again += [(one, message) for message in read if isinstance(message, Message)]
                batch = Batch(connection, database.site, at)
                return Retried(len(kept), await batch.settle_again(again))
        except Exception as error:
            if not lost_to_another(error) or attempt + 1 == TRIES_MAX:
                raise
            await asyncio.sleep(0.01 * 2**attempt)
    raise AssertionError("unreachable")


def _sqlstate(error: BaseException) -> str | None:
    """PostgreSQL's code of an error, wherever in the chain of causes the driver put it."""
    found: BaseException | None = error
    while found is not None:
        state = getattr(found, "sqlstate", None)
        if state:
            return str(state)
        found = getattr(found, "orig", None) or found.__cause__
    return None


def lost_to_another(error: BaseException) -> bool:
    """Whether a transaction failed only because of another one: deadlock, serialization, lock timeout."""
    state = _sqlstate(error) or ""
    return state.startswith("40") or state == "55P03"


def is_infrastructure(error: BaseException) -> bool:
    """Whether the database, not the data, is the reason: gone, shutting down, out of disk or memory."""
    state = _sqlstate(error)
    if state is None:
        return isinstance(error, OSError | TimeoutError | DBAPIError) or "asyncpg" in type(error).__module__
    return state[:2] in {"08", "25", "40", "53", "55", "57", "58", "XX"}


def set_aside_answer(one: Arrived, error: Exception) -> Settled:
    """What is answered for a message that can't be applied for a reason that is not its sender's."""
    why = (reason("not_applied", f"The MES could not apply this message: {type(error).__name__}."),)
    if isinstance(one, Message):
        return Settled(one.station, one.id, "id", inbox.PENDING, why)
    return Settled(
        one.station, one.id or one.sha256, "id" if one.id else "sha256", inbox.REJECTED, (*one.reasons, *why)
    )


async def _set_aside(database: Database, one: Arrived, error: Exception, at: datetime) -> Settled:
    """Keep a message that can't be applied, and let the next ones through."""
    settled = set_aside_answer(one, error)
    async with database.transaction() as connection:
        batch = Batch(connection, database.site, at)
        if isinstance(one, Message):
            await batch.set_aside(one, settled.reasons)
        else:
            await batch.set_bytes_aside(one, settled.reasons)
    return settled
