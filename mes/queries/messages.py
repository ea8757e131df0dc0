"""Messages that were not applied at once, with why: nothing is lost silently."""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from mes.domain.refusals import refuse
from mes.queries.pages import Page, after_id, cut


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
