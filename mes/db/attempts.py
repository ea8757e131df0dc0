"""Attempts of steps, as folded: rows follow the fold, the facts they follow from are in the journal."""

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from mes.db.keys import key_text
from mes.db.session import driver
from mes.domain.unit import Attempt


def _row(unit_id: str, one: Attempt) -> tuple[Any, ...]:
    return (
        unit_id,
        one.step,
        one.number,
        one.station,
        one.run,
        one.run_id,
        one.started_at,
        one.ended_at,
        one.claim,
        one.outcome,
        one.counted,
        list(one.deviations),
        key_text(one.opened_by),
        key_text(one.closed_by) if one.closed_by else None,
    )


async def save_attempts(connection: AsyncConnection, attempts: Iterable[tuple[str, Attempt]]) -> None:
    """Store attempts of units, given as (unit id, attempt); the last of each number wins."""
    newest = {(unit_id, one.step, one.number): (unit_id, one) for unit_id, one in attempts}
    if not newest:
        return
    await (await driver(connection)).executemany(
        """
        INSERT INTO attempt (unit_id, step, number, station, run, run_id, started_at, ended_at, claim, outcome,
                             counted, deviations, opened_key, closed_key)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
        ON CONFLICT (unit_id, step, number) DO UPDATE SET
            station = excluded.station, run = excluded.run, run_id = excluded.run_id,
            started_at = excluded.started_at, ended_at = excluded.ended_at, claim = excluded.claim,
            outcome = excluded.outcome, counted = excluded.counted, deviations = excluded.deviations,
            opened_key = excluded.opened_key, closed_key = excluded.closed_key
        """,
        [_row(unit_id, one) for unit_id, one in newest.values()],
    )


async def replace_attempts(connection: AsyncConnection, unit_id: str, attempts: Sequence[Attempt]) -> None:
    """Store a unit's attempts after it was folded again: numbers may have moved."""
    await (await driver(connection)).execute("DELETE FROM attempt WHERE unit_id = $1", unit_id)
    await save_attempts(connection, ((unit_id, one) for one in attempts))
