"""Messages that are stuck: which wait or were refused, why and since when; and what somebody with the right does then.

The list is live. What it shows is its address: `fate`, `station`, `why` (a reason's code), `waits_for`, `text`.
"""

import json
from functools import partial
from typing import Annotated, Final, Literal, NamedTuple
from urllib.parse import urlencode

from fastapi import Depends, Form, Query, Request, Response

from mes.commands import messages as commands
from mes.commands.ingest import try_again
from mes.db.inbox import PENDING, REJECTED
from mes.domain.refusals import SENTENCES, Refusal, refuse
from mes.queries.messages import Sought, message_view, signs_of_stuck, stuck_groups, stuck_messages
from mes.web.access import may, who_may
from mes.web.door import act_of, caller_of, database_of, hub_of, now, pages, see_other
from mes.web.forms import Id, Words, stated
from mes.web.live import live_page, live_stream
from mes.web.pages import fragment, page, with_query
from mes.web.streams import Look, Picture, Seldom

messages = pages()

SHOWN: Final = 50
BODY_SHOWN: Final = 100_000
"""Characters of a message that its page shows."""
RETRY, DISMISS = "POST /messages/{key}/retry", "POST /messages/{key}/dismiss"
DISMISS_ALL: Final = "POST /messages/dismiss"

Short = Annotated[str, Query(max_length=255)]
Wanted = Annotated[str, Form(max_length=255)]
Fate = Literal["", "pending", "rejected"]


class Choice(NamedTuple):
    """What the address asks to see, as it stands there: empty leaves open."""

    fate: str
    station: str
    why: str
    waits_for: str
    text: str
    cursor: str | None

    @property
    def asked(self) -> dict[str, str]:
        """What is not left open, for an address."""
        return {name: value for name, value in self._asdict().items() if value}

    @property
    def sought(self) -> Sought:
        return Sought(*(one or None for one in self[:5]))


def _choice(
    fate: Fate = "",
    station: Short = "",
    why: Short = "",
    waits_for: Short = "",
    text: Short = "",
    cursor: str | None = None,
) -> Choice:
    """What an address asks for."""
    return Choice(fate, station, why, waits_for, text, cursor)


Asked = Annotated[Choice, Depends(_choice)]


@messages.get("/messages")
async def stuck_page(
    request: Request,
    choice: Asked,
) -> Response:
    """All messages that are stuck, or those of them that are asked for."""
    stream = with_query(request, path="/live/messages", theme=None, size=None)
    view = partial(picture, choice, may(caller_of(request), DISMISS_ALL))
    return await live_page(request, "messages.html", view, stream, choice=choice)


@messages.get("/live/messages")
async def stuck_stream(
    request: Request,
    choice: Asked,
) -> Response:
    """What keeps lists of this choice as they are."""
    may_dismiss = may(caller_of(request), DISMISS_ALL)
    view = Seldom(_signs, partial(picture, choice, may_dismiss), hub_of(request).wake)
    return live_stream(request, ("messages", choice, may_dismiss), view)


async def _signs(look: Look) -> object:
    if "stuck" not in look.kept:
        look.kept["stuck"] = await signs_of_stuck(look.connection)
    return look.kept["stuck"]


async def picture(choice: Choice, may_dismiss: bool, look: Look) -> Picture:
    """The list in parts: what is stuck for which reason, the messages, and how to be rid of all that were asked for."""
    groups = await stuck_groups(look.connection)
    found = await stuck_messages(look.connection, choice.sought, limit=SHOWN, cursor=choice.cursor)
    told = {"choice": choice, "groups": groups, "found": found, "sentences": SENTENCES, "waiting": waiting}
    told["may_dismiss"] = may_dismiss and any(choice.sought) and not choice.cursor and bool(found.items)
    parts = {name: fragment(f"messages/{name}.html", **told) for name in ("groups", "stuck", "dismissal")}
    return Picture(parts, partial(fragment, "messages/whole.html", parts=parts, **told))


@messages.get("/messages/{key}")
async def message_page(request: Request, key: Id) -> Response:
    """One message: its bytes, why it is stuck, and what can be done."""
    return await _page(request, key)


@messages.post("/messages/{key}/retry")
async def retry(request: Request, key: Id) -> Response:
    """Try a pending message again now, whatever it waits for, and tell what came of it."""
    database = database_of(request)
    try:
        async with database.transaction() as connection:
            await commands.ask_retry(connection, key)
    except Refusal as refusal:
        return await _page(request, key, refusal)
    await try_again(database, [key], now())
    return see_other(f"/messages/{key}?done=retry")


@messages.post("/messages/{key}/dismiss")
async def dismiss(request: Request, key: Id, reason: Words = "") -> Response:
    """Decide, for a reason, that a message will never be applied; it stays on record."""
    try:
        async with database_of(request).transaction() as connection:
            await commands.dismiss(connection, key, stated(reason), act_of(request))
    except Refusal as refusal:
        return await _page(request, key, refusal)
    return see_other(f"/messages/{key}?done=dismiss")


@messages.post("/messages/dismiss")
async def dismiss_all(
    request: Request,
    until: Annotated[str, Form(max_length=64)],
    fate: Annotated[Fate, Form()] = "",
    station: Wanted = "",
    why: Wanted = "",
    waits_for: Wanted = "",
    text: Wanted = "",
    reason: Words = "",
) -> Response:
    """Dismiss, for one reason, all messages of a list that were seen on it: none that came after `until`."""
    choice = Choice(fate, station, why, waits_for, text, None)
    words = stated(reason)
    if not any(choice.sought):
        raise refuse("invalid", "Say which messages: all that is stuck is dismissed by no one press of a button.")
    if "\0" in station + why + waits_for + text:
        raise refuse("invalid", "What was asked for holds a character that no text has; nothing was changed.")
    async with database_of(request).transaction() as connection:
        found = await stuck_messages(connection, choice.sought, limit=SHOWN, cursor=None)
        for one in found.items:
            if one.key <= until:
                await commands.dismiss(connection, one.key, words, act_of(request))
    return see_other(f"/messages?{urlencode(choice.asked)}")


async def _page(request: Request, key: str, refusal: Refusal | None = None) -> Response:
    async with database_of(request).reading() as connection:
        one = await message_view(connection, key)
    caller = caller_of(request)
    return page(
        request,
        "message.html",
        status=409 if refusal else 200,
        one=one,
        body=readable(one.body)[:BODY_SHOWN],
        left_out=max(len(one.body) - BODY_SHOWN, 0),
        waiting=waiting,
        refusal=" ".join(reason.text for reason in refusal.reasons) if refusal else "",
        done=request.query_params.get("done", ""),
        may_retry=one.fate == PENDING and may(caller, RETRY),
        may_dismiss=one.fate in (PENDING, REJECTED) and may(caller, DISMISS),
        who_may=who_may(RETRY),
    )


def waiting(thing: str) -> str:
    """What a message waits for, in words."""
    kind, _, what = thing.partition(":")
    if kind == "unit":
        part, _, serial = what.rpartition("/")
        return f"unit {serial} of part {part}"
    return {"serial": f"unit {what}", "part": f"part {what}", "station": f"station {what}"}.get(kind, "its next try")


def readable(body: str) -> str:
    """A body as it is read best: JSON with its lines indented, anything else as it came."""
    try:
        return json.dumps(json.loads(body), indent=2, ensure_ascii=False)
    except (ValueError, RecursionError):
        return body
