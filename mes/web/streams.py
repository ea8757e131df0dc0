"""What goes to open pages: pictures of views, cut into the parts that differ, and the streams that carry them."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Hashable, Mapping
from datetime import datetime
from typing import Any, Final, NamedTuple

from sqlalchemy.ext.asyncio import AsyncConnection

BEHIND_MAX: Final = 64
"""Messages that a page may be behind before it is left: it comes back and begins anew."""


class Look(NamedTuple):
    """A look at the database, in one snapshot. `kept` is shared by all views of a round, so that they ask once."""

    connection: AsyncConnection
    at: datetime
    kept: dict[Hashable, Any]


class Picture(NamedTuple):
    """What a view shows: its parts by element id, each the whole element; and all together, as they lie in `main`.

    `whole` is asked for only when parts come or go. It must be the same for everybody: what a person may do stands
    outside of it.
    """

    parts: Mapping[str, str]
    whole: Callable[[], str]


View = Callable[[Look], Awaitable[Picture]]


def event(kind: str, data: Any) -> bytes:
    """A server-sent event. JSON, so that it is one line."""
    return f"event: {kind}\ndata: {json.dumps(data, separators=(',', ':'))}\n\n".encode()


class Stream:
    """One open page: what it is still to be told, and the login that it was opened with.

    `is_new` until it got a picture; `was_told` something since that was last set back.
    """

    def __init__(self, secret: str) -> None:
        self.secret = secret
        self.is_new = True
        self.was_told = False
        self._messages: asyncio.Queue[bytes | None] = asyncio.Queue()

    async def next(self) -> bytes | None:
        """The next message, when there is one; None: that was all."""
        return await self._messages.get()

    def tell(self, message: bytes) -> None:
        """Add a message; a page that does not keep up is left."""
        self.was_told = True
        if self._messages.qsize() < BEHIND_MAX:
            self._messages.put_nowait(message)
        else:
            self.end()

    def end(self, *last: bytes) -> None:
        """End it, telling no more than this; what was not sent yet is dropped."""
        while not self._messages.empty():
            self._messages.get_nowait()
        for message in (*last, None):
            self._messages.put_nowait(message)


class Watched:
    """A view that somebody watches, and its parts as they were told last."""

    def __init__(self, view: View) -> None:
        self.view = view
        self.streams: set[Stream] = set()
        self._parts: Mapping[str, str] | None = None

    def show(self, picture: Picture, at: datetime) -> None:
        """Bring every page to this picture: new ones get all of it, the others the parts that differ, if any."""
        before, self._parts = self._parts, picture.parts
        changed = None
        if before is not None and before.keys() == picture.parts.keys():
            changed = {key: html for key, html in picture.parts.items() if before[key] != html}
        shown = {"at": at.isoformat()}
        update = event("picture", {**shown, "parts": changed}) if changed else None
        is_whole = changed is None or any(stream.is_new for stream in self.streams)
        whole = event("picture", {**shown, "whole": picture.whole()}) if is_whole else None
        for stream in self.streams:
            message = whole if stream.is_new or changed is None else update
            stream.is_new = False
            if message:
                stream.tell(message)
