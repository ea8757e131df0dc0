"""Recordings: runs that a program tells of line by line. Every distinct line is kept; nothing is ever changed in it.

What a recording tells is worked out from its lines, so that it survives any crash and depends on no order of arrival.
"""

from collections.abc import AsyncIterator, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, NamedTuple, TypeAlias

from sqlalchemy.ext.asyncio import AsyncConnection

from mes.db.journal import new_id
from mes.db.session import driver

TALK: Final = ("log", "file", "extension")
"""Artifacts that tell nothing of a run's values or its end."""
ENDS: Final = ("testRunStart", "testRunEnd")
ELEMENT: Final = "measurementSeriesElement"
"""The artifact of which a run of days has millions: one value of a series."""
READ_AT_ONCE: Final = 10_000
StoredLine: TypeAlias = tuple[int, str, str]
"""A line's number, artifact and JSON."""


class RecordingName(NamedTuple):
    """What tells one recording from another: a station's run of a step of a unit."""

    station: str
    run: str
    unit_id: str
    step: str


@dataclass(slots=True)
class Recording:
    """A recording as stored; its row is locked. Columns are described in `mes.db.tables`."""

    id: str
    name: RecordingName
    purpose: str
    operator: int | None
    fixture: str | None
    lines: int
    began_at: datetime | None
    last_at: datetime | None
    started_at: datetime | None
    ended_at: datetime | None
    claim: str | None
    verdict: str | None
    interrupted_at: datetime | None
    heard_at: datetime
    broken_off: str | None
    broken_off_after: int | None


class Line(NamedTuple):
    """One line as stored. `digest` is over the line's object, however it was written."""

    number: int
    digest: bytes
    artifact: str
    at: datetime | None
    text: str


class End(NamedTuple):
    """A line that may begin or end a run, or another line under the number of one; when it first arrived."""

    text: str
    received_at: datetime


class Silent(NamedTuple):
    """A recording whose end is overdue, why, when lines of it last came, and what its station said of its end."""

    id: str
    because: str
    heard_at: datetime
    broken_off: str | None


_COLUMNS = """r.id::text, r.station, r.run, r.unit_id::text, r.step, r.purpose, r.operator, r.fixture, r.lines,
              r.began_at, r.last_at, r.started_at, r.ended_at, r.claim, r.verdict, r.interrupted_at, r.heard_at,
              r.broken_off, r.broken_off_after"""


def _recording(row: Any) -> Recording:
    values = tuple(row.values())
    return Recording(values[0], RecordingName(*values[1:5]), *values[5:])


async def lock_recordings(
    connection: AsyncConnection, names: Collection[RecordingName], at: datetime
) -> dict[RecordingName, Recording]:
    """The recordings of these names, new ones begun, locked in one order."""
    ordered = sorted(names)
    columns = [list(column) for column in zip(*ordered, strict=True)]
    raw = await driver(connection)
    await raw.execute(
        """
        INSERT INTO recording (id, station, run, unit_id, step, purpose, heard_at)
        SELECT id, station, run, unit_id, step, 'production', $6
        FROM unnest($1::uuid[], $2::text[], $3::text[], $4::uuid[], $5::text[]) AS t (id, station, run, unit_id, step)
        ON CONFLICT DO NOTHING
        """,
        [new_id() for _ in ordered],
        *columns,
        at,
    )
    rows = await raw.fetch(
        f"""
        SELECT {_COLUMNS} FROM recording r
        JOIN unnest($1::text[], $2::text[], $3::uuid[], $4::text[]) AS t (station, run, unit_id, step)
          ON (r.station, r.run, r.unit_id, r.step) = (t.station, t.run, t.unit_id, t.step)
        ORDER BY r.id FOR UPDATE OF r
        """,
        *columns,
    )
    return {one.name: one for one in map(_recording, rows)}


async def add_lines(connection: AsyncConnection, recording_id: str, lines: Sequence[Line], at: datetime) -> set[int]:
    """Keep lines that were not known, and give their numbers."""
    rows = await (await driver(connection)).fetch(
        """
        INSERT INTO recording_line (recording_id, number, digest, artifact, at, received_at, line)
        SELECT $1, number, digest, artifact, at, $7, line
        FROM unnest($2::int[], $3::bytea[], $4::text[], $5::timestamptz[], $6::text[])
             AS t (number, digest, artifact, at, line)
        ON CONFLICT DO NOTHING RETURNING number
        """,
        recording_id,
        [one.number for one in lines],
        [one.digest for one in lines],
        [one.artifact for one in lines],
        [one.at for one in lines],
        [one.text for one in lines],
        at,
    )
    return {row["number"] for row in rows}


async def contested(connection: AsyncConnection, recording_id: str, numbers: Collection[int]) -> list[int]:
    """Those of the numbers under which there are several lines."""
    rows = await (await driver(connection)).fetch(
        """
        SELECT number FROM recording_line WHERE recording_id = $1 AND number = ANY($2::int[])
        GROUP BY number HAVING count(*) > 1 ORDER BY number
        """,
        recording_id,
        list(numbers),
    )
    return [row["number"] for row in rows]


async def ends_of(connection: AsyncConnection, recording_id: str) -> list[End]:
    """The lines by which a recording may begin and end."""
    raw = await driver(connection)
    # Two statements: in one, a plan made while the table was small joins all lines of a run with all of them.
    numbers = await raw.fetch(
        "SELECT DISTINCT number FROM recording_line "
        "WHERE recording_id = $1 AND artifact IN ('testRunStart', 'testRunEnd')",  # so the index on them is used
        recording_id,
    )
    rows = await raw.fetch(
        """
        SELECT line, received_at FROM recording_line WHERE recording_id = $1 AND number = ANY($2::int[])
        ORDER BY number, digest
        """,
        recording_id,
        [row["number"] for row in numbers],
    )
    return [End(*row.values()) for row in rows]


async def telling_lines(
    connection: AsyncConnection, recording_id: str, left_out_to: int | None = None
) -> AsyncIterator[list[StoredLine]]:
    """The lines of a recording without its talk, some at a time, in the order of their numbers.

    Those of one number come together. Values of series up to the line `left_out_to` are left out.
    """
    raw, after = await driver(connection), -1
    while True:
        rows = await raw.fetch(
            """
            SELECT number, artifact, line FROM recording_line
            WHERE recording_id = $1 AND number > $2 AND artifact <> ALL($3::text[]) AND (artifact <> $4 OR number > $5)
            ORDER BY number FETCH FIRST ($6) ROWS WITH TIES
            """,
            recording_id,
            after,
            list(TALK),
            ELEMENT,
            -1 if left_out_to is None else left_out_to,
            READ_AT_ONCE,
        )
        yield [(row[0], row[1], row[2]) for row in rows]
        if len(rows) < READ_AT_ONCE:
            return
        after = rows[-1][0]


async def newest_beyond(connection: AsyncConnection, recording_id: str, most: int) -> int | None:
    """The number of the newest value of a series that is beyond the `most` newest; None if there are no more."""
    number: int | None = await (await driver(connection)).fetchval(
        """
        SELECT number FROM recording_line WHERE recording_id = $1 AND artifact = $2
        ORDER BY number DESC OFFSET $3 LIMIT 1
        """,
        recording_id,
        ELEMENT,
        most,
    )
    return number


async def gaps_of(connection: AsyncConnection, recording_id: str, limit: int) -> list[tuple[int, int]]:
    """Sequence numbers that are missing between those that came, from 0 on: first and last of each stretch."""
    rows = await (await driver(connection)).fetch(
        """
        SELECT coalesce(before, -1) + 1, number - 1 FROM (
            SELECT number, lag(number) OVER (ORDER BY number) AS before FROM recording_line WHERE recording_id = $1
        ) AS pairs WHERE number > coalesce(before, -1) + 1 ORDER BY number LIMIT $2
        """,
        recording_id,
        limit,
    )
    return [(row[0], row[1]) for row in rows]


async def save_recording(connection: AsyncConnection, one: Recording) -> None:
    """Store what is known of a locked recording."""
    await (await driver(connection)).execute(
        """
        UPDATE recording SET purpose = $2, operator = $3, fixture = $4, lines = $5, began_at = $6, last_at = $7,
               started_at = $8, ended_at = $9, claim = $10, verdict = $11, interrupted_at = $12, heard_at = $13,
               broken_off = $14, broken_off_after = $15
        WHERE id = $1
        """,
        one.id,
        one.purpose,
        one.operator,
        one.fixture,
        one.lines,
        one.began_at,
        one.last_at,
        one.started_at,
        one.ended_at,
        one.claim,
        one.verdict,
        one.interrupted_at,
        one.heard_at,
        one.broken_off,
        one.broken_off_after,
    )


async def drop_run(connection: AsyncConnection, recording_id: str) -> None:
    """Take back what was made of a recording, to be made anew: its lines are the record."""
    await (await driver(connection)).execute("DELETE FROM run WHERE id = $1", recording_id)


async def silent(connection: AsyncConnection, offline_before: datetime, silent_before: datetime) -> list[Silent]:
    """Open recordings whose end is overdue.

    Its program ended, as the station said after its last line; or nothing came since `silent_before`; or nothing came
    since `offline_before` and the station went offline before then; or the station began another attempt of the same
    step of the unit.
    """
    rows = await (await driver(connection)).fetch(
        """
        SELECT r.id::text, CASE WHEN over.is_so THEN 'program_ended' WHEN later.run IS NOT NULL THEN 'next_run'
                                WHEN r.heard_at < $2 THEN 'silent' ELSE 'station_offline' END, r.heard_at,
               CASE WHEN over.is_so THEN r.broken_off END
        FROM recording r LEFT JOIN station s ON s.name = r.station
        CROSS JOIN LATERAL (
            SELECT r.broken_off_after IS NOT NULL AND NOT EXISTS (
                SELECT FROM recording_line l WHERE l.recording_id = r.id AND l.number > r.broken_off_after) AS is_so
        ) AS over
        LEFT JOIN LATERAL (
            SELECT coalesce(a.run, '') AS run FROM attempt a
            WHERE a.unit_id = r.unit_id AND a.step = r.step AND a.station = r.station AND a.started_at > r.started_at
              AND a.run IS DISTINCT FROM r.run LIMIT 1
        ) AS later ON true
        WHERE r.ended_at IS NULL AND r.interrupted_at IS NULL
          AND (over.is_so OR later.run IS NOT NULL OR r.heard_at < $2
               OR (s.state = 'offline' AND s.state_at < $1 AND r.heard_at < $1))
        ORDER BY r.id LIMIT 100
        """,
        offline_before,
        silent_before,
    )
    return [Silent(*row.values()) for row in rows]


async def lock_open(connection: AsyncConnection, recording_id: str, heard_at_most: datetime) -> Recording | None:
    """An open recording, locked; None if another process has it, or it was heard of meanwhile."""
    row = await (await driver(connection)).fetchrow(
        f"""
        SELECT {_COLUMNS} FROM recording r
        WHERE r.id = $1 AND r.ended_at IS NULL AND r.interrupted_at IS NULL AND r.heard_at <= $2
        FOR UPDATE SKIP LOCKED
        """,
        recording_id,
        heard_at_most,
    )
    return _recording(row) if row else None
