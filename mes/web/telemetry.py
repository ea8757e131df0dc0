"""Telemetry of a unit: every channel drawn small, one channel large.

Large drawings are made by Plotly's bundle, as its Python package ships it and served by us. They ask for just the
points that they can show, and for finer ones when somebody looks closer.
"""

from typing import Annotated, Any, Final

from fastapi import Query, Request, Response
from fastapi.responses import Response as JsonResponse
from msgspec import json

from mes.db.lookup import find_unit
from mes.queries.samples import POINTS_MAX, Asked, Series, series
from mes.web.chart_bundle import SCRIPT, STYLE, STYLE_ID
from mes.web.door import database_of, pages
from mes.web.drawing import gap_s, sparkline
from mes.web.pages import HEADERS, page
from mes.web.units import moment_of

telemetry = pages()

CHANNELS_MAX: Final = 60
CHANNEL_POINTS: Final = 120
CHART_POINTS: Final = 800
"""As many buckets as a chart on a desk has pixels for, nearly."""


@telemetry.get("/units/{serial}/samples")
async def samples(
    request: Request, serial: str, part: str = "", channel: str = "", run: str = "", cursor: str | None = None
) -> Response:
    """All channels of a unit, or one of them large."""
    points = CHART_POINTS if channel else CHANNEL_POINTS
    asked = Asked(channel=channel or None, run=run or None, points=points)
    async with database_of(request).reading() as connection:
        found = await find_unit(connection, serial, part or None)
        shown = await series(connection, found.id, asked, limit=CHANNELS_MAX, cursor=cursor)
    if not channel:
        drawn = [(one, sparkline(one)) for one in shown.items]
        return page(request, "unit_samples.html", unit=found, drawn=drawn, next_cursor=shown.next_cursor)
    large = [(one, sparkline(one, 1200, 260)) for one in shown.items]
    bundle = {"script": SCRIPT, "style": STYLE, "style_id": STYLE_ID}
    return page(request, "unit_channel.html", unit=found, channel=channel, large=large, bundle=bundle)


@telemetry.get("/units/{serial}/series")
async def points_of(
    request: Request,
    serial: str,
    channel: Annotated[str, Query(min_length=1, max_length=255)],
    part: str = "",
    run: str = "",
    since: Annotated[str, Query(alias="from")] = "",
    until: Annotated[str, Query(alias="to")] = "",
    points: Annotated[int, Query(ge=1, le=POINTS_MAX)] = CHART_POINTS,
) -> Response:
    """One channel's points between two moments, for our script: columns of times, lows, means and highs."""
    asked = Asked(channel, None, run or None, moment_of(since, "from"), moment_of(until, "to"), points)
    async with database_of(request).reading() as connection:
        found = await find_unit(connection, serial, part or None)
        shown = await series(connection, found.id, asked, limit=CHANNELS_MAX, cursor=None)
    body = json.encode([columns(one) for one in shown.items])
    return JsonResponse(body, media_type="application/json", headers=HEADERS)


def columns(one: Series) -> dict[str, Any]:
    """A series as a chart takes it; None marks a gap."""
    told: dict[str, Any] = {"run": one.run, "step": one.step, "station": one.station, "bucket_s": one.bucket_s}
    at: list[str] = []
    low: list[float | None] = []
    mean: list[float | None] = []
    high: list[float | None] = []
    before, gap = None, gap_s(one)
    for point in one.points:
        if before is not None and (point.at - before).total_seconds() > gap:
            at.append(before.isoformat())
            for column in (low, mean, high):
                column.append(None)
        before = point.at
        at.append(point.at.isoformat())
        low.append(point.low)
        mean.append(point.mean)
        high.append(point.high)
    return told | {"at": at, "low": low, "mean": mean, "high": high}
