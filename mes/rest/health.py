"""Alive, ready, and the numbers that a Prometheus server reads. Open to all: they tell nothing about the floor."""

import asyncio
from collections import Counter
from urllib.parse import urlsplit

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse

from mes.db.migrate import pending
from mes.db.session import Database
from mes.queries.health import vitals
from mes.rest.door import database_of, settings_of

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
        now = await vitals(connection)
    lines = [
        *_metric("mes_journal_entries", "counter", "Journal entries with a position.", now.journal_entries),
        *_metric("mes_journal_unnumbered", "gauge", "Journal entries without a position yet.", now.journal_unnumbered),
        *_metric(
            "mes_journal_oldest_unnumbered_seconds", "gauge", "Age of the oldest of them.", now.oldest_unnumbered_s
        ),
        *_metric("mes_messages_pending", "gauge", "Messages that wait to be applied.", now.messages_pending),
        *_metric("mes_messages_rejected", "gauge", "Messages that could not be read.", now.messages_rejected),
        "# HELP mes_http_answers_total HTTP answers given by this process.",
        "# TYPE mes_http_answers_total counter",
        *(
            f'mes_http_answers_total{{method="{method}",status="{status}"}} {count}'
            for (method, status), count in sorted(answers.items())
        ),
    ]
    return Response("\n".join(lines) + "\n", media_type="text/plain; version=0.0.4; charset=utf-8")


def _metric(name: str, kind: str, told: str, value: float) -> list[str]:
    return [f"# HELP {name} {told}", f"# TYPE {name} {kind}", f"{name} {value}"]


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
