"""What happened of late that a person should know of: the newest telling entries of the journal.

Kept in memory and added to. Most entries tell of parts put in and steps passed; they are left out, so only so many
positions back are looked through for the others.
"""

import json
from collections import deque
from datetime import datetime
from typing import Any, Final, NamedTuple

from sqlalchemy.ext.asyncio import AsyncConnection

from mes.db.session import driver

KEPT: Final = 30
LOOKED_THROUGH: Final = 2000
TELLING: Final = (
    "mes.hold.placed",
    "mes.hold.released",
    "mes.message.rejected",
    "mes.nonconformance.diagnosed",
    "mes.nonconformance.disposed",
    "mes.nonconformance.opened",
    "mes.nonconformance.repaired",
    "mes.order.released",
    "mes.order.completed",
    "mes.unit.completed",
    "mes.unit.packed",
    "mes.unit.scrapped",
    "mes.unit.shipped",
)
_NEW = """
    SELECT p.position, j.type, j.recorded_at, j.body
    FROM journal_position p JOIN journal j ON j.id = p.entry_id
    WHERE p.position > greatest($1::bigint, (SELECT next_position FROM ledger_head) - $2 - 1) AND j.type = ANY($3)
    ORDER BY p.position DESC LIMIT $4
"""


class FloorEvent(NamedTuple):
    """An entry of the journal, as a person is told of it. `subject`: the unit's serial, order or key of the hold."""

    position: int
    type: str
    at: datetime
    subject: str
    data: dict[str, Any]


class FloorEvents:
    """The newest telling entries, newest first."""

    def __init__(self) -> None:
        self._kept: deque[FloorEvent] = deque(maxlen=KEPT)
        self._position = -1

    async def read(self, connection: AsyncConnection) -> list[FloorEvent]:
        """What there is now."""
        rows = await (await driver(connection)).fetch(_NEW, self._position, LOOKED_THROUGH, list(TELLING), KEPT)
        for row in reversed(rows):
            self._kept.append(_event(row["position"], row["type"], row["recorded_at"], json.loads(row["body"])))
            self._position = row["position"]
        return list(reversed(self._kept))


def _event(position: int, type_: str, recorded_at: datetime, body: dict[str, Any]) -> FloorEvent:
    return FloorEvent(position, type_, recorded_at, str(body.get("subject", "")), body.get("data", {}))
