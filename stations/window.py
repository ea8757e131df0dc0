"""Which messages of a spool are on their way: sent, and without a receipt so far.

A bounded number, so that a day's backlog drains without flooding the broker or the MES. What gets no receipt is sent
again after a while: at least twice as long as receipts take, and less and less often while none comes at all. A MES
that works off what a whole floor kept back is not sent it over and over, and one that is down finds its broker's queue
no longer than it must be.
"""

import logging
import random
from collections.abc import Collection, Iterable
from hashlib import sha256
from typing import Final, NamedTuple

from msgspec.structs import replace

from mes.formats.messages import SettledMessage
from stations.alarms import Alarms
from stations.spool import Spool, Waiting

log = logging.getLogger(__name__)

MAX_MESSAGES: Final = 1000
MAX_BYTES: Final = 8 * 1024 * 1024
AGAIN_MIN_S: Final = 30.0
"""How long a receipt is waited for before a message is sent again."""
AGAIN_MAX_S: Final = 600.0
PENDING_AGAIN_S: Final = 600.0
"""How often the MES is asked, by saying it again, what became of a pending message."""
AT_ONCE: Final = 200
"""Most messages read from the spool at a time, so that what comes in is not kept waiting."""


class _Sent(NamedTuple):
    size: int
    at: float
    digest: str
    """SHA-256 of its bytes: the MES names it so where it can't read its id."""
    once: bool
    """Never sent before: how long its receipt takes is known then, for it can't be that of an earlier sending."""


class Window:
    """The messages on their way. Called by one thread; times are seconds of a clock that nobody sets."""

    def __init__(
        self, spool: Spool, alarms: Alarms, *, max_messages: int = MAX_MESSAGES, again_s: float = AGAIN_MIN_S
    ) -> None:
        self._spool = spool
        self._alarms = alarms
        self._max_messages = max_messages
        self._again_min_s = again_s
        self._again_s = again_s
        self._sent: dict[str, _Sent] = {}
        self._bytes = 0
        self._after = 0
        self._reached = 0
        self._in_vain = False
        self._pending_at = float("-inf")

    def __len__(self) -> int:
        return len(self._sent)

    def begin(self, now: float) -> None:
        """A new connection: everything that waits is sent again, from the oldest on."""
        self._sent.clear()
        self._bytes = 0
        self._again_s = self._again_min_s
        self.rewind()
        self._doubt_pending(now)

    def rewind(self) -> None:
        """Something older waits again."""
        self._after = 0

    def settled(self, ids: Collection[str], now: float) -> None:
        """Receipts of ours came: the MES is there, and takes so long."""
        if not ids:
            return
        sent = [self._forget(id) for id in ids]
        if took_s := [now - one.at for one in sent if one and one.once]:
            self._again_s = min(max(self._again_min_s, 2 * max(took_s)), AGAIN_MAX_S)
        self._in_vain = False
        self._alarms.over("no_receipts")

    def named(self, receipts: Iterable[SettledMessage]) -> list[SettledMessage]:
        """Receipts by ids, also those of messages on their way whose ids the MES could not read."""
        return [one if one.id is not None else replace(one, id=self._id_of(one.sha256)) for one in receipts]

    def due(self, now: float, room: int) -> list[Waiting]:
        """What is to be sent now, in order, where the broker takes `room` messages. What is given counts as sent."""
        self._give_up_late(now)
        if now - self._pending_at > PENDING_AGAIN_S:
            self._doubt_pending(now)
        messages = self._next(min(room, AT_ONCE, self._max_messages - len(self._sent)))
        for one in messages:
            self._sent[one.id] = _Sent(len(one.payload), now, sha256(one.payload).hexdigest(), one.seq > self._reached)
            self._reached = max(self._reached, one.seq)
            self._bytes += len(one.payload)
        return messages

    def _next(self, most: int) -> list[Waiting]:
        """The next that wait and are not on their way."""
        while most > 0 and self._bytes < MAX_BYTES:
            found = self._spool.waiting(self._after, most, MAX_BYTES - self._bytes)
            if not found:
                break
            self._after = found[-1].seq
            if new := [one for one in found if one.id not in self._sent]:
                return new
        return []

    def _give_up_late(self, now: float) -> None:
        """What was sent long ago and has no receipt is not on its way any more: it is sent again, in its turn.

        A receipt may be lost, with a process of the MES that was killed between its commit and its word. That mends
        itself; people are told when sending again brings no receipt either.
        """
        late = [id for id, one in self._sent.items() if now - one.at > self._again_s]
        if not late:
            return
        text = f"No receipt came for {len(late)} messages in {self._again_s:.0f} s; they are sent again."
        log.info(text)
        if self._in_vain:
            self._alarms.give("no_receipts", text)
        self._in_vain = True
        for id in late:
            self._forget(id)
        self._again_s = min(self._again_s * 2, AGAIN_MAX_S) * random.uniform(0.9, 1.1)
        self.rewind()

    def _id_of(self, digest: str | None) -> str | None:
        return next((id for id, one in self._sent.items() if one.digest == digest), None)

    def _forget(self, id: str) -> _Sent | None:
        one = self._sent.pop(id, None)
        if one:
            self._bytes -= one.size
        return one

    def _doubt_pending(self, now: float) -> None:
        self._pending_at = now
        if self._spool.doubt_pending():
            self.rewind()
