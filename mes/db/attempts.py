"""Attempts of steps, as folded: rows follow the fold, the facts they follow from are in the journal."""

from collections.abc import Iterable, Sequence
from typing import Any, Final

from sqlalchemy.ext.asyncio import AsyncConnection

from mes.db.keys import key_text
from mes.db.session import driver
from mes.domain.unit import Attempt

_SAVE: Final = """
    INSERT INTO attempt (unit_id, step, number, station, run, run_id, started_at, ended_at, claim, outcome, counted,
                         deviations, opened_key, closed_key)
    SELECT unit_id, step, number, station, run, run_id, started_at, ended_at, claim, outcome, counted,
           deviations::text[], opened_key, closed_key
    FROM unnest($1::uuid[], $2::text[], $3::int[], $4::text[], $5::text[], $6::uuid[], $7::timestamptz[],
                $8::timestamptz[], $9::text[], $10::text[], $11::bool[], $12::text[], $13::text[], $14::text[])
         AS a (unit_id, step, number, station, run, run_id, started_at, ended_at, claim, outcome, counted,
               deviations, opened_key, closed_key)
    ON CONFLICT (unit_id, step, number) DO UPDATE SET
        station = excluded.station, run = excluded.run, run_id = excluded.run_id,
        started_at = excluded.started_at, ended_at = excluded.ended_at, claim = excluded.claim,
        outcome = excluded.outcome, counted = excluded.counted, deviations = excluded.deviations,
        opened_key = excluded.opened_key, closed_key = excluded.closed_key
"""


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
        f"{{{','.join(one.deviations)}}}",  # codes are words: as text[] they need no quotes
        key_text(one.opened_by),
        key_text(one.closed_by) if one.closed_by else None,
    )


async def save_attempts(connection: AsyncConnection, attempts: Iterable[tuple[str, Attempt]]) -> None:
    """Store attempts of units, given as (unit id, attempt); the last of each number wins."""
    newest = {(unit_id, one.step, one.number): (unit_id, one) for unit_id, one in attempts}
    if not newest:
        return
    columns = zip(*(_row(unit_id, one) for unit_id, one in newest.values()), strict=True)
    await (await driver(connection)).execute(_SAVE, *columns)


async def replace_attempts(connection: AsyncConnection, unit_id: str, attempts: Sequence[Attempt]) -> None:
    """Store a unit's attempts after it was folded again: numbers may have moved."""
    await (await driver(connection)).execute("DELETE FROM attempt WHERE unit_id = $1", unit_id)
    await save_attempts(connection, ((unit_id, one) for one in attempts))
