"""Settling messages: every message that arrived gets its fate, in one transaction for the whole batch.

Facts are never refused. One that can't be applied yet waits (`pending`), one that can't be read is kept as it came
(`rejected`), one that says again what was said is a `duplicate`; all others are `applied`, with what was odd noted.
If something in a batch can't be stored, the batch is halved until that message alone is set aside.
"""

import asyncio
import hashlib
import logging
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import NamedTuple, TypeVar

from sqlalchemy.exc import DBAPIError

from mes.commands.batch import Batch, Settled
from mes.commands.entrance import Entrance
from mes.db import inbox
from mes.db.session import Database
from mes.domain.refusals import Reason, reason
from mes.formats.messages import Arrived, Message, Unreadable

log = logging.getLogger(__name__)

TRIES_MAX = 8
"""How often a transaction that lost to another one is tried again."""
PENDING_MAX = 500
"""Most pending messages that are tried again at once."""

T = TypeVar("T")

__all__ = ["Settled", "check", "settle", "settle_pending", "try_again"]


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
    async def once() -> list[Settled]:
        async with entrance.passing() as passage, database.transaction() as connection:
            return await Batch(connection, database.site, at, passage).settle(arrived)

    return await persistently(once)


async def persistently(act: Callable[[], Awaitable[T]]) -> T:
    """Do what one transaction does; again where it lost to another one."""
    for attempt in range(TRIES_MAX):
        try:
            return await act()
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
    """Pending messages that were tried again: how many, the fates of those that are settled now, the last one's key."""

    tried: int
    settled: list[Settled]
    last: str | None


async def settle_pending(database: Database, at: datetime, after: str | None = None) -> Retried:
    """Apply pending messages whose reason has gone, as of when they arrived: the oldest behind `after`.

    Call again with `last` while `tried` is not 0: then each was tried, however many stay pending. One that can't be
    applied keeps none of the others waiting: it is left to a person.
    """
    async with database.reading() as connection:
        keys = await inbox.ready(connection, after or inbox.FIRST, PENDING_MAX)
    settled = await try_again(database, keys, at)
    return Retried(len(keys), settled, keys[-1] if keys else None)


async def try_again(database: Database, keys: Sequence[str], at: datetime) -> list[Settled]:
    """Try kept messages again by their keys; returns those that are not pending any more."""
    if not keys:
        return []

    async def once() -> list[Settled]:
        async with database.transaction() as connection:
            return await Batch(connection, database.site, at).settle_again(await inbox.lock_pending(connection, keys))

    try:
        return await persistently(once)
    except Exception as error:
        if is_infrastructure(error):
            raise
        if len(keys) == 1:
            log.exception("a pending message could not be applied and is left to a person")
            async with database.transaction() as connection:
                await inbox.settle_kept(connection, keys[0], inbox.PENDING, (_not_applied(error),), (), at)
            return []
    middle = len(keys) // 2
    return [*await try_again(database, keys[:middle], at), *await try_again(database, keys[middle:], at)]


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


def _not_applied(error: Exception) -> Reason:
    return reason("not_applied", f"The MES could not apply this message: {type(error).__name__}.")


def set_aside_answer(one: Arrived, error: Exception) -> Settled:
    """What is answered for a message that can't be applied for a reason that is not its sender's."""
    if isinstance(one, Message):
        return Settled(one.station, one.id, "id", inbox.PENDING, (_not_applied(error),))
    key, keyed_by = (one.id, "id") if one.id else (one.sha256, "sha256")
    return Settled(one.station, key, keyed_by, inbox.REJECTED, (*one.reasons, _not_applied(error)))


async def _set_aside(database: Database, one: Arrived, error: Exception, at: datetime) -> Settled:
    """Keep a message that can't be applied, and let the next ones through: its bytes, where not even that can be."""
    settled = set_aside_answer(one, error)
    if isinstance(one, Message):
        try:
            async with database.transaction() as connection:
                await Batch(connection, database.site, at).set_aside(one, settled.reasons)
            return settled
        except Exception as again:
            if is_infrastructure(again):
                raise
            log.exception("a message could not be set aside; its bytes are")
            settled = settled._replace(fate=inbox.REJECTED)
            sha256 = hashlib.sha256(one.body).hexdigest()
            one = Unreadable(one.station, one.body, sha256, one.source, one.id, one.type, ())
    async with database.transaction() as connection:
        await Batch(connection, database.site, at).set_bytes_aside(one, settled.reasons)
    return settled
