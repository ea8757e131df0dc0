"""Attempts of a unit's steps, as folded: who did it, where and when, what the station claimed and what we judged."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection


@dataclass(frozen=True, slots=True)
class AttemptView:
    """One attempt of one step. `ended_at`, `claim` and `outcome` are null while it is open; `run_id` is its run's.

    `operator` is the name, or the number of one whose name was erased; `deviations` are reason codes.
    """

    step: str
    number: int
    station: str
    run: str | None
    run_id: str | None
    operator: str | None
    started_at: datetime
    ended_at: datetime | None
    claim: str | None
    outcome: str | None
    counted: bool
    deviations: list[str]


# What a step that measures nothing says of its operator is in the journal alone.
_ATTEMPTS = text(
    """
    WITH said AS MATERIALIZED (
        SELECT f.fact ->> 'source' AS source, f.fact ->> 'id' AS id, f.fact #>> '{what,operator}' AS number
        FROM journal_subject s JOIN journal j ON j.id = s.entry_id
        CROSS JOIN LATERAL (SELECT CAST(j.body AS json) #> '{data,fact}' AS fact) AS f
        WHERE s.subject_id = :unit
          AND j.type IN ('mes.unit.step.started', 'mes.unit.step.completed', 'mes.run.judged')
    )
    SELECT a.step, a.number, a.station, a.run, a.run_id::text, coalesce(o.name, by.number), a.started_at, a.ended_at,
           a.claim, a.outcome, a.counted, a.deviations
    FROM attempt a
    LEFT JOIN LATERAL (
        SELECT said.number FROM said
        WHERE said.number IS NOT NULL
          AND (said.source || ' ' || said.id) IN (substr(a.opened_key, 32), substr(a.closed_key, 32))
        ORDER BY (said.source || ' ' || said.id) = substr(a.closed_key, 32) DESC LIMIT 1
    ) AS by ON true
    LEFT JOIN operator o ON o.number = CAST(by.number AS integer)
    WHERE a.unit_id = :unit ORDER BY a.started_at, a.step, a.number
    """
)


async def attempts(connection: AsyncConnection, unit_id: str) -> list[AttemptView]:
    """All attempts of a unit, in the order in which they began."""
    return [AttemptView(*row) for row in await connection.execute(_ATTEMPTS, {"unit": unit_id})]
