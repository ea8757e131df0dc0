"""Stations as ingest needs them: who may speak, and what they last said of themselves."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy.ext.asyncio import AsyncConnection

from mes.db.journal import CHANNEL
from mes.db.session import driver
from mes.domain.facts import Station


class Heard(NamedTuple):
    """A sign of life of a station: its clock minus ours, in seconds."""

    name: str
    at: datetime
    clock_skew_s: float


class Status(NamedTuple):
    """What a station said it is doing, and the moment it said so."""

    name: str
    at: datetime
    state: str
    since: datetime
    reason: str | None


async def stations_named(connection: AsyncConnection, names: Iterable[str]) -> dict[str, Station]:
    """Registered stations by name."""
    rows = await (await driver(connection)).fetch(
        "SELECT name, kind FROM station WHERE name = ANY($1::text[])", list(set(names))
    )
    return {row["name"]: Station(row["name"], row["kind"]) for row in rows}


async def note_heard(connection: AsyncConnection, heard: Sequence[Heard]) -> None:
    """Note when stations were last heard and how their clocks differ from ours."""
    # In order, so that two transactions never wait for each other.
    await (await driver(connection)).executemany(
        "UPDATE station SET heard_at = $2, clock_skew_s = $3 WHERE name = $1 AND (heard_at IS NULL OR heard_at <= $2)",
        sorted(heard),
    )


async def note_status(connection: AsyncConnection, statuses: Sequence[Status]) -> None:
    """Note what stations said they are doing; an older word never replaces a newer one."""
    if not statuses:
        return
    raw = await driver(connection)
    await raw.executemany(
        """
        UPDATE station SET state = $3, state_at = $2, state_since = $4, state_reason = $5
        WHERE name = $1 AND (state_at IS NULL OR state_at <= $2)
        """,
        sorted(statuses, key=lambda one: (one.name, one.at)),
    )
    # It is in no journal entry, and pages should show it at once.
    await raw.execute("SELECT pg_notify($1, '')", CHANNEL)
