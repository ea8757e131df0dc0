"""Nonconformances as the fold opens and closes them; what people add to them is in mes.commands.nonconformances."""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from sqlalchemy.ext.asyncio import AsyncConnection

from mes.db.keys import key_text
from mes.db.session import driver
from mes.domain.nonconformance import Nonconformance, Settlement


class Opened(NamedTuple):
    """A nonconformance to store: the fold's, the unit it is about, the run that failed and why (JSON)."""

    unit_id: str
    one: Nonconformance
    run_id: str | None
    reasons: str


async def open_nonconformances(connection: AsyncConnection, opened: Sequence[Opened]) -> list[str]:
    """Store those that are not stored yet; returns the ids of the new ones, as UUID texts."""
    if not opened:
        return []
    # Once each: a unit that was folded again tells of all that it ever opened.
    rows = {row[0]: row for row in map(_row, opened)}
    stored = await (await driver(connection)).fetch(
        """
        INSERT INTO nonconformance (id, unit_id, step, state, run_id, reasons, opened_key, opened_at)
        SELECT id, unit_id, step, 'open', run_id, reasons, opened_key, opened_at
        FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::uuid[], $5::text[], $6::text[], $7::timestamptz[])
             AS n (id, unit_id, step, run_id, reasons, opened_key, opened_at)
        ON CONFLICT (id) DO NOTHING RETURNING id::text
        """,
        *zip(*rows.values(), strict=True),
    )
    return [row["id"] for row in stored]


def _row(opened: Opened) -> tuple[Any, ...]:
    unit_id, one, run_id, reasons = opened
    return one.id, unit_id, one.step, run_id, reasons, key_text(one.opened_by), one.opened_by.at


async def settle_nonconformances(connection: AsyncConnection, settled: Iterable[Settlement]) -> None:
    """Close what the fold settled."""
    closed = {one.id: one.by.at for one in settled}
    if closed:
        await (await driver(connection)).execute(
            """
            UPDATE nonconformance n SET state = 'closed', closed_at = c.closed_at
            FROM unnest($1::uuid[], $2::timestamptz[]) AS c (id, closed_at) WHERE n.id = c.id
            """,
            list(closed),
            list(closed.values()),
        )


async def reopen_others(connection: AsyncConnection, units: Sequence[str], unsettled: Sequence[str]) -> None:
    """After units were folded again: what a late fact shows to be unsettled is open again."""
    await (await driver(connection)).execute(
        """
        UPDATE nonconformance SET state = CASE WHEN ruling IS NULL THEN 'open' ELSE 'disposed' END, closed_at = NULL
        WHERE unit_id = ANY($1::uuid[]) AND id = ANY($2::uuid[]) AND state = 'closed'
        """,
        units,
        unsettled,
    )


async def withdraw_others(connection: AsyncConnection, units: Sequence[str], known: Sequence[str]) -> None:
    """After units were folded again: what a late fact shows never to have been is closed as of its own beginning."""
    await (await driver(connection)).execute(
        """
        UPDATE nonconformance SET state = 'closed', closed_at = opened_at
        WHERE unit_id = ANY($1::uuid[]) AND id <> ALL($2::uuid[]) AND closed_at IS DISTINCT FROM opened_at
        """,
        units,
        known,
    )
