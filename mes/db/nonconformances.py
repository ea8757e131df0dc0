"""Nonconformances as the fold opens and closes them; what people add to them is in mes.commands.nonconformances."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

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
    raw = await driver(connection)
    new = []
    for unit_id, one, run_id, reasons in opened:
        stored = await raw.fetchval(
            """
            INSERT INTO nonconformance (id, unit_id, step, state, run_id, reasons, opened_key, opened_at)
            VALUES ($1, $2, $3, 'open', $4, $5, $6, $7) ON CONFLICT (id) DO NOTHING RETURNING id::text
            """,
            one.id,
            unit_id,
            one.step,
            run_id,
            reasons,
            key_text(one.opened_by),
            one.opened_by.at,
        )
        if stored:
            new.append(stored)
    return new


async def settle_nonconformances(connection: AsyncConnection, settled: Iterable[Settlement]) -> None:
    """Close what the fold settled."""
    await (await driver(connection)).executemany(
        "UPDATE nonconformance SET state = 'closed', closed_at = $2 WHERE id = $1",
        [(one.id, one.by.at) for one in settled],
    )


async def reopen_others(connection: AsyncConnection, unit_id: str, unsettled: Iterable[str]) -> None:
    """After a unit was folded again: what a late fact shows to be unsettled is open again."""
    await (await driver(connection)).execute(
        """
        UPDATE nonconformance SET state = CASE WHEN ruling IS NULL THEN 'open' ELSE 'disposed' END, closed_at = NULL
        WHERE unit_id = $1 AND id = ANY($2::uuid[]) AND state = 'closed'
        """,
        unit_id,
        list(unsettled),
    )


async def withdraw_others(connection: AsyncConnection, unit_id: str, known: Iterable[str]) -> None:
    """After a unit was folded again: what a late fact shows never to have been is closed as of its own beginning."""
    await (await driver(connection)).execute(
        """
        UPDATE nonconformance SET state = 'closed', closed_at = opened_at
        WHERE unit_id = $1 AND id <> ALL($2::uuid[]) AND closed_at IS DISTINCT FROM opened_at
        """,
        unit_id,
        list(known),
    )
