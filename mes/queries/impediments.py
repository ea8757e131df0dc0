"""What stands in a unit's way, in words: holds in force, open nonconformances, facts that could not be applied yet."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection


@dataclass(frozen=True, slots=True)
class HoldInForce:
    """A hold on the unit, its part, its order or a lot in it; `key` as it was asked for."""

    id: str
    scope: str
    key: str
    reason: str
    since: datetime
    placed_by: str


@dataclass(frozen=True, slots=True)
class OpenNonconformance:
    """A nonconformance that is not settled. `reasons` as its run has them: [{code, text, facts}].

    `version` counts its journal entries: who decides says with it what they have seen.
    """

    id: str
    step: str | None
    state: str
    run_id: str | None
    opened_at: datetime
    diagnosis: str | None
    repair: str | None
    ruling: str | None
    version: int
    reasons: list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class PendingFact:
    """A message that names the unit and waits; `reasons`: [{code, text, facts}]."""

    key: str
    type: str
    station: str
    received_at: datetime
    reasons: list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Impediments:
    """All that keeps a unit from being packed and shipped besides its route. Of pending facts the first 20."""

    holds: list[HoldInForce]
    nonconformances: list[OpenNonconformance]
    pending: list[PendingFact]


_ONE = text(
    """
    SELECT (SELECT jsonb_agg(jsonb_build_object('id', h.id, 'scope', h.scope, 'key', h.shown_key, 'reason', h.reason,
                                                'since', lower(h.during), 'placed_by', h.placed_by) ORDER BY h.id)
            FROM hold h
            WHERE upper_inf(h.during) AND h.key IN (
                SELECT u.id::text UNION ALL SELECT u.part
                UNION ALL SELECT o.number FROM work_order o WHERE o.id = u.work_order_id
                UNION ALL SELECT unnest(i.lot_id || i.loaded)::text FROM installation i
                          WHERE i.parent_id = u.id AND i.child_id IS NULL AND i.superseded_at IS NULL
                            AND upper_inf(i.during))
           ) AS holds,
           (SELECT jsonb_agg(jsonb_build_object('id', n.id, 'step', n.step, 'state', n.state, 'run_id', n.run_id,
                                                'opened_at', n.opened_at, 'diagnosis', n.diagnosis,
                                                'repair', n.repair, 'ruling', n.ruling, 'version', n.journal_number,
                                                'reasons', CAST(n.reasons AS jsonb)) ORDER BY n.opened_at, n.id)
            FROM nonconformance n WHERE n.unit_id = u.id AND n.state <> 'closed') AS nonconformances,
           (SELECT jsonb_agg(jsonb_build_object('key', few.key, 'type', few.type, 'station', few.station,
                                                'received_at', few.received_at, 'reasons', few.reasons))
            FROM (SELECT m.key, m.type, m.station, m.received_at, CAST(m.reasons AS jsonb) AS reasons FROM message m
                  WHERE m.fate = 'pending'
                    AND position(convert_to(to_json(u.serial)::text, 'UTF8') IN m.body) > 0
                  ORDER BY m.key LIMIT 20) AS few) AS pending
    FROM unit u WHERE u.id = :id
    """
)


async def impediments(connection: AsyncConnection, unit_id: str) -> Impediments:
    """What stands in the way of a unit, which exists."""
    row = (await connection.execute(_ONE, {"id": unit_id})).one()
    return Impediments(
        msgspec.convert(row.holds or [], list[HoldInForce]),
        msgspec.convert(row.nonconformances or [], list[OpenNonconformance]),
        msgspec.convert(row.pending or [], list[PendingFact]),
    )
