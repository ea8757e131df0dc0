"""What goes to open pages: pictures of views, cut into the parts that differ, and the streams that carry them."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Hashable, Mapping
from datetime import datetime, timedelta
from time import perf_counter
from typing import Any, Final, NamedTuple

from sqlalchemy.ext.asyncio import AsyncConnection

BEHIND_MAX: Final = 64
"""Messages that a page may be behind before it is left: it comes back and begins anew."""
SELDOM_SHARE: Final = 10
"""A picture that is dear to make may take one such part of the time."""
OLD: Final = timedelta(seconds=30)
"""What shows how long something lasts is pictured anew this often without any sign."""


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


class Seldom:
    """A view that is dear: pictured anew only when a cheap sign is another, and not again before it has rested.

    `wake` has everybody looked for once more: what came while it rested is not forgotten.
    """

    def __init__(self, sign: Callable[[Look], Awaitable[object]], view: View, wake: Callable[[], None]) -> None:
        self._sign, self._view, self._wake = sign, view, wake
        self._made: tuple[object, datetime, Picture] | None = None
        self._rests = timedelta()

    async def __call__(self, look: Look) -> Picture:
        sign = await self._sign(look)
        if self._made is not None:
            signed, made_at, picture = self._made
            age = look.at - made_at
            if sign == signed and age < OLD:
                return picture
            if age < self._rests:
                asyncio.get_running_loop().call_later((self._rests - age).total_seconds(), self._wake)
                return picture
        began = perf_counter()
        picture = await self._view(look)
        self._rests = timedelta(seconds=SELDOM_SHARE * (perf_counter() - began))
        self._made = (sign, look.at, picture)
        return picture


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
