"""Pages that live: one hub per process looks at the database, renders once, and tells every open page the same.

A *view* is what pages of one address show. When something happened, each view that somebody watches is pictured anew
and what differs goes out in one message to all who watch it: the database is asked as often for one page as for a
hundred. Something happened when the journal's channel says so or, on a standby, where nothing can be listened to, when
a cheap question has another answer than a second ago.

A page hears something every second, with the time of its data; when it hears nothing, it says so by itself. Streams
end when their login does, and when the server stops.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Hashable
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from mes.commands.ingest import is_infrastructure
from mes.commands.logins import still_open
from mes.db.journal import CHANNEL
from mes.db.listening import listening
from mes.db.session import Database
from mes.domain.refusals import Refusal
from mes.queries.board import signs_of_change
from mes.web.statics import STATICS
from mes.web.streams import Look, Picture, Stream, View, Watched, event

BEAT_S: Final = 1.0
"""Pages hear something this often; the database is asked for signs of change as often."""
ROUND_MIN_S, ROUND_MAX_S = 0.5, 0.9
"""However much happens, rounds begin so far apart: the more, the longer one takes: a huge floor costs little too."""
ROUND_SHARE: Final = 30
"""A round may take one such part of the time, as long as changes are still told within a second."""
REFRESH_S: Final = 15.0
"""Everything is pictured anew this often without any sign: a shift ends without one."""
LOGINS_S: Final = 3.0
"""How often it is checked that those who watch may."""
ANSWER_S: Final = 10.0
"""A database that does not answer within this is taken for away."""

log = logging.getLogger(__name__)


class Hub:
    """Everybody who watches, and the task that looks for them, for as long as somebody does."""

    def __init__(self, database: Database, idle_max: timedelta) -> None:
        self.shared: dict[str, Any] = {}
        """What views keep from one look to the next."""
        self._database = database
        self._idle_max = idle_max
        self._watched: dict[Hashable, Watched] = {}
        self._woken = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._stopped = False
        self._signs: object = None
        self._pictured = self._logins_checked = 0.0

    async def picture(self, view: View) -> tuple[Picture, datetime]:
        """A view's picture for a page that is being opened, and of when it is."""
        async with self._database.reading() as connection:
            look = Look(connection, datetime.now(UTC), {})
            return await view(look), look.at

    async def stream(self, key: Hashable, view: View, secret: str) -> AsyncIterator[bytes]:
        """What a page is told that watches a view, a whole picture first. `key` is the same for all of its pages."""
        stream = Stream(secret)
        self._join(key, view, stream)
        try:
            while (message := await stream.next()) is not None:
                yield message
        finally:
            self._leave(key, stream)

    def wake(self) -> None:
        """Look for everybody soon, as if something had happened."""
        self._woken.set()

    def end(self, secret: str) -> None:
        """Somebody logged out: their streams end now."""
        for stream in self._streams():
            if stream.secret == secret:
                stream.end(event("ended", {}))

    def stop(self) -> None:
        """The server stops: every stream ends and none begins any more. Pages come back to the next server."""
        self._stopped = True
        for stream in self._streams():
            stream.end()

    def _streams(self) -> list[Stream]:
        return [stream for watched in self._watched.values() for stream in watched.streams]

    def _join(self, key: Hashable, view: View, stream: Stream) -> None:
        # How long a page waits before it comes back when the stream breaks.
        stream.tell(b"retry: 1000\n\n" + event("version", STATICS.version))
        if self._stopped:
            stream.end()
            return
        self._watched.setdefault(key, Watched(view)).streams.add(stream)
        self._woken.set()
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name="live pages")

    def _leave(self, key: Hashable, stream: Stream) -> None:
        if (watched := self._watched.get(key)) and stream in watched.streams:
            watched.streams.remove(stream)
            if not watched.streams:
                del self._watched[key]
        if not self._watched and self._task is not None:
            self._task.cancel()
            self._task = None

    async def _run(self) -> None:
        """Look and tell for ever. While the database is away nothing is told: pages see by themselves that it is."""
        while True:
            try:
                async with listening(self._database, CHANNEL, self._woken.set) as is_listening:
                    while is_listening():
                        began = time.monotonic()
                        async with asyncio.timeout(ANSWER_S):
                            await self._round()
                        await self._pause(began)
            except Exception as error:
                log.warning("live pages stand still, again in %.0f s: %s", BEAT_S, error)
                await asyncio.sleep(BEAT_S)

    async def _pause(self, began: float) -> None:
        """Until something happens or the next beat is due, but long enough to let others work."""
        took_s = time.monotonic() - began
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(BEAT_S - took_s):
                await self._woken.wait()
        apart_s = min(max(ROUND_MIN_S, ROUND_SHARE * took_s), ROUND_MAX_S)
        await asyncio.sleep(began + apart_s - time.monotonic())

    async def _round(self) -> None:
        is_woken = self._woken.is_set()
        self._woken.clear()
        if time.monotonic() > self._logins_checked + LOGINS_S:
            await self._check_logins()
        async with self._database.reading() as connection:
            look = Look(connection, datetime.now(UTC), {})
            signs = await signs_of_change(connection)
            is_due = time.monotonic() > self._pictured + REFRESH_S
            if is_woken or is_due or signs != self._signs:
                for key, watched in list(self._watched.items()):
                    await self._show(key, watched, look)
                self._signs, self._pictured = signs, time.monotonic()
        beat = event("beat", {"at": look.at.isoformat()})
        for stream in self._streams():
            if not stream.was_told:
                stream.tell(beat)
            stream.was_told = False

    async def _show(self, key: Hashable, watched: Watched, look: Look) -> None:
        try:
            watched.show(await watched.view(look), look.at)
        except Refusal as refusal:
            log.info("nothing is to be seen any more at %s: %s", key, refusal)
        except Exception as error:
            if is_infrastructure(error):
                raise
            # One page that can't be made must not let all others stand still.
            log.exception("a live page could not be made: %s", key)
        else:
            return
        for stream in watched.streams:
            stream.end(event("ended", {}))

    async def _check_logins(self) -> None:
        streams = self._streams()
        secrets = {stream.secret for stream in streams}
        async with self._database.transaction() as connection:
            valid = await still_open(connection, secrets, idle_max=self._idle_max, at=datetime.now(UTC))
        for stream in streams:
            if stream.secret not in valid:
                stream.end(event("ended", {}))
        self._logins_checked = time.monotonic()
