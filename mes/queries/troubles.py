"""What needs somebody: open nonconformances, holds, messages that wait or were refused."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from mes.domain.causes import most_telling

SHOWN: Final = 8
COUNTED: Final = 10_000
"""Beyond so many messages it does not matter how many there are."""


@dataclass(frozen=True, slots=True)
class OpenNonconformance:
    """A nonconformance that somebody should go on with; `why`: the most telling of its reasons in a sentence."""

    id: str
    serial: str
    part: str
    step: str | None
    state: str
    since: datetime
    why: str


@dataclass(frozen=True, slots=True)
class OpenHold:
    """A hold that is in force. `part` is that of the unit or lot that it is on."""

    id: str
    scope: str
    key: str
    reason: str
    since: datetime
    placed_by: str
    part: str | None


@dataclass(frozen=True, slots=True)
class Troubles:
    """How many there are of each, and the newest. `messages`: those pending and rejected, at most COUNTED each."""

    nonconformances: int
    newest_nonconformances: Sequence[OpenNonconformance]
    holds: int
    newest_holds: Sequence[OpenHold]
    messages: Mapping[str, int]


_NONCONFORMANCES = text(
    """
    SELECT n.id::text AS id, u.serial, u.part, n.step, n.state, n.opened_at, n.reasons, count(*) OVER () AS total
    FROM nonconformance n JOIN unit u ON u.id = n.unit_id
    WHERE n.site = :site AND n.state IN ('open', 'diagnosed', 'repaired', 'disposed')
    ORDER BY n.opened_at DESC LIMIT :most
    """
)
_HOLDS = text(
    """
    SELECT h.id::text, h.scope, h.shown_key, h.reason, lower(h.during) AS since, h.placed_by,
           CASE h.scope WHEN 'unit' THEN (SELECT u.part FROM unit u WHERE u.id::text = h.key)
                        WHEN 'lot' THEN (SELECT l.part FROM lot l WHERE l.id::text = h.key) END AS part,
           count(*) OVER () AS total
    FROM hold h WHERE h.site = :site AND upper_inf(h.during) ORDER BY lower(h.during) DESC LIMIT :most
    """
)
_MESSAGES = text(
    """
    SELECT fate, (SELECT count(*) FROM (SELECT FROM message m WHERE m.fate = f.fate LIMIT :counted) AS found)
    FROM unnest(ARRAY['pending', 'rejected']) AS f(fate)
    """
)


async def read_troubles(connection: AsyncConnection, site: str) -> Troubles:
    """All of it, as it is now."""
    messages = await connection.execute(_MESSAGES, {"counted": COUNTED})
    return Troubles(
        *await open_nonconformances(connection, site, SHOWN),
        *await open_holds(connection, site, SHOWN),
        dict(iter(messages)),
    )


async def open_nonconformances(
    connection: AsyncConnection, site: str, most: int
) -> tuple[int, list[OpenNonconformance]]:
    """How many nonconformances are not settled, and the newest of them."""
    rows: Sequence[Any] = (await connection.execute(_NONCONFORMANCES, {"site": site, "most": most})).all()
    return rows[0].total if rows else 0, [_nonconformance(row) for row in rows]


async def open_holds(connection: AsyncConnection, site: str, most: int) -> tuple[int, list[OpenHold]]:
    """How many holds are in force, and the newest of them."""
    rows: Sequence[Any] = (await connection.execute(_HOLDS, {"site": site, "most": most})).all()
    return rows[0].total if rows else 0, [OpenHold(*row[:-1]) for row in rows]


def _nonconformance(row: Any) -> OpenNonconformance:
    told = most_telling(json.loads(row.reasons))
    why = str(told[0]["text"]) if told else ""
    return OpenNonconformance(row.id, row.serial, row.part, row.step, row.state, row.opened_at, why)
