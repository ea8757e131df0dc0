"""Telemetry: which series a unit has, and each of them reduced to as many points as a chart can show.

A *series* is one channel of one attempt: its channel, step, station and run. Nothing outside this module knows how
samples are stored. A point stands for a bucket of equal width in time and tells its smallest, mean and largest value,
so that no peak is lost however far one looks from.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from mes.queries.pages import Page, after, cut

POINTS_MAX = 2_000
"""Most points of one series in an answer."""
POINTS_DEFAULT = 300
ANSWER_MAX = 200_000
"""Most points of all series in an answer; its pages are shorter where each series asks for many."""


@dataclass(frozen=True, slots=True)
class Point:
    """A bucket: the time of its first sample, its smallest, mean and largest value, and how many there were."""

    at: datetime
    low: float
    mean: float
    high: float
    samples: int


@dataclass(frozen=True, slots=True)
class Series:
    """One channel of one attempt: from its first to its last sample, gaps counted in `samples`.

    `low` and `high` are of all of it; `points` of the time that was asked for, each `bucket_s` seconds wide.
    """

    channel: str
    step: str
    station: str
    run: str | None
    since: datetime
    until: datetime
    samples: int
    low: float | None
    high: float | None
    bucket_s: float
    points: list[Point]


class Asked(NamedTuple):
    """Which series and which part of them: both ends of the time are included; None: all."""

    channel: str | None = None
    step: str | None = None
    run: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    points: int = POINTS_DEFAULT


_STOP = """
    c.start + make_interval(secs => coalesce(c.period_s * (c.samples - 1), c.offsets_s[array_upper(c.offsets_s, 1)], 0))
"""
_SERIES = text(
    f"""
    WITH RECURSIVE names AS (
        (SELECT c.channel FROM sample_chunk c
         WHERE c.unit_id = :unit AND (CAST(:channel AS text) IS NULL OR c.channel = :channel)
           AND (CAST(:after_0 AS text) IS NULL OR c.channel >= :after_0)
         ORDER BY c.channel LIMIT 1)
        UNION ALL
        SELECT (SELECT c.channel FROM sample_chunk c WHERE c.unit_id = :unit AND c.channel > names.channel
                ORDER BY c.channel LIMIT 1)
        FROM names WHERE names.channel IS NOT NULL AND CAST(:channel AS text) IS NULL
    )
    SELECT few.channel, s.*
    FROM (SELECT channel FROM names WHERE channel IS NOT NULL LIMIT :limit + 1) AS few
    CROSS JOIN LATERAL (
        SELECT c.step, c.station, c.run, min(c.start) AS since, max({_STOP}) AS until,
               CAST(sum(c.samples) AS bigint) AS samples, min(c.low) AS low, max(c.high) AS high
        FROM sample_chunk c
        WHERE c.unit_id = :unit AND c.channel = few.channel AND (CAST(:step AS text) IS NULL OR c.step = :step)
          AND (CAST(:run AS text) IS NULL OR c.run = :run)
        GROUP BY c.step, c.station, c.run
    ) AS s
    WHERE CAST(:after_0 AS text) IS NULL
       OR (few.channel, s.step, s.station, coalesce(s.run, ''))
        > (:after_0, CAST(:after_1 AS text), CAST(:after_2 AS text), CAST(:after_3 AS text))
    ORDER BY few.channel, s.step, s.station, coalesce(s.run, '') LIMIT :limit
    """
)
_POINTS = text(
    f"""
    WITH chunk AS (
        SELECT s.index, s.since, s.until, s.width_s, c.start, c.period_s, c.offsets_s, c.low, c.high, c.mean, c.values,
               {_STOP} AS stop
        FROM unnest(CAST(:channels AS text[]), CAST(:steps AS text[]), CAST(:stations AS text[]),
                    CAST(:runs AS text[]), CAST(:since AS timestamptz[]), CAST(:until AS timestamptz[]),
                    CAST(:widths_s AS float8[]))
             WITH ORDINALITY AS s (channel, step, station, run, since, until, width_s, index)
        JOIN sample_chunk c ON c.unit_id = :unit AND c.channel = s.channel AND c.step = s.step
            AND c.station = s.station AND c.run IS NOT DISTINCT FROM s.run AND c.start <= s.until
    ), placed AS (
        SELECT index, since, width_s, low, high, mean, period_s, offsets_s, values,
               CAST(extract(epoch FROM start - since) AS float8) AS begin_s,
               CAST(extract(epoch FROM stop - since) AS float8) AS stop_s,
               CAST(extract(epoch FROM until - since) AS float8) AS until_s
        FROM chunk WHERE stop >= since
    ), told AS (
        SELECT index, since, width_s, begin_s AS at_s, low, high, mean,
               cardinality(array_remove(values, NULL)) AS samples
        FROM placed WHERE mean IS NOT NULL AND begin_s >= 0 AND stop_s <= until_s
            AND floor(begin_s / width_s) = floor(stop_s / width_s)
        UNION ALL
        SELECT index, since, width_s, v.at_s, v.value, v.value, v.value, 1
        FROM placed CROSS JOIN LATERAL (
            SELECT begin_s + coalesce(period_s * (one.number - 1), offsets_s[one.number]) AS at_s, one.value
            FROM unnest(values) WITH ORDINALITY AS one (value, number)
        ) AS v
        WHERE v.value IS NOT NULL AND v.at_s BETWEEN 0 AND until_s
            AND NOT (begin_s >= 0 AND stop_s <= until_s AND floor(begin_s / width_s) = floor(stop_s / width_s))
    )
    SELECT index, since + make_interval(secs => min(at_s)) AS at, min(low) AS low,
           sum(mean * samples) / sum(samples) AS mean, max(high) AS high, CAST(sum(samples) AS bigint) AS samples
    FROM told
    GROUP BY index, since, least(floor(at_s / width_s), :points - 1)
    ORDER BY index, at
    """
)
_KEY = 4


async def series(
    connection: AsyncConnection, unit_id: str, asked: Asked, *, limit: int, cursor: str | None
) -> Page[Series]:
    """A unit's series by channel, each with at most `asked.points` points of the time that is asked for."""
    limit = min(limit, max(1, ANSWER_MAX // max(asked.points, 1)))
    keys = {f"after_{index}": part for index, part in enumerate(after(cursor, _KEY))}
    chosen = {"unit": unit_id, "channel": asked.channel, "step": asked.step, "run": asked.run}
    rows = (await connection.execute(_SERIES, {**chosen, **keys, "limit": limit + 1})).all()
    found = [row._asdict() for row in rows]
    widths_s = [_width_s(row, asked) for row in found]
    points = await _points(connection, unit_id, found[:limit], widths_s, asked)
    told = [Series(**row, bucket_s=widths_s[index], points=points.get(index, [])) for index, row in enumerate(found)]
    return cut(told, limit, lambda one: (one.channel, one.step, one.station, one.run or ""))


def _width_s(row: dict[str, Any], asked: Asked) -> float:
    """The width of a series' buckets; never 0, so that a single sample is a point, too."""
    length_s = ((asked.until or row["until"]) - (asked.since or row["since"])).total_seconds()
    return max(length_s, 1e-6) / max(asked.points, 1)


async def _points(
    connection: AsyncConnection, unit_id: str, found: Sequence[dict[str, Any]], widths_s: list[float], asked: Asked
) -> dict[int, list[Point]]:
    """Points of each series, by its place in `found`."""
    if not found or asked.points == 0:
        return {}
    rows = await connection.execute(
        _POINTS,
        {
            "unit": unit_id,
            "channels": [row["channel"] for row in found],
            "steps": [row["step"] for row in found],
            "stations": [row["station"] for row in found],
            "runs": [row["run"] for row in found],
            "since": [asked.since or row["since"] for row in found],
            "until": [asked.until or row["until"] for row in found],
            "widths_s": widths_s[: len(found)],
            "points": asked.points,
        },
    )
    points: dict[int, list[Point]] = {}
    for index, *point in rows:
        points.setdefault(index - 1, []).append(Point(*point))
    return points
