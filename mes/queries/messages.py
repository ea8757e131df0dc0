"""Messages that were not applied at once, with why: nothing is lost silently."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, NamedTuple

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from mes.domain.refusals import refuse
from mes.queries.pages import Page, after_id, cut

COUNTED: Final = 10_000
"""Messages that are looked through to tell what is stuck and why; of more it does not matter how many there are."""
GROUPS_MAX: Final = 12


@dataclass(frozen=True, slots=True)
class MessageView:
    """A message. `source`, `id` and `type` are null where it could not be read; `waits_for` says for what it waits."""

    key: str
    station: str
    kind: str | None
    source: str | None
    id: str | None
    type: str | None
    sha256: str
    body: str
    fate: str
    reasons: list[dict[str, Any]]
    waits_for: list[str]
    received_at: datetime
    settled_at: datetime | None
    settled_by: str | None


class Sought(NamedTuple):
    """Which stuck messages: None leaves open. `why` is a reason's code, `waits_for` a thing, `text` is in the body."""

    fate: str | None = None
    station: str | None = None
    why: str | None = None
    waits_for: str | None = None
    text: str | None = None


@dataclass(frozen=True, slots=True)
class StuckMessage:
    """A message that waits or was refused, without its body, which may be large: `size` is its length in bytes."""

    key: str
    station: str
    kind: str | None
    id: str | None
    type: str | None
    fate: str
    reasons: list[dict[str, Any]]
    waits_for: list[str]
    received_at: datetime
    size: int


@dataclass(frozen=True, slots=True)
class StuckGroup:
    """How many messages are stuck for the same reason (a code) or wait for the same thing, and since when."""

    fate: str
    why: str | None
    waits_for: str | None
    messages: int
    since: datetime


_ALL = """
    SELECT key::text, station, kind, source, id, type, sha256, body, fate, reasons, waits_for, received_at,
           settled_at, settled_by
    FROM message
"""
_ONE = text(_ALL + "WHERE key = :key")
_LIST = text(
    _ALL
    + """
    WHERE (CAST(:fate AS text) IS NULL OR fate = :fate) AND (CAST(:station AS text) IS NULL OR station = :station)
      AND (CAST(:after AS uuid) IS NULL OR key > :after)
    ORDER BY key LIMIT :limit
    """
)
_SOUGHT = """
    fate = ANY(CASE WHEN CAST(:fate AS text) IS NULL THEN ARRAY['pending', 'rejected'] ELSE ARRAY[:fate] END)
    AND (CAST(:station AS text) IS NULL OR station = :station)
    AND (CAST(:waits_for AS text) IS NULL OR :waits_for = ANY(waits_for))
    AND (CAST(:why AS text) IS NULL OR CAST(reasons AS json) #>> '{0,code}' = :why)
    AND (CAST(:text AS text) IS NULL OR position(convert_to(:text, 'UTF8') IN body) > 0)
"""
_STUCK = text(
    f"""
    SELECT key::text, station, kind, id, type, fate, reasons, waits_for, received_at, octet_length(body) AS size
    FROM message WHERE {_SOUGHT} AND (CAST(:after AS uuid) IS NULL OR key > :after)
    ORDER BY key LIMIT :limit
    """
)
_GROUPS = text(
    """
    SELECT fate, why, waits_for, count(*) AS messages, min(received_at) AS since
    FROM (
        SELECT fate, CAST(reasons AS json) #>> '{0,code}' AS why, waits_for[1] AS waits_for, received_at
        FROM message WHERE fate IN ('pending', 'rejected') ORDER BY key LIMIT :counted
    ) AS stuck
    GROUP BY fate, why, waits_for ORDER BY messages DESC, since LIMIT :most
    """
)
_SIGNS = text(
    """
    SELECT count(*), max(key::text)
    FROM (SELECT key FROM message WHERE fate IN ('pending', 'rejected') ORDER BY key DESC LIMIT :counted) AS stuck
    """
)


async def stuck_messages(
    connection: AsyncConnection, sought: Sought, *, limit: int, cursor: str | None
) -> Page[StuckMessage]:
    """Messages that wait or were refused, those that have been for longest first."""
    asked = {**sought._asdict(), "after": after_id(cursor), "limit": limit + 1}
    rows = await connection.execute(_STUCK, asked)
    found = [StuckMessage(*(*row[:6], json.loads(row.reasons), *row[7:])) for row in rows]
    return cut(found, limit, lambda one: (one.key,))


async def stuck_groups(connection: AsyncConnection) -> Sequence[StuckGroup]:
    """What the oldest COUNTED of them are stuck for, most first."""
    rows = await connection.execute(_GROUPS, {"counted": COUNTED, "most": GROUPS_MAX})
    return [StuckGroup(*row) for row in rows]


async def signs_of_stuck(connection: AsyncConnection) -> tuple[object, ...]:
    """Something cheap that is another when messages got stuck, or are no longer."""
    return tuple((await connection.execute(_SIGNS, {"counted": COUNTED})).one())


async def message_view(connection: AsyncConnection, key: str) -> MessageView:
    """One message. Refuses `unknown_message`."""
    row = (await connection.execute(_ONE, {"key": key})).one_or_none()
    if row is None:
        raise refuse("unknown_message", key=key)
    return _view(row)


async def list_messages(
    connection: AsyncConnection, *, fate: str | None, station: str | None, limit: int, cursor: str | None
) -> Page[MessageView]:
    """Messages, oldest first."""
    asked = {"fate": fate, "station": station, "after": after_id(cursor), "limit": limit + 1}
    rows = await connection.execute(_LIST, asked)
    return cut([_view(row) for row in rows], limit, lambda one: (one.key,))


def _view(row: Any) -> MessageView:
    body = row.body.decode("utf-8", "replace")
    return MessageView(*(*row[:7], body, row.fate, json.loads(row.reasons), *row[10:]))
