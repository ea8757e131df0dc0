"""Messages over REST: the twin of MQTT, and what was not applied at once."""

from typing import Annotated, Any, Literal

from fastapi import Query, Request

from mes.commands import messages as commands
from mes.commands.asking import answer, not_settled
from mes.commands.awaiting import Arrivals
from mes.commands.ingest import check, settle, try_again
from mes.db.session import Database
from mes.formats.messages import Message, StepAsked, decode
from mes.queries.messages import MessageView, list_messages, message_view
from mes.queries.pages import Page
from mes.rest.answers import AskAnswer, SettledAnswer, ask_answer, fact_answer
from mes.rest.door import act_of, database_of, now, router, settings_of
from mes.rest.errors import Problem
from mes.rest.values import LIMIT, Body, Cursor, Id, Limit, Name, Words

twin = router("/stations", "messages")
messages = router("/messages", "messages")

ASKS_MAX = 20
"""Most asks in one request: each may wait a while for the messages it must take into account."""
Fate = Literal["pending", "rejected", "dismissed", "applied"]
_EVENT: dict[str, Any] = {
    "specversion": "1.0",
    "id": "7c1f",
    "source": "stations/ct-01",
    "type": "mes.step.completed",
    "time": "2026-11-22T10:00:00Z",
    "data": {"unit": "CB-0001-000001", "step": "crimp", "at": "2026-11-22T10:00:00Z", "outcome": "pass"},
}
_EVENT_SCHEMA = {"type": "object", "required": ["specversion", "id", "source", "type", "time", "data"]}
_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {"anyOf": [_EVENT_SCHEMA, {"type": "array", "items": _EVENT_SCHEMA}]},
                "examples": {"step": {"value": _EVENT}},
            }
        },
    }
}


class DismissBody(Body):
    """Why it will never be applied; `by` names a person where that is not the token's name."""

    reason: Words | None = None
    by: Name | None = None


@twin.post("/{station}/messages", openapi_extra=_BODY)
async def post(
    request: Request,
    station: Name,
    check_only: Annotated[bool, Query(alias="check", description="Say what would happen and change nothing.")] = False,
) -> SettledAnswer:
    """The same CloudEvents as over MQTT, one or an array of them, and the same fates and answers, told at once.

    Facts first: an ask's answer includes those it came with. A check answers no asks, since an answer is a decision.
    """
    database, at = database_of(request), now()
    arrived = decode(station, None, await request.body(), max_bytes=settings_of(request).body_max_bytes)
    asks = [one for one in arrived if isinstance(one, Message) and isinstance(one.data, StepAsked)]
    facts = [one for one in arrived if not (isinstance(one, Message) and isinstance(one.data, StepAsked))]
    if len(asks) > ASKS_MAX:
        raise Problem("too_large", f"One request may ask {ASKS_MAX} times; this one asks {len(asks)} times.")
    settled = await (check if check_only else settle)(database, facts, at)
    answers = [] if check_only else [await _answered(database, ask) for ask in asks]
    return SettledAnswer([fact_answer(one) for one in settled], answers)


async def _answered(database: Database, ask: Message) -> AskAnswer:
    return ask_answer(await answer(database, ask, await not_settled(Arrivals(database), ask), now()))


@messages.get("")
async def get_list(
    request: Request,
    fate: Fate | None = None,
    station: Name | None = None,
    limit: Limit = LIMIT,
    cursor: Cursor = None,
) -> Page[MessageView]:
    """Messages that were not applied at once, oldest first."""
    async with database_of(request).reading() as connection:
        return await list_messages(connection, fate=fate, station=station, limit=limit, cursor=cursor)


@messages.get("/{key}")
async def get(request: Request, key: Id) -> MessageView:
    """One message with its bytes and why it was not applied."""
    async with database_of(request).reading() as connection:
        return await message_view(connection, key)


@messages.post("/{key}/retry")
async def retry(request: Request, key: Id) -> MessageView:
    """Try a pending message again now."""
    database = database_of(request)
    async with database.transaction() as connection:
        await commands.ask_retry(connection, key)
    await try_again(database, [key], now())
    async with database.reading() as connection:
        return await message_view(connection, key)


@messages.post("/{key}/dismiss")
async def dismiss(request: Request, key: Id, body: DismissBody | None = None) -> MessageView:
    """Decide that a message will never be applied; it stays on record."""
    act = act_of(request, body.by if body else None)
    async with database_of(request).transaction() as connection:
        await commands.dismiss(connection, key, body.reason if body else None, act)
        return await message_view(connection, key)
