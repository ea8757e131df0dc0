"""Telemetry: which series a unit has, and each of them reduced to as many points as a chart can show.

A *series* is one channel of one attempt: its channel, step, station and run. Nothing outside this module knows how
samples are stored. A point stands for a bucket of equal width in time and tells its smallest, mean and largest value,
so that no peak is lost however far one looks from.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
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


_HUGE = 1e290
"""Means from here on are summed `_SMALLER` times as large: so many as there may ever be can't overflow together."""
_SMALLER = 2.0**-64  # a power of two: no digit is lost
_STOP = """
    c.start + make_interval(secs => coalesce(c.period_s * (c.samples - 1), c.offsets_s[array_upper(c.offsets_s, 1)], 0))
"""
_WANTED = """
    (CAST(:step AS text) IS NULL OR c.step = :step) AND (CAST(:run AS text) IS NULL OR c.run = :run)
"""
# A channel counts only if it holds what is asked for. It is looked at by a subselect, not by a join: the names stay in
# their order, and none is looked at once there are enough.
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
    ), few AS (
        SELECT channel FROM names
        WHERE channel IS NOT NULL AND (
            (CAST(:step AS text) IS NULL AND CAST(:run AS text) IS NULL)
            OR (SELECT true FROM sample_chunk c
                WHERE c.unit_id = :unit AND c.channel = names.channel AND {_WANTED} LIMIT 1)
        )
        LIMIT :limit + 1
    )
    SELECT few.channel, s.*
    FROM few
    CROSS JOIN LATERAL (
        SELECT c.step, c.station, c.run, min(c.start) AS since, max({_STOP}) AS until,
               CAST(sum(c.samples) AS bigint) AS samples, min(c.low) AS low, max(c.high) AS high
        FROM sample_chunk c
        WHERE c.unit_id = :unit AND c.channel = few.channel AND {_WANTED}
        GROUP BY c.step, c.station, c.run
    ) AS s
    WHERE CAST(:after_0 AS text) IS NULL
       OR (few.channel, s.step, s.station, coalesce(s.run, ''))
        > (:after_0, CAST(:after_1 AS text), CAST(:after_2 AS text), CAST(:after_3 AS text))
    ORDER BY few.channel, s.step, s.station, coalesce(s.run, '') LIMIT :limit
    """
)
# Times are whole microseconds, as `timestamptz` and `make_interval` have them: a sample's own is rounded like the end
# of its series, which it else might miss. Whether it lies in the time asked for is found out from its stretch's start,
# which is near: `since` may be so far away that a double can't tell microseconds.
_POINTS = text(
    f"""
    WITH chunk AS (
        SELECT s.index, s.since, s.until, s.width_us, c.start, c.period_s, c.offsets_s, c.low, c.high, c.mean, c.values,
               {_STOP} AS stop
        FROM unnest(CAST(:channels AS text[]), CAST(:steps AS text[]), CAST(:stations AS text[]),
                    CAST(:runs AS text[]), CAST(:since AS timestamptz[]), CAST(:until AS timestamptz[]),
                    CAST(:widths_us AS float8[]))
             WITH ORDINALITY AS s (channel, step, station, run, since, until, width_us, index)
        JOIN sample_chunk c ON c.unit_id = :unit AND c.channel = s.channel AND c.step = s.step
            AND c.station = s.station AND c.run IS NOT DISTINCT FROM s.run AND c.start <= s.until
    ), placed AS (
        SELECT index, since, width_us, low, high, mean, period_s, offsets_s, values,
               abs(mean) < 'Infinity' AND start >= since AND stop <= until AS is_within,
               CAST(extract(epoch FROM start - since) * 1000000 AS float8) AS begin_us,
               CAST(extract(epoch FROM stop - since) * 1000000 AS float8) AS stop_us,
               CAST(extract(epoch FROM since - start) * 1000000 AS float8) AS from_us,
               CAST(extract(epoch FROM until - start) * 1000000 AS float8) AS to_us
        FROM chunk WHERE stop >= since
    ), told AS (
        SELECT index, since, width_us, begin_us AS at_us, low, high, mean,
               cardinality(array_remove(values, NULL)) AS samples
        FROM placed WHERE is_within AND floor(begin_us / width_us) = floor(stop_us / width_us)
        UNION ALL
        SELECT index, since, width_us, begin_us + v.offset_us, v.value, v.value, v.value, 1
        FROM placed CROSS JOIN LATERAL (
            SELECT round(coalesce(period_s * (one.number - 1), offsets_s[one.number]) * 1e6) AS offset_us, one.value
            FROM unnest(values) WITH ORDINALITY AS one (value, number)
        ) AS v
        WHERE v.value IS NOT NULL AND v.offset_us BETWEEN from_us AND to_us
            AND NOT (is_within AND floor(begin_us / width_us) = floor(stop_us / width_us))
    )
    SELECT index, since + make_interval(secs => min(at_us) / 1e6) AS at, min(low) AS low, max(high) AS high,
           CAST(sum(samples) AS bigint) AS samples,
           coalesce(sum(mean * samples) FILTER (WHERE abs(mean) < {_HUGE}), 0) AS total,
           coalesce(sum(mean * {_SMALLER} * samples) FILTER (WHERE abs(mean) >= {_HUGE}), 0) AS huge
    FROM told
    GROUP BY index, since, least(floor(at_us / width_us), :points - 1)
    ORDER BY index, at
    """
)
_KEY = 4
_FIRST, _LAST = datetime(2, 1, 1, tzinfo=UTC), datetime(9998, 12, 31, tzinfo=UTC)
"""Moments beyond are taken for these: asyncpg says infinity for the very first and last, and that has no distance."""


async def series(
    connection: AsyncConnection, unit_id: str, asked: Asked, *, limit: int, cursor: str | None
) -> Page[Series]:
    """A unit's series by channel, each with at most `asked.points` points of the time that is asked for."""
    asked = asked._replace(since=_finite(asked.since), until=_finite(asked.until))
    limit = min(limit, max(1, ANSWER_MAX // max(asked.points, 1)))
    keys = {f"after_{index}": part for index, part in enumerate(after(cursor, _KEY))}
    chosen = {"unit": unit_id, "channel": asked.channel, "step": asked.step, "run": asked.run}
    rows = (await connection.execute(_SERIES, {**chosen, **keys, "limit": limit + 1})).all()
    found = [row._asdict() for row in rows]
    widths_s = [_width_s(row, asked) for row in found]
    points = await _points(connection, unit_id, found[:limit], widths_s, asked)
    told = [Series(**row, bucket_s=widths_s[index], points=points.get(index, [])) for index, row in enumerate(found)]
    return cut(told, limit, lambda one: (one.channel, one.step, one.station, one.run or ""))


def _finite(at: datetime | None) -> datetime | None:
    return at and min(max(at, _FIRST), _LAST)


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
            "widths_us": [width_s * 1e6 for width_s in widths_s[: len(found)]],
            "points": asked.points,
        },
    )
    points: dict[int, list[Point]] = {}
    for index, at, low, high, samples, total, huge in rows:
        mean = total / samples + huge / samples / _SMALLER
        # The last digit may say more than the largest value has, or that it is infinite.
        points.setdefault(index - 1, []).append(Point(at, low, min(max(mean, low), high), high, samples))
    return points
