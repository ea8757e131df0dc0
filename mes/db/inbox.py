"""The gate that makes a message said twice be done once, and the bodies of those that were not applied at once."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final, NamedTuple

import asyncpg
import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from mes.db import copying
from mes.db.journal import new_id
from mes.db.runs import reasons_plain
from mes.db.session import driver
from mes.domain.refusals import Reason

APPLIED: Final = "applied"
DUPLICATE: Final = "duplicate"
PENDING: Final = "pending"
REJECTED: Final = "rejected"
DISMISSED: Final = "dismissed"

FIRST: Final = "00000000-0000-0000-0000-000000000000"
"""Before every key of a kept message."""
COPIED_MIN: Final = 50
"""Fewer messages than this are not worth a COPY, and an error in PostgreSQL's log where one of them was seen."""
_COLUMNS: Final = ("source", "id", "received_at", "fate", "digest", "natural_key")


class Ticket(NamedTuple):
    """What the gate knows a message by. Digests are the first 16 bytes of a SHA-256.

    `content` is over type and data; `natural_key` over what makes the event itself unique, None where nothing does.
    """

    source: str
    id: str
    content: bytes
    natural_key: bytes | None

    @property
    def name(self) -> tuple[str, str]:
        return self.source, self.id


class Seen(NamedTuple):
    """A message that came through the gate before."""

    source: str
    id: str
    fate: str
    content: bytes
    natural_key: bytes | None


class Body(NamedTuple):
    """A message to keep: why it was not applied, and what it waits for."""

    station: str
    kind: str | None
    source: str | None
    id: str | None
    type: str | None
    sha256: str
    body: bytes
    fate: str
    reasons: Sequence[Reason]
    waits_for: Sequence[str]


class Stored(NamedTuple):
    """A kept message, read again to be tried again."""

    key: str
    station: str
    kind: str
    body: bytes
    received_at: datetime


async def admit(connection: AsyncConnection, tickets: Sequence[Ticket], at: datetime) -> set[tuple[str, str]]:
    """Let messages in that were never seen, by (source, id) and by natural key; waits for whoever is letting in the
    same ones. Of several that say the same, the first in `tickets` is let in. Returns the names of those let in, with
    the fate `applied` until told otherwise."""
    # In one order, so that two transactions never wait for each other; those with the same natural key as they came.
    ordered = sorted(_first_of_each(tickets), key=lambda one: one.natural_key or one.content)
    if len(ordered) >= COPIED_MIN and await _all_are_new(connection, ordered, at):
        return {one.name for one in ordered}
    return await _admit_new(connection, ordered, at)


def _first_of_each(tickets: Iterable[Ticket]) -> Iterable[Ticket]:
    by_name: dict[tuple[str, str], Ticket] = {}
    for one in tickets:
        by_name.setdefault(one.name, one)
    by_nature: dict[tuple[str, str] | bytes, Ticket] = {}
    for name, one in by_name.items():
        by_nature.setdefault(one.natural_key or name, one)
    return by_nature.values()


async def _all_are_new(connection: AsyncConnection, tickets: Sequence[Ticket], at: datetime) -> bool:
    """Let all of them in by COPY, which takes half the time of asking for each; it lets nobody in if one was seen."""
    fate, received_at = copying.word(APPLIED), copying.moment(at)
    rows = [
        copying.row(
            copying.word(one.source),
            copying.text(one.id),
            received_at,
            fate,
            copying.binary(one.content),
            copying.binary(one.natural_key),
        )
        for one in tickets
    ]
    raw = await driver(connection)
    try:
        async with raw.transaction():  # a savepoint
            await copying.copy_in(connection, "inbox", _COLUMNS, rows)
    except asyncpg.UniqueViolationError:
        return False
    return True


async def _admit_new(connection: AsyncConnection, tickets: Sequence[Ticket], at: datetime) -> set[tuple[str, str]]:
    rows = await (await driver(connection)).fetch(
        """
        INSERT INTO inbox (source, id, received_at, fate, digest, natural_key)
        SELECT source, id, $5, 'applied', digest, natural_key
        FROM unnest($1::text[], $2::text[], $3::bytea[], $4::bytea[]) AS t (source, id, digest, natural_key)
        ON CONFLICT DO NOTHING RETURNING source, id
        """,
        [one.source for one in tickets],
        [one.id for one in tickets],
        [one.content for one in tickets],
        [one.natural_key for one in tickets],
        at,
    )
    return {(row["source"], row["id"]) for row in rows}


async def seen(connection: AsyncConnection, tickets: Sequence[Ticket]) -> list[Seen]:
    """What came before under the same (source, id) or natural key as any of the tickets."""
    rows = await (await driver(connection)).fetch(
        """
        SELECT i.source, i.id, i.fate, i.digest, i.natural_key FROM inbox i
        JOIN unnest($1::text[], $2::text[]) AS t (source, id) ON t.source = i.source AND t.id = i.id
        UNION
        SELECT i.source, i.id, i.fate, i.digest, i.natural_key FROM inbox i WHERE i.natural_key = ANY($3::bytea[])
        """,
        [one.source for one in tickets],
        [one.id for one in tickets],
        [one.natural_key for one in tickets if one.natural_key],
    )
    return [Seen(*row.values()) for row in rows]


async def admit_as(connection: AsyncConnection, tickets: Sequence[Ticket], fate: str, at: datetime) -> None:
    """Remember messages that say again, under a new id, what was said before: they hold no natural key."""
    await (await driver(connection)).executemany(
        """
        INSERT INTO inbox (source, id, received_at, fate, digest) VALUES ($1, $2, $5, $4, $3) ON CONFLICT DO NOTHING
        """,
        [(one.source, one.id, one.content, fate, at) for one in tickets],
    )


async def set_fates(connection: AsyncConnection, fates: Sequence[tuple[str, str, str]]) -> None:
    """Change the fates of admitted messages, given as (source, id, fate)."""
    if not fates:
        return
    await (await driver(connection)).executemany("UPDATE inbox SET fate = $3 WHERE source = $1 AND id = $2", fates)


async def keep(connection: AsyncConnection, bodies: Sequence[Body], at: datetime) -> list[Body]:
    """Keep messages that were not applied; returns those that were not kept before."""
    if not bodies:
        return []
    rows = [(new_id(), *one[:8], reasons_text(one.reasons), _list_text(one.waits_for)) for one in bodies]
    stored = await (await driver(connection)).fetch(
        """
        INSERT INTO message (key, station, kind, source, id, type, sha256, body, fate, reasons, waits_for, received_at,
                             settled_at)
        SELECT key, station, kind, source, id, type, sha256, body, fate, reasons,
               ARRAY(SELECT jsonb_array_elements_text(waits_for::jsonb)), $12,
               CASE WHEN fate = 'pending' THEN NULL ELSE $12::timestamptz END
        FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::bytea[],
                    $9::text[], $10::text[], $11::text[])
             AS m (key, station, kind, source, id, type, sha256, body, fate, reasons, waits_for)
        ON CONFLICT DO NOTHING RETURNING key::text
        """,
        *zip(*rows, strict=True),
        at,
    )
    new = {row["key"] for row in stored}
    return [one for one, row in zip(bodies, rows, strict=True) if row[0] in new]


def _list_text(values: Sequence[str]) -> str:
    return msgspec.json.encode(values).decode()


def reasons_text(reasons: Iterable[Reason]) -> str:
    """Reasons as the column holds them."""
    return msgspec.json.encode(reasons_plain(reasons)).decode()


async def ready(connection: AsyncConnection, after: str, limit: int) -> list[str]:
    """Keys of pending messages for which something they wait for is there now: the oldest of those behind `after`."""
    rows = await (await driver(connection)).fetch(
        """
        SELECT key::text FROM message m
        WHERE fate = 'pending' AND key > $1 AND EXISTS (
            SELECT FROM unnest(m.waits_for) AS w (thing)
            WHERE CASE split_part(thing, ':', 1)
                WHEN 'serial' THEN EXISTS (
                    SELECT FROM identifier i WHERE i.kind = 'serial' AND i.value = substr(thing, 8))
                WHEN 'unit' THEN EXISTS (
                    SELECT FROM identifier i
                    WHERE i.kind = 'serial' AND i.part = split_part(substr(thing, 6), '/', 1)
                      AND i.value = split_part(thing, '/', 2)
                      -- the rest is a maker, if one was said, and may have slashes in it
                      AND (i.maker = '' OR split_part(thing, '/', 3) = ''
                           OR thing = format('unit:%s/%s/%s', i.part, i.value, i.maker)))
                WHEN 'part' THEN EXISTS (SELECT FROM part p WHERE p.part = substr(thing, 6))
                WHEN 'station' THEN EXISTS (SELECT FROM station s WHERE s.name = substr(thing, 9))
                WHEN 'retry' THEN true
                ELSE false
            END)
        ORDER BY key LIMIT $2
        """,
        after,
        limit,
    )
    return [row["key"] for row in rows]


async def lock_pending(connection: AsyncConnection, keys: Sequence[str]) -> list[Stored]:
    """Those of the messages that are pending still, oldest first; locked, others' skipped."""
    rows = await (await driver(connection)).fetch(
        """
        SELECT key::text, station, kind, body, received_at FROM message
        WHERE key = ANY($1::uuid[]) AND fate = 'pending' ORDER BY key FOR UPDATE SKIP LOCKED
        """,
        keys,
    )
    return [Stored(*row.values()) for row in rows]


async def settle_kept(
    connection: AsyncConnection, key: str, fate: str, reasons: Sequence[Reason], waits_for: Sequence[str], at: datetime
) -> None:
    """What became of a kept message when it was tried again."""
    await (await driver(connection)).execute(
        """
        UPDATE message SET fate = $2, reasons = $3, waits_for = $4,
                           settled_at = CASE WHEN $2 = 'pending' THEN NULL ELSE $5::timestamptz END
        WHERE key = $1
        """,
        key,
        fate,
        reasons_text(reasons),
        list(waits_for),
        at,
    )
