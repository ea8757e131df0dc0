"""The sequencer gives journal entries their positions: 0, 1, 2 … without a hole, and none ever behind a reader.

Numbers drawn while writing become visible out of order: a reader that has seen 8 may find 7 there later. So entries
are numbered after their transactions ended. `xid` is the writing transaction. Once it is below the oldest that still
runs (`pg_snapshot_xmin`), no entry of it can come any more, and everything up to there stands in its final order
(xid, id). Whoever numbers is alone under an advisory lock, and looks only after it has the lock.

`xid` belongs to one cluster. After a dump is restored into another one, old entries may carry numbers that are still to
come there. So entries also carry an *era*, a column default that is a constant: when the head was made in another
cluster, writers are shut out for a moment, every entry without a position is numbered once by its id, and a new era
begins, in which nothing is numbered yet and everything to come is seen.

An open writing transaction, in any database of the server, holds numbering up but never spoils it; see `unnumbered`.

Positions say in which order everything is read once. Entries of one subject whose transactions overlapped may stand
the other way round; which came first is said by the subject's own running number.
"""

import asyncio
import contextlib
import logging
from typing import NamedTuple

from sqlalchemy import Row, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from mes.db.journal import CHANNEL
from mes.db.session import Database, driver

NUMBERED = "mes_numbered"
"""What is NOTIFYed when positions were given; the payload is the next position."""
LIMIT = 10_000
"""Most entries that one transaction numbers."""
TIMER_S = 0.5
"""Entries whose turn came without a notification wait at most this long."""
ANSWER_S = 10.0
"""A server that does not answer within this is taken for dead."""
RECONNECT_S = 1.0
BACKLOG_MAX = 100_000
"""Entries that `unnumbered` counts at most."""
NIL = "00000000-0000-0000-0000-000000000000"

ALONE = text("SELECT pg_try_advisory_xact_lock(hashtext('mes.sequencer'))")

HEAD = text("""
    SELECT h.next_position, h.era, h.xid::text AS xid, coalesce(h.entry_id, :nil) AS entry_id,
           c.system_identifier::text AS system_identifier,
           -- A copied cluster has the same identifier: entries of a transaction that is still to come betray it.
           h.system_identifier <> c.system_identifier::text OR EXISTS (
               SELECT FROM journal j WHERE j.era = h.era AND j.xid >= pg_snapshot_xmax(pg_current_snapshot())
           ) AS foreign_cluster
    FROM ledger_head h, pg_control_system() c
""")

NUMBER = text("""
    WITH batch AS (
        SELECT id, xid, row_number() OVER (ORDER BY xid, id) AS nth
        FROM (
            SELECT id, xid FROM journal
            WHERE era = :era AND (xid, id) > (CAST(CAST(:xid AS text) AS xid8), CAST(:entry_id AS uuid))
              AND xid < pg_snapshot_xmin(pg_current_snapshot())
            ORDER BY xid, id
            LIMIT :limit
        ) finished
    ), placed AS (
        INSERT INTO journal_position (position, entry_id)
        SELECT CAST(:next_position AS bigint) + nth - 1, id FROM batch
    )
    UPDATE ledger_head
    SET next_position = next_position + batch.nth, xid = batch.xid, entry_id = batch.id
    FROM batch
    WHERE batch.nth = (SELECT max(nth) FROM batch)
    RETURNING batch.nth AS numbered, next_position
""")

NUMBER_WITHOUT_XID = text("""
    INSERT INTO journal_position (position, entry_id)
    SELECT CAST(:next_position AS bigint) + row_number() OVER (ORDER BY j.id) - 1, j.id
    FROM journal j
    WHERE NOT EXISTS (SELECT FROM journal_position p WHERE p.entry_id = j.id)
""")

BEGIN_ERA = text("""
    UPDATE ledger_head
    SET next_position = next_position + :numbered, era = :era, xid = '0', entry_id = NULL,
        system_identifier = :system_identifier
""")

UNNUMBERED = text("""
    SELECT count(*) AS entries, greatest(extract(epoch FROM now() - min(recorded_at)), 0)::float8 AS oldest_age_s
    FROM (
        SELECT j.recorded_at FROM ledger_head h
        JOIN journal j ON j.era = h.era AND (j.xid, j.id) > (h.xid, coalesce(h.entry_id, :nil))
        LIMIT :most
    ) waiting
""")

TELL = text("SELECT pg_notify(:channel, :payload)")

log = logging.getLogger(__name__)


class Backlog(NamedTuple):
    """Entries without a position: how many (at most BACKLOG_MAX), and how old the oldest is; 0 without any."""

    entries: int
    oldest_age_s: float


async def number(database: Database, limit: int = LIMIT) -> int:
    """Number what is finished, at most `limit` entries; how many. 0 also while another sequencer is at it."""
    async with database.transaction() as connection:
        return await _number(connection, limit)


async def run(database: Database) -> None:
    """Number entries for ever: at each notification, and now and then anyway. Any number of processes may do so."""
    while True:
        try:
            await _run_connected(database)
        except (DBAPIError, OSError, TimeoutError) as error:
            log.warning("numbering the journal failed, again in %.0f s: %s", RECONNECT_S, error)
        except Exception:
            log.exception("numbering the journal failed, again in %.0f s", RECONNECT_S)
        await asyncio.sleep(RECONNECT_S)


async def unnumbered(connection: AsyncConnection) -> Backlog:
    """What waits for its position. Old entries mean that no sequencer runs, or that a transaction is held open."""
    row = (await connection.execute(UNNUMBERED, {"nil": NIL, "most": BACKLOG_MAX})).one()
    return Backlog(row.entries, row.oldest_age_s)


async def _run_connected(database: Database) -> None:
    async with database.engine.connect() as connection:
        woken = asyncio.Event()
        listener = await driver(connection)
        await connection.commit()
        try:
            await listener.add_listener(CHANNEL, lambda *_: woken.set())
            while True:
                woken.clear()
                while await _round(connection):
                    pass
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(TIMER_S):
                        await woken.wait()
        finally:
            # It listens: it may not go back to the pool.
            await connection.invalidate()


async def _round(connection: AsyncConnection) -> int:
    async with connection.begin():
        return await _number(connection, LIMIT)


async def _number(connection: AsyncConnection, limit: int) -> int:
    """One transaction's work. Its isolation is READ COMMITTED: each statement after the lock looks anew."""
    async with asyncio.timeout(ANSWER_S):
        if not (await connection.execute(ALONE)).scalar_one():
            return 0
        head = (await connection.execute(HEAD, {"nil": NIL})).one()
    if head.foreign_cluster:
        return await _begin_era(connection)
    place = {"era": head.era, "xid": head.xid, "entry_id": head.entry_id, "next_position": head.next_position}
    moved = (await connection.execute(NUMBER, {**place, "limit": limit})).one_or_none()
    if moved is None:
        return 0
    await _tell(connection, moved.next_position)
    return int(moved.numbered)


async def _begin_era(connection: AsyncConnection) -> int:
    """Number every entry that has no position, by id, and begin an era in which `xid` is this cluster's.

    Writers wait. The whole journal is compared with its positions: minutes for a hundred million entries, once.
    """
    await connection.execute(text("LOCK TABLE journal IN ACCESS EXCLUSIVE MODE"))
    head: Row[tuple[int, int, str]] = (await connection.execute(HEAD, {"nil": NIL})).one()
    numbered = (await connection.execute(NUMBER_WITHOUT_XID, {"next_position": head.next_position})).rowcount
    era = head.era + 1
    await connection.execute(text(f"ALTER TABLE journal ALTER COLUMN era SET DEFAULT {int(era)}"))
    await connection.execute(BEGIN_ERA, {"numbered": numbered, "era": era, "system_identifier": head.system_identifier})
    await _tell(connection, head.next_position + numbered)
    log.warning("the journal came from another cluster: %d entries numbered by id, era %d begins", numbered, era)
    return numbered


async def _tell(connection: AsyncConnection, next_position: int) -> None:
    await connection.execute(TELL, {"channel": NUMBERED, "payload": str(next_position)})
