"""Alive, ready, and the numbers that a Prometheus server reads. Open to all: they tell nothing about the floor."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from urllib.parse import urlsplit

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse

from mes.db.migrate import pending
from mes.db.session import Database
from mes.metrics import CONTENT_TYPE, Metrics
from mes.queries.feeds import FeedProgress, feeds_progress
from mes.queries.health import vitals
from mes.rest.door import database_of, now, settings_of

health = APIRouter(tags=["health"])

CHECK_TIMEOUT_S = 3.0
_PORTS = {"mqtt": 1883, "mqtts": 8883}


@health.get("/healthz")
async def healthz() -> dict[str, str]:
    """The process answers."""
    return {"status": "alive"}


@health.get("/readyz", responses={503: {"description": "Something it needs is not there."}})
async def readyz(request: Request) -> JSONResponse:
    """Database, migrations and, where one is configured, broker are there."""
    checks = await _database_checks(database_of(request))
    if broker := settings_of(request).mqtt_url:
        checks["broker"] = await _broker_check(broker)
    ready = all(found == "fine" for found in checks.values())
    return JSONResponse({"status": "ready" if ready else "not ready", "checks": checks}, 200 if ready else 503)


@health.get("/metrics", response_class=Response)
async def metrics(request: Request) -> Response:
    """Prometheus text format 0.0.4."""
    answers: Counter[tuple[str, int]] = request.app.state.answers
    async with database_of(request).reading() as connection:
        floor = await vitals(connection)
        feeds = await feeds_progress(connection)
    told = Metrics()
    told.counter("mes_journal_entries", "Journal entries with a position.").set(floor.journal_entries)
    told.gauge("mes_journal_unnumbered", "Journal entries without a position yet.", floor.journal_unnumbered)
    told.gauge("mes_journal_oldest_unnumbered_seconds", "Age of the oldest of them.", floor.oldest_unnumbered_s)
    told.gauge("mes_messages_pending", "Messages that wait to be applied.", floor.messages_pending)
    told.gauge("mes_messages_rejected", "Messages that could not be read.", floor.messages_rejected)
    _tell_feeds(told, feeds)
    http = told.counter("mes_http_answers_total", "HTTP answers given by this process.")
    for (method, status), count in answers.items():
        http.add(count, method=method, status=str(status))
    return Response(told.text(), media_type=CONTENT_TYPE)


def _tell_feeds(told: Metrics, feeds: Sequence[FeedProgress]) -> None:
    """How far each feed has come, and since when it can't deliver; 0 while it can."""
    position = told.gauge("mes_feed_position", "Position of the last entry that a feed is done with.")
    behind = told.gauge("mes_feed_behind", "Numbered entries that a feed is not done with.")
    failing = told.gauge("mes_feed_failing_seconds", "Since when a feed can't deliver; 0: it can.")
    for one in feeds:
        position.set(one.position, feed=one.name)
        behind.set(one.behind, feed=one.name)
        since = one.failing_since
        failing.set((now() - since).total_seconds() if since else 0, feed=one.name)


async def _database_checks(database: Database) -> dict[str, str]:
    try:
        async with asyncio.timeout(CHECK_TIMEOUT_S):
            missing = await pending(database)
    except Exception as error:  # whatever it is, the answer is that it is not ready
        return {"database": f"can't be used: {type(error).__name__}"}
    return {"database": "fine", "migrations": f"missing: {', '.join(missing)}" if missing else "fine"}


async def _broker_check(url: str) -> str:
    parts = urlsplit(url)
    try:
        async with asyncio.timeout(CHECK_TIMEOUT_S):
            _, writer = await asyncio.open_connection(parts.hostname, parts.port or _PORTS.get(parts.scheme, 1883))
        writer.close()
        await writer.wait_closed()
    except (OSError, TimeoutError, ValueError) as error:
        return f"can't be reached: {type(error).__name__}"
    return "fine"
