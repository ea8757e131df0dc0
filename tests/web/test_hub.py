"""One look for all: what open pages are told, and when their streams end."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from mes.commands.act import Act
from mes.commands.lines import StationOfLine, add_station
from mes.commands.logins import close_login
from mes.db.session import Database
from mes.db.stations import Status, note_status
from mes.domain.refusals import refuse
from mes.queries.lines import list_lines
from mes.web.hub import Hub
from mes.web.streams import BEHIND_MAX, Look, Picture, Stream, Watched, event
from tests.web.visitor import Visitor

AT = datetime(2026, 11, 2, 8, 0, tzinfo=UTC)


def told(message: bytes | None) -> tuple[str, Any]:
    assert message is not None
    lines = message.decode().strip().splitlines()
    return lines[-2].removeprefix("event: "), json.loads(lines[-1].removeprefix("data: "))


def picture(**parts: str) -> Picture:
    return Picture(parts, lambda: "".join(parts.values()))


async def next_picture(stream: AsyncIterator[bytes]) -> Any:
    """What the next message that is no beat shows."""
    async with asyncio.timeout(20):
        while (said := told(await anext(stream)))[0] in ("beat", "version"):
            pass
    return said[1]


async def test_only_what_differs_is_told_and_to_a_new_page_all() -> None:
    watched, first, second = Watched(None), Stream("a"), Stream("b")  # type: ignore[arg-type]
    watched.streams.add(first)
    watched.show(picture(a="<p>1", b="<p>2"), AT)
    assert told(await first.next())[1]["whole"] == "<p>1<p>2"
    watched.streams.add(second)
    watched.show(picture(a="<p>1", b="<p>3"), AT)
    assert told(await first.next())[1]["parts"] == {"b": "<p>3"}
    assert told(await second.next())[1]["whole"] == "<p>1<p>3"
    watched.show(picture(a="<p>1", b="<p>3"), AT)
    watched.show(picture(a="<p>1"), AT)
    assert told(await first.next())[1]["whole"] == "<p>1", "a part went"


async def test_a_page_that_does_not_keep_up_is_left() -> None:
    stream = Stream("a")
    for _ in range(BEHIND_MAX + 1):
        stream.tell(event("beat", {}))
    assert await stream.next() is None


async def test_all_pages_are_looked_for_once(visitor: Visitor) -> None:
    hub, looks = Hub(visitor.database, timedelta(hours=1)), []

    async def view(look: Look) -> Picture:
        looks.append(look.at)
        return picture(a=str(len(looks)))

    streams = [hub.stream("view", view, visitor.logins["viewer"]) for _ in range(20)]
    shown = await asyncio.gather(*(next_picture(stream) for stream in streams))
    assert len({one["whole"] for one in shown}) <= 2
    assert len(looks) <= 2
    for stream in streams:
        await stream.aclose()


async def test_a_commit_is_told_within_a_second(visitor: Visitor) -> None:
    hub, changed = Hub(visitor.database, timedelta(hours=1)), asyncio.Event()

    async def view(look: Look) -> Picture:
        return picture(a=str(changed.is_set()))

    stream = hub.stream("view", view, visitor.logins["viewer"])
    assert (await next_picture(stream))["whole"] == "False"
    await asyncio.sleep(0.7)
    changed.set()
    await notify(visitor.database)
    async with asyncio.timeout(10):
        assert (await next_picture(stream))["parts"] == {"a": "True"}
    await stream.aclose()


async def notify(database: Database) -> None:
    """What every transaction that writes to the journal does."""
    async with database.transaction() as connection:
        await note_status(connection, [Status("nobody", AT, "idle", AT, None)])


async def test_a_stream_ends_with_its_login_and_no_other(visitor: Visitor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mes.web.hub.LOGINS_S", 0.5)
    hub = Hub(visitor.database, timedelta(hours=1))

    async def view(look: Look) -> Picture:
        return picture(a="1")

    leaving = hub.stream("view", view, visitor.logins["viewer"])
    staying = hub.stream("view", view, visitor.logins["admin"])
    await asyncio.gather(next_picture(leaving), next_picture(staying))
    async with visitor.database.transaction() as connection:
        await close_login(connection, visitor.logins["viewer"], at=datetime.now(UTC))
    async with asyncio.timeout(30):
        kinds = [told(message)[0] async for message in leaving]
    assert kinds[-1] == "ended"
    assert told(await anext(staying))[0] == "beat"
    hub.end(visitor.logins["admin"])
    assert [told(message)[0] async for message in staying][-1] == "ended", "at once, where one logs out"


async def test_a_view_of_what_is_gone_ends_and_others_go_on(visitor: Visitor) -> None:
    hub = Hub(visitor.database, timedelta(hours=1))

    async def gone(look: Look) -> Picture:
        raise refuse("unknown_line", line="L1")

    async def view(look: Look) -> Picture:
        return picture(a="1")

    lost, kept = (hub.stream(one, one, visitor.logins["viewer"]) for one in (gone, view))
    assert (await asyncio.gather(next_picture(kept), next_picture(lost)))[0]["whole"] == "1"
    await kept.aclose()
    await lost.aclose()


async def test_a_stopping_server_ends_every_stream(visitor: Visitor) -> None:
    hub = Hub(visitor.database, timedelta(hours=1))

    async def view(look: Look) -> Picture:
        return picture(a="1")

    stream = hub.stream("view", view, visitor.logins["viewer"])
    await next_picture(stream)
    hub.stop()
    async with asyncio.timeout(20):
        assert [message async for message in stream] == []
        assert len([message async for message in hub.stream("view", view, "x")]) == 0


@pytest.mark.parametrize("standby", [False, True])
async def test_without_notifications_it_asks(visitor: Visitor, monkeypatch: pytest.MonkeyPatch, standby: bool) -> None:
    """A standby refuses LISTEN; a change is seen all the same, by asking."""

    @contextlib.asynccontextmanager
    async def deaf(*_: object) -> AsyncIterator[Any]:
        yield lambda: True

    if standby:
        monkeypatch.setattr("mes.web.hub.listening", deaf)
    hub = Hub(visitor.database, timedelta(hours=1))

    async def view(look: Look) -> Picture:
        page = await list_lines(look.connection, "main", limit=10, cursor=None)
        return picture(a=str(len(page.items)))

    stream = hub.stream("view", view, visitor.logins["viewer"])
    assert (await next_picture(stream))["whole"] == "0"
    async with visitor.database.transaction() as connection:
        await add_station(connection, "L1", StationOfLine("st-1", "bench"), Act("main", "tester", AT))
    async with asyncio.timeout(10):
        assert (await next_picture(stream))["parts"] == {"a": "1"}
    await stream.aclose()
